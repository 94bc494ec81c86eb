//! Messages as Kafdrop's calls ask for them.

use axum::Json;
use axum::extract::{Path, State};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::when;
use crate::api::input::{Body, Params};
use crate::api::topics as ours;
use crate::ports::{Failure, FailureKind, Result, Stretch};
use crate::router::Shared;
use crate::topics::browse::{Browser, Place};
use crate::topics::message::Formats;
use crate::topics::search::{Event, Matcher, Search, SearchIn, SearchProgress};
use crate::topics::{Format, Message};

const DEFAULT_COUNT: usize = 100;
const MOST_COUNT: usize = 1000;
const DEFAULT_FOUND: u64 = 1000;
const MOST_FOUND: u64 = 10_000;
/// As Kafdrop's own limit.
const MOST_SCANNED: u64 = 100_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessagesQuery {
    partition: Option<i32>,
    offset: Option<i64>,
    count: Option<usize>,
    format: Option<String>,
    key_format: Option<String>,
}

/// Without a query where partitions begin and end, with one their messages.
pub(super) async fn messages(
    State(shared): State<Shared>,
    Path(topic): Path<String>,
    Params(query): Params<MessagesQuery>,
) -> Result<Json<Vec<Value>>> {
    let (Some(partition), Some(offset)) = (query.partition, query.offset) else {
        let watermarks = ours::port(&shared)?.watermarks(&topic).await?;
        let shape = |one: &crate::ports::Watermarks| {
            json!({
                "partition": one.partition,
                "firstOffset": one.first,
                "lastOffset": one.end,
                "format": query.format.as_deref().unwrap_or("DEFAULT"),
                "keyFormat": query.key_format.as_deref().unwrap_or("DEFAULT"),
            })
        };
        return Ok(Json(watermarks.iter().map(shape).collect()));
    };
    let formats = formats(query.format.as_deref(), query.key_format.as_deref());
    let page = page(&shared, &topic, Some(partition), Place::Offset(offset), query.count, formats).await?;
    Ok(Json(page.iter().map(shape).collect()))
}

/// The first `count` of every partition, by time.
pub(super) async fn all_messages(
    State(shared): State<Shared>,
    Path(topic): Path<String>,
    Params(query): Params<MessagesQuery>,
) -> Result<Json<Vec<Value>>> {
    let mut all = Vec::new();
    for one in ours::port(&shared)?.watermarks(&topic).await? {
        let formats = formats(query.format.as_deref(), query.key_format.as_deref());
        let place = Place::Offset(one.first);
        all.extend(page(&shared, &topic, Some(one.partition), place, query.count, formats).await?);
    }
    all.sort_by_key(|message| (message.timestamp_ms, message.partition, message.offset));
    Ok(Json(all.iter().map(shape).collect()))
}

async fn page(
    shared: &Shared,
    topic: &str,
    partition: Option<i32>,
    place: Place,
    count: Option<usize>,
    formats: Formats,
) -> Result<Vec<Message>> {
    shared.data_is_shown()?;
    let browser = Browser {
        topics: ours::port(shared)?,
        registry: shared.console.ports.registry.as_deref(),
        state: &shared.topics,
        topic,
        formats,
    };
    let count = count.unwrap_or(DEFAULT_COUNT).clamp(1, MOST_COUNT);
    Ok(browser.page(partition, place, count).await?.messages)
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SearchBody {
    search_text: Option<String>,
    maximum_count: Option<u64>,
    partition: Option<i32>,
    format: Option<String>,
    key_format: Option<String>,
    start_timestamp: Option<Value>,
    keys: Option<Vec<String>>,
}

pub(super) async fn search(
    State(shared): State<Shared>,
    Path(topic): Path<String>,
    Body(body): Body<SearchBody>,
) -> Result<Json<Value>> {
    shared.data_is_shown()?;
    let topics = ours::port(&shared)?;
    let wanted = body.partition.filter(|partition| *partition >= 0);
    let among = ours::partitions(topics.watermarks(&topic).await?, wanted, &topic)?;
    let starts = match start(body.start_timestamp.as_ref())? {
        Some(at_ms) => topics.offsets_at(&topic, at_ms).await?,
        None => Vec::new(),
    };
    let from = |one: &crate::ports::Watermarks| {
        starts.iter().find(|(id, _)| *id == one.partition).map_or(one.first, |(_, offset)| *offset)
    };
    let stretches = among.iter().map(|one| Stretch { partition: one.partition, from: from(one), until: Some(one.end) });
    let matcher = Matcher::new(body.search_text.as_deref(), false, SearchIn::All, None, None)?;
    let formats = formats(body.format.as_deref(), body.key_format.as_deref());
    let search = ours::open(&shared, &topic, stretches.collect(), matcher, formats).await?;
    let search = Search {
        most_found: body.maximum_count.unwrap_or(DEFAULT_FOUND).clamp(1, MOST_FOUND),
        most_scanned: MOST_SCANNED,
        ..search
    };
    let (mut found, progress) = collect(search).await?;
    if let Some(keys) = body.keys.filter(|keys| !keys.is_empty()) {
        found.retain(|message| message.key.as_ref().is_some_and(|key| keys.contains(&key.text)));
    }
    found.sort_by_key(|message| (message.timestamp_ms, message.partition, message.offset));
    Ok(Json(json!({
        "messages": found.iter().map(shape).collect::<Vec<_>>(),
        "completionDetails": details(&progress),
    })))
}

async fn collect(search: Search) -> Result<(Vec<Message>, SearchProgress)> {
    let (mut found, mut progress) = (Vec::new(), SearchProgress::default());
    let mut events = std::pin::pin!(search.events());
    while let Some(event) = events.next().await {
        match event {
            Event::Message(message) => found.push(*message),
            Event::Progress(now) => progress = now,
            Event::Failed(failure) => return Err(failure),
        }
    }
    Ok((found, progress))
}

/// Why it ended, and where to go on.
fn details(progress: &SearchProgress) -> String {
    let looked = format!("looked at {} messages", progress.scanned);
    let on = progress.at_ms.map(|at_ms| format!(", go on from {}", when::write(at_ms))).unwrap_or_default();
    match progress.reason.as_deref() {
        Some("found") => format!("{looked}: as many as were asked for are found{on}"),
        Some("scanned") => format!("{looked}, which is the limit{on}"),
        _ => format!("{looked}: all there are"),
    }
}

fn start(value: Option<&Value>) -> Result<Option<i64>> {
    let read = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => when::read(text),
        Some(other) => other.as_i64(),
    };
    let invalid = || Failure::new(FailureKind::Invalid, "startTimestamp is not of the form 2026-01-01 00:00:00.000");
    read.map(Some).ok_or_else(invalid)
}

/// Kafdrop's names of formats; what it does not know it reads as text.
fn formats(value: Option<&str>, key: Option<&str>) -> Formats {
    let format = |name: Option<&str>| match name.unwrap_or_default().to_ascii_uppercase().as_str() {
        "AVRO" => Format::Avro,
        "PROTOBUF" => Format::Protobuf,
        "MSGPACK" => Format::Msgpack,
        "INT" => Format::Int,
        _ => Format::Text,
    };
    // A value is never read as a number there.
    let value = match format(value) {
        Format::Int => Format::Text,
        other => other,
    };
    Formats { key: format(key), value }
}

fn shape(message: &Message) -> Value {
    let headers: Map<String, Value> =
        message.headers.iter().map(|header| (header.name.clone(), json!(header.value))).collect();
    let formatted: Vec<String> = message
        .headers
        .iter()
        .map(|header| format!("{}: {}", header.name, header.value.as_deref().unwrap_or_default()))
        .collect();
    json!({
        "partition": message.partition,
        "offset": message.offset,
        "message": message.value.as_ref().map(|value| &value.text),
        "key": message.key.as_ref().map(|key| &key.text),
        "headers": headers,
        "headersFormatted": formatted.join(", "),
        "timestamp": message.timestamp_ms.map(when::write),
    })
}
