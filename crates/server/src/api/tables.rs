//! The tables, and one of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;
use walhouse_change::TableName;

use super::overview::Progress;
use crate::live::Live;
use crate::ports::{Failure, Ports, Result, TableLayout};

/// Where a table is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TablePhase {
    /// Chosen, not yet begun.
    Pending,
    /// Its rows are being copied.
    Copying,
    /// Follows the log.
    Live,
    /// Stopped by an error of its own.
    Stopped,
    /// Paused by a user; copied anew when resumed.
    Paused,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TableRow {
    /// Schema in the source.
    pub schema: String,
    /// Name in the source.
    pub name: String,
    /// Name in the target, once known.
    pub target: Option<String>,
    /// The view of the current state in the target, once known.
    pub view: Option<String>,
    /// Where it is.
    pub phase: TablePhase,
    /// Rows in the target, once known: an upper bound, since deleted rows and older versions count
    /// until they are merged away.
    pub rows: Option<u64>,
    /// Bytes on the target's disk, once known.
    pub bytes: Option<u64>,
    /// Rows that the copy brought.
    pub rows_copied: u64,
    /// Estimate of the source's rows.
    pub rows_estimated: u64,
    /// Changes that became visible since this process started.
    pub rows_streamed: u64,
    /// Changes that became visible per second, over the last seconds.
    pub rows_per_second: f64,
    /// While it is copied.
    pub progress: Option<Progress>,
    /// Commit time of its newest visible change, in milliseconds since 1970-01-01 UTC.
    pub last_change_ms: Option<i64>,
    /// How long its newest visible change took from commit to visible, in milliseconds.
    pub lag_ms: Option<f64>,
    /// Why it is stopped.
    pub error: Option<String>,
    /// What mends that.
    pub advice: Option<String>,
}

/// All tables, in name order.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TablesReply {
    /// The tables.
    pub tables: Vec<TableRow>,
}

/// One table and how it lies in the target.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TableDetail {
    /// As in the list.
    pub table: TableRow,
    /// How it lies in the target; null when that cannot be told now, see `problem`.
    pub layout: Option<TableLayout>,
    /// Why there is no layout.
    pub problem: Option<String>,
}

/// All tables.
#[utoipa::path(get, path = "/api/tables", tag = "tables", responses((status = 200, body = TablesReply)))]
pub(crate) async fn tables(State(live): State<Arc<Live>>) -> Json<TablesReply> {
    Json(TablesReply { tables: live.frame().tables.clone() })
}

/// One table: its state, its mapping with the reasons, its DDL and views.
#[utoipa::path(
    get, path = "/api/tables/{schema}/{name}", tag = "tables",
    params(("schema" = String, Path, description = "schema in the source"), ("name" = String, Path, description = "table in the source")),
    responses((status = 200, body = TableDetail), (status = 404, body = super::Problem))
)]
pub(crate) async fn table(
    State(live): State<Arc<Live>>,
    State(ports): State<Ports>,
    Path((schema, name)): Path<(String, String)>,
) -> Result<Json<TableDetail>> {
    let name = TableName::new(schema, name);
    let table = live.frame().table(&name).cloned().ok_or_else(|| Failure::not_found(format_args!("table {name}")))?;
    let (layout, problem) = match layout(&ports, &name).await {
        Ok(layout) => (Some(layout), None),
        Err(failure) => (None, Some(failure.message)),
    };
    Ok(Json(TableDetail { table, layout, problem }))
}

async fn layout(ports: &Ports, name: &TableName) -> Result<TableLayout> {
    let catalog = ports.catalog.as_ref().ok_or_else(|| Failure::missing("look at the target"))?;
    catalog.layout(name).await?.ok_or_else(|| Failure::not_found(format_args!("table {name} in the selection")))
}
