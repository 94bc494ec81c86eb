//! The views that people and dashboards read.
//!
//! They name their columns, so that a later column of the table cannot surprise a reader; they are
//! created anew in the same step as a table changes.
//!
//! Why FINAL over a table of the current state and not the newest version per key of the log: for
//! 500,000 keys with 5 versions (engine 26.7, two busy cores, best of 10, in turns) a sum over all rows took
//! 63 ms against 228 ms with `LIMIT 1 BY` before merges and 20 against 143 ms after; a read by key
//! 7.4 against 4.0 ms. `current_state_cost` in `tests/it/blocks/speed.rs` measures it again.
//!
//! The version filter may run before or after FINAL (a key's newest version survives it or the whole
//! key goes), the one for deleted rows only after: before, a deleted row would come back in its
//! previous version.

use super::{TRUNCATES, literal, qualified, quote};
use crate::mapping::{META_COLUMNS, TableKind, TablePlan};

/// (Re)creates the plan's views: the current state, and with history the state at a time.
#[must_use]
pub fn views(plan: &TablePlan) -> Vec<String> {
    views_by(plan, "`_version`")
}

/// The same where a TRUNCATE's marker is to be compared with `position`, an expression over a row.
#[must_use]
pub(crate) fn views_by(plan: &TablePlan, position: &str) -> Vec<String> {
    let mut views = vec![last_record(plan, position)];
    views.extend(plan.at_view().map(|name| at(plan, &name, position)));
    views
}

fn last_record(plan: &TablePlan, position: &str) -> String {
    format!(
        "CREATE OR REPLACE VIEW {} AS\nSELECT {}\nFROM {} FINAL\nWHERE `is_deleted` = 0 AND {position} > {}",
        qualified(&plan.database, &plan.view),
        shown_columns(plan),
        qualified(&plan.database, &plan.table_name(TableKind::Current)),
        marker(plan, ""),
    )
}

/// The newest version per key among those committed by `at` (to the millisecond). Rows that came with
/// a copy count as committed when its snapshot was taken.
///
/// A bounded log has lost its old versions, so the current state is read beside it: rows unchanged
/// since `at` are there. A version that expired and was superseded after `at` is gone.
fn at(plan: &TablePlan, name: &str, position: &str) -> String {
    const UNTIL: &str = "`source_updated_at_ms` <= toUnixTimestamp64Milli({at:DateTime64(6, 'UTC')})";
    let columns = shown_columns(plan);
    let rows = |kind| {
        let table = qualified(&plan.database, &plan.table_name(kind));
        format!("SELECT {columns}, `_version` FROM {table} WHERE {UNTIL}")
    };
    let rows = match plan.retention {
        None => rows(TableKind::Log),
        Some(_) => format!(
            "SELECT * FROM ({} UNION ALL {})",
            rows(TableKind::Log),
            // without FINAL: any version is a true one
            rows(TableKind::Current)
        ),
    };
    let key = quote::list(plan.sort_key());
    format!(
        "CREATE OR REPLACE VIEW {} AS\nSELECT {columns}\nFROM\n(\n    {rows}\n    ORDER BY {key}, `_version` DESC\n    \
         LIMIT 1 BY {key}\n)\nWHERE `is_deleted` = 0 AND {position} > {}",
        qualified(&plan.database, name),
        marker(plan, &format!(" AND {UNTIL}")),
    )
}

/// Version of the newest TRUNCATE; 0, below any version, when there was none.
fn marker(plan: &TablePlan, and: &str) -> String {
    format!(
        "(SELECT max(`version`) FROM {} WHERE `table` = {}{and})",
        qualified(&plan.database, TRUNCATES),
        literal(&plan.name)
    )
}

fn shown_columns(plan: &TablePlan) -> String {
    let business = plan.columns.iter().map(|column| column.name.as_str());
    quote::list(business.chain(META_COLUMNS.iter().filter(|column| column.in_views).map(|column| column.name)))
}
