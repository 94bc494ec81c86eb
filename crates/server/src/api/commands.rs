//! What a user tells the pipeline to do with a table.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use walhouse_change::TableName;

use crate::ports::{Failure, Result, TableCommand};
use crate::router::Shared;
use crate::security::Actor;

/// Tells the pipeline what to do with one table: `pause`, `resume` or `resync`. It is carried out at
/// the next opportunity and seen in the table's phase. A table that was paused is copied anew when
/// it is resumed, so nothing is lost.
#[utoipa::path(
    post, path = "/api/tables/{schema}/{name}/{command}", tag = "tables",
    params(
        ("schema" = String, Path, description = "schema in the source"),
        ("name" = String, Path, description = "table in the source"),
        ("command" = TableCommand, Path, description = "what to do"),
    ),
    responses(
        (status = 202, description = "taken"),
        (status = 404, body = super::Problem),
        (status = 409, description = "the table's phase does not allow it", body = super::Problem),
    )
)]
pub(crate) async fn command(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path((schema, name, command)): Path<(String, String, TableCommand)>,
) -> Result<StatusCode> {
    let table = TableName::new(schema, name);
    let done = match &shared.console.ports.commands {
        Some(commands) => commands.command(&table, command).await,
        None => Err(Failure::missing("pipeline to command")),
    };
    let action = match command {
        TableCommand::Pause => "table.pause",
        TableCommand::Resume => "table.resume",
        TableCommand::Resync => "table.resync",
    };
    shared.recorded(&actor, action, &table.to_string(), done)?;
    Ok(StatusCode::ACCEPTED)
}
