//! CREATE TABLE.

use std::time::Duration;

use super::quote::{identifier, qualified};
use super::{TRUNCATES, quote};
use crate::mapping::{META_COLUMNS, TableKind, TablePlan};

/// Blocks that the server remembers per table, to swallow an insert that is sent again after an
/// ambiguous failure. Far above the inserts that can be unacknowledged at a time (a table has one
/// under way), and cheap: a line per block in one small file.
const DEDUPLICATION_WINDOW: u32 = 1000;

/// Creates one of the plan's tables under `name` (its own or its staging name).
#[must_use]
pub fn create_table(plan: &TablePlan, kind: TableKind, name: &str) -> String {
    let mut key: Vec<&str> = plan.sort_key().collect();
    let engine = match kind {
        TableKind::Log => {
            key.push("_version");
            "MergeTree"
        }
        TableKind::Current => "ReplacingMergeTree(`_version`, `is_deleted`)",
    };
    let ttl = match (kind, plan.retention) {
        (TableKind::Log, Some(retention)) => {
            format!("\nTTL `arrival_date_time_tz` + {}", interval(retention))
        }
        _ => String::new(),
    };
    format!(
        "CREATE TABLE IF NOT EXISTS {}\n(\n{}\n)\nENGINE = {engine}\nORDER BY ({}){ttl}\n\
         SETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}",
        qualified(&plan.database, name),
        columns(plan),
        quote::list(key.into_iter()),
    )
}

/// Creates the table of TRUNCATE markers. `source_updated_at_ms` is the truncating transaction's
/// commit time, which the `_at` views compare.
#[must_use]
pub fn create_truncates(database: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {}\n(\n    `table` String,\n    `version` UInt128,\n    \
         `source_updated_at_ms` Int64\n)\nENGINE = ReplacingMergeTree\nORDER BY (`table`, `version`)",
        qualified(database, TRUNCATES)
    )
}

fn columns(plan: &TablePlan) -> String {
    let business = plan.columns.iter().map(|column| (column.name.as_str(), column.sql_type(), None));
    let meta = META_COLUMNS.iter().map(|column| (column.name, column.sql_type.to_owned(), column.default));
    let line = |(name, ty, default): (&str, String, Option<&str>)| {
        let default = default.map(|clause| format!(" {clause}")).unwrap_or_default();
        format!("    {} {ty}{default}", identifier(name))
    };
    business.chain(meta).map(line).collect::<Vec<_>>().join(",\n")
}

/// Whole days where possible, for a reader's sake.
fn interval(retention: Duration) -> String {
    const DAY: u64 = 86_400;
    match retention.as_secs() {
        seconds if seconds % DAY == 0 => format!("toIntervalDay({})", seconds / DAY),
        seconds => format!("toIntervalSecond({seconds})"),
    }
}
