//! A page of messages.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::port;
use crate::api::input::Params;
use crate::ports::{Failure, FailureKind, Result};
use crate::router::Shared;
use crate::topics::Format;
use crate::topics::browse::{Browser, MessagesReply, Place};
use crate::topics::message::Formats;

const DEFAULT_COUNT: usize = 50;
const MOST_COUNT: usize = 1000;

/// Which messages. Of `offset`, `lsn`, `at_ms` and `key` one may be given; without any, the newest.
#[derive(Debug, Deserialize, IntoParams)]
pub struct MessagesQuery {
    /// Only of this partition; needed with `offset`.
    pub partition: Option<i32>,
    /// From this offset on.
    pub offset: Option<i64>,
    /// From this position in the source's log on: a decimal number, or as Postgres prints it.
    pub lsn: Option<String>,
    /// From this time on, in milliseconds since 1970-01-01 UTC.
    pub at_ms: Option<i64>,
    /// Of this key, newest first.
    pub key: Option<String>,
    /// The key's very bytes, which tell the partition (default); false: JSON that means the same, or
    /// has a field of that value.
    pub exact: Option<bool>,
    /// At most so many; default 50, at most 1000.
    pub count: Option<usize>,
    /// How values are read.
    #[param(inline)]
    pub format: Option<Format>,
    /// How keys are read.
    #[param(inline)]
    pub key_format: Option<Format>,
}

/// A page of messages.
#[utoipa::path(
    get, path = "/api/topics/{topic}/messages", tag = "topics", params(("topic" = String, Path), MessagesQuery),
    responses(
        (status = 200, body = MessagesReply),
        (status = 403, description = "data is switched off", body = crate::api::Problem),
        (status = 404, body = crate::api::Problem),
    )
)]
pub(crate) async fn messages(
    State(shared): State<Shared>,
    Path(topic): Path<String>,
    Params(query): Params<MessagesQuery>,
) -> Result<Json<MessagesReply>> {
    shared.data_is_shown()?;
    let browser = Browser {
        topics: port(&shared)?,
        registry: shared.console.ports.registry.as_deref(),
        state: &shared.topics,
        topic: &topic,
        formats: Formats { key: query.key_format.unwrap_or_default(), value: query.format.unwrap_or_default() },
    };
    let count = query.count.unwrap_or(DEFAULT_COUNT).clamp(1, MOST_COUNT);
    let (partition, place) = place(query)?;
    browser.page(partition, place, count).await.map(Json)
}

fn place(query: MessagesQuery) -> Result<(Option<i32>, Place)> {
    let invalid = |message: &str| Failure::new(FailureKind::Invalid, message);
    let given = [query.offset.is_some(), query.lsn.is_some(), query.at_ms.is_some(), query.key.is_some()];
    if given.into_iter().filter(|given| *given).count() > 1 {
        return Err(invalid("of offset, lsn, at_ms and key only one can be given"));
    }
    let place = if let Some(offset) = query.offset {
        if query.partition.is_none() {
            return Err(invalid("an offset needs a partition"));
        }
        Place::Offset(offset)
    } else if let Some(lsn) = query.lsn {
        Place::Lsn(read_lsn(&lsn).ok_or_else(|| invalid("lsn is neither a number nor of the form 0/16E3778"))?)
    } else if let Some(at_ms) = query.at_ms {
        Place::Time(at_ms)
    } else if let Some(text) = query.key {
        Place::Key { text, exact: query.exact.unwrap_or(true) }
    } else {
        Place::Newest
    };
    Ok((query.partition, place))
}

fn read_lsn(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| text.parse::<walhouse_change::Lsn>().ok().map(|lsn| lsn.0))
}
