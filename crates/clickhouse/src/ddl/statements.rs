//! Everything but CREATE TABLE and the views.

use std::fmt::Write;

use super::quote::{self, identifier, literal, qualified};
use crate::block::KeyBytes;
use crate::mapping::{TableKind, TablePlan};

/// Creates the database.
#[must_use]
pub fn create_database(database: &str) -> String {
    format!("CREATE DATABASE IF NOT EXISTS {}", identifier(database))
}

/// Adds column `index` of the plan to `table`, after the business column before it. `None` for a
/// column of the key, which no table can gain, or an unknown index.
#[must_use]
pub fn add_column(plan: &TablePlan, table: &str, index: usize) -> Option<String> {
    let column = plan.columns.get(index).filter(|column| !column.key)?;
    let place = match index.checked_sub(1).and_then(|before| plan.columns.get(before)) {
        Some(before) => format!("AFTER {}", identifier(&before.name)),
        None => "FIRST".to_owned(),
    };
    Some(format!(
        "ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} {} {place}",
        qualified(&plan.database, table),
        identifier(&column.name),
        column.sql_type()
    ))
}

/// Drops a table if it is there, without the grace time in which its name stays taken on disk.
#[must_use]
pub fn drop_table(database: &str, name: &str) -> String {
    format!("DROP TABLE IF EXISTS {} SYNC", qualified(database, name))
}

/// Drops a view if it is there.
#[must_use]
pub fn drop_view(database: &str, name: &str) -> String {
    format!("DROP VIEW IF EXISTS {}", qualified(database, name))
}

/// Swaps two tables' names in one step.
#[must_use]
pub fn exchange(database: &str, first: &str, second: &str) -> String {
    format!("EXCHANGE TABLES {} AND {}", qualified(database, first), qualified(database, second))
}

/// Gives a table a name that is free.
#[must_use]
pub fn rename(database: &str, from: &str, to: &str) -> String {
    format!("RENAME TABLE {} TO {}", qualified(database, from), qualified(database, to))
}

/// The number of a table's parts from which on they are merged at once.
pub const MERGE_SETTING: &str = "min_parts_to_merge_at_once";

/// Merges parts of a table only from `parts` at a time on; without a number, as the server does.
#[must_use]
pub fn merge_rarely(database: &str, name: &str, parts: Option<u32>) -> String {
    let table = qualified(database, name);
    match parts {
        Some(parts) => format!("ALTER TABLE {table} MODIFY SETTING {MERGE_SETTING} = {parts}"),
        None => format!("ALTER TABLE {table} RESET SETTING {MERGE_SETTING}"),
    }
}

/// Makes `to` hold exactly the parts of `from`, in one step and without writing them again: their
/// files are linked. Both are of one plan and have no partitions.
#[must_use]
pub fn share_parts(database: &str, from: &str, to: &str) -> String {
    format!("ALTER TABLE {} REPLACE PARTITION tuple() FROM {}", qualified(database, to), qualified(database, from))
}

/// The statement that a block is the body of.
#[must_use]
pub fn insert(plan: &TablePlan, table: &str) -> String {
    format!("INSERT INTO {} ({}) FORMAT Native", qualified(&plan.database, table), quote::list(plan.sent_columns()))
}

/// Reads the newest stored version of some keys back, to fill values that Postgres did not send:
/// per row the key's columns in sort order, then `columns` (indexes of the plan), then
/// `_unrepresentable`. [`crate::block::StoredRows`] reads the answer.
#[must_use]
pub fn read_back(plan: &TablePlan, columns: &[usize], keys: &[KeyBytes]) -> String {
    let names = columns.iter().filter_map(|&index| plan.columns.get(index)).map(|column| column.name.as_str());
    let wanted = quote::list(plan.sort_key().chain(names).chain(["_unrepresentable"]));
    let key = quote::list(plan.sort_key());
    let structure = plan
        .order_by
        .iter()
        .filter_map(|&index| plan.columns.get(index))
        .map(|column| format!("{} {}", identifier(&column.name), column.sql_type()))
        .collect::<Vec<_>>()
        .join(", ");
    let mut hex = String::with_capacity(keys.iter().map(|key| 2 * key.as_bytes().len()).sum());
    for byte in keys.iter().flat_map(|key| key.as_bytes()) {
        // writing to a String cannot fail
        let _ = write!(hex, "{byte:02x}");
    }
    format!(
        "SELECT {wanted} FROM {} FINAL WHERE ({key}) IN (SELECT * FROM format(RowBinary, {}, unhex('{hex}'))) FORMAT RowBinary",
        qualified(&plan.database, &plan.table_name(TableKind::Current)),
        literal(&structure),
    )
}
