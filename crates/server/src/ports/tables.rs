//! How tables lie in the target.

use serde::Serialize;
use utoipa::ToSchema;
use walhouse_change::{BoxFuture, TableName};

use super::Result;

/// Size of one table in the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSize {
    /// Name in the source.
    pub name: TableName,
    /// Name in the target.
    pub target: String,
    /// The view of the current state.
    pub view: String,
    /// Rows of the current state, as the target's parts count them: deleted rows and older versions are
    /// in it until they are merged away.
    pub rows: Option<u64>,
    /// Bytes on disk, of all that belongs to the table.
    pub bytes: Option<u64>,
}

/// How one table lies in the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TableLayout {
    /// Name in the target.
    pub target: String,
    /// Database in the target.
    pub database: String,
    /// The view of the current state.
    pub view: String,
    /// The parameterised view of the state at a time; only with history.
    pub at_view: Option<String>,
    /// Every version of a row is kept.
    pub history: bool,
    /// How long, in days; null: for ever.
    pub retention_days: Option<u64>,
    /// The target's sort key.
    pub order_by: Vec<String>,
    /// Business columns in the source's order.
    pub columns: Vec<ColumnLayout>,
    /// The columns that are added to each table.
    pub meta_columns: Vec<MetaColumn>,
    /// Tables and views as the target has them.
    pub definitions: Vec<Definition>,
}

/// One column on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ColumnLayout {
    /// The same on both sides.
    pub name: String,
    /// Type in Postgres.
    pub postgres_type: String,
    /// Type in ClickHouse.
    pub clickhouse_type: String,
    /// Belongs to the key.
    pub key: bool,
    /// Why this type.
    pub why: String,
}

/// A column that is added to each table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MetaColumn {
    /// Its name.
    pub name: String,
    /// Type in ClickHouse.
    pub clickhouse_type: String,
    /// What it tells.
    pub meaning: String,
}

/// What a definition makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DefinitionKind {
    /// A table.
    Table,
    /// A view.
    View,
}

/// A table or view as the target has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Table or view.
    pub kind: DefinitionKind,
    /// Its CREATE statement.
    pub sql: String,
}

/// The target's tables.
pub trait Catalog: Send + Sync {
    /// Sizes of all selected tables. It is asked every few seconds, while somebody looks.
    ///
    /// # Errors
    /// A database cannot be reached.
    fn sizes(&self) -> BoxFuture<'_, Result<Vec<TableSize>>>;

    /// How one table lies in the target; none when it is not selected.
    ///
    /// # Errors
    /// A database cannot be reached, or the table cannot be mapped.
    fn layout<'a>(&'a self, table: &'a TableName) -> BoxFuture<'a, Result<Option<TableLayout>>>;
}
