//! Which partitions are read, from where: topics by name or pattern, those that come later, and places by `--from`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use walhouse_kafka::client::{Admin, ConsumedRecord, Consumer, Properties, Start};

use super::origin::WatchFrom;

/// How many records of each partition are looked at before the first one that is shown, so that its former version is
/// known.
const LOOK_BACK: i64 = 10_000;

/// A partition's state.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Where to read on.
    next: Start,
    /// Records before this offset are looked at and not shown.
    shown_from: i64,
    /// The end when it was assigned.
    end: i64,
    /// The offset after the last record that came.
    seen: i64,
}

/// The partitions that are watched.
#[derive(Debug)]
pub(super) struct Topics {
    patterns: Vec<String>,
    from: WatchFrom,
    /// Look at earlier records as well.
    look_back: bool,
    admin: Admin,
    places: BTreeMap<(String, i32), Place>,
    /// The first look is over: a partition that comes now is read from its beginning.
    started: bool,
}

impl Topics {
    pub(super) fn new(
        properties: &Properties,
        patterns: Vec<String>,
        from: WatchFrom,
        look_back: bool,
    ) -> Result<Self> {
        let admin = Admin::new(properties)?;
        Ok(Self { patterns, from, look_back, admin, places: BTreeMap::new(), started: false })
    }

    /// Looks which topics there are and assigns their partitions; true when there are new ones.
    pub(super) async fn refresh(&mut self, consumer: &Consumer) -> Result<bool> {
        let mut found = Vec::new();
        for topic in self.admin.topics().await.context("cannot list the topics")? {
            if self.patterns.iter().any(|pattern| matches(pattern, &topic.name)) {
                found.extend((0..topic.partitions).map(|partition| (topic.name.clone(), i32::try_from(partition))));
            }
        }
        let mut is_new = false;
        for (topic, partition) in found {
            let place = (topic, partition.context("a partition's number is too large")?);
            if !self.places.contains_key(&place) {
                let chosen = self.choose(consumer, &place.0, place.1).await?;
                self.places.insert(place, chosen);
                is_new = true;
            }
        }
        self.started = true;
        if is_new {
            let assignment: Vec<_> =
                self.places.iter().map(|((topic, partition), place)| (topic.clone(), *partition, place.next)).collect();
            consumer.assign(&assignment).await.context("cannot read the topics")?;
        }
        Ok(is_new)
    }

    async fn choose(&self, consumer: &Consumer, topic: &str, partition: i32) -> Result<Place> {
        let ends = consumer.watermarks(topic, partition).await;
        let (first, end) = ends.with_context(|| format!("cannot look at the ends of {topic}-{partition}"))?;
        let place = |next, shown_from| Place { next, shown_from, end, seen: first };
        Ok(match (self.from, self.from.time()) {
            _ if self.started => place(Start::Beginning, first),
            (WatchFrom::Latest, _) if self.look_back => place(Start::Offset(first.max(end - LOOK_BACK)), end),
            (WatchFrom::Latest, _) => Place { seen: end, ..place(Start::Offset(end), end) },
            (_, Some(time)) => place(Start::Time(time), first),
            _ => place(Start::Beginning, first),
        })
    }

    /// Notes that a record came; false when it is only to be looked at.
    pub(super) fn came(&mut self, record: &ConsumedRecord) -> bool {
        let Some(place) = self.places.get_mut(&(record.topic.clone(), record.partition)) else { return false };
        place.next = Start::Offset(record.offset + 1);
        place.seen = record.offset + 1;
        record.offset >= place.shown_from
    }

    /// The topics that were asked for by their full name and are not there.
    pub(super) fn missing(&self) -> Vec<&str> {
        let is_there = |name: &str| self.places.keys().any(|(topic, _)| topic == name);
        let names = self.patterns.iter().map(String::as_str).filter(|name| !name.contains('*'));
        names.filter(|name| !is_there(name)).collect()
    }

    /// Whether everything came that was there when its partition was assigned.
    pub(super) fn is_at_end(&self) -> bool {
        self.places.values().all(|place| place.seen >= place.end)
    }
}

/// Whether a name fits a pattern, in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name) in
            [("a", "a"), ("*", "a.b"), ("a.*", "a.b"), ("*.b", "a.b"), ("a*c*e", "abcde"), ("a*", "a")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a", "ab"), ("a", "b"), ("a.*", "ab"), ("a*a", "a"), ("a*c*e", "ace."), ("*x*y", "yx")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
