//! A topic read as a log: all of it, then what is added, as Connect reads its internal topics.

use std::collections::BTreeSet;

use crate::client::admin::Admin;
use crate::client::consumer::{ConsumedRecord, Consumer, Read, Start};
use crate::client::error::{Error, Result};
use crate::client::properties::Properties;

/// What following a log gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// The next record; records of one partition come in order.
    Record(ConsumedRecord),
    /// Everything that is there now has been given. Comes once after the beginning, and again each time that what was
    /// added has been given.
    End,
}

/// A topic from its beginning.
#[derive(Debug)]
pub struct Log {
    consumer: Consumer,
    topic: String,
    partitions: u32,
    /// Partitions of which nothing more is known to be there.
    ended: BTreeSet<i32>,
}

impl Log {
    /// Opens `topic`, which must be there.
    ///
    /// # Errors
    /// It is not there, or no broker answered.
    pub async fn open(properties: &Properties, topic: &str) -> Result<Self> {
        let found = Admin::new(properties)?.topic(topic).await?;
        let Some(found) = found else {
            let attempt = format!("reading topic {topic}");
            return Err(Error::Refused { attempt, cause: "it is not there".to_owned(), remedy: String::new() });
        };
        let consumer = Consumer::new(properties)?;
        let partitions = 0..i32::try_from(found.partitions).unwrap_or(i32::MAX);
        let places: Vec<_> = partitions.map(|partition| (topic.to_owned(), partition, Start::Beginning)).collect();
        consumer.assign(&places).await?;
        Ok(Self { consumer, topic: topic.to_owned(), partitions: found.partitions, ended: BTreeSet::new() })
    }

    /// The next event, waiting for one. May be dropped while it waits.
    ///
    /// # Errors
    /// A missing right.
    pub async fn next(&mut self) -> Result<LogEvent> {
        loop {
            match self.consumer.read().await? {
                Read::Record(record) => {
                    self.ended.remove(&record.partition);
                    return Ok(LogEvent::Record(record));
                }
                Read::End(partition) => {
                    if self.ended.insert(partition) && self.ended.len() == self.partitions as usize {
                        return Ok(LogEvent::End);
                    }
                }
            }
        }
    }

    /// Every record that is there now.
    ///
    /// # Errors
    /// A missing right.
    pub async fn read_to_end(&mut self) -> Result<Vec<ConsumedRecord>> {
        let mut records = Vec::new();
        while let LogEvent::Record(record) = self.next().await? {
            records.push(record);
        }
        Ok(records)
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }
}
