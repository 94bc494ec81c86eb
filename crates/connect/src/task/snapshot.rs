//! Snapshots: the tables' rows as of one moment, in Debezium's order.

use std::collections::BTreeMap;
use std::sync::Arc;

use walhouse_change::{ChangeBatch, Lsn, TableSchema, Transaction};
use walhouse_kafka::{Encoder, Patterns, SnapshotPart};
use walhouse_postgres::{CatalogTable, Session, identifier, literal};

use super::failure::TaskFailure;
use super::outbox::{Closed, Outbox};
use super::settings::Settings;
use super::tables::{self, Labels};
use super::thread::Ended;

/// Which moment.
pub(super) enum View<'a> {
    /// That of a slot's creation, so that the stream joins without a gap or an overlap.
    Exported { snapshot: &'a str, at: Lsn },
    /// Now.
    Now,
}

/// Which tables, and how they are read.
pub(super) struct Selection<'a> {
    pub(super) tables: Option<&'a Patterns>,
    /// By `schema.table`: a statement that gives the rows, or a condition that they meet.
    pub(super) overrides: &'a BTreeMap<String, String>,
    /// The stream stands still meanwhile, and its offset with it.
    pub(super) blocking: bool,
}

/// The moment of a snapshot that was taken.
pub(super) struct Taken {
    pub(super) at: Lsn,
    pub(super) xid: u32,
    /// Microseconds since 1970.
    pub(super) time: i64,
}

/// A snapshot under way.
struct Shot<'a> {
    encoder: &'a mut Encoder,
    outbox: &'a mut Outbox,
    part: SnapshotPart,
    /// Rows of a chunk.
    step: usize,
    /// The batch that may hold the last row: whether one follows is not known yet.
    waiting: Option<(ChangeBatch, SnapshotPart)>,
}

/// Reads the tables and makes their records. The session's transaction is over afterwards.
pub(super) fn take(
    session: &mut Session,
    view: &View<'_>,
    selection: &Selection<'_>,
    settings: &Settings,
    (encoder, outbox, labels): (&mut Encoder, &mut Outbox, &mut Labels),
) -> Result<Taken, Ended> {
    // One reader in the order of the heap: neither parallel workers nor a scan that joins another one halfway.
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
    let import = match view {
        View::Exported { snapshot, .. } => format!("; SET TRANSACTION SNAPSHOT {}", literal(snapshot)),
        View::Now => String::new(),
    };
    let plain = "; SET LOCAL synchronize_seqscans = off; SET LOCAL max_parallel_workers_per_gather = 0";
    session.rows("begin the snapshot", &format!("{begin}{import}{plain}"))?;
    let found = chosen(session, selection, settings, encoder)?;
    lock(session, &found, settings)?;
    // What was read before the locks may have changed since.
    let relids: Vec<u32> = found.iter().map(|table| table.relid).collect();
    let mut known: BTreeMap<u32, CatalogTable> =
        session.tables(Some(&relids))?.into_iter().map(|table| (table.relid, table)).collect();
    let found: Vec<CatalogTable> = relids.iter().filter_map(|relid| known.remove(relid)).collect();
    labels.refresh(session, encoder)?;
    found.iter().for_each(|table| encoder.set_table(tables::facts(table)));

    let taken = moment(session, view)?;
    tracing::info!(tables = found.len(), at = %taken.at, "taking a snapshot");
    let transaction = Transaction { xid: 0, commit_lsn: taken.at, commit_time: taken.time };
    let part = SnapshotPart { xid: taken.xid, blocking: selection.blocking, ..SnapshotPart::default() };
    let mut shot = Shot { encoder, outbox, part, step: settings.max_batch, waiting: None };
    for (index, table) in found.iter().enumerate() {
        shot.part.first_table = index == 0;
        shot.table(session, table, selection, transaction)?;
    }
    shot.end()?;
    session.rows("end the snapshot", "COMMIT")?;
    Ok(taken)
}

/// The tables in the order in which they are read.
fn chosen(
    session: &mut Session,
    selection: &Selection<'_>,
    settings: &Settings,
    encoder: &Encoder,
) -> Result<Vec<CatalogTable>, TaskFailure> {
    let mut found = session.tables(None)?;
    found.retain(|table| {
        encoder.options().captures(&table.name)
            && selection.tables.is_none_or(|tables| tables.matches(&table.name.to_string()))
    });
    let place = |table: &CatalogTable| {
        let name = table.name.to_string();
        (settings.order.place(&name).unwrap_or(usize::MAX), name)
    };
    found.sort_by_cached_key(place);
    Ok(found)
}

fn lock(session: &mut Session, found: &[CatalogTable], settings: &Settings) -> Result<(), TaskFailure> {
    if found.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = found.iter().map(|table| tables::quoted(&table.name)).collect();
    let statement = format!(
        "SET LOCAL lock_timeout = {}; LOCK TABLE {} IN ACCESS SHARE MODE",
        settings.lock_timeout.as_millis().clamp(1, 50_000),
        names.join(", ")
    );
    session.rows("lock the tables", &statement)?;
    Ok(())
}

/// Position, transaction id and time of the snapshot.
fn moment(session: &mut Session, view: &View<'_>) -> Result<Taken, TaskFailure> {
    let statement = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
               CASE WHEN pg_is_in_recovery() THEN 0 ELSE txid_current() END,
               (extract(epoch FROM CURRENT_TIMESTAMP) * 1000000)::int8";
    let rows = session.rows("read the position of the snapshot", statement)?;
    let unreadable = || TaskFailure::debezium("Database processing error");
    let row = rows.first().ok_or_else(unreadable)?;
    let at = match view {
        View::Exported { at, .. } => *at,
        View::Now => row.text(0).parse().map_err(|_| unreadable())?,
    };
    let xid: u64 = row.text(1).parse().map_err(|_| unreadable())?;
    Ok(Taken { at, xid: xid as u32, time: row.text(2).parse().map_err(|_| unreadable())? })
}

impl Shot<'_> {
    fn table(
        &mut self,
        session: &mut Session,
        table: &CatalogTable,
        selection: &Selection<'_>,
        transaction: Transaction,
    ) -> Result<(), Ended> {
        let schema = tables::schema(table);
        let query = query(table, &schema, selection);
        let mut starts = true;
        let mut outcome = Ok(());
        let mut take = |batch: Option<ChangeBatch>| {
            let Some(batch) = batch else { return !self.outbox.is_closed() };
            let part = SnapshotPart { starts, ..self.part };
            outcome = self.follow(batch, part, starts);
            starts = false;
            outcome.is_ok()
        };
        session.copy(&schema, &query, transaction, &mut take)?;
        if self.outbox.is_closed() {
            return Err(Ended::Closed);
        }
        outcome
    }

    /// A batch came: the one before it is not the last one.
    fn follow(&mut self, batch: ChangeBatch, part: SnapshotPart, starts: bool) -> Result<(), Ended> {
        if let Some((batch, before)) = self.waiting.replace((batch, part)) {
            self.send(batch, SnapshotPart { ends: starts, ..before })?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Ended> {
        if let Some((batch, part)) = self.waiting.take() {
            self.send(batch, SnapshotPart { ends: true, last_table: true, ..part })?;
        }
        Ok(())
    }

    fn send(&mut self, batch: ChangeBatch, part: SnapshotPart) -> Result<(), Ended> {
        let mut at = 0;
        while at < batch.len() {
            let end = (at + self.step).min(batch.len());
            self.encoder.snapshot_rows(&batch, at..end, part, &mut self.outbox.records)?;
            at = end;
            if !part.blocking {
                self.outbox.reached = self.encoder.offset().cloned();
            }
            self.outbox.flush(None).map_err(|Closed| Ended::Closed)?;
        }
        Ok(())
    }
}

/// What reads a table's rows.
fn query(table: &CatalogTable, schema: &Arc<TableSchema>, selection: &Selection<'_>) -> String {
    let columns = tables::columns(table);
    let name = tables::quoted(&table.name);
    let given = selection.overrides.iter().find(|(pattern, _)| {
        pattern.as_str() == schema.name.to_string()
            || Patterns::parse("data-collections", pattern)
                .is_ok_and(|pattern| selection.blocking && pattern.matches(&schema.name.to_string()))
    });
    let Some((_, given)) = given else { return format!("SELECT {columns} FROM {name}") };
    let words = given.trim_start().get(..6).unwrap_or_default();
    if words.eq_ignore_ascii_case("select") || given.trim_start().to_ascii_lowercase().starts_with("with") {
        format!("SELECT {columns} FROM ({given}) AS {}", identifier(&table.name.name))
    } else {
        format!("SELECT {columns} FROM {name} WHERE {given}")
    }
}
