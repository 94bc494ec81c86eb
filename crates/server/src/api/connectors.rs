//! Connectors of a Connect worker: its REST interface as the page needs it, secrets masked.

mod mask;

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::encode;
use super::input::Body;
use crate::ports::{Connectors, Failure, FailureKind, Result};
use crate::router::Shared;
use crate::security::Actor;
use mask::{masked, unmasked};

type Config = BTreeMap<String, String>;

/// A task of a connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConnectorTask {
    /// Its number.
    pub id: i64,
    /// `RUNNING`, `PAUSED`, `FAILED`, `UNASSIGNED`, ...
    pub state: String,
    /// The worker that runs it.
    pub worker: String,
    /// Why it failed.
    pub trace: Option<String>,
}

/// A connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Connector {
    /// Its name.
    pub name: String,
    /// `source` or `sink`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `RUNNING`, `PAUSED`, `STOPPED`, `FAILED`, `UNASSIGNED`.
    pub state: String,
    /// Why it failed.
    pub trace: Option<String>,
    /// The worker that runs it.
    pub worker: String,
    /// Its tasks.
    pub tasks: Vec<ConnectorTask>,
    /// Its configuration; secrets are `********`.
    pub config: Config,
}

/// All connectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConnectorsReply {
    /// The worker's version.
    pub version: String,
    /// Id of the Kafka cluster.
    pub kafka_cluster_id: Option<String>,
    /// In name order.
    pub connectors: Vec<Connector>,
}

/// A new connector.
#[derive(Clone, Deserialize, ToSchema)]
pub struct NewConnector {
    /// Its name.
    pub name: String,
    /// Its configuration.
    pub config: Config,
}

impl std::fmt::Debug for NewConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewConnector").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A configuration to be checked or set. A value that is the mask stands for the one that is set.
#[derive(Clone, Deserialize, ToSchema)]
pub struct ConnectorConfig {
    /// The configuration.
    pub config: Config,
}

impl std::fmt::Debug for ConnectorConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConnectorConfig")
    }
}

/// What can be done to a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorCommand {
    /// Its tasks stand still.
    Pause,
    /// Its tasks go on.
    Resume,
    /// Its tasks are gone until it is resumed.
    Stop,
    /// It and its failed tasks are started anew.
    Restart,
}

/// A thing is named again before it is deleted.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct Confirmation {
    /// Its name.
    pub confirm: String,
}

/// All connectors, with their states.
#[utoipa::path(get, path = "/api/connectors", tag = "connectors", responses((status = 200, body = ConnectorsReply)))]
pub(crate) async fn list(State(shared): State<Shared>) -> Result<Json<ConnectorsReply>> {
    let worker = worker(&shared)?;
    let root = ask(worker, "GET", "/", None).await?;
    let all = ask(worker, "GET", "/connectors?expand=info&expand=status", None).await?;
    let mut connectors: Vec<Connector> =
        all.as_object().into_iter().flatten().map(|(name, found)| connector(name, found)).collect();
    connectors.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Json(ConnectorsReply {
        version: text(&root["version"]),
        kafka_cluster_id: root["kafka_cluster_id"].as_str().map(str::to_owned),
        connectors,
    }))
}

/// One connector.
#[utoipa::path(
    get, path = "/api/connectors/{name}", tag = "connectors", params(("name" = String, Path)),
    responses((status = 200, body = Connector), (status = 404, body = super::Problem))
)]
pub(crate) async fn one(State(shared): State<Shared>, Path(name): Path<String>) -> Result<Json<Connector>> {
    let worker = worker(&shared)?;
    let path = format!("/connectors/{}", encode(&name));
    let info = ask(worker, "GET", &path, None).await?;
    let status = ask(worker, "GET", &format!("{path}/status"), None).await?;
    Ok(Json(connector(&name, &json!({ "info": info, "status": status }))))
}

/// Kinds of connectors that the worker can run, as the worker tells them.
#[utoipa::path(get, path = "/api/connector-plugins", tag = "connectors", responses((status = 200, body = Vec<Object>)))]
pub(crate) async fn plugins(State(shared): State<Shared>) -> Result<Json<Value>> {
    ask(worker(&shared)?, "GET", "/connector-plugins", None).await.map(Json)
}

/// Checks a configuration without using it; the worker's answer, secrets masked.
#[utoipa::path(
    post, path = "/api/connector-plugins/validate", tag = "connectors", request_body = ConnectorConfig,
    responses((status = 200, body = Object))
)]
pub(crate) async fn validate(State(shared): State<Shared>, Body(body): Body<ConnectorConfig>) -> Result<Json<Value>> {
    let class = body.config.get("connector.class").cloned().unwrap_or_default();
    let class = class.rsplit('.').next().unwrap_or_default();
    let path = format!("/connector-plugins/{}/config/validate", encode(class));
    let mut answer = ask(worker(&shared)?, "PUT", &path, Some(&json!(body.config))).await?;
    mask::mask_validation(&mut answer);
    Ok(Json(answer))
}

/// Makes a connector.
#[utoipa::path(
    post, path = "/api/connectors", tag = "connectors", request_body = NewConnector,
    responses((status = 201, description = "made"), (status = 400, body = super::Problem), (status = 409, body = super::Problem))
)]
pub(crate) async fn create(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<NewConnector>,
) -> Result<StatusCode> {
    let request = json!({ "name": body.name, "config": body.config });
    let made = change(&shared, "POST", "/connectors", Some(&request)).await;
    shared.recorded(&actor, "connector.create", &body.name, made)?;
    Ok(StatusCode::CREATED)
}

/// Sets a connector's configuration. A value that is the mask keeps what is set.
#[utoipa::path(
    post, path = "/api/connectors/{name}/config", tag = "connectors", params(("name" = String, Path)),
    request_body = ConnectorConfig, responses((status = 200, description = "set"), (status = 400, body = super::Problem))
)]
pub(crate) async fn configure(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Body(body): Body<ConnectorConfig>,
) -> Result<StatusCode> {
    let path = format!("/connectors/{}/config", encode(&name));
    let set = async {
        let now: Config = strings(&ask(worker(&shared)?, "GET", &path, None).await?);
        change(&shared, "PUT", &path, Some(&json!(unmasked(body.config, &now)))).await
    };
    let set = set.await;
    shared.recorded(&actor, "connector.configure", &name, set)?;
    Ok(StatusCode::OK)
}

/// Pauses, resumes, stops or restarts a connector.
#[utoipa::path(
    post, path = "/api/connectors/{name}/{command}", tag = "connectors",
    params(("name" = String, Path), ("command" = ConnectorCommand, Path)),
    responses((status = 202, description = "taken"), (status = 404, body = super::Problem), (status = 409, body = super::Problem))
)]
pub(crate) async fn command(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path((name, command)): Path<(String, ConnectorCommand)>,
) -> Result<StatusCode> {
    let (method, tail, action) = match command {
        ConnectorCommand::Pause => ("PUT", "pause", "connector.pause"),
        ConnectorCommand::Resume => ("PUT", "resume", "connector.resume"),
        ConnectorCommand::Stop => ("PUT", "stop", "connector.stop"),
        ConnectorCommand::Restart => ("POST", "restart?includeTasks=true&onlyFailed=false", "connector.restart"),
    };
    let done = change(&shared, method, &format!("/connectors/{}/{tail}", encode(&name)), None).await;
    shared.recorded(&actor, action, &name, done)?;
    Ok(StatusCode::ACCEPTED)
}

/// Restarts one task.
#[utoipa::path(
    post, path = "/api/connectors/{name}/tasks/{task}/restart", tag = "connectors",
    params(("name" = String, Path), ("task" = i64, Path)),
    responses((status = 202, description = "taken"), (status = 404, body = super::Problem))
)]
pub(crate) async fn restart_task(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path((name, task)): Path<(String, i64)>,
) -> Result<StatusCode> {
    let path = format!("/connectors/{}/tasks/{task}/restart", encode(&name));
    let done = change(&shared, "POST", &path, None).await;
    shared.recorded(&actor, "connector.task.restart", &format!("{name} task {task}"), done)?;
    Ok(StatusCode::ACCEPTED)
}

/// Deletes a connector; its topics and its slot stay.
#[utoipa::path(
    post, path = "/api/connectors/{name}/delete", tag = "connectors", params(("name" = String, Path)),
    request_body = Confirmation, responses((status = 204, description = "gone"), (status = 404, body = super::Problem))
)]
pub(crate) async fn delete(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Body(body): Body<Confirmation>,
) -> Result<StatusCode> {
    let gone = match body.confirm == name {
        true => change(&shared, "DELETE", &format!("/connectors/{}", encode(&name)), None).await,
        false => Err(Failure::new(FailureKind::Invalid, "confirm must be the connector's name")),
    };
    shared.recorded(&actor, "connector.delete", &name, gone)?;
    Ok(StatusCode::NO_CONTENT)
}

fn worker(shared: &Shared) -> Result<&dyn Connectors> {
    shared.console.ports.connectors.as_deref().ok_or_else(|| Failure::missing("Connect worker"))
}

async fn change(shared: &Shared, method: &str, path: &str, body: Option<&Value>) -> Result<()> {
    ask(worker(shared)?, method, path, body).await.map(|_| ())
}

/// The body of a success; what the worker refuses, in its words.
async fn ask(worker: &dyn Connectors, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let reply = worker.call(method, path, body).await?;
    if (200..300).contains(&reply.status) {
        return Ok(reply.body);
    }
    let kind = match reply.status {
        404 => FailureKind::NotFound,
        409 => FailureKind::Conflict,
        400 | 422 => FailureKind::Invalid,
        403 => FailureKind::Refused,
        502..=504 => FailureKind::Unavailable,
        _ => FailureKind::Internal,
    };
    let said = reply.body["message"].as_str().unwrap_or("the worker gave no reason");
    Err(Failure::new(kind, said.replace('\n', " ")))
}

fn connector(name: &str, found: &Value) -> Connector {
    let (info, status) = (&found["info"], &found["status"]);
    let state = &status["connector"];
    let tasks = status["tasks"].as_array().into_iter().flatten().map(|task| ConnectorTask {
        id: task["id"].as_i64().unwrap_or(0),
        state: text(&task["state"]),
        worker: text(&task["worker_id"]),
        trace: task["trace"].as_str().map(str::to_owned),
    });
    Connector {
        name: name.to_owned(),
        kind: text(if status["type"].is_null() { &info["type"] } else { &status["type"] }),
        state: text(&state["state"]),
        trace: state["trace"].as_str().map(str::to_owned),
        worker: text(&state["worker_id"]),
        tasks: tasks.collect(),
        config: masked(strings(&info["config"])),
    }
}

fn strings(object: &Value) -> Config {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    object.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
