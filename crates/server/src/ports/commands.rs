//! What a user can tell the pipeline to do with one table.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walhouse_change::{BoxFuture, TableName};

use super::Result;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TableCommand {
    /// Follow it no longer; its rows in the target stay as they are.
    Pause,
    /// Copy it anew, then follow it again.
    Resume,
    /// Copy it anew, whatever it holds; readers see the old rows until the new ones stand.
    Resync,
}

/// The supervisor's ear.
pub trait Commands: Send + Sync {
    /// Takes a command; it is carried out by the pipeline at its next opportunity, and seen in the
    /// table's phase.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when the table's phase does not allow it.
    fn command<'a>(&'a self, table: &'a TableName, command: TableCommand) -> BoxFuture<'a, Result<()>>;
}
