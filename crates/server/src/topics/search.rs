//! Searching a topic, and following its end: messages as they are found, in a stream that ends
//! when its reader goes.

use std::time::Duration;

use futures_util::{Stream, stream};
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::message::{Formats, Message};
use crate::ports::{Failure, FailureKind, Reader, Record, Result};
use crate::router::Shared;

/// Between two words on how far a search is.
const PROGRESS: Duration = Duration::from_millis(250);
/// A pattern that compiles to more is refused.
const MOST_REGEX: usize = 1 << 20;

/// Where to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchIn {
    /// Keys, values and headers.
    #[default]
    All,
    /// Keys.
    Key,
    /// Values.
    Value,
    /// Headers' values.
    Headers,
}

/// What a message must have.
#[derive(Debug)]
pub(crate) struct Matcher {
    pattern: Option<Regex>,
    within: SearchIn,
    field: Option<Field>,
}

#[derive(Debug)]
struct Field {
    path: Vec<String>,
    equals: Option<String>,
}

impl Matcher {
    /// `text` is looked for in any case, literally or as a pattern. `field` is a path of names with
    /// points between, in the value's JSON; its value is `equals`, or it only has to be there.
    pub(crate) fn new(
        text: Option<&str>,
        is_pattern: bool,
        within: SearchIn,
        field: Option<&str>,
        equals: Option<&str>,
    ) -> Result<Self> {
        let pattern = text.filter(|text| !text.is_empty()).map(|text| {
            let pattern = if is_pattern { text.to_owned() } else { regex::escape(text) };
            let built = RegexBuilder::new(&pattern).case_insensitive(true).size_limit(MOST_REGEX).build();
            built.map_err(|error| {
                let reason = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
                Failure::new(FailureKind::Invalid, format!("the pattern cannot be read: {reason}"))
            })
        });
        let field = field.filter(|path| !path.is_empty()).map(|path| Field {
            path: path.split('.').map(str::to_owned).collect(),
            equals: equals.map(str::to_owned),
        });
        Ok(Self { pattern: pattern.transpose()?, within, field })
    }

    pub(crate) fn matches(&self, message: &Message) -> bool {
        self.field.as_ref().is_none_or(|field| field.matches(message))
            && self.pattern.as_ref().is_none_or(|it| self.has(message, it))
    }

    fn has(&self, message: &Message, pattern: &Regex) -> bool {
        let decoded = |part: &Option<super::Decoded>| part.as_ref().is_some_and(|part| pattern.is_match(&part.text));
        let header = |header: &super::Header| header.value.as_deref().is_some_and(|value| pattern.is_match(value));
        let looks = |part| self.within == SearchIn::All || self.within == part;
        looks(SearchIn::Key) && decoded(&message.key)
            || looks(SearchIn::Value) && decoded(&message.value)
            || looks(SearchIn::Headers) && message.headers.iter().any(header)
    }
}

impl Field {
    fn matches(&self, message: &Message) -> bool {
        let mut found = message.value.as_ref().and_then(|value| value.json.as_ref());
        // A path begins in the row also where the schema is sent around it.
        if let Some(payload) =
            found.filter(|value| value.get("schema").is_some()).and_then(|value| value.get("payload"))
            && self.path.first().is_none_or(|name| name != "payload" && name != "schema")
        {
            found = Some(payload);
        }
        for name in &self.path {
            found = found.and_then(|value| match value {
                Value::Array(values) => name.parse::<usize>().ok().and_then(|index| values.get(index)),
                other => other.get(name),
            });
        }
        match (found, &self.equals) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(Value::String(text)), Some(wanted)) => text == wanted,
            (Some(other), Some(wanted)) => {
                let printed = other.to_string();
                printed == *wanted
            }
        }
    }
}

/// How far a search is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct SearchProgress {
    /// Messages looked at.
    pub scanned: u64,
    /// Messages that there are to look at, gaps counted.
    pub total: u64,
    /// Messages found.
    pub found: u64,
    /// Time of the newest message looked at, to go on from.
    pub at_ms: Option<i64>,
    /// Why it ended: `found`, `end` or `scanned`; null while it goes on.
    pub reason: Option<String>,
}

/// What a search says.
#[derive(Debug)]
pub(crate) enum Event {
    Message(Box<Message>),
    Progress(SearchProgress),
    Failed(Failure),
}

/// A search under way.
pub(crate) struct Search {
    pub(crate) shared: Shared,
    pub(crate) reader: Box<dyn Reader>,
    pub(crate) permit: OwnedSemaphorePermit,
    pub(crate) matcher: Matcher,
    pub(crate) formats: Formats,
    /// Ends after so many found.
    pub(crate) most_found: u64,
    /// Ends after so many looked at.
    pub(crate) most_scanned: u64,
    pub(crate) progress: SearchProgress,
}

impl Search {
    /// Its words, until it ends. Dropping the stream ends the reading.
    pub(crate) fn events(self) -> impl Stream<Item = Event> + Send {
        let next_word = Instant::now() + PROGRESS;
        stream::unfold(Some((self, next_word)), |state| async move {
            let (mut search, next_word) = state?;
            let (event, goes_on) = search.step(next_word).await;
            let next_word = if matches!(event, Event::Progress(_)) { Instant::now() + PROGRESS } else { next_word };
            Some((event, goes_on.then_some((search, next_word))))
        })
    }

    /// Reads until there is something to say.
    async fn step(&mut self, next_word: Instant) -> (Event, bool) {
        loop {
            let reason = match self.progress {
                SearchProgress { found, .. } if found >= self.most_found => Some("found"),
                SearchProgress { scanned, .. } if scanned >= self.most_scanned => Some("scanned"),
                _ => None,
            };
            if let Some(reason) = reason {
                return self.end(reason);
            }
            // A message that is here is looked at before the time is: a word may come late.
            let record = match timeout_at(next_word, self.reader.next()).await {
                Ok(Ok(Some(record))) => record,
                Ok(Ok(None)) => return self.end("end"),
                Ok(Err(failure)) => return (Event::Failed(failure), false),
                Err(_) => return (Event::Progress(self.progress.clone()), true),
            };
            if let Some(message) = self.look(&record).await {
                return (Event::Message(Box::new(message)), true);
            }
            if Instant::now() >= next_word {
                return (Event::Progress(self.progress.clone()), true);
            }
        }
    }

    async fn look(&mut self, record: &Record) -> Option<Message> {
        self.progress.scanned += 1;
        self.progress.at_ms = self.progress.at_ms.max(record.timestamp_ms);
        let registry = self.shared.console.ports.registry.as_deref();
        let message = Message::of(record, self.formats, &self.shared.topics.schemas, registry).await;
        let found = self.matcher.matches(&message);
        self.progress.found += u64::from(found);
        found.then_some(message)
    }

    fn end(&mut self, reason: &str) -> (Event, bool) {
        self.progress.reason = Some(reason.to_owned());
        let _ = &self.permit;
        (Event::Progress(self.progress.clone()), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::decode::Schemas;

    async fn message(value: &str) -> Message {
        let record = Record {
            key: Some(b"Key-1".to_vec()),
            value: Some(value.as_bytes().to_vec()),
            headers: vec![("h".to_owned(), Some(b"header".to_vec()))],
            ..Record::default()
        };
        Message::of(&record, Formats::default(), &Schemas::default(), None).await
    }

    #[tokio::test]
    async fn finds_text_patterns_and_fields() {
        let message = message(r#"{"after":{"id":5,"name":"Ana","tags":["x"]}}"#).await;
        let finds = |text, is_pattern, within, field, equals| {
            Matcher::new(text, is_pattern, within, field, equals).unwrap().matches(&message)
        };
        let text = |text, within| finds(Some(text), false, within, None, None);
        assert!(text("ana", SearchIn::All) && text("key-1", SearchIn::Key) && text("HEADER", SearchIn::Headers));
        assert!(!text("ana", SearchIn::Key) && !text("a.a", SearchIn::All));
        assert!(finds(Some("a.a"), true, SearchIn::All, None, None));
        let field = |path, equals| finds(None, false, SearchIn::All, Some(path), equals);
        assert!(field("after.id", Some("5")) && field("after.name", Some("Ana")) && field("after.tags.0", Some("x")));
        let wrapped = self::message(r#"{"schema":{},"payload":{"after":{"id":5}}}"#).await;
        let within = |path| Matcher::new(None, false, SearchIn::All, Some(path), Some("5")).unwrap().matches(&wrapped);
        assert!(within("after.id") && within("payload.after.id") && !within("id"));
        assert!(field("after.id", None) && !field("after.id", Some("6")) && !field("after.no", None));
        assert!(!finds(Some("nothing"), false, SearchIn::All, Some("after.id"), Some("5")));
    }

    #[test]
    fn a_bad_pattern_is_refused() {
        for pattern in ["(", "(a{1000}){1000}{1000}"] {
            let failure = Matcher::new(Some(pattern), true, SearchIn::All, None, None).unwrap_err();
            assert!(failure.kind == FailureKind::Invalid && !failure.message.contains('\n'), "{failure}");
        }
    }
}
