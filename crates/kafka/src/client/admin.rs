//! The administrator: topics, their settings, brokers, consumer groups.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic as NativeTopic, ResourceSpecifier};
use rdkafka::admin::{ConfigSource, TopicReplication, TopicResult};
use rdkafka::client::Client;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataTopic};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::client::context::Context;
use crate::client::error::{Error, Result};
use crate::client::java::Role;
use crate::client::properties::{Properties, property_error};

/// How long one question may take. Brokers answer in milliseconds; this covers one that is just starting.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How often, and how far apart, to look whether a new topic is known everywhere: five seconds in all.
const SETTLE_LOOKS: usize = 100;
pub(super) const SETTLE_PAUSE: Duration = Duration::from_millis(50);

/// A topic as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: u32,
    /// Copies of each, in-sync or not.
    pub replicas: u32,
    /// The least number of in-sync copies among its partitions.
    pub in_sync: u32,
    /// Partitions without a leader, which cannot be read or written now.
    pub leaderless: u32,
}

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Partitions, -1 for the broker's default.
    pub partitions: i32,
    /// Copies, -1 for the broker's default.
    pub replication: i32,
    /// Settings such as `cleanup.policy`.
    pub settings: BTreeMap<String, String>,
}

impl NewTopic {
    /// Compacted, so that the last record of each key stays.
    #[must_use]
    pub fn compacted(name: &str, partitions: i32, replication: i32) -> Self {
        let settings = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
        Self { name: name.to_owned(), partitions, replication, settings }
    }
}

/// A topic's setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its value; none when the broker keeps it secret.
    pub value: Option<String>,
    /// Whether it was set for this topic, and is not a default.
    pub is_own: bool,
    /// Whether it cannot be changed.
    pub is_read_only: bool,
}

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its number.
    pub id: i32,
    /// `host:port` as it advertises it.
    pub address: String,
}

/// A consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// `Stable`, `Empty`, `PreparingRebalance`, ...
    pub state: String,
    /// `consumer`, or `connect` for Connect workers; empty for a group without members.
    pub protocol_type: String,
    /// How its members share partitions, such as `range`; empty for a group without members.
    pub protocol: String,
    /// Who is in it now.
    pub members: Vec<GroupMember>,
}

/// A member of a consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Its id in the group.
    pub id: String,
    /// Its `client.id`.
    pub client: String,
    /// Where it connects from.
    pub host: String,
}

/// Asks and changes a cluster. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    client: Arc<AdminClient<Context>>,
    pub(super) properties: Properties,
    pub(super) bootstrap: Arc<str>,
}

impl Admin {
    /// Starts one; no broker needs to be up yet.
    ///
    /// # Errors
    /// A property that cannot be used.
    pub fn new(properties: &Properties) -> Result<Self> {
        let config = properties.config(Role::Admin, &[])?;
        let client = config.create_with_context(Context::default()).map_err(|error| property_error(&error))?;
        let bootstrap = properties.bootstrap().into();
        Ok(Self { client: Arc::new(client), properties: properties.clone(), bootstrap })
    }

    /// The cluster's id.
    ///
    /// # Errors
    /// No broker answered.
    pub async fn cluster_id(&self) -> Result<String> {
        // The id is known as soon as metadata is; asking for metadata first gives the reason when there is none.
        self.brokers().await?;
        let id = self.ask("asking for the cluster's id", |client| Ok(client.fetch_cluster_id(PATIENCE))).await?;
        Ok(id.unwrap_or_default())
    }

    /// All brokers.
    ///
    /// # Errors
    /// No broker answered.
    pub async fn brokers(&self) -> Result<Vec<Broker>> {
        Ok(self.metadata("listing brokers").await?.brokers().iter().map(broker).collect())
    }

    /// All topics, by name.
    ///
    /// # Errors
    /// No broker answered.
    pub async fn topics(&self) -> Result<Vec<Topic>> {
        let metadata = self.metadata("listing topics").await?;
        let mut topics: Vec<Topic> = metadata.topics().iter().map(topic).collect();
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(topics)
    }

    /// One topic, none when it is not there. Asking does not create it.
    ///
    /// # Errors
    /// No broker answered.
    pub async fn topic(&self, name: &str) -> Result<Option<Topic>> {
        // All topics are asked for, because asking for one by name makes brokers create it.
        let metadata = self.metadata(&format!("looking for topic {name}")).await?;
        Ok(metadata.topics().iter().find(|topic| topic.name() == name).map(topic))
    }

    /// Makes a topic; false when it was there already.
    ///
    /// # Errors
    /// The cluster refused, or no broker answered.
    pub async fn create(&self, new: &NewTopic) -> Result<bool> {
        let mut native = NativeTopic::new(&new.name, new.partitions, TopicReplication::Fixed(new.replication));
        for (key, value) in &new.settings {
            native = native.set(key, value);
        }
        let attempt = format!("creating topic {}", new.name);
        let created = self.client.create_topics([&native], &options()).await;
        match self.one(&attempt, created) {
            Ok(()) => {
                self.settled(&new.name, u32::try_from(new.partitions).unwrap_or(1)).await?;
                Ok(true)
            }
            Err((Some(RDKafkaErrorCode::TopicAlreadyExists), _)) => Ok(false),
            Err((_, error)) => Err(error),
        }
    }

    /// Removes a topic and all its records; false when it was not there.
    ///
    /// # Errors
    /// The cluster refused, or no broker answered.
    pub async fn delete(&self, topic: &str) -> Result<bool> {
        let attempt = format!("deleting topic {topic}");
        match self.one(&attempt, self.client.delete_topics(&[topic], &options()).await) {
            Ok(()) => Ok(true),
            Err((Some(RDKafkaErrorCode::UnknownTopicOrPartition), _)) => Ok(false),
            Err((_, error)) => Err(error),
        }
    }

    /// Gives a topic this many partitions, more than it has.
    ///
    /// # Errors
    /// The cluster refused, or no broker answered.
    pub async fn set_partitions(&self, topic: &str, partitions: u32) -> Result<()> {
        let more = NewPartitions::new(topic, partitions as usize);
        let attempt = format!("adding partitions to topic {topic}");
        let added = self.client.create_partitions([&more], &options()).await;
        self.one(&attempt, added).map_err(|(_, error)| error)?;
        self.settled(topic, partitions).await
    }

    /// A topic's settings by name, defaults included.
    ///
    /// # Errors
    /// The topic is not there, or no broker answered.
    pub async fn settings(&self, topic: &str) -> Result<BTreeMap<String, Setting>> {
        let attempt = format!("reading the settings of topic {topic}");
        let resource = ResourceSpecifier::Topic(topic);
        let described = self.client.describe_configs([&resource], &options()).await;
        let described = described.map_err(|error| Error::from_kafka(&self.bootstrap, &attempt, &error))?;
        let mut settings = BTreeMap::new();
        for resource in described {
            let resource = resource.map_err(|code| Error::from_code(&self.bootstrap, &attempt, code))?;
            settings.extend(resource.entries.into_iter().map(|entry| {
                let is_own = entry.source == ConfigSource::DynamicTopic;
                (entry.name, Setting { value: entry.value, is_own, is_read_only: entry.is_read_only })
            }));
        }
        Ok(settings)
    }

    /// A partition's first offset and the one after its last, transactions and gaps included.
    ///
    /// # Errors
    /// The partition is not there, or no broker answered.
    pub async fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64)> {
        let name = topic.to_owned();
        let attempt = format!("asking for the ends of {topic}-{partition}");
        self.ask(&attempt, move |client| client.fetch_watermarks(&name, partition, PATIENCE)).await
    }

    /// All consumer groups, by name.
    ///
    /// # Errors
    /// No broker answered.
    pub async fn groups(&self) -> Result<Vec<Group>> {
        // Converted where it was fetched: the library's list stays on its thread.
        let question = |client: &Client<Context>| {
            let list = client.fetch_group_list(None, PATIENCE)?;
            Ok(list.groups().iter().map(group).collect::<Vec<_>>())
        };
        let mut groups = self.ask("listing consumer groups", question).await?;
        groups.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(groups)
    }

    /// The offsets that a group has committed for a topic, by partition; those without one are left out.
    ///
    /// # Errors
    /// No broker answered, or the right to read the group is missing.
    pub async fn committed(&self, group: &str, topic: &str, partitions: u32) -> Result<BTreeMap<i32, i64>> {
        let asked: Vec<(String, i32)> =
            (0..partitions).map(|partition| (topic.to_owned(), i32::try_from(partition).unwrap_or(i32::MAX))).collect();
        let committed = self.committed_in(group, &asked).await?;
        Ok(committed.into_iter().map(|one| (one.partition, one.offset)).collect())
    }

    /// Waits until brokers know of a change that the controller has made. One that takes long is no error: clients
    /// wait by themselves.
    async fn settled(&self, name: &str, partitions: u32) -> Result<()> {
        for _ in 0..SETTLE_LOOKS {
            let found = self.topic(name).await?;
            if found.is_some_and(|topic| topic.partitions >= partitions && topic.leaderless == 0) {
                break;
            }
            sleep(SETTLE_PAUSE).await;
        }
        Ok(())
    }

    pub(super) async fn metadata(&self, attempt: &str) -> Result<Metadata> {
        self.ask(attempt, |client| client.fetch_metadata(None, PATIENCE)).await
    }

    /// The library's questions block.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        attempt: &str,
        question: impl FnOnce(&Client<Context>) -> std::result::Result<T, KafkaError> + Send + 'static,
    ) -> Result<T> {
        let client = Arc::clone(&self.client);
        let answer = spawn_blocking(move || question(client.inner())).await;
        let answer = answer.map_err(|_| Error::Closed { attempt: attempt.to_owned() })?;
        answer.map_err(|error| Error::from_kafka(&self.bootstrap, attempt, &error))
    }

    /// The outcome of a request that concerns one topic.
    fn one(
        &self,
        attempt: &str,
        results: std::result::Result<Vec<TopicResult>, KafkaError>,
    ) -> std::result::Result<(), (Option<RDKafkaErrorCode>, Error)> {
        let results = results.map_err(|error| (None, Error::from_kafka(&self.bootstrap, attempt, &error)))?;
        match results.into_iter().next() {
            Some(Err((_, code))) => Err((Some(code), Error::from_code(&self.bootstrap, attempt, code))),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("bootstrap", &self.bootstrap).finish_non_exhaustive()
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

pub(super) fn broker(broker: &rdkafka::metadata::MetadataBroker) -> Broker {
    Broker { id: broker.id(), address: format!("{}:{}", broker.host(), broker.port()) }
}

fn topic(topic: &MetadataTopic) -> Topic {
    let partitions = topic.partitions();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Topic {
        name: topic.name().to_owned(),
        partitions: count(partitions.len()),
        replicas: count(partitions.iter().map(|partition| partition.replicas().len()).max().unwrap_or(0)),
        in_sync: count(partitions.iter().map(|partition| partition.isr().len()).min().unwrap_or(0)),
        leaderless: count(partitions.iter().filter(|partition| partition.leader() < 0).count()),
    }
}

fn group(group: &rdkafka::groups::GroupInfo) -> Group {
    let member = |member: &rdkafka::groups::GroupMemberInfo| GroupMember {
        id: member.id().to_owned(),
        client: member.client_id().to_owned(),
        host: member.client_host().to_owned(),
    };
    Group {
        name: group.name().to_owned(),
        state: group.state().to_owned(),
        protocol_type: group.protocol_type().to_owned(),
        protocol: group.protocol().to_owned(),
        members: group.members().iter().map(member).collect(),
    }
}
