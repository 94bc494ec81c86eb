//! Reading the target with SQL.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use walhouse_change::BoxFuture;

use super::Result;

/// One query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryRequest {
    /// By which it can be cancelled; letters, digits and hyphens.
    pub id: String,
    /// What the user wrote.
    pub sql: String,
    /// At most so many rows come back.
    pub max_rows: u64,
    /// It is ended after this time.
    pub timeout: Duration,
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct QueryColumn {
    /// Its name.
    pub name: String,
    /// Its type in ClickHouse.
    #[serde(rename = "type")]
    pub ty: String,
}

/// An answer. Numbers beyond 53 bits and decimals are strings, so that none is rounded.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct QueryReply {
    /// As it was run.
    pub query_id: String,
    /// The columns.
    pub columns: Vec<QueryColumn>,
    /// One array of values per row.
    #[schema(value_type = Vec<Vec<Object>>)]
    pub rows: Vec<Value>,
    /// There were more rows than were asked for.
    pub truncated: bool,
    /// Rows that the target read for it.
    pub rows_read: u64,
    /// Bytes that the target read for it.
    pub bytes_read: u64,
    /// How long it took, in milliseconds.
    pub elapsed_ms: f64,
}

/// A target that can be asked. It must refuse by itself whatever is not a read.
pub trait Queries: Send + Sync {
    /// Runs one query. Dropping the future ends it as well.
    ///
    /// # Errors
    /// `Invalid`: the target refuses it, in its words; `Limit`: time, rows or memory; `Unavailable`.
    fn run<'a>(&'a self, request: &'a QueryRequest) -> BoxFuture<'a, Result<QueryReply>>;

    /// Ends a query that runs; false when there is none of that id.
    ///
    /// # Errors
    /// The target cannot be reached.
    fn cancel<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool>>;
}
