//! Server-sent events: the overview and the tables, as they change.
//!
//! The frames are made once a second for everybody, whether somebody looks or not. A client that
//! reads too slowly misses frames and gets the whole list of tables again: nothing is kept for it,
//! and nobody waits for it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use utoipa::ToSchema;

use super::tables::TableRow;
use crate::live::{Feed, Live};

/// The data of an event `tables`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TablesEvent {
    /// True: `tables` are all there are. False: only those that changed.
    pub full: bool,
    /// In name order.
    pub tables: Vec<TableRow>,
    /// Tables that are gone from the selection, as `schema.name`.
    pub removed: Vec<String>,
}

/// Server-sent events. Right after connecting: `overview` (data: `Overview`) and `tables` (data:
/// `TablesEvent`, full). Then `overview` once a second, and `tables` when any changed.
#[utoipa::path(
    get, path = "/api/events", tag = "overview",
    responses((status = 200, content_type = "text/event-stream", body = TablesEvent))
)]
pub(crate) async fn events(State(live): State<Arc<Live>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream(live)).keep_alive(KeepAlive::default())
}

fn stream(live: Arc<Live>) -> impl Stream<Item = Result<Event, Infallible>> {
    let feed = live.subscribe();
    let first = stream::iter(everything(&live));
    let closing = live.closing();
    let rest = stream::unfold((live, feed), |(live, mut feed)| async move {
        let events = match feed.recv().await {
            Ok(news) => news_events(&news),
            // It was too slow: what it missed is gone, what is true now is sent.
            Err(RecvError::Lagged(_)) => everything(&live),
            Err(RecvError::Closed) => return None,
        };
        Some((stream::iter(events), (live, feed)))
    });
    first.chain(rest.flatten()).map(Ok).take_until(closing.cancelled_owned())
}

fn everything(live: &Live) -> Vec<Event> {
    let frame = live.frame();
    let tables = TablesEvent { full: true, tables: frame.tables.clone(), removed: Vec::new() };
    [event("overview", &frame.overview), event("tables", &tables)].into_iter().flatten().collect()
}

fn news_events(news: &Feed) -> Vec<Event> {
    let named = |name: &str, data: &str| Event::default().event(name).data(data);
    let mut events = vec![named("overview", &news.overview)];
    events.extend(news.tables.as_deref().map(|tables| named("tables", tables)));
    events
}

/// None when it cannot be written as JSON, which all our types can.
fn event(name: &str, data: &impl Serialize) -> Option<Event> {
    Event::default().event(name).json_data(data).ok()
}
