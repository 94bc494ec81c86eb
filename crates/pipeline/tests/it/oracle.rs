//! What must be in the target, worked out from the server's log alone.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use walhouse_change::memory::{Logged, Server, Store, Stored, Write};
use walhouse_change::{Checkpoint, Lsn, Phase, Position, SlotPhase, TableState, Version};

pub(crate) const SLOT: &str = "walhouse";
const EPOCH: u16 = 1;

/// A row's version that must be stored exactly once.
type Expected = (i64, Version, Option<String>);

/// What was found wrong, in the order in which it was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Violations(Arc<Mutex<Vec<String>>>);

impl Violations {
    pub(crate) fn report(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    pub(crate) fn first(&self) -> Option<String> {
        self.0.lock().unwrap().first().cloned()
    }
}

/// Holds at every instant: acknowledged <= checkpoint <= durable, and neither moves backward.
pub(crate) fn watch(server: &Server, store: &Store) -> Violations {
    let violations = Violations::default();
    let (found, kept) = (violations.clone(), store.clone());
    server.watch_acknowledgements(move |slot, lsn| {
        let checkpoint = kept.state(slot).checkpoint;
        if !checkpoint.as_ref().is_some_and(|kept| kept.phase == SlotPhase::Ready && kept.lsn >= lsn) {
            found.report(format!("acknowledged {lsn} with the checkpoint {checkpoint:?}"));
        }
    });
    let (found, log, kept) = (violations.clone(), server.clone(), store.clone());
    store.watch_checkpoints(move |slot, next| {
        let state = kept.state(slot);
        check_order(&found, state.checkpoint.as_ref(), next);
        for table in state.tables.iter().filter(|table| table.phase == Phase::Live) {
            let missing = log.read_log(|log| missing(log, &kept, table, next.lsn));
            if let Some(missing) = missing {
                found.report(format!("checkpoint {} while {} lacks {missing:?}", next.lsn, table.name));
            }
        }
    });
    violations
}

fn check_order(found: &Violations, before: Option<&Checkpoint>, next: &Checkpoint) {
    if before.is_some_and(|before| before.phase == SlotPhase::Ready && next.lsn < before.lsn) {
        found.report(format!("the checkpoint moved from {before:?} to {next:?}"));
    }
}

fn missing(log: &[Logged], store: &Store, table: &TableState, upto: Lsn) -> Option<Expected> {
    let stored = store.table(&table.name).unwrap_or_default();
    let rows: BTreeSet<_> = stored.rows.iter().map(|row| (row.id, row.version)).collect();
    expected(log, table, upto).0.into_iter().find(|(id, version, _)| !rows.contains(&(*id, *version)))
}

/// Row versions that the log holds for a table's copy, and the newest truncation.
fn expected(log: &[Logged], table: &TableState, upto: Lsn) -> (Vec<Expected>, Version) {
    let (mut rows, mut truncated) = (Vec::new(), Version::default());
    for logged in log.iter().filter(|logged| (table.consistent_point..upto).contains(&logged.commit_lsn)) {
        let published = logged.events.iter().filter(|event| event.published.contains(SLOT));
        for (event, index) in published.zip(1..).filter(|(event, _)| event.schema.relid == table.relid) {
            let at = Position { commit_lsn: logged.commit_lsn, index };
            let row = Version::row(EPOCH, at);
            match &event.write {
                Write::Put(id, value) => rows.push((*id, row, Some(value.clone()))),
                Write::Delete(id) => rows.push((*id, row, None)),
                Write::Move(from, to, value) => {
                    rows.push((*from, Version::tombstone(EPOCH, at), None));
                    rows.push((*to, row, Some(value.clone())));
                }
                Write::Truncate => truncated = row,
            }
        }
    }
    (rows, truncated)
}

/// Every change since the copy is stored once, and nothing else is.
pub(crate) fn check_history(server: &Server, store: &Store) -> Result<(), String> {
    for table in store.state(SLOT).tables {
        let stored: Stored = store.table(&table.name).unwrap_or_default();
        if stored.duplicates() > 0 {
            return Err(format!("{} has rows twice", table.name));
        }
        let copied = Version::snapshot(EPOCH, table.consistent_point);
        let (mut rows, truncated) = server.read_log(|log| expected(log, &table, Lsn(u64::MAX)));
        let streamed = stored.rows.iter().filter(|row| row.version != copied);
        let mut streamed: Vec<_> = streamed.map(|row| (row.id, row.version, row.value.clone())).collect();
        rows.sort();
        streamed.sort();
        if (&rows, truncated) != (&streamed, stored.truncated) {
            return Err(format!("the history of {} is {streamed:?}, not {rows:?}", table.name));
        }
    }
    Ok(())
}

/// What still differs between source and target; `None` when all is carried over.
pub(crate) fn difference(server: &Server, store: &Store, tables: &[walhouse_change::TableName]) -> Option<String> {
    let state = store.state(SLOT);
    for name in tables {
        let found = state.tables.iter().find(|table| table.name == *name);
        let schema = server.schema(name);
        if !found.is_some_and(|table| table.phase == Phase::Live && Some(table.relid) == schema.map(|s| s.relid)) {
            return Some(format!("{name} is {found:?}"));
        }
        let (truth, kept) = (server.rows(name), store.table(name).unwrap_or_default().current());
        if truth != kept {
            return Some(format!("{name} is {kept:?}, not {truth:?}"));
        }
    }
    None
}
