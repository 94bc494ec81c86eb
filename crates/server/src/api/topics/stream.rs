//! Messages as they come: a search under way, and the end of a topic. Server-sent events that stop
//! when the browser goes; a slow one makes the reading slow, and nothing is kept for it.

use std::convert::Infallible;

use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use utoipa::IntoParams;

use super::port;
use crate::api::Problem;
use crate::api::input::Params;
use crate::api::problem::code;
use crate::ports::{Failure, Result, Stretch, Watermarks};
use crate::router::Shared;
use crate::topics::message::Formats;
use crate::topics::search::{self, Matcher, Search, SearchIn, SearchProgress};
use crate::topics::{Format, Message};

const DEFAULT_FOUND: u64 = 100;
const MOST_FOUND: u64 = 10_000;
const DEFAULT_SCANNED: u64 = 100_000;
/// An hour of reading on a small machine.
const MOST_SCANNED: u64 = 100_000_000;
/// Messages of each partition that a tail begins with, at most.
const MOST_BACK: i64 = 1000;

/// What to search for.
#[derive(Debug, Deserialize, IntoParams)]
pub struct SearchQuery {
    /// In any case, in keys, values and headers.
    pub text: Option<String>,
    /// `text` is a regular expression.
    pub regex: Option<bool>,
    /// Where `text` is looked for.
    #[serde(rename = "in")]
    #[param(inline, rename = "in")]
    pub within: Option<SearchIn>,
    /// A path in the value's JSON, such as `after.id`.
    pub field: Option<String>,
    /// The value at that path; without it, the path must be there.
    pub equals: Option<String>,
    /// Only of this partition.
    pub partition: Option<i32>,
    /// From this time on, in milliseconds since 1970-01-01 UTC.
    pub from_ms: Option<i64>,
    /// Up to this time.
    pub to_ms: Option<i64>,
    /// End after so many found; default 100, at most 10,000.
    pub max: Option<u64>,
    /// End after so many looked at; default 100,000.
    pub scan: Option<u64>,
    /// How values are read.
    #[param(inline)]
    pub format: Option<Format>,
    /// How keys are read.
    #[param(inline)]
    pub key_format: Option<Format>,
}

/// What to follow.
#[derive(Debug, Deserialize, IntoParams)]
pub struct TailQuery {
    /// Only this partition.
    pub partition: Option<i32>,
    /// Begin so many messages before the end of each partition; default 0, at most 1000.
    pub back: Option<i64>,
    /// Only messages that have this text, in any case.
    pub text: Option<String>,
    /// How values are read.
    #[param(inline)]
    pub format: Option<Format>,
    /// How keys are read.
    #[param(inline)]
    pub key_format: Option<Format>,
}

/// Searches a topic. Server-sent events: `message` (data: `Message`) for each one found, `progress`
/// (data: `SearchProgress`) now and then and at the end with its reason, `problem` (data: `Problem`).
/// Closing the connection ends the search.
#[utoipa::path(
    get, path = "/api/topics/{topic}/search", tag = "topics", params(("topic" = String, Path), SearchQuery),
    responses((status = 200, content_type = "text/event-stream", body = SearchProgress), (status = 400, body = Problem))
)]
pub(crate) async fn search(
    State(shared): State<Shared>,
    Path(topic): Path<String>,
    Params(query): Params<SearchQuery>,
) -> Result<Sse<impl Stream<Item = std::result::Result<Event, Infallible>>>> {
    shared.data_is_shown()?;
    let matcher = Matcher::new(
        query.text.as_deref(),
        query.regex.unwrap_or(false),
        query.within.unwrap_or_default(),
        query.field.as_deref(),
        query.equals.as_deref(),
    )?;
    let topics = port(&shared)?;
    let among = partitions(topics.watermarks(&topic).await?, query.partition, &topic)?;
    let from = match query.from_ms {
        Some(at_ms) => Some(topics.offsets_at(&topic, at_ms).await?),
        None => None,
    };
    let until = match query.to_ms {
        Some(at_ms) => Some(topics.offsets_at(&topic, at_ms).await?),
        None => None,
    };
    let at = |offsets: &Option<Vec<(i32, i64)>>, partition| {
        offsets.as_ref().and_then(|all| all.iter().find(|(id, _)| *id == partition).map(|(_, offset)| *offset))
    };
    let stretch = |one: &Watermarks| Stretch {
        partition: one.partition,
        from: at(&from, one.partition).unwrap_or(one.first),
        until: Some(at(&until, one.partition).unwrap_or(one.end)),
    };
    let formats = Formats { key: query.key_format.unwrap_or_default(), value: query.format.unwrap_or_default() };
    let search = open(&shared, &topic, among.iter().map(stretch).collect(), matcher, formats).await?;
    let search = Search {
        most_found: query.max.unwrap_or(DEFAULT_FOUND).clamp(1, MOST_FOUND),
        most_scanned: query.scan.unwrap_or(DEFAULT_SCANNED).clamp(1, MOST_SCANNED),
        ..search
    };
    Ok(events(search))
}

/// Follows the end of a topic. Server-sent events: `message` (data: `Message`) as they come, and
/// `problem`. Closing the connection ends it.
#[utoipa::path(
    get, path = "/api/topics/{topic}/tail", tag = "topics", params(("topic" = String, Path), TailQuery),
    responses((status = 200, content_type = "text/event-stream", body = Message), (status = 404, body = Problem))
)]
pub(crate) async fn tail(
    State(shared): State<Shared>,
    Path(topic): Path<String>,
    Params(query): Params<TailQuery>,
) -> Result<Sse<impl Stream<Item = std::result::Result<Event, Infallible>>>> {
    shared.data_is_shown()?;
    let matcher = Matcher::new(query.text.as_deref(), false, SearchIn::All, None, None)?;
    let among = partitions(port(&shared)?.watermarks(&topic).await?, query.partition, &topic)?;
    let back = query.back.unwrap_or(0).clamp(0, MOST_BACK);
    let stretch =
        |one: &Watermarks| Stretch { partition: one.partition, from: (one.end - back).max(one.first), until: None };
    let formats = Formats { key: query.key_format.unwrap_or_default(), value: query.format.unwrap_or_default() };
    let search = open(&shared, &topic, among.iter().map(stretch).collect(), matcher, formats).await?;
    Ok(events(search))
}

pub(crate) fn partitions(all: Vec<Watermarks>, wanted: Option<i32>, topic: &str) -> Result<Vec<Watermarks>> {
    let among: Vec<_> = all.into_iter().filter(|one| wanted.is_none_or(|wanted| one.partition == wanted)).collect();
    if among.is_empty() { Err(Failure::not_found(format_args!("such partition of {topic}"))) } else { Ok(among) }
}

/// Without an end of its own.
pub(crate) async fn open(
    shared: &Shared,
    topic: &str,
    stretches: Vec<Stretch>,
    matcher: Matcher,
    formats: Formats,
) -> Result<Search> {
    let permit = shared.topics.reader()?;
    let length = |one: &Stretch| one.until.map_or(0, |until| u64::try_from(until - one.from).unwrap_or(0));
    let progress = SearchProgress { total: stretches.iter().map(length).sum(), ..SearchProgress::default() };
    let stretches = stretches.into_iter().filter(|one| one.until.is_none_or(|until| until > one.from)).collect();
    Ok(Search {
        reader: port(shared)?.read(topic, stretches).await?,
        shared: shared.clone(),
        permit,
        matcher,
        formats,
        most_found: u64::MAX,
        most_scanned: u64::MAX,
        progress,
    })
}

fn events(search: Search) -> Sse<impl Stream<Item = std::result::Result<Event, Infallible>>> {
    let closing = search.shared.live.closing();
    let event = |event: search::Event| {
        let (name, data) = match event {
            search::Event::Message(message) => ("message", serde_json::to_string(&message)),
            search::Event::Progress(progress) => ("progress", serde_json::to_string(&progress)),
            search::Event::Failed(failure) => {
                let code = code(failure.kind).1;
                let problem = Problem { code, error: failure.message, advice: failure.advice };
                ("problem", serde_json::to_string(&problem))
            }
        };
        Ok(Event::default().event(name).data(data.unwrap_or_default()))
    };
    Sse::new(search.events().map(event).take_until(closing.cancelled_owned())).keep_alive(KeepAlive::default())
}
