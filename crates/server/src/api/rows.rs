//! Changes of rows: data, shown where a user asks for it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::IntoParams;
use walhouse_change::TableName;

use super::input::Params;
use crate::ports::{ChangesReply, ChangesRequest, Failure, FailureKind, Result};
use crate::router::Shared;

/// Enough for a screen.
const DEFAULT_LIMIT: usize = 50;
/// Each change brings two whole rows.
const MAX_LIMIT: usize = 500;

/// Which changes.
#[derive(Debug, Deserialize, IntoParams)]
pub struct ChangesQuery {
    /// Only one row's: its key as a JSON object of column to text, such as `{"id":"5"}`.
    pub key: Option<String>,
    /// Only changes older than this version: `next_before` of the answer before.
    pub before: Option<String>,
    /// At most so many; default 50, at most 500.
    pub limit: Option<usize>,
}

/// The latest changes of a table with what was there before, newest first; with `key`, the versions
/// of one row.
#[utoipa::path(
    get, path = "/api/tables/{schema}/{name}/changes", tag = "tables",
    params(
        ("schema" = String, Path, description = "schema in the source"),
        ("name" = String, Path, description = "table in the source"),
        ChangesQuery,
    ),
    responses(
        (status = 200, body = ChangesReply),
        (status = 403, description = "data is switched off", body = super::Problem),
        (status = 404, body = super::Problem),
        (status = 409, description = "the table keeps no history", body = super::Problem),
    )
)]
pub(crate) async fn changes(
    State(shared): State<Shared>,
    Path((schema, name)): Path<(String, String)>,
    Params(query): Params<ChangesQuery>,
) -> Result<Json<ChangesReply>> {
    shared.data_is_shown()?;
    let rows = shared.console.ports.rows.as_ref().ok_or_else(|| Failure::missing("history of rows"))?;
    let request = ChangesRequest {
        table: TableName::new(schema, name),
        before: query.before,
        key: query.key.as_deref().map(key).transpose()?,
        limit: query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT),
    };
    rows.changes(&request).await.map(Json)
}

fn key(text: &str) -> Result<Vec<(String, String)>> {
    let wrong = || Failure::new(FailureKind::Invalid, "key must be a JSON object of column to value");
    let key: BTreeMap<String, serde_json::Value> = serde_json::from_str(text).map_err(|_| wrong())?;
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => Ok(text),
        serde_json::Value::Number(number) => Ok(number.to_string()),
        serde_json::Value::Bool(bool) => Ok(bool.to_string()),
        _ => Err(wrong()),
    };
    key.into_iter().map(|(column, value)| Ok((column, text(value)?))).collect()
}
