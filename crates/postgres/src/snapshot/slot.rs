//! Creating the slot that exports the snapshot, and dropping it again if nothing comes of it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use walhouse_change::{Lsn, Retry, SlotKind};

use crate::endpoint::Endpoint;
use crate::wire::Malformed;
use crate::wire::connection::{Connection, Mode};
use crate::{Error, Result, sql};

/// First version with options in parentheses.
const PARENTHESES: u32 = 15;
/// How long the creation may wait before the log says for whom.
const TELL_AFTER: Duration = Duration::from_secs(5);

/// Which slot is wanted.
pub(crate) struct Request<'a> {
    pub(crate) endpoint: &'a Endpoint,
    /// Its name; a temporary one gets a name of its own from it.
    pub(crate) slot: &'a str,
    pub(crate) kind: SlotKind,
    /// How long running transactions are waited for.
    pub(crate) wait: Duration,
}

/// A slot and the snapshot that its creation exported, which lives as long as nothing is said on the guard's
/// connection.
pub(crate) struct Created {
    pub(crate) consistent_point: Lsn,
    pub(crate) snapshot: String,
    pub(crate) guard: Guard,
}

/// Drops the slot unless it is kept. A temporary slot ends with the connection in any case.
pub(crate) struct Guard {
    connection: Option<Connection>,
    lasting: Option<String>,
}

impl Guard {
    /// The snapshot came about: a lasting slot stays.
    pub(crate) fn keep(mut self) {
        self.keep_slot();
    }

    /// A lasting slot stays, whatever becomes of the snapshot.
    pub(crate) fn keep_slot(&mut self) {
        self.lasting = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if let Some(slot) = self.lasting.take() {
            let statement = format!("DROP_REPLICATION_SLOT {}", sql::identifier(&slot));
            if let Err(error) = connection.query("drop the unused replication slot", &statement) {
                tracing::warn!(slot, error = %error, "an unused replication slot remains");
            }
        }
        connection.close();
    }
}

/// Creates the slot. `other` is a session to ask with, while the creation waits.
pub(crate) fn create(plan: &Request<'_>, other: &mut Connection, stopped: &dyn Fn() -> bool) -> Result<Created> {
    let mut connection = Connection::open(plan.endpoint, Mode::Replication)?;
    let name = match plan.kind {
        SlotKind::Lasting => plan.slot.to_owned(),
        SlotKind::Temporary => temporary_name(plan.slot),
    };
    let temporary = if plan.kind == SlotKind::Temporary { " TEMPORARY" } else { "" };
    let export = if connection.version >= PARENTHESES { "(SNAPSHOT 'export')" } else { "EXPORT_SNAPSHOT" };
    let statement = format!("CREATE_REPLICATION_SLOT {}{temporary} LOGICAL pgoutput {export}", sql::identifier(&name));
    let lasting = (plan.kind == SlotKind::Lasting).then(|| name.clone());

    let began = Instant::now();
    let mut told = false;
    let mut watch = || {
        let waited = began.elapsed();
        if stopped() {
            return Err(Error::Abandoned("create the replication slot"));
        }
        if waited >= plan.wait {
            return Err(waited_too_long(&writers(other), waited));
        }
        if waited >= TELL_AFTER && !told {
            told = true;
            let writers = writers(other);
            tracing::info!(slot = name, writers, "the slot's creation waits for running transactions to end");
        }
        Ok(())
    };
    let rows = match connection.query_watched("create the replication slot", &statement, &mut watch) {
        Ok(rows) => rows,
        Err(error) if error.code() == Some("42710") => {
            return Err(Error::finding(
                Retry::Never,
                format!("slot {name:?} exists already"),
                format!("SELECT pg_drop_replication_slot('{name}'), or choose another slot"),
            ));
        }
        Err(error) => {
            // A cancelled creation may have come through all the same; one that is gone is not missed.
            drop(Guard { connection: Some(connection), lasting: lasting.filter(|_| error.code().is_none()) });
            return Err(error);
        }
    };
    let guard = Guard { connection: Some(connection), lasting };
    let row = rows.first().ok_or(Malformed("answer to CREATE_REPLICATION_SLOT"))?;
    Ok(Created { consistent_point: row.parse(1)?, snapshot: row.text(2).to_owned(), guard })
}

fn waited_too_long(writers: &str, waited: Duration) -> Error {
    Error::finding(
        Retry::Later,
        format!(
            "the replication slot could not be created within {} s: it waits for transactions that began before, \
             of {writers}",
            waited.as_secs()
        ),
        "let those transactions end, or SELECT pg_terminate_backend(..) of their processes",
    )
}

/// Who holds a transaction id, in any database of the cluster.
fn writers(connection: &mut Connection) -> String {
    let statement = "SELECT 'process ' || pid FROM pg_locks
         WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted AND pid IS NOT NULL
         UNION SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts";
    let rows = connection.query("look for running transactions", statement).unwrap_or_default();
    let names: Vec<&str> = rows.iter().map(|row| row.text(0)).collect();
    if names.is_empty() { "processes unknown".to_owned() } else { names.join(", ") }
}

/// Unique among the slots of all processes that use this slot's name.
fn temporary_name(slot: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    // 63 bytes at most: 36 of the name, 6, two numbers of 10 and a separator
    let prefix: String = slot.chars().take(36).collect();
    format!("{prefix}_copy_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}
