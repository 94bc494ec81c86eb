//! Changes of the cluster. Each is off unless `[console] allow` names it.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::port;
use crate::api::Confirmation;
use crate::api::input::Body;
use crate::ports::{Failure, FailureKind, NewMessage, NewTopic, Result};
use crate::router::Shared;
use crate::security::Actor;

/// A topic that is to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct NewTopicRequest {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// How many copies of each; null: the cluster's default.
    pub replication: Option<i32>,
    /// Settings that differ from the cluster's.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// A message that is to be sent.
#[derive(Clone, Deserialize, ToSchema)]
pub struct NewMessageRequest {
    /// The partition; null: by the key.
    pub partition: Option<i32>,
    /// The key as text.
    pub key: Option<String>,
    /// The value as text; null is a tombstone.
    pub value: Option<String>,
}

impl std::fmt::Debug for NewMessageRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewMessageRequest").field("partition", &self.partition).finish_non_exhaustive()
    }
}

/// Where a message lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Placed {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
}

/// Makes a topic.
#[utoipa::path(
    post, path = "/api/topics", tag = "topics", request_body = NewTopicRequest,
    responses((status = 201, description = "made"), (status = 403, description = "off", body = crate::api::Problem), (status = 409, body = crate::api::Problem))
)]
pub(crate) async fn create(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Body(request): Body<NewTopicRequest>,
) -> Result<StatusCode> {
    let name = request.name.clone();
    let made = make(&shared, request).await;
    shared.recorded(&actor, "topic.create", &name, made)?;
    Ok(StatusCode::CREATED)
}

pub(crate) async fn make(shared: &Shared, request: NewTopicRequest) -> Result<()> {
    allowed(shared.console.access.allow.create_topics, "topics.create")?;
    if request.partitions < 1 || request.replication.is_some_and(|copies| copies < 1) {
        return Err(Failure::new(FailureKind::Invalid, "partitions and replication must be 1 or more"));
    }
    let topic = NewTopic {
        name: request.name,
        partitions: request.partitions,
        replication: request.replication,
        settings: request.settings,
    };
    port(shared)?.create(&topic).await
}

/// Deletes a topic with all its messages; its name is given twice.
#[utoipa::path(
    post, path = "/api/topics/{topic}/delete", tag = "topics", params(("topic" = String, Path)),
    request_body = Confirmation,
    responses((status = 204, description = "gone"), (status = 403, description = "off, or owned by a connector", body = crate::api::Problem), (status = 404, body = crate::api::Problem))
)]
pub(crate) async fn delete(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(topic): Path<String>,
    Body(body): Body<Confirmation>,
) -> Result<StatusCode> {
    let gone = match body.confirm == topic {
        true => remove(&shared, &topic).await,
        false => Err(Failure::new(FailureKind::Invalid, "confirm must be the topic's name")),
    };
    shared.recorded(&actor, "topic.delete", &topic, gone)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn remove(shared: &Shared, topic: &str) -> Result<()> {
    allowed(shared.console.access.allow.delete_topics, "topics.delete")?;
    port(shared)?.delete(topic).await
}

/// Sends a message.
#[utoipa::path(
    post, path = "/api/topics/{topic}/messages", tag = "topics", params(("topic" = String, Path)),
    request_body = NewMessageRequest,
    responses((status = 201, body = Placed), (status = 403, description = "off", body = crate::api::Problem))
)]
pub(crate) async fn send(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(topic): Path<String>,
    Body(request): Body<NewMessageRequest>,
) -> Result<(StatusCode, Json<Placed>)> {
    let message = NewMessage {
        topic: topic.clone(),
        partition: request.partition,
        key: request.key.map(String::into_bytes),
        value: request.value.map(String::into_bytes),
    };
    let sent = put(&shared, &message).await;
    let placed = shared.recorded(&actor, "message.send", &topic, sent)?;
    Ok((StatusCode::CREATED, Json(placed)))
}

pub(crate) async fn put(shared: &Shared, message: &NewMessage) -> Result<Placed> {
    allowed(shared.console.access.allow.send_messages, "messages.send")?;
    let (partition, offset) = port(shared)?.send(message).await?;
    Ok(Placed { partition, offset })
}

fn allowed(allowed: bool, what: &str) -> Result<()> {
    if allowed {
        return Ok(());
    }
    let failure = Failure::new(FailureKind::Refused, format!("{what} is not allowed on this console"));
    Err(failure.advise(format!("[console] allow = [\"{what}\"] allows it")))
}
