//! CREATE TABLE.

use std::time::Duration;

use super::quote::{identifier, qualified};
use super::{TRUNCATES, quote};
use crate::mapping::{META_COLUMNS, TableKind, TablePlan};

/// Smaller parts keep all columns in one file. A part that an insert makes is below this, so that
/// it costs a handful of files to write and to sync instead of several per column; merged parts
/// beyond it have a file per column, which is what large scans want.
const WIDE_PART_BYTES: u32 = 64 << 20;

/// Creates one of the plan's tables under `name` (its own or its staging name).
/// Both kinds are sorted alike, so that a copy's parts can serve both ([`super::share_parts`]).
///
/// There is no window of remembered blocks (`non_replicated_deduplication_window`): the server notes
/// a block before it puts its part in place, so after a kill between the two it would swallow the
/// block that comes again, and report success. What comes again is told by its versions.
#[must_use]
pub fn create_table(plan: &TablePlan, kind: TableKind, name: &str) -> String {
    let (engine, retention) = match kind {
        TableKind::Log => ("MergeTree", plan.retention),
        TableKind::Current => ("ReplacingMergeTree(`_version`, `is_deleted`)", None),
    };
    let layout = Layout {
        engine,
        order_by: quote::list(plan.sort_key()),
        body: None,
        settings: format!("min_bytes_for_wide_part = {WIDE_PART_BYTES}"),
        retention,
    };
    create_table_with(plan, name, &layout)
}

/// How a plan's columns are stored.
pub(crate) struct Layout<'a> {
    pub(crate) engine: &'a str,
    pub(crate) order_by: String,
    /// What follows the columns.
    pub(crate) body: Option<String>,
    pub(crate) settings: String,
    pub(crate) retention: Option<Duration>,
}

/// Creates a table of the plan's columns.
pub(crate) fn create_table_with(plan: &TablePlan, name: &str, layout: &Layout<'_>) -> String {
    let Layout { engine, order_by, body, settings, retention } = layout;
    let ttl = retention.map(|retention| format!("\nTTL `arrival_date_time_tz` + {}", interval(retention)));
    let body = body.as_ref().map(|body| format!(",\n{body}"));
    format!(
        "CREATE TABLE IF NOT EXISTS {}\n(\n{}{}\n)\nENGINE = {engine}\nORDER BY ({order_by}){}\nSETTINGS {settings}",
        qualified(&plan.database, name),
        columns(plan),
        body.unwrap_or_default(),
        ttl.unwrap_or_default(),
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
