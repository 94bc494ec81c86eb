//! Topics as they are: how many partitions, whether they are still the ones they were, and groups that are free.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use walhouse_clickhouse::TopicState;
use walhouse_clickhouse::kafka::{Found, Mark, Verdict, decide};
use walhouse_kafka::client::{Admin, Consumer, NewTopic, Properties, Start};

/// For one record to come; brokers answer in milliseconds.
const READ_PATIENCE: Duration = Duration::from_secs(5);

/// A new partition's leader is elected in a fraction of a second, on a busy machine in some more.
const LEADER_PATIENCE: Duration = Duration::from_secs(10);
const LEADER_PAUSE: Duration = Duration::from_millis(100);

/// Group names that are tried before we give up.
const GROUP_TRIES: usize = 100;

/// A cluster to look at.
pub(crate) struct Cluster {
    admin: Admin,
    properties: Properties,
}

impl Cluster {
    pub(crate) fn new(properties: Properties) -> Result<Self> {
        Ok(Self { admin: Admin::new(&properties)?, properties })
    }

    /// Makes a topic as the connector would, so that the reader need not wait to hear of it. False if it was there.
    pub(crate) async fn create(&self, name: &str, partitions: i32, replication: i32) -> Result<bool> {
        if self.admin.topic(name).await?.is_some() {
            return Ok(false);
        }
        Ok(self.admin.create(&NewTopic { name: name.to_owned(), partitions, replication, settings: [].into() }).await?)
    }

    /// Holds a topic against what is remembered of it, and remembers how it is now; none if it is not there.
    pub(crate) async fn look(&self, name: &str, state: &mut TopicState) -> Result<Option<Verdict>> {
        let Some(topic) = self.admin.topic(name).await? else { return Ok(None) };
        let known = state.topic == name && state.partitions > 0;
        let consumer = Consumer::new(&self.properties)?;
        let mut found = Vec::with_capacity(topic.partitions as usize);
        let mut marks = std::collections::BTreeMap::new();
        for number in 0..topic.partitions {
            let number = i32::try_from(number).context("a topic has too many partitions")?;
            let (low, high) = self.ends(name, number).await?;
            let at_mark = match state.marks.get(&number).filter(|mark| known && (low..high).contains(&mark.offset)) {
                Some(mark) => time_at(&consumer, name, number, mark.offset).await?,
                None => None,
            };
            found.push(Found { low, high, at_mark });
            if let Some(mark) = last(&consumer, name, number, low, high).await? {
                marks.insert(number, mark);
            }
        }
        let (verdict, epochs) = match known {
            true => decide(&state.epochs, state.partitions, &state.marks, &found),
            false => (Verdict::Same, state.epochs.clone()),
        };
        state.epochs = epochs;
        state.partitions = found.len();
        state.marks = marks;
        Ok(Some(verdict))
    }

    /// A partition's first offset and the one after its last. A topic that was just made has no leader for a moment.
    async fn ends(&self, topic: &str, partition: i32) -> Result<(i64, i64)> {
        let deadline = Instant::now() + LEADER_PATIENCE;
        loop {
            match self.admin.watermarks(topic, partition).await {
                Err(_) if Instant::now() < deadline => tokio::time::sleep(LEADER_PAUSE).await,
                ends => return Ok(ends?),
            }
        }
    }

    /// A group that has read nothing of the topic yet: one that has would begin in the middle.
    pub(crate) async fn free_group(&self, wanted: &str, topic: &str) -> Result<String> {
        let partitions = self.admin.topic(topic).await?.map_or(0, |topic| topic.partitions);
        for number in 1..=GROUP_TRIES {
            let name = if number == 1 { wanted.to_owned() } else { format!("{wanted}-{number}") };
            if partitions == 0 || self.admin.committed(&name, topic, partitions).await?.is_empty() {
                return Ok(name);
            }
        }
        bail!("the consumer groups {wanted}, {wanted}-2 and so on have all read {topic} already: delete them")
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

/// Time of the record at an offset; none if there is no record there.
async fn time_at(consumer: &Consumer, topic: &str, partition: i32, offset: i64) -> Result<Option<i64>> {
    consumer.assign(&[(topic.to_owned(), partition, Start::Offset(offset))]).await?;
    match tokio::time::timeout(READ_PATIENCE, consumer.next()).await {
        Ok(record) => Ok(Some(record?).filter(|record| record.offset == offset).and_then(|record| record.timestamp)),
        Err(_) => Ok(None),
    }
}

/// The last record of a partition; the last offsets of a topic that transactions write to hold none.
async fn last(consumer: &Consumer, topic: &str, partition: i32, low: i64, high: i64) -> Result<Option<Mark>> {
    for back in 1..=3 {
        let offset = high - back;
        if offset < low {
            break;
        }
        if let Some(time) = time_at(consumer, topic, partition, offset).await? {
            return Ok(Some(Mark { offset, time }));
        }
    }
    Ok(None)
}
