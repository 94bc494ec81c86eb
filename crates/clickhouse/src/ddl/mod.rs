//! SQL text, built from a [`TablePlan`](crate::mapping::TablePlan) and nothing else.
//!
//! With history a source table becomes two: the log under the table's own name (every version, in
//! key order) and the current state beside it (`<name>__current`, merged by version). Without history
//! the current state has the table's own name. Views read these; a copy in progress fills
//! `<name>__copy` and takes its place in one step.
//!
//! A TRUNCATE of the source is one row in [`TRUNCATES`]: the views hide every row that is not newer.

mod quote;
mod statements;
mod tables;
mod views;

pub use quote::{identifier, literal, qualified};
pub use statements::{
    MERGE_SETTING, add_column, create_database, drop_table, drop_view, exchange, insert, merge_rarely, read_back,
    rename, share_parts,
};
pub(crate) use tables::{Layout, create_table_with};
pub use tables::{create_table, create_truncates};
pub use views::views;
pub(crate) use views::views_by;

/// The service table of TRUNCATE markers: `table` is the plan's name, `version` the marker's.
pub const TRUNCATES: &str = "walhouse_truncates";

#[cfg(test)]
mod tests;
