//! Kafdrop's addresses and JSON under `/kafdrop`, so that scripts written for it go on working.
//!
//! Only programs are answered here: a browser is sent to the console's page, which shows the same and more. What
//! changes something is off unless `[console] allow` names it, and carries the console's token as everywhere.
//! Fields are those that Kafdrop's replies have; `headersFormatted` and the texts are our own.

mod ask;
mod shapes;
mod when;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Form, Json};
use serde::Deserialize;
use serde_json::Value;

use crate::api::{NewTopicRequest, topics as ours};
use crate::ports::{Acl, Broker, Failure, NewMessage, Result};
use crate::router::Shared;
use crate::security::Actor;
use crate::topics::lag::standing;

pub(crate) fn routes() -> Router<Shared> {
    let json = Router::new()
        .route("/kafdrop", get(cluster))
        .route("/kafdrop/", get(cluster))
        .route("/kafdrop/broker", get(brokers))
        .route("/kafdrop/broker/{id}", get(broker))
        .route("/kafdrop/topic", get(topics).post(create))
        .route("/kafdrop/topic/{topic}", get(topic))
        .route("/kafdrop/topic/{topic}/delete", post(delete))
        .route("/kafdrop/topic/{topic}/addmessage", post(add_message))
        .route("/kafdrop/topic/{topic}/consumers", get(consumers))
        .route("/kafdrop/topic/{topic}/messages", get(ask::messages))
        .route("/kafdrop/topic/{topic}/allmessages", get(ask::all_messages))
        .route("/kafdrop/topic/{topic}/search-messages", post(ask::search))
        .route("/kafdrop/consumer/{group}", get(consumer))
        .route("/kafdrop/acl", get(acls))
        .layer(middleware::from_fn(to_the_page));
    Router::new()
        .merge(json)
        .route("/kafdrop/health_check", get(async || StatusCode::OK))
        .route("/kafdrop/actuator/health", get(health))
        .route("/kafdrop/{*rest}", any(elsewhere))
}

/// Below every address there is one for those that only ask whether the process lives.
async fn elsewhere(uri: Uri) -> Response {
    match uri.path().ends_with("/health_check") {
        true => StatusCode::OK.into_response(),
        false => Failure::not_found("such address").into_response(),
    }
}

/// Kafdrop answers browsers with pages at the same addresses.
async fn to_the_page(request: Request, next: Next) -> Response {
    let is_get = request.method() == axum::http::Method::GET;
    if !is_get || !wants_a_page(request.headers()) {
        return next.run(request).await;
    }
    let path = request.uri().path().trim_start_matches("/kafdrop").trim_matches('/');
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let place = match parts.as_slice() {
        ["topic", name, "messages" | "allmessages" | "search-messages", ..] => format!("/#/topics/{name}/messages"),
        ["topic", name, ..] if *name != "create" => format!("/#/topics/{name}"),
        ["consumer", group] => format!("/#/groups/{group}"),
        ["broker", ..] => "/#/brokers".to_owned(),
        _ => "/#/topics".to_owned(),
    };
    Redirect::to(&place).into_response()
}

fn wants_a_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("text/html") && !accept.contains("application/json")
}

async fn cluster(State(shared): State<Shared>) -> Result<Json<Value>> {
    Ok(Json(shapes::cluster(&ours::port(&shared)?.cluster().await?)))
}

async fn brokers(State(shared): State<Shared>) -> Result<Json<Vec<Broker>>> {
    Ok(Json(ours::port(&shared)?.cluster().await?.brokers))
}

async fn broker(State(shared): State<Shared>, Path(id): Path<i32>) -> Result<Json<Broker>> {
    let found = ours::port(&shared)?.cluster().await?.brokers.into_iter().find(|broker| broker.id == id);
    found.map(Json).ok_or_else(|| Failure::not_found(format_args!("broker {id}")))
}

async fn topics(State(shared): State<Shared>) -> Result<Json<Vec<Value>>> {
    let cluster = ours::port(&shared)?.cluster().await?;
    let topic = |topic| shapes::topic(topic, &cluster.brokers, None, &[]);
    Ok(Json(cluster.topics.iter().map(topic).collect()))
}

async fn topic(State(shared): State<Shared>, Path(name): Path<String>) -> Result<Json<Value>> {
    let port = ours::port(&shared)?;
    let cluster = port.cluster().await?;
    let found = cluster.topics.iter().find(|topic| topic.name == name);
    let found = found.ok_or_else(|| Failure::not_found(format_args!("topic {name}")))?;
    let watermarks = port.watermarks(&name).await?;
    // Without the right to read settings the rest is still good.
    let settings = port.settings(&name).await.unwrap_or_default();
    Ok(Json(shapes::topic(found, &cluster.brokers, Some(&watermarks), &settings)))
}

async fn consumers(State(shared): State<Shared>, Path(name): Path<String>) -> Result<Json<Vec<Value>>> {
    let port = ours::port(&shared)?;
    let cluster = port.cluster().await?;
    let found = cluster.topics.iter().find(|topic| topic.name == name);
    let found = [found.ok_or_else(|| Failure::not_found(format_args!("topic {name}")))?.clone()];
    let mut consumers = Vec::new();
    for group in port.groups().await? {
        let stands = standing(port, &group.id, &found).await?;
        if !stands.is_empty() {
            consumers.push(shapes::consumer(&group.id, &stands));
        }
    }
    Ok(Json(consumers))
}

async fn consumer(State(shared): State<Shared>, Path(group): Path<String>) -> Result<Json<Value>> {
    let port = ours::port(&shared)?;
    let stands = standing(port, &group, &port.cluster().await?.topics).await?;
    if stands.is_empty() {
        return Err(Failure::not_found(format_args!("consumer group {group}")));
    }
    Ok(Json(shapes::consumer(&group, &stands)))
}

async fn acls(State(shared): State<Shared>) -> Result<Json<Vec<Value>>> {
    let acls: Vec<Acl> = ours::port(&shared)?.acls().await?;
    Ok(Json(acls.iter().map(shapes::acl).collect()))
}

/// Whether the process lives, as Spring says it.
async fn health() -> Json<Value> {
    Json(serde_json::json!({ "status": "UP" }))
}

/// Kafdrop's form.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TopicForm {
    name: String,
    partitions_number: i32,
    replication_factor: Option<i32>,
}

async fn create(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Form(form): Form<TopicForm>,
) -> Result<StatusCode> {
    let name = form.name.clone();
    let request = NewTopicRequest {
        name: form.name,
        partitions: form.partitions_number,
        replication: form.replication_factor,
        settings: Default::default(),
    };
    let made = ours::make(&shared, request).await;
    shared.recorded(&actor, "topic.create", &name, made)?;
    Ok(StatusCode::CREATED)
}

async fn delete(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(topic): Path<String>,
) -> Result<StatusCode> {
    let gone = ours::remove(&shared, &topic).await;
    shared.recorded(&actor, "topic.delete", &topic, gone)?;
    Ok(StatusCode::OK)
}

/// Kafdrop's form.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageForm {
    topic_partition: Option<i32>,
    key: Option<String>,
    value: Option<String>,
}

async fn add_message(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(topic): Path<String>,
    Form(form): Form<MessageForm>,
) -> Result<StatusCode> {
    let message = NewMessage {
        topic: topic.clone(),
        partition: form.topic_partition.filter(|partition| *partition >= 0),
        key: form.key.filter(|key| !key.is_empty()).map(String::into_bytes),
        value: form.value.map(String::into_bytes),
    };
    let sent = ours::put(&shared, &message).await;
    shared.recorded(&actor, "message.send", &topic, sent)?;
    Ok(StatusCode::CREATED)
}
