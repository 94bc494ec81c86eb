//! A topic read as a log: all of it, then what is added, as Connect reads its internal topics.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::client::admin::Admin;
use crate::client::consumer::{ConsumedRecord, Consumer, Read, Start};
use crate::client::error::{Error, Result};
use crate::client::look::Ends;
use crate::client::properties::Properties;

/// A partition that was made a moment ago, or whose broker has just come back, has no leader yet.
const SETTLES: Duration = Duration::from_secs(20);
/// Before its ends are asked for again.
const PAUSE: Duration = Duration::from_millis(100);

/// A topic from its beginning.
#[derive(Debug)]
pub struct Log {
    consumer: Consumer,
    admin: Admin,
    topic: String,
    partitions: Vec<i32>,
    /// By partition, the offset up to which everything was given.
    given: BTreeMap<i32, i64>,
    assigned: bool,
}

impl Log {
    /// Opens `topic`, which must be there.
    ///
    /// # Errors
    /// It is not there, or no broker answered.
    pub async fn open(properties: &Properties, topic: &str) -> Result<Self> {
        let admin = Admin::new(properties)?;
        let Some(found) = admin.topic(topic).await? else {
            let attempt = format!("reading topic {topic}");
            return Err(Error::Refused { attempt, cause: "it is not there".to_owned(), remedy: String::new() });
        };
        Ok(Self {
            consumer: Consumer::new(properties)?,
            admin,
            topic: topic.to_owned(),
            partitions: (0..i32::try_from(found.partitions).unwrap_or(i32::MAX)).collect(),
            given: BTreeMap::new(),
            assigned: false,
        })
    }

    /// The next record, waiting for one; records of one partition come in order. May be dropped while it waits.
    ///
    /// # Errors
    /// A missing right.
    pub async fn next(&mut self) -> Result<ConsumedRecord> {
        if !self.assigned {
            self.assign().await?;
        }
        loop {
            if let Read::Record(record) = self.consumer.read().await? {
                self.given.insert(record.partition, record.offset + 1);
                return Ok(record);
            }
        }
    }

    /// Gives every record that is there when it is called, and perhaps some that are added meanwhile: where records
    /// never cease to come, it comes to an end all the same.
    ///
    /// # Errors
    /// A missing right, or no broker answered.
    pub async fn each_to_end(&mut self, mut each: impl FnMut(ConsumedRecord)) -> Result<()> {
        // What is there already, so that no former news that a partition has no more is taken for a new one.
        while let Some(read) = self.assigned.then(|| self.consumer.read().now_or_never()).flatten() {
            if let Read::Record(record) = read? {
                self.given.insert(record.partition, record.offset + 1);
                each(record);
            }
        }
        let ends = self.ends().await?;
        // After the ends were asked for: that a partition has no more is found out later than that.
        if !self.assigned {
            self.assign().await?;
        }
        let is_left = |ends: &Ends| self.given.get(&ends.partition).copied().unwrap_or(ends.first) < ends.end;
        let mut left: BTreeMap<i32, i64> =
            ends.iter().filter(|ends| is_left(ends)).map(|ends| (ends.partition, ends.end)).collect();
        while !left.is_empty() {
            match self.consumer.read().await? {
                Read::Record(record) => {
                    let after = record.offset + 1;
                    if left.get(&record.partition).is_some_and(|end| after >= *end) {
                        left.remove(&record.partition);
                    }
                    self.given.insert(record.partition, after);
                    each(record);
                }
                // Behind the last record there may be marks of transactions.
                Read::End(partition) => {
                    if let Some(end) = left.remove(&partition) {
                        self.given.insert(partition, end);
                    }
                }
            }
        }
        Ok(())
    }

    /// What [`Log::each_to_end`] gives, at once.
    ///
    /// # Errors
    /// As of [`Log::each_to_end`].
    pub async fn read_to_end(&mut self) -> Result<Vec<ConsumedRecord>> {
        let mut records = Vec::new();
        self.each_to_end(|record| records.push(record)).await?;
        Ok(records)
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    async fn assign(&mut self) -> Result<()> {
        let place = |partition: &i32| (self.topic.clone(), *partition, Start::Beginning);
        self.consumer.assign(&self.partitions.iter().map(place).collect::<Vec<_>>()).await?;
        self.assigned = true;
        Ok(())
    }

    async fn ends(&self) -> Result<Vec<Ends>> {
        let deadline = Instant::now() + SETTLES;
        loop {
            match self.admin.ends(&self.topic, &self.partitions).await {
                Err(error) if Instant::now() < deadline => {
                    tracing::debug!(topic = self.topic, %error, "asking for the ends again");
                    tokio::time::sleep(PAUSE).await;
                }
                answer => return answer,
            }
        }
    }
}
