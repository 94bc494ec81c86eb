//! Proving that the target is the source.

use std::sync::Arc;

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use walhouse_change::{BoxFuture, TableName};

use super::Result;

/// Told while a comparison runs.
pub trait Progress: Send + Sync {
    /// A table is being looked at.
    fn table_began(&self, table: &TableName);
    /// Its checksums are known: how many buckets there are, and which differ.
    fn buckets_compared(&self, table: &TableName, total: u32, differing: &[u32]);
    /// The rows of these buckets were looked at one by one.
    fn buckets_narrowed(&self, table: &TableName, narrowed: &[u32]);
    /// A table is done.
    fn table_ended(&self, table: &TableName, verdict: &TableVerdict);
}

/// Keys that differ in one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct DifferingKeys {
    /// How many.
    pub count: u64,
    /// The first of them, as text.
    pub keys: Vec<String>,
}

/// What the comparison of one table found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TableVerdict {
    /// Nothing differs.
    pub equal: bool,
    /// Rows in the source.
    pub rows_source: u64,
    /// Rows in the target.
    pub rows_target: u64,
    /// Columns that the target does not have.
    pub absent_columns: Vec<String>,
    /// Keys that the target does not have.
    pub missing: DifferingKeys,
    /// Keys that only the target has.
    pub extra: DifferingKeys,
    /// Keys whose rows differ.
    pub different: DifferingKeys,
    /// Versions in the history; null where none is kept or looked at.
    pub versions: Option<u64>,
    /// Versions that are in the history more than once.
    pub repeated_versions: u64,
    /// Keys whose newest version is not the current row.
    pub stale: DifferingKeys,
}

/// The instrument. It shares nothing with what it proves.
pub trait Verifier: Send + Sync {
    /// Compares these tables, or all.
    ///
    /// # Errors
    /// A table is not selected, or a database cannot be reached. Differences are no error.
    fn verify<'a>(
        &'a self,
        tables: Option<&'a [TableName]>,
        progress: Arc<dyn Progress>,
        cancel: CancellationToken,
    ) -> BoxFuture<'a, Result<()>>;
}
