//! The console's JSON under `/api`, described by an OpenAPI document that is generated from here.
//!
//! One file per subject: its types, its handlers. The document is kept in the repository as well
//! (`page/openapi.json`), for the page's types; a test holds both equal.

mod commands;
mod connectors;
mod events;
pub(crate) mod input;
mod overview;
pub(crate) mod problem;
mod query;
mod rows;
mod session;
mod tables;
pub(crate) mod topics;
mod verify;

use axum::routing::{any, get, post};
use axum::{Json, Router};
use utoipa::OpenApi;

pub use connectors::{
    Confirmation, Connector, ConnectorCommand, ConnectorConfig, ConnectorTask, ConnectorsReply, NewConnector,
};
pub use events::TablesEvent;
pub use overview::{
    Arrow, Health, HistoryQuery, HistoryReply, Latency, Level, Overview, PipeState, Progress, Stage, StageKind,
    TableCounts, Wal, WalLimit,
};
pub use problem::Problem;
pub use query::{CancelReply, QueryBody};
pub use rows::ChangesQuery;
pub use session::{AuditReply, Features, LoginRequest, LoginState, Session};
pub use tables::{TableDetail, TablePhase, TableRow, TablesReply};
pub use topics::{
    AclsReply, BrokerRow, ClusterReply, GroupRow, GroupsReply, MessagesQuery, NewMessageRequest, NewTopicRequest,
    PartitionRow, Placed, SearchQuery, TailQuery, TopicDetail, TopicGroup, TopicGroupsReply, TopicRow,
};
pub use verify::{RepairReply, TableRef, VerifyReply, VerifyRequest};

pub use crate::live::Point;
use crate::ports::{Failure, TableCommand};
use crate::router::Shared;
pub use crate::security::AuditEntry;
pub use crate::topics::browse::{MessagesReply, NextOffset};
pub use crate::topics::lag::{GroupDetail, GroupPartition, GroupTopic};
pub use crate::topics::search::{SearchIn, SearchProgress};
pub use crate::topics::{Change, ChangeOp, Decoded, Format, Header, LagPoint, Message};
pub use crate::verify::{JobState, TableJob, TableStep, VerifyJob};

/// The document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "walhouse console",
        description = "What the console's page asks. Times are milliseconds since 1970-01-01 UTC. Every request that \
            is not a GET carries the header `x-walhouse-csrf` with the token of `/api/session`, unless it carries a \
            bearer token."
    ),
    paths(
        session::session,
        session::login,
        session::logout,
        session::audit,
        overview::overview,
        overview::history,
        events::events,
        tables::tables,
        tables::table,
        commands::command,
        rows::changes,
        query::query,
        query::cancel,
        verify::newest,
        verify::begin,
        verify::cancel,
        verify::repair,
        topics::cluster::cluster,
        topics::cluster::topic,
        topics::manage::create,
        topics::manage::delete,
        topics::manage::send,
        topics::messages::messages,
        topics::stream::search,
        topics::stream::tail,
        topics::groups::groups,
        topics::groups::group,
        topics::groups::of_topic,
        topics::groups::acls,
        connectors::list,
        connectors::one,
        connectors::plugins,
        connectors::validate,
        connectors::create,
        connectors::configure,
        connectors::command,
        connectors::restart_task,
        connectors::delete,
    ),
    components(schemas(Problem, Overview, TableCommand, ConnectorCommand))
)]
struct Document;

/// The OpenAPI document as JSON, indented, with a newline at its end.
///
/// # Errors
/// It cannot be written as JSON.
pub fn document() -> Result<String, serde_json::Error> {
    Document::openapi().to_pretty_json().map(|text| text + "\n")
}

/// A name as a part of a path.
fn encode(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/openapi.json", get(async || Json(Document::openapi())))
        .route("/api/session", get(session::session))
        .route("/api/login", post(session::login))
        .route("/api/logout", post(session::logout))
        .route("/api/audit", get(session::audit))
        .route("/api/overview", get(overview::overview))
        .route("/api/history", get(overview::history))
        .route("/api/events", get(events::events))
        .route("/api/tables", get(tables::tables))
        .route("/api/tables/{schema}/{name}", get(tables::table))
        .route("/api/tables/{schema}/{name}/changes", get(rows::changes))
        .route("/api/tables/{schema}/{name}/{command}", post(commands::command))
        .route("/api/query", post(query::query))
        .route("/api/query/{id}/cancel", post(query::cancel))
        .route("/api/verify", get(verify::newest).post(verify::begin))
        .route("/api/verify/{id}/cancel", post(verify::cancel))
        .route("/api/verify/{id}/repair", post(verify::repair))
        .merge(topics::routes())
        .merge(connector_routes())
        .route("/api/{*rest}", any(async || Failure::not_found("such address")))
}

fn connector_routes() -> Router<Shared> {
    Router::new()
        .route("/api/connectors", get(connectors::list).post(connectors::create))
        .route("/api/connectors/{name}", get(connectors::one))
        .route("/api/connectors/{name}/config", post(connectors::configure))
        .route("/api/connectors/{name}/delete", post(connectors::delete))
        .route("/api/connectors/{name}/tasks/{task}/restart", post(connectors::restart_task))
        .route("/api/connectors/{name}/{command}", post(connectors::command))
        .route("/api/connector-plugins", get(connectors::plugins))
        .route("/api/connector-plugins/validate", post(connectors::validate))
}
