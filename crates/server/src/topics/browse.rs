//! One page of messages: from an offset, a time, a position in the source's log, of a key, or the
//! newest.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::message::{Formats, Message};
use super::{State, partitioner};
use crate::ports::{Failure, FailureKind, Record, Registry, Result, Stretch, Topics, Watermarks};

/// A person waits no longer; what was read by then is shown.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of keys and values, for one page.
const MOST_BYTES: usize = 32 << 20;
/// Messages looked at in search of a key.
const MOST_SCANNED: u64 = 100_000;
/// Offsets read at a time in search of a key, from the end backwards.
const WINDOW: i64 = 5_000;
/// Messages looked at for the position of one place in the log: a tombstone has none.
const LSN_LOOKS: usize = 20;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Newest,
    /// From this offset of the partition on.
    Offset(i64),
    /// From this time on, in milliseconds since 1970-01-01 UTC.
    Time(i64),
    /// From this position in the source's log on.
    Lsn(u64),
    /// Of this key, newest first. Exact: of these very bytes, which say the partition.
    Key {
        text: String,
        exact: bool,
    },
}

/// A place to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NextOffset {
    /// The partition.
    pub partition: i32,
    /// The first offset that was not shown.
    pub offset: i64,
}

/// A page of messages.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MessagesReply {
    /// Oldest first, except for the newest and those of a key: newest first.
    pub messages: Vec<Message>,
    /// How many were looked at.
    pub scanned: u64,
    /// Why there are no more: `count`, `end`, `time`, `bytes` or `scanned`.
    pub reason: String,
    /// Where partitions begin and end now.
    pub watermarks: Vec<Watermarks>,
    /// Where to go on, for pages that go forward.
    pub next: Vec<NextOffset>,
}

/// What a page is made with.
pub(crate) struct Browser<'a> {
    pub(crate) topics: &'a dyn Topics,
    pub(crate) registry: Option<&'a dyn Registry>,
    pub(crate) state: &'a State,
    pub(crate) topic: &'a str,
    pub(crate) formats: Formats,
}

/// Messages as they were read, and why no more.
struct Taken {
    records: Vec<Record>,
    scanned: u64,
    reason: &'static str,
}

impl Browser<'_> {
    pub(crate) async fn page(&self, partition: Option<i32>, place: Place, count: usize) -> Result<MessagesReply> {
        let _reader = self.state.reader()?;
        let watermarks = self.topics.watermarks(self.topic).await?;
        let among: Vec<Watermarks> =
            watermarks.iter().filter(|one| partition.is_none_or(|wanted| one.partition == wanted)).copied().collect();
        if among.is_empty() {
            return Err(Failure::not_found(format_args!("such partition of {}", self.topic)));
        }
        let deadline = Instant::now() + PATIENCE;
        let most = i64::try_from(count).unwrap_or(i64::MAX);
        let (mut taken, forward) = match place {
            Place::Newest => {
                let stretches = among.iter().map(|one| stretch(one, one.end.saturating_sub(most), most));
                (self.take(stretches.collect(), usize::MAX, deadline, |_| true).await?, false)
            }
            Place::Offset(offset) => {
                let stretches = among.iter().map(|one| stretch(one, offset, i64::MAX));
                (self.take(stretches.collect(), count, deadline, |_| true).await?, true)
            }
            Place::Time(at_ms) => {
                let starts = self.topics.offsets_at(self.topic, at_ms).await?;
                (self.from(&among, &starts, count, deadline).await?, true)
            }
            Place::Lsn(lsn) => {
                let mut starts = Vec::new();
                for one in &among {
                    starts.push((one.partition, self.find_lsn(one, lsn, deadline).await?));
                }
                (self.from(&among, &starts, count, deadline).await?, true)
            }
            Place::Key { text, exact } => (self.of_key(&among, &text, exact, count, deadline).await?, false),
        };
        let when = |record: &Record| (record.timestamp_ms, record.partition, record.offset);
        taken
            .records
            .sort_by(|one, other| if forward { when(one).cmp(&when(other)) } else { when(other).cmp(&when(one)) });
        if taken.records.len() > count {
            taken.records.truncate(count);
            taken.reason = "count";
        }
        let next = if forward { next(&among, &taken.records) } else { Vec::new() };
        let mut messages = Vec::with_capacity(taken.records.len());
        for record in &taken.records {
            messages.push(Message::of(record, self.formats, &self.state.schemas, self.registry).await);
        }
        Ok(MessagesReply { messages, scanned: taken.scanned, reason: taken.reason.to_owned(), watermarks, next })
    }

    /// `count` messages of each partition from its start on: the first `count` of all are among them.
    async fn from(
        &self,
        among: &[Watermarks],
        starts: &[(i32, i64)],
        count: usize,
        deadline: Instant,
    ) -> Result<Taken> {
        let most = i64::try_from(count).unwrap_or(i64::MAX);
        let start = |partition| starts.iter().find(|(id, _)| *id == partition).map(|(_, offset)| *offset);
        let stretches = among.iter().map(|one| stretch(one, start(one.partition).unwrap_or(one.end), most));
        self.take(stretches.collect(), usize::MAX, deadline, |_| true).await
    }

    /// Reads stretches until `count` messages are wanted, or a limit.
    async fn take(
        &self,
        stretches: Vec<Stretch>,
        count: usize,
        deadline: Instant,
        mut wanted: impl FnMut(&Record) -> bool,
    ) -> Result<Taken> {
        let mut taken = Taken { records: Vec::new(), scanned: 0, reason: "end" };
        let stretches: Vec<_> =
            stretches.into_iter().filter(|one| one.until.is_none_or(|end| end > one.from)).collect();
        if stretches.is_empty() {
            return Ok(taken);
        }
        let mut reader = match timeout_at(deadline, self.topics.read(self.topic, stretches)).await {
            Ok(reader) => reader?,
            Err(_) => return Ok(Taken { reason: "time", ..taken }),
        };
        let mut bytes = 0;
        while taken.records.len() < count {
            let record = match timeout_at(deadline, reader.next()).await {
                Ok(Ok(Some(record))) => record,
                Ok(Ok(None)) => return Ok(taken),
                Ok(Err(failure)) => return Err(failure),
                Err(_) => return Ok(Taken { reason: "time", ..taken }),
            };
            taken.scanned += 1;
            if wanted(&record) {
                bytes += record.key.as_ref().map_or(0, Vec::len) + record.value.as_ref().map_or(0, Vec::len);
                taken.records.push(record);
            }
            if bytes > MOST_BYTES {
                return Ok(Taken { reason: "bytes", ..taken });
            }
        }
        Ok(Taken { reason: "count", ..taken })
    }

    /// Newest first, window by window, since the newest are what is looked for.
    async fn of_key(
        &self,
        among: &[Watermarks],
        text: &str,
        exact: bool,
        count: usize,
        deadline: Instant,
    ) -> Result<Taken> {
        let all = self.topics.watermarks(self.topic).await?.len();
        let only = if exact { partitioner::partition(text.as_bytes(), all) } else { None };
        let mut ends: Vec<Watermarks> =
            among.iter().filter(|one| only.is_none_or(|only| one.partition == only)).copied().collect();
        let mut taken = Taken { records: Vec::new(), scanned: 0, reason: "end" };
        loop {
            ends.retain(|one| one.end > one.first);
            if ends.is_empty() || taken.records.len() >= count {
                return Ok(taken);
            }
            if taken.scanned >= MOST_SCANNED {
                return Ok(Taken { reason: "scanned", ..taken });
            }
            let stretches = ends.iter().map(|one| stretch(one, one.end.saturating_sub(WINDOW), WINDOW)).collect();
            let found = self.take(stretches, usize::MAX, deadline, |record| is_of_key(record, text, exact)).await?;
            taken.scanned += found.scanned;
            taken.records.extend(found.records);
            if found.reason != "end" {
                return Ok(Taken { reason: found.reason, ..taken });
            }
            for one in &mut ends {
                one.end = one.end.saturating_sub(WINDOW).max(one.first);
            }
        }
    }

    /// The first offset whose change is not before a position in the source's log. Within a
    /// partition positions only grow, so halving finds it.
    async fn find_lsn(&self, among: &Watermarks, lsn: u64, deadline: Instant) -> Result<i64> {
        let (mut low, mut high) = (among.first, among.end);
        while low < high {
            let middle = low + (high - low) / 2;
            let looked = Stretch { partition: among.partition, from: middle, until: Some(high) };
            let found = self.take(vec![looked], LSN_LOOKS, deadline, |_| true).await?;
            if found.reason == "time" {
                let late = Failure::new(FailureKind::Limit, "finding the position took too long");
                return Err(late.advise("choose one partition, or a time"));
            }
            let mut known = None;
            for record in &found.records {
                if let Some(at) = self.lsn_of(record).await {
                    known = Some((record.offset, at));
                    break;
                }
            }
            match known {
                Some((offset, at)) if at < lsn => low = offset + 1,
                // Not before it, or nothing there has a position: it is further to the front.
                _ => high = middle,
            }
        }
        Ok(low)
    }

    async fn lsn_of(&self, record: &Record) -> Option<u64> {
        let message = Message::of(record, self.formats, &self.state.schemas, self.registry).await;
        message.change?.lsn?.parse().ok()
    }
}

/// At most `most` offsets from `from` on, within what there is.
fn stretch(among: &Watermarks, from: i64, most: i64) -> Stretch {
    let from = from.clamp(among.first, among.end.max(among.first));
    Stretch { partition: among.partition, from, until: Some(from.saturating_add(most).min(among.end)) }
}

/// Past the last one shown of each partition; partitions of which none was shown stay out.
fn next(among: &[Watermarks], shown: &[Record]) -> Vec<NextOffset> {
    let after = |partition| shown.iter().filter(|one| one.partition == partition).map(|one| one.offset + 1).max();
    let place = |one: &Watermarks| after(one.partition).map(|offset| NextOffset { partition: one.partition, offset });
    among.iter().filter_map(place).collect()
}

/// Whether a message has the key that somebody typed: its very bytes, or, not exactly, a JSON key
/// that means the same or has a field of that value.
fn is_of_key(record: &Record, text: &str, exact: bool) -> bool {
    let Some(key) = &record.key else { return false };
    if key == text.as_bytes() {
        return true;
    }
    if exact {
        return false;
    }
    let Ok(found) = serde_json::from_slice::<serde_json::Value>(key) else { return false };
    let payload = found.get("payload").filter(|_| found.get("schema").is_some()).unwrap_or(&found);
    let says = |value: &serde_json::Value| match value {
        serde_json::Value::String(value) => value == text,
        other => {
            let printed = other.to_string();
            printed == text
        }
    };
    let same = serde_json::from_str::<serde_json::Value>(text).is_ok_and(|wanted| wanted == *payload);
    same || says(payload) || payload.as_object().is_some_and(|fields| fields.values().any(says))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_what_it_means() {
        let record = |key: &str| Record { key: Some(key.as_bytes().to_vec()), ..Record::default() };
        let wrapped = r#"{"schema":{"type":"struct"},"payload":{"id":5,"region":"eu"}}"#;
        assert!(is_of_key(&record("5"), "5", true) && !is_of_key(&record(wrapped), "5", true));
        for text in ["5", "eu", r#"{"id": 5, "region": "eu"}"#, wrapped] {
            assert!(is_of_key(&record(wrapped), text, false), "{text}");
        }
        assert!(!is_of_key(&record(wrapped), "id", false) && !is_of_key(&record("not json"), "json", false));
        assert!(!is_of_key(&Record::default(), "", false));
    }

    #[test]
    fn a_stretch_stays_within_what_there_is() {
        let among = Watermarks { partition: 1, first: 10, end: 20 };
        let ends = |from, most| {
            let stretch = stretch(&among, from, most);
            (stretch.from, stretch.until.unwrap())
        };
        assert_eq!(ends(0, 5), (10, 15));
        assert_eq!(ends(18, i64::MAX), (18, 20));
        assert_eq!(ends(99, 5), (20, 20));
    }
}
