//! A reader of chosen partitions from chosen places, outside of any consumer group.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::task::spawn_blocking;

use crate::client::context::Context;
use crate::client::error::{Error, Result};
use crate::client::java::Role;
use crate::client::properties::{Properties, property_error};
use crate::record::RecordHeader;

/// How long a look-up may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The group that readers name; nothing is committed, and nobody joins it.
const GROUP: &str = "walhouse";

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The oldest record there is.
    Beginning,
    /// After the newest.
    End,
    /// This offset, or the next there is.
    Offset(i64),
    /// This many before the end.
    Tail(i64),
    /// The first record at or after this time, milliseconds since 1970; the end when there is none.
    Time(i64),
}

/// A record as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsumedRecord {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Milliseconds since 1970, as the producer or the broker set it.
    pub timestamp: Option<i64>,
    /// The key's bytes, none for null.
    pub key: Option<Bytes>,
    /// The value's bytes, none for a tombstone.
    pub value: Option<Bytes>,
    /// Headers in order.
    pub headers: Vec<RecordHeader>,
}

/// Shows sizes, never contents: they are users' rows.
impl fmt::Debug for ConsumedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumedRecord")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("key_bytes", &self.key.as_ref().map(Bytes::len))
            .field("value_bytes", &self.value.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

/// What a read gave.
#[derive(Debug)]
pub enum Read {
    /// A record.
    Record(ConsumedRecord),
    /// Nothing newer in this partition now.
    End(i32),
}

/// Reads partitions. What a transaction has not committed is not seen, unless `isolation.level` says otherwise.
pub struct Consumer {
    inner: Arc<StreamConsumer<Context>>,
    bootstrap: Arc<str>,
}

impl Consumer {
    /// Starts one, with nothing assigned; no broker needs to be up yet.
    ///
    /// # Errors
    /// A property that cannot be used.
    pub fn new(properties: &Properties) -> Result<Self> {
        let defaults = [
            ("group.id", GROUP.to_owned()),
            ("enable.auto.commit", "false".to_owned()),
            ("enable.auto.offset.store", "false".to_owned()),
            ("enable.partition.eof", "true".to_owned()),
            ("auto.offset.reset", "earliest".to_owned()),
            ("isolation.level", "read_committed".to_owned()),
            // What is fetched ahead, in all; the library's own default is 64 MiB per partition.
            ("queued.max.messages.kbytes", "16384".to_owned()),
            // A record shows as soon as it is there.
            ("fetch.wait.max.ms", "100".to_owned()),
        ];
        let config = properties.config(Role::Consumer, &defaults)?;
        let inner = config.create_with_context(Context::default()).map_err(|error| property_error(&error))?;
        Ok(Self { inner: Arc::new(inner), bootstrap: properties.bootstrap().into() })
    }

    /// Reads these partitions, and no others, from now on.
    ///
    /// # Errors
    /// No broker answered when a time had to be looked up.
    pub async fn assign(&self, places: &[(String, i32, Start)]) -> Result<()> {
        let mut times = TopicPartitionList::new();
        let mut list = TopicPartitionList::new();
        for (topic, partition, start) in places {
            let (list, offset) = match start {
                Start::Beginning => (&mut list, Offset::Beginning),
                Start::End => (&mut list, Offset::End),
                Start::Offset(offset) => (&mut list, Offset::Offset(*offset)),
                Start::Tail(count) => (&mut list, Offset::OffsetTail(*count)),
                Start::Time(time) => (&mut times, Offset::Offset(*time)),
            };
            let added = list.add_partition_offset(topic, *partition, offset);
            added.map_err(|error| self.error("assigning partitions", &error))?;
        }
        if times.count() > 0 {
            for element in self.offsets_at(times).await?.elements() {
                // -1 where nothing is as new.
                let offset =
                    if let Offset::Offset(offset) = element.offset() { Offset::Offset(offset) } else { Offset::End };
                let added = list.add_partition_offset(element.topic(), element.partition(), offset);
                added.map_err(|error| self.error("assigning partitions", &error))?;
            }
        }
        self.inner.assign(&list).map_err(|error| self.error("assigning partitions", &error))?;
        // The library remembers beyond an assignment that a partition was paused.
        self.inner.resume(&list).map_err(|error| self.error("assigning partitions", &error))
    }

    /// The next record, waiting for one to be written. May be dropped while it waits.
    ///
    /// # Errors
    /// A missing right, or a topic that is not there.
    pub async fn next(&self) -> Result<ConsumedRecord> {
        loop {
            if let Read::Record(record) = self.read().await? {
                return Ok(record);
            }
        }
    }

    /// A partition's first offset and the one after its last.
    ///
    /// # Errors
    /// The partition is not there, or no broker answered.
    pub async fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64)> {
        let attempt = format!("asking for the ends of {topic}-{partition}");
        let (inner, name) = (Arc::clone(&self.inner), topic.to_owned());
        let answer = spawn_blocking(move || inner.fetch_watermarks(&name, partition, PATIENCE)).await;
        let answer = answer.map_err(|_| Error::Closed { attempt: attempt.clone() })?;
        answer.map_err(|error| self.error(&attempt, &error))
    }

    /// Reads nothing more of a partition, until others are assigned.
    ///
    /// # Errors
    /// It is not one of those that are assigned.
    pub fn pause(&self, topic: &str, partition: i32) -> Result<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        self.inner.pause(&list).map_err(|error| self.error("pausing a partition", &error))
    }

    /// The first offset of each partition whose record is not older than a time (milliseconds since 1970); none
    /// where all are older.
    ///
    /// # Errors
    /// No broker answered.
    pub async fn first_since(&self, topic: &str, partitions: &[i32], at: i64) -> Result<Vec<(i32, Option<i64>)>> {
        let mut times = TopicPartitionList::new();
        for partition in partitions {
            let added = times.add_partition_offset(topic, *partition, Offset::Offset(at));
            added.map_err(|error| self.error("looking up a time", &error))?;
        }
        let found = self.offsets_at(times).await?;
        let offset = |offset| if let Offset::Offset(offset) = offset { Some(offset) } else { None };
        Ok(found.elements().iter().map(|element| (element.partition(), offset(element.offset()))).collect())
    }

    /// What comes next, waiting for it: a record, or that a partition has none that is newer. May be dropped while it
    /// waits.
    ///
    /// # Errors
    /// A missing right, or a topic that is not there.
    pub async fn read(&self) -> Result<Read> {
        loop {
            let error = match self.inner.recv().await {
                Ok(message) => return Ok(Read::Record(record(&message))),
                Err(KafkaError::PartitionEOF(partition)) => return Ok(Read::End(partition)),
                Err(error) => error,
            };
            let code = error.rdkafka_error_code();
            if code.is_some_and(is_lasting) || matches!(error, KafkaError::MessageConsumptionFatal(_)) {
                return Err(self.error("reading", &error));
            }
            tracing::debug!(%error, "reading goes on");
        }
    }

    async fn offsets_at(&self, times: TopicPartitionList) -> Result<TopicPartitionList> {
        const ATTEMPT: &str = "looking up a time";
        let inner = Arc::clone(&self.inner);
        let answer = spawn_blocking(move || inner.offsets_for_times(times, PATIENCE)).await;
        let answer = answer.map_err(|_| Error::Closed { attempt: ATTEMPT.to_owned() })?;
        answer.map_err(|error| self.error(ATTEMPT, &error))
    }

    fn error(&self, attempt: &str, error: &KafkaError) -> Error {
        Error::from_kafka(&self.bootstrap, attempt, error)
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("bootstrap", &self.bootstrap).finish_non_exhaustive()
    }
}

/// What waiting does not mend. A topic that is not known is: it may have been made a moment ago.
fn is_lasting(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(code, Code::TopicAuthorizationFailed | Code::SaslAuthenticationFailed | Code::Authentication)
}

fn record(message: &BorrowedMessage<'_>) -> ConsumedRecord {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    ConsumedRecord {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: headers
            .map(|header| RecordHeader { name: header.key.into(), value: header.value.map(Bytes::copy_from_slice) })
            .collect(),
    }
}
