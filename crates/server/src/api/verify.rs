//! Running a comparison, and repairing what it found.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walhouse_change::TableName;

use super::input::Body;
use crate::ports::{Failure, FailureKind, Result, TableCommand};
use crate::router::Shared;
use crate::security::Actor;
use crate::verify::{JobState, VerifyJob};

/// A table's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableRef {
    /// Schema in the source.
    pub schema: String,
    /// Name in the source.
    pub name: String,
}

/// Which tables.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct VerifyRequest {
    /// Null or absent: all. For a repair: all that differ.
    pub tables: Option<Vec<TableRef>>,
}

/// The newest comparison.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct VerifyReply {
    /// Null when there was none since this process started.
    pub job: Option<VerifyJob>,
}

/// What a repair does.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RepairReply {
    /// Tables that are copied anew.
    pub resynced: Vec<TableRef>,
}

/// The newest comparison, as it stands.
#[utoipa::path(get, path = "/api/verify", tag = "verify", responses((status = 200, body = VerifyReply)))]
pub(crate) async fn newest(State(shared): State<Shared>) -> Json<VerifyReply> {
    Json(VerifyReply { job: shared.verify.newest() })
}

/// Begins a comparison of the target with the source.
#[utoipa::path(
    post, path = "/api/verify", tag = "verify", request_body = VerifyRequest,
    responses((status = 202, body = VerifyJob), (status = 409, description = "one is running", body = super::Problem))
)]
pub(crate) async fn begin(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Body(request): Body<VerifyRequest>,
) -> Result<(StatusCode, Json<VerifyJob>)> {
    let tables = names(request);
    let object = describe(tables.as_deref());
    let begun = try_begin(&shared, tables);
    let job = shared.recorded(&actor, "verify.begin", &object, begun)?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}

fn try_begin(shared: &Shared, tables: Option<Vec<TableName>>) -> Result<VerifyJob> {
    let verifier = shared.console.ports.verifier.clone().ok_or_else(|| Failure::missing("way to compare"))?;
    let frame = shared.live.frame();
    if let Some(stranger) = tables.iter().flatten().find(|name| frame.table(name).is_none()) {
        return Err(Failure::not_found(format_args!("table {stranger}")));
    }
    let known = frame.tables.iter().map(|row| TableName::new(&row.schema, &row.name)).collect();
    shared.verify.begin(verifier, tables, known)
}

/// Ends a comparison that runs.
#[utoipa::path(
    post, path = "/api/verify/{id}/cancel", tag = "verify",
    params(("id" = u64, Path, description = "number of the comparison")),
    responses((status = 202, description = "told"), (status = 404, body = super::Problem))
)]
pub(crate) async fn cancel(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<u64>,
) -> Result<StatusCode> {
    let cancelled = shared.verify.cancel(id);
    shared.recorded(&actor, "verify.cancel", &id.to_string(), cancelled)?;
    Ok(StatusCode::ACCEPTED)
}

/// Copies the tables anew that a comparison found to differ.
#[utoipa::path(
    post, path = "/api/verify/{id}/repair", tag = "verify", request_body = VerifyRequest,
    params(("id" = u64, Path, description = "number of the comparison")),
    responses((status = 202, body = RepairReply), (status = 404, body = super::Problem), (status = 409, body = super::Problem))
)]
pub(crate) async fn repair(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<u64>,
    Body(request): Body<VerifyRequest>,
) -> Result<(StatusCode, Json<RepairReply>)> {
    let wanted = names(request);
    let object = describe(wanted.as_deref());
    let repaired = try_repair(&shared, id, wanted).await;
    let resynced = shared.recorded(&actor, "verify.repair", &object, repaired)?;
    Ok((StatusCode::ACCEPTED, Json(RepairReply { resynced })))
}

async fn try_repair(shared: &Shared, id: u64, wanted: Option<Vec<TableName>>) -> Result<Vec<TableRef>> {
    let commands = shared.console.ports.commands.clone().ok_or_else(|| Failure::missing("pipeline to command"))?;
    let job = shared.verify.newest().filter(|job| job.id == id);
    let job = job.ok_or_else(|| Failure::not_found("comparison of that number"))?;
    if job.state == JobState::Running {
        return Err(Failure::new(FailureKind::Conflict, "the comparison is still running"));
    }
    let differs = |name: &TableName| {
        let table = job.tables.iter().find(|table| table.schema == name.schema && table.name == name.name);
        table.and_then(|table| table.verdict.as_ref()).is_some_and(|verdict| !verdict.equal)
    };
    let all = || job.tables.iter().map(|table| TableName::new(&table.schema, &table.name)).filter(|name| differs(name));
    let wanted: Vec<TableName> = wanted.unwrap_or_else(|| all().collect());
    if let Some(equal) = wanted.iter().find(|name| !differs(name)) {
        return Err(Failure::new(FailureKind::Conflict, format!("{equal} was not found to differ")));
    }
    let mut resynced = Vec::new();
    for name in wanted {
        Arc::clone(&commands).command(&name, TableCommand::Resync).await?;
        resynced.push(TableRef { schema: name.schema, name: name.name });
    }
    Ok(resynced)
}

fn names(request: VerifyRequest) -> Option<Vec<TableName>> {
    let tables = request.tables?;
    Some(tables.into_iter().map(|table| TableName::new(table.schema, table.name)).collect())
}

fn describe(tables: Option<&[TableName]>) -> String {
    match tables {
        None => "all tables".to_owned(),
        Some(tables) => tables.iter().map(TableName::to_string).collect::<Vec<_>>().join(", "),
    }
}
