//! The cluster as who shows it needs it: every partition's place, ends and offsets of many partitions at once.

use std::time::Instant;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataPartition, MetadataTopic};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::task::spawn_blocking;

use crate::client::admin::{Admin, Broker, PATIENCE, SETTLE_PAUSE, broker};
use crate::client::error::{Error, Result};
use crate::client::java::Role;

/// Threads that ask for the ends of a topic's partitions: each partition is a question of its own, and brokers
/// answer many at a time.
const ASKERS: usize = 8;

/// Brokers, topics and partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// In order of their numbers.
    pub brokers: Vec<Broker>,
    /// By name.
    pub topics: Vec<TopicLayout>,
}

/// A topic and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicLayout {
    /// Its name.
    pub name: String,
    /// In order of their numbers.
    pub partitions: Vec<PartitionLayout>,
}

/// Where a partition lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionLayout {
    /// Its number.
    pub id: i32,
    /// The broker that leads it, -1 when none does.
    pub leader: i32,
    /// Brokers that should have it, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Brokers that have all of it.
    pub in_sync: Vec<i32>,
}

/// A partition's ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The partition.
    pub partition: i32,
    /// Offset of the first record that is kept.
    pub first: i64,
    /// The offset that the next record gets.
    pub end: i64,
}

/// Where a group stands in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset that the group reads.
    pub offset: i64,
}

impl Admin {
    /// The whole cluster, by one request.
    ///
    /// # Errors
    /// No broker answered.
    pub async fn cluster(&self) -> Result<Cluster> {
        Ok(cluster(&self.metadata("looking at the cluster").await?))
    }

    /// The ends of these partitions, transactions and gaps included.
    ///
    /// # Errors
    /// A partition is not there, or no broker answered.
    pub async fn ends(&self, topic: &str, partitions: &[i32]) -> Result<Vec<Ends>> {
        let attempt = format!("asking for the ends of {topic}");
        let size = partitions.len().div_ceil(ASKERS).max(1);
        let asked = partitions.chunks(size).map(|some| {
            let (name, some) = (topic.to_owned(), some.to_vec());
            self.ask(&attempt, move |client| {
                let ends = |&partition: &i32| {
                    let (first, end) = client.fetch_watermarks(&name, partition, PATIENCE)?;
                    Ok(Ends { partition, first, end })
                };
                some.iter().map(ends).collect::<std::result::Result<Vec<_>, _>>()
            })
        });
        let mut all = Vec::with_capacity(partitions.len());
        for some in futures_util::future::join_all(asked).await {
            all.extend(some?);
        }
        Ok(all)
    }

    /// The offsets that a group has committed among these partitions; those without one are left out.
    ///
    /// # Errors
    /// No broker answered, or the right to read the group is missing.
    pub async fn committed_in(&self, group: &str, partitions: &[(String, i32)]) -> Result<Vec<GroupOffset>> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let config = self.properties.clone().with("group.id", group).with("enable.auto.commit", "false");
        let config = config.config(Role::Consumer, &[])?;
        let mut asked = TopicPartitionList::new();
        for (topic, partition) in partitions {
            asked.add_partition(topic, *partition);
        }
        let attempt = format!("reading the offsets of group {group}");
        // No member of the group: it only carries the name with which offsets are asked for.
        let answered = spawn_blocking(move || {
            let consumer: BaseConsumer = config.create()?;
            let deadline = Instant::now() + PATIENCE;
            loop {
                match consumer.committed_offsets(asked.clone(), PATIENCE) {
                    // A cluster's first group makes its coordinator.
                    Err(error) if coordinator_is_coming(&error) && Instant::now() < deadline => {
                        std::thread::sleep(SETTLE_PAUSE);
                    }
                    answer => return answer,
                }
            }
        });
        let answered = answered.await.map_err(|_| Error::Closed { attempt: attempt.clone() })?;
        let answered = answered.map_err(|error| Error::from_kafka(&self.bootstrap, &attempt, &error))?;
        let elements = answered.elements();
        let offset = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element.offset() {
            Offset::Offset(offset) => {
                Some(GroupOffset { topic: element.topic().to_owned(), partition: element.partition(), offset })
            }
            _ => None,
        };
        Ok(elements.iter().filter_map(offset).collect())
    }
}

fn cluster(metadata: &Metadata) -> Cluster {
    let mut brokers: Vec<Broker> = metadata.brokers().iter().map(broker).collect();
    brokers.sort_by_key(|broker| broker.id);
    let mut topics: Vec<TopicLayout> = metadata.topics().iter().map(topic).collect();
    topics.sort_by(|one, other| one.name.cmp(&other.name));
    Cluster { brokers, topics }
}

fn topic(topic: &MetadataTopic) -> TopicLayout {
    let partition = |partition: &MetadataPartition| PartitionLayout {
        id: partition.id(),
        leader: partition.leader(),
        replicas: partition.replicas().to_vec(),
        in_sync: partition.isr().to_vec(),
    };
    let mut partitions: Vec<PartitionLayout> = topic.partitions().iter().map(partition).collect();
    partitions.sort_by_key(|partition| partition.id);
    TopicLayout { name: topic.name().to_owned(), partitions }
}

fn coordinator_is_coming(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let code = error.rdkafka_error_code();
    code.is_some_and(|code| {
        matches!(code, Code::NotCoordinator | Code::CoordinatorNotAvailable | Code::CoordinatorLoadInProgress)
    })
}
