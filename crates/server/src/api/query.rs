//! SQL against the target. The target itself refuses whatever is not a read.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::input::Body;
use crate::ports::{Failure, FailureKind, Queries, QueryReply, QueryRequest, Result};
use crate::router::Shared;
use crate::security::random_token;

/// Enough for a screen and a chart.
const DEFAULT_ROWS: u64 = 1000;
/// The browser holds them all.
const MAX_ROWS: u64 = 50_000;
const DEFAULT_SECONDS: u64 = 30;
const MAX_SECONDS: u64 = 300;
/// Longer than any statement a person writes.
const MAX_SQL: usize = 256 << 10;
const MAX_ID: usize = 64;

/// A query.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct QueryBody {
    /// One statement that reads.
    pub sql: String,
    /// By which it can be cancelled: letters, digits, hyphens and underscores; made up when absent.
    pub query_id: Option<String>,
    /// At most so many rows; default 1,000, at most 50,000.
    pub max_rows: Option<u64>,
    /// It is ended after this time; default 30, at most 300.
    pub timeout_seconds: Option<u64>,
}

/// Whether a query was ended.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct CancelReply {
    /// False: none of that id was running.
    pub cancelled: bool,
}

/// Runs one query, read-only and limited.
#[utoipa::path(
    post, path = "/api/query", tag = "query", request_body = QueryBody,
    responses(
        (status = 200, body = QueryReply),
        (status = 400, description = "the target refuses it, in its words", body = super::Problem),
        (status = 422, description = "a limit of time, rows or memory", body = super::Problem),
    )
)]
pub(crate) async fn query(State(shared): State<Shared>, Body(body): Body<QueryBody>) -> Result<Json<QueryReply>> {
    let queries = queries(&shared)?;
    let invalid = |message: &str| Failure::new(FailureKind::Invalid, message);
    if body.sql.trim().is_empty() {
        return Err(invalid("there is no statement"));
    }
    if body.sql.len() > MAX_SQL {
        return Err(invalid("the statement is too long"));
    }
    let id = body.query_id.unwrap_or_else(random_token);
    if !is_id(&id) {
        return Err(invalid("query_id may hold letters, digits, hyphens and underscores, at most 64"));
    }
    let request = QueryRequest {
        id,
        sql: body.sql,
        max_rows: body.max_rows.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS),
        timeout: Duration::from_secs(body.timeout_seconds.unwrap_or(DEFAULT_SECONDS).clamp(1, MAX_SECONDS)),
    };
    queries.run(&request).await.map(Json)
}

/// Ends a query that runs.
#[utoipa::path(
    post, path = "/api/query/{id}/cancel", tag = "query",
    params(("id" = String, Path, description = "query_id of the query")),
    responses((status = 200, body = CancelReply))
)]
pub(crate) async fn cancel(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Json<CancelReply>> {
    if !is_id(&id) {
        return Err(Failure::not_found("query of that id"));
    }
    let cancelled = queries(&shared)?.cancel(&id).await?;
    Ok(Json(CancelReply { cancelled }))
}

fn queries(shared: &Shared) -> Result<&dyn Queries> {
    shared.data_is_shown()?;
    shared.console.ports.queries.as_deref().ok_or_else(|| Failure::missing("target to query"))
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}
