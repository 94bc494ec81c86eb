//! The console's JSON under `/api`, described by an OpenAPI document that is generated from here.
//!
//! One file per subject: its types, its handlers. The document is kept in the repository as well
//! (`page/openapi.json`), for the page's types; a test holds both equal.

mod events;
mod overview;
mod problem;
mod tables;

use axum::routing::get;
use axum::{Json, Router};
use utoipa::OpenApi;

pub use crate::live::Point;
pub use events::TablesEvent;
pub use overview::{
    Arrow, Health, HistoryQuery, HistoryReply, Latency, Level, Overview, PipeState, Progress, Stage, StageKind,
    TableCounts, Wal, WalLimit,
};
pub use problem::Problem;
pub use tables::{TableDetail, TablePhase, TableRow, TablesReply};

use crate::router::Shared;

/// The document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "walhouse console",
        description = "What the console's page asks. Times are milliseconds since 1970-01-01 UTC."
    ),
    paths(overview::overview, overview::history, events::events, tables::tables, tables::table),
    components(schemas(Problem))
)]
struct Document;

/// The OpenAPI document as JSON, indented, with a newline at its end.
///
/// # Errors
/// It cannot be written as JSON.
pub fn document() -> Result<String, serde_json::Error> {
    Document::openapi().to_pretty_json().map(|text| text + "\n")
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/openapi.json", get(async || Json(Document::openapi())))
        .route("/api/overview", get(overview::overview))
        .route("/api/history", get(overview::history))
        .route("/api/events", get(events::events))
        .route("/api/tables", get(tables::tables))
        .route("/api/tables/{schema}/{name}", get(tables::table))
}
