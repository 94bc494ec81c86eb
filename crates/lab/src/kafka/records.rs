//! Reading topics from outside: every record there is, in bytes, and topics to be made.
//!
//! This is librdkafka as its own makers wrap it, and none of walhouse's code.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use crate::error::{Attempt, Error, Result};

/// How long one answer of a broker is waited for.
const ANSWER: Duration = Duration::from_secs(20);
/// How long the next record is waited for, when the end of the partition says that there is one.
const NEXT_RECORD: Duration = Duration::from_secs(30);

/// Between two tries.
const AGAIN: Duration = Duration::from_millis(50);

/// One record as it lies in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its time, in milliseconds since 1970; -1 when it has none.
    pub timestamp: i64,
    /// The key's bytes; none when it is null.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; none for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers in their order, each with its bytes or null.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// The position after the last record of each partition.
pub type Ends = BTreeMap<(String, i32), i64>;

/// A reader on one cluster. Its methods wait for the broker: call them where that is allowed.
pub struct Reader {
    consumer: BaseConsumer,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader of committed records on the brokers `bootstrap`.
    pub fn new(bootstrap: &str) -> Result<Self> {
        Self::with_isolation(bootstrap, "read_committed")
    }

    /// A reader that also sees what open or aborted transactions wrote.
    pub fn uncommitted(bootstrap: &str) -> Result<Self> {
        Self::with_isolation(bootstrap, "read_uncommitted")
    }

    fn with_isolation(bootstrap: &str, isolation: &str) -> Result<Self> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            // librdkafka asks for a group and never joins it: partitions are assigned by hand.
            .set("group.id", "walhouse-lab")
            .set("enable.auto.commit", "false")
            .set("isolation.level", isolation)
            .set("fetch.wait.max.ms", "50")
            .set("enable.partition.eof", "true")
            .create()
            .attempt("connecting to Kafka")?;
        Ok(Self { consumer })
    }

    /// The names of all topics, sorted, but for Kafka's own (`__consumer_offsets`, ..).
    pub fn topics(&self) -> Result<Vec<String>> {
        let metadata = self.consumer.fetch_metadata(None, ANSWER).attempt("listing topics")?;
        let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with("__")).collect();
        names.sort();
        Ok(names)
    }

    /// How many partitions a topic has; 0 when there is no such topic.
    pub fn partitions(&self, topic: &str) -> Result<usize> {
        // Asking for one topic by name would create it.
        let metadata = self.consumer.fetch_metadata(None, ANSWER).attempt("listing topics")?;
        Ok(metadata.topics().iter().find(|it| it.name() == topic).map_or(0, |it| it.partitions().len()))
    }

    /// The end of every partition of these topics. A topic that does not exist has none.
    pub fn ends(&self, topics: &[String]) -> Result<Ends> {
        let mut ends = Ends::new();
        for topic in topics {
            for partition in 0..self.partitions(topic)? {
                let partition = i32::try_from(partition).unwrap_or(i32::MAX);
                ends.insert((topic.clone(), partition), self.end(topic, partition)?);
            }
        }
        Ok(ends)
    }

    /// A partition that was made a moment ago has no leader yet: it is asked again.
    fn end(&self, topic: &str, partition: i32) -> Result<i64> {
        let deadline = Instant::now() + ANSWER;
        loop {
            match self.consumer.fetch_watermarks(topic, partition, ANSWER) {
                Ok((_, end)) => return Ok(end),
                Err(error) if is_early(&error) && Instant::now() < deadline => std::thread::sleep(AGAIN),
                Err(error) => return Err(error).attempt("asking for a partition's end"),
            }
        }
    }

    /// All records of these topics that are there now, by topic, partition and offset.
    pub fn all(&self, topics: &[String]) -> Result<Vec<Record>> {
        self.between(&Ends::new(), &self.ends(topics)?)
    }

    /// All records before `ends`, each partition from its position in `starts` (from its beginning when it has none),
    /// by topic, partition and offset.
    pub fn between(&self, starts: &Ends, ends: &Ends) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for ((topic, partition), &end) in ends {
            let start = starts.get(&(topic.clone(), *partition)).copied().unwrap_or(0);
            if start < end {
                self.partition(topic, *partition, start, end, &mut records)?;
            }
        }
        self.consumer.unassign().attempt("reading a partition")?;
        Ok(records)
    }

    fn partition(&self, topic: &str, partition: i32, start: i64, end: i64, into: &mut Vec<Record>) -> Result<()> {
        let offset = if start == 0 { Offset::Beginning } else { Offset::Offset(start) };
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, partition, offset).attempt("reading a partition")?;
        self.consumer.assign(&assignment).attempt("reading a partition")?;
        let mut deadline = Instant::now() + NEXT_RECORD;
        loop {
            match self.consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => {
                    deadline = Instant::now() + NEXT_RECORD;
                    if message.offset() < end {
                        into.push(record(&message));
                    }
                    if message.offset() + 1 >= end {
                        return Ok(());
                    }
                }
                // The last offsets may be a transaction's markers, which are no records: then the end is all there is.
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) => return Err(error).attempt("reading a partition"),
                None if Instant::now() > deadline => {
                    return Err(Error::Timeout {
                        waited_for: format!("the next record of {topic}-{partition}"),
                        seconds: NEXT_RECORD.as_secs(),
                        last: format!("{} records so far, the end is {end}", into.len()),
                    });
                }
                None => {}
            }
        }
    }
}

fn is_early(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let codes =
        [Code::NotLeaderForPartition, Code::LeaderNotAvailable, Code::UnknownTopicOrPartition, Code::UnknownPartition];
    error.rdkafka_error_code().is_some_and(|code| codes.contains(&code))
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    let headers = message.headers().map(|headers| {
        let one =
            |header: rdkafka::message::Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
        headers.iter().map(one).collect()
    });
    Record {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().unwrap_or(-1),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.unwrap_or_default(),
    }
}

/// Makes a topic with one copy; `settings` are Kafka's own, such as `("cleanup.policy", "compact")`.
pub async fn create_topic(bootstrap: &str, name: &str, partitions: i32, settings: &[(&str, &str)]) -> Result<()> {
    let admin = admin(bootstrap)?;
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    for (key, value) in settings {
        topic = topic.set(key, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(ANSWER));
    let results = admin.create_topics([&topic], &options).await.attempt("making a topic")?;
    results.into_iter().try_for_each(|result| result.map(drop).map_err(|(name, code)| refused("making", &name, code)))
}

/// Deletes topics.
pub async fn delete_topics(bootstrap: &str, names: &[String]) -> Result<()> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let options = AdminOptions::new().operation_timeout(Some(ANSWER));
    let results = admin(bootstrap)?.delete_topics(&names, &options).await.attempt("deleting topics")?;
    results.into_iter().try_for_each(|result| result.map(drop).map_err(|(name, code)| refused("deleting", &name, code)))
}

fn refused(attempt: &str, topic: &str, code: RDKafkaErrorCode) -> Error {
    Error::Invalid(format!("{attempt} the topic {topic} failed: {code}"))
}

fn admin(bootstrap: &str) -> Result<AdminClient<DefaultClientContext>> {
    ClientConfig::new().set("bootstrap.servers", bootstrap).create().attempt("connecting to Kafka")
}
