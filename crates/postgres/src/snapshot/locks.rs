//! Locks that keep rewriting DDL away from the tables while they are copied.

use std::sync::Arc;
use std::time::Duration;

use walhouse_change::{Retry, TableSchema};

use crate::wire::connection::Connection;
use crate::{Error, Result, sql};

/// Locks all tables, their leaves included, in the weakest mode there is: it keeps nobody from reading or writing.
/// In a transaction that has begun.
pub(super) fn take(connection: &mut Connection, tables: &[Arc<TableSchema>], wait: Duration) -> Result<()> {
    if tables.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = tables.iter().map(|schema| sql::table(&schema.name)).collect();
    let statement = format!(
        "SET LOCAL lock_timeout = {}; LOCK TABLE {} IN ACCESS SHARE MODE; SET LOCAL lock_timeout = 0",
        wait.as_millis().max(1),
        names.join(", ")
    );
    match connection.query("lock the tables", &statement) {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some("55P03") => Err(blocked(connection, tables, wait)),
        Err(error) => Err(error),
    }
}

/// Names who holds us off.
fn blocked(connection: &mut Connection, tables: &[Arc<TableSchema>], wait: Duration) -> Error {
    let statement = format!(
        "ROLLBACK; SELECT l.pid, n.nspname || '.' || c.relname FROM pg_locks l
         JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE l.mode = 'AccessExclusiveLock' AND l.pid <> pg_backend_pid() AND l.relation IN
           (SELECT root FROM unnest(ARRAY[{0}]::oid[]) root
            UNION SELECT p.relid FROM unnest(ARRAY[{0}]::oid[]) root, pg_partition_tree(root) p)",
        sql::oids(tables.iter().map(|schema| schema.relid))
    );
    let rows = connection.query("look for whoever holds the locks", &statement).unwrap_or_default();
    let holders: Vec<String> = rows.iter().map(|row| format!("process {} on {}", row.text(0), row.text(1))).collect();
    let holders = if holders.is_empty() { "unknown".to_owned() } else { holders.join(", ") };
    Error::finding(
        Retry::Later,
        format!("the tables could not be locked for the copy within {} s; held by {holders}", wait.as_secs()),
        "let the schema change finish, or SELECT pg_cancel_backend(..) of that process",
    )
}
