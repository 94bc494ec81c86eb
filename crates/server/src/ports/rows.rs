//! Rows of the target: only asked for where a user wants to see data.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use walhouse_change::{BoxFuture, TableName};

use super::Result;

/// Which changes of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesRequest {
    /// Name in the source.
    pub table: TableName,
    /// Only changes older than this version (as text, see [`RowChange::version`]).
    pub before: Option<String>,
    /// Only versions of the row with this key: column name to text.
    pub key: Option<Vec<(String, String)>>,
    /// At most so many.
    pub limit: usize,
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowAction {
    /// The row came with a copy.
    Read,
    /// It was inserted.
    Insert,
    /// It was updated.
    Update,
    /// It was deleted.
    Delete,
}

/// One version of a row, with what was there before.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RowChange {
    /// Orders versions: a decimal number, opaque to the reader.
    pub version: String,
    /// LSN of the transaction's commit, as Postgres prints it.
    pub lsn: String,
    /// Index of the change in its transaction.
    pub ordinal: u32,
    /// What was done.
    pub action: RowAction,
    /// When the source changed it, in milliseconds since 1970-01-01 UTC.
    pub changed_ms: Option<i64>,
    /// When it arrived in the target, in milliseconds since 1970-01-01 UTC.
    pub arrived_ms: Option<i64>,
    /// The row's key: a JSON object of column to value.
    #[schema(value_type = Object)]
    pub key: Value,
    /// Every column, in the source's order.
    pub columns: Vec<ColumnChange>,
}

/// One column before and after.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ColumnChange {
    /// Its name.
    pub name: String,
    /// Value in the version before; null where there is none (see `had_before`) or it was NULL.
    #[schema(value_type = Option<Object>)]
    pub before: Value,
    /// Value in this version; of a deleted row, what the source sent.
    #[schema(value_type = Option<Object>)]
    pub after: Value,
    /// Whether the two differ.
    pub changed: bool,
}

/// Newest first.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ChangesReply {
    /// The changes.
    pub changes: Vec<RowChange>,
    /// Pass it as `before` for older ones; null when there are none.
    pub next_before: Option<String>,
}

/// The history of rows.
pub trait Rows: Send + Sync {
    /// Changes, newest first.
    ///
    /// # Errors
    /// The table is not selected, keeps no history, or the target cannot be reached.
    fn changes<'a>(&'a self, request: &'a ChangesRequest) -> BoxFuture<'a, Result<ChangesReply>>;
}
