//! A Kafka cluster.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;
use walhouse_change::BoxFuture;

use super::Result;

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Broker {
    /// Its id.
    pub id: i32,
    /// Where clients reach it.
    pub host: String,
    /// Its port.
    pub port: i32,
    /// Its rack.
    pub rack: Option<String>,
    /// Whether it is the controller; null where the client library cannot tell.
    pub controller: Option<bool>,
}

/// One partition as the metadata tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMeta {
    /// Its number.
    pub id: i32,
    /// The broker that leads it; -1 when none does.
    pub leader: i32,
    /// Brokers that should have it, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Brokers that have all of it.
    pub in_sync: Vec<i32>,
}

/// One topic as the metadata tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMeta {
    /// Its name.
    pub name: String,
    /// In order of their numbers.
    pub partitions: Vec<PartitionMeta>,
}

/// The cluster, from one metadata request: no offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// In order of their ids.
    pub brokers: Vec<Broker>,
    /// In name order.
    pub topics: Vec<TopicMeta>,
}

/// Where a partition begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Watermarks {
    /// The partition.
    pub partition: i32,
    /// Offset of the first message that is kept.
    pub first: i64,
    /// Offset that the next message gets.
    pub end: i64,
}

/// One setting of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TopicSetting {
    /// Its name.
    pub name: String,
    /// Its value; null when it is secret or has none.
    pub value: Option<String>,
    /// It is not set for this topic.
    pub default: bool,
    /// It cannot be changed.
    pub read_only: bool,
}

/// A consumer group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// In the broker's words: `Stable`, `Empty`, `Dead`, ...
    pub state: String,
    /// Its assignment strategy.
    pub protocol: String,
    /// Who is in it.
    pub members: Vec<GroupMember>,
}

/// A member of a consumer group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct GroupMember {
    /// Given by the broker.
    pub id: String,
    /// Given by the client.
    pub client_id: String,
    /// Where it comes from.
    pub host: String,
}

/// Where a group stands in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset that the group reads.
    pub offset: i64,
}

/// One access rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Acl {
    /// The resource's name or pattern.
    pub name: String,
    /// `TOPIC`, `GROUP`, ...
    pub resource_type: String,
    /// `LITERAL`, `PREFIXED`.
    pub pattern_type: String,
    /// Who.
    pub principal: String,
    /// From where.
    pub host: String,
    /// What: `READ`, `WRITE`, ...
    pub operation: String,
    /// `ALLOW` or `DENY`.
    pub permission_type: String,
}

/// A message as the broker keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: Option<i64>,
    /// None when it has none.
    pub key: Option<Vec<u8>>,
    /// None for a tombstone.
    pub value: Option<Vec<u8>>,
    /// In order; a name may come twice.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A stretch of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub from: i64,
    /// One past the last offset; none: go on for ever.
    pub until: Option<i64>,
}

/// Messages as they are read. Dropping it ends the reading.
pub trait Reader: Send {
    /// The next message, of whatever partition has one; none when all stretches are read.
    /// A stretch without `until` has no end: the future waits for its next message. A future that is
    /// dropped loses no message.
    ///
    /// # Errors
    /// The cluster cannot be reached, or refuses.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Record>>>;
}

/// A topic that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// How many copies of each; none: the cluster's default.
    pub replication: Option<i32>,
    /// Settings that differ from the cluster's.
    pub settings: BTreeMap<String, String>,
}

/// A message that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// The topic.
    pub topic: String,
    /// The partition; none: by the key.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value; none is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// A Kafka cluster. Each call is one or few requests; none holds a lock that another waits for.
pub trait Topics: Send + Sync {
    /// The addresses that clients begin with.
    fn bootstrap(&self) -> String;

    /// Brokers, topics and partitions, by one metadata request.
    ///
    /// # Errors
    /// The cluster cannot be reached.
    fn cluster(&self) -> BoxFuture<'_, Result<Cluster>>;

    /// Where the partitions of a topic begin and end.
    ///
    /// # Errors
    /// There is no such topic, or the cluster cannot be reached.
    fn watermarks<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<Watermarks>>>;

    /// The first offset of each partition whose message is not older than a time; the end of the
    /// partition where all are.
    ///
    /// # Errors
    /// As [`Self::watermarks`].
    fn offsets_at<'a>(&'a self, topic: &'a str, at_ms: i64) -> BoxFuture<'a, Result<Vec<(i32, i64)>>>;

    /// A topic's settings.
    ///
    /// # Errors
    /// As [`Self::watermarks`].
    fn settings<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<TopicSetting>>>;

    /// All consumer groups.
    ///
    /// # Errors
    /// The cluster cannot be reached.
    fn groups(&self) -> BoxFuture<'_, Result<Vec<Group>>>;

    /// Where a group stands, in every partition it has committed to among those of `topics`.
    ///
    /// # Errors
    /// The cluster cannot be reached.
    fn committed<'a>(&'a self, group: &'a str, topics: &'a [TopicMeta]) -> BoxFuture<'a, Result<Vec<Committed>>>;

    /// Access rules.
    ///
    /// # Errors
    /// `Missing` when the client library cannot, `Refused` when the cluster has none.
    fn acls(&self) -> BoxFuture<'_, Result<Vec<Acl>>>;

    /// Begins to read.
    ///
    /// # Errors
    /// The cluster cannot be reached.
    fn read<'a>(&'a self, topic: &'a str, stretches: Vec<Stretch>) -> BoxFuture<'a, Result<Box<dyn Reader>>>;

    /// Makes a topic.
    ///
    /// # Errors
    /// `Conflict` when it exists, or the cluster refuses.
    fn create<'a>(&'a self, topic: &'a NewTopic) -> BoxFuture<'a, Result<()>>;

    /// Deletes a topic with all its messages.
    ///
    /// # Errors
    /// `NotFound`, `Refused` when a connector that runs here owns it, or the cluster refuses.
    fn delete<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Sends a message; the partition and offset that it got.
    ///
    /// # Errors
    /// The cluster refuses.
    fn send<'a>(&'a self, message: &'a NewMessage) -> BoxFuture<'a, Result<(i32, i64)>>;
}

/// A schema registry of Confluent's kind.
pub trait Registry: Send + Sync {
    /// The schema of an id: its kind (`AVRO`, `PROTOBUF`, `JSON`) and its text.
    ///
    /// # Errors
    /// `NotFound`, or the registry cannot be reached.
    fn schema(&self, id: u32) -> BoxFuture<'_, Result<(String, String)>>;
}
