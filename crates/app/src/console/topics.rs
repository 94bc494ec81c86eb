//! A Kafka cluster for the console.
//!
//! Readers come from a small pool, since starting a client takes longer than reading a page. Each request has its own,
//! so that no search waits for another.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, watch};
use walhouse_change::BoxFuture;
use walhouse_kafka::Record as KafkaRecord;
use walhouse_kafka::client::{self, Admin, Producer, Properties, TopicLayout};
use walhouse_server::ports::{
    Acl, Broker, Cluster, Committed, Failure, FailureKind, Group, GroupMember, NewMessage, NewTopic, PartitionMeta,
    Reader, Result, Stretch, TopicMeta, TopicSetting, Topics, Watermarks,
};

use super::reading::{Messages, Pool};
use crate::kafka::OwnWorker;

/// How old what is known of topics may be: a page asks for several things of them at once.
const FRESH: Duration = Duration::from_secs(1);
/// The broker's default number of copies.
const DEFAULT_REPLICATION: i32 = -1;

/// The cluster at some addresses.
pub(super) struct Kafka {
    properties: Properties,
    admin: Admin,
    pool: Arc<Pool>,
    producer: OnceCell<Producer>,
    known: Mutex<Option<(Instant, Arc<client::Cluster>)>>,
    /// The worker of this process: its topics are not to be deleted from under it.
    worker: Option<watch::Receiver<OwnWorker>>,
}

impl Kafka {
    /// Nothing is asked of the cluster yet.
    pub(super) fn new(properties: Properties, worker: Option<watch::Receiver<OwnWorker>>) -> Result<Self> {
        Ok(Self {
            admin: Admin::new(&properties).map_err(failure)?,
            pool: Arc::new(Pool::new(properties.clone())),
            properties,
            producer: OnceCell::new(),
            known: Mutex::default(),
            worker,
        })
    }

    async fn look(&self) -> Result<Arc<client::Cluster>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, known)) = known
            && at.elapsed() < FRESH
        {
            return Ok(known);
        }
        let found = Arc::new(self.admin.cluster().await.map_err(failure)?);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&found)));
        Ok(found)
    }

    fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Numbers of a topic's partitions.
    async fn partitions(&self, topic: &str) -> Result<Vec<i32>> {
        let cluster = self.look().await?;
        let found = cluster.topics.iter().find(|found| found.name == topic);
        let found = found.ok_or_else(|| Failure::not_found(format_args!("topic {topic}")))?;
        Ok(found.partitions.iter().map(|partition| partition.id).collect())
    }

    /// The connector, or the worker itself, that needs a topic.
    fn owner(&self, topic: &str) -> Option<String> {
        let stage = self.worker.as_ref()?.borrow().clone();
        let OwnWorker::Runs(api) = stage else { return None };
        let (settings, stores) = (api.worker().settings(), api.worker().stores());
        if [&settings.configs, &settings.offsets, &settings.statuses].iter().any(|own| own.name == topic) {
            return Some("the Connect worker".to_owned());
        }
        let writes = |name: &String| stores.statuses.topics(name).iter().any(|written| written == topic);
        stores.configs.names().into_iter().find(writes).map(|name| format!("connector {name}"))
    }

    async fn ends(&self, topic: &str) -> Result<Vec<Watermarks>> {
        let partitions = self.partitions(topic).await?;
        let ends = self.admin.ends(topic, &partitions).await.map_err(failure)?;
        let marks = |ends: client::Ends| Watermarks { partition: ends.partition, first: ends.first, end: ends.end };
        Ok(ends.into_iter().map(marks).collect())
    }

    async fn since(&self, topic: &str, at_ms: i64) -> Result<Vec<(i32, i64)>> {
        let ends = self.ends(topic).await?;
        let partitions: Vec<i32> = ends.iter().map(|one| one.partition).collect();
        let consumer = self.pool.take()?;
        let found = consumer.first_since(topic, &partitions, at_ms).await.map_err(failure)?;
        self.pool.give_back(consumer);
        let end = |partition| ends.iter().find(|one| one.partition == partition).map_or(0, |one| one.end);
        Ok(found.into_iter().map(|(partition, offset)| (partition, offset.unwrap_or_else(|| end(partition)))).collect())
    }

    async fn make(&self, topic: &NewTopic) -> Result<()> {
        let new = client::NewTopic {
            name: topic.name.clone(),
            partitions: topic.partitions,
            replication: topic.replication.unwrap_or(DEFAULT_REPLICATION),
            settings: topic.settings.clone(),
        };
        let made = self.admin.create(&new).await.map_err(|error| match failure(error) {
            // What the cluster says of a name, a number or a setting.
            refused if refused.kind == FailureKind::Refused => Failure { kind: FailureKind::Invalid, ..refused },
            other => other,
        })?;
        self.forget();
        match made {
            true => Ok(()),
            false => Err(Failure::new(FailureKind::Conflict, format!("topic {} exists already", topic.name))),
        }
    }

    async fn remove(&self, topic: &str) -> Result<()> {
        if let Some(owner) = self.owner(topic) {
            let failure = Failure::new(FailureKind::Refused, format!("topic {topic} belongs to {owner}"));
            return Err(failure.advise("delete the connector first"));
        }
        let gone = self.admin.delete(topic).await.map_err(failure)?;
        self.forget();
        if gone { Ok(()) } else { Err(Failure::not_found(format_args!("topic {topic}"))) }
    }

    async fn put(&self, message: &NewMessage) -> Result<(i32, i64)> {
        let partitions = self.partitions(&message.topic).await?;
        let partition = match message.partition {
            Some(partition) if !partitions.contains(&partition) => {
                return Err(Failure::not_found(format_args!("partition {partition} of {}", message.topic)));
            }
            other => other.and_then(|partition| u32::try_from(partition).ok()),
        };
        let start = || std::future::ready(Producer::new(&self.properties));
        let producer = self.producer.get_or_try_init(start).await.map_err(failure)?;
        let record = KafkaRecord {
            topic: message.topic.as_str().into(),
            partition,
            key: message.key.clone().map(Into::into),
            value: message.value.clone().map(Into::into),
            headers: Vec::new(),
        };
        let placed = producer.put(&record).await.map_err(failure)?;
        Ok((placed.partition, placed.offset))
    }
}

impl Topics for Kafka {
    fn bootstrap(&self) -> String {
        self.properties.bootstrap().to_owned()
    }

    fn cluster(&self) -> BoxFuture<'_, Result<Cluster>> {
        Box::pin(async {
            let cluster = self.look().await?;
            Ok(Cluster {
                brokers: cluster.brokers.iter().map(broker).collect(),
                topics: cluster.topics.iter().map(topic).collect(),
            })
        })
    }

    fn watermarks<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<Watermarks>>> {
        Box::pin(self.ends(topic))
    }

    fn offsets_at<'a>(&'a self, topic: &'a str, at_ms: i64) -> BoxFuture<'a, Result<Vec<(i32, i64)>>> {
        Box::pin(self.since(topic, at_ms))
    }

    fn settings<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<TopicSetting>>> {
        Box::pin(async move {
            self.partitions(topic).await?;
            let found = self.admin.settings(topic).await.map_err(failure)?;
            let setting = |(name, setting): (String, client::Setting)| TopicSetting {
                name,
                value: setting.value,
                default: !setting.is_own,
                read_only: setting.is_read_only,
            };
            Ok(found.into_iter().map(setting).collect())
        })
    }

    fn groups(&self) -> BoxFuture<'_, Result<Vec<Group>>> {
        Box::pin(async {
            let groups = self.admin.groups().await.map_err(failure)?;
            Ok(groups.into_iter().map(group).collect())
        })
    }

    fn committed<'a>(&'a self, group: &'a str, topics: &'a [TopicMeta]) -> BoxFuture<'a, Result<Vec<Committed>>> {
        Box::pin(async move {
            let of = |topic: &TopicMeta| {
                let name = topic.name.clone();
                topic.partitions.iter().map(|one| (name.clone(), one.id)).collect::<Vec<_>>()
            };
            let asked: Vec<(String, i32)> = topics.iter().flat_map(of).collect();
            let found = self.admin.committed_in(group, &asked).await.map_err(failure)?;
            let committed =
                |one: client::GroupOffset| Committed { topic: one.topic, partition: one.partition, offset: one.offset };
            Ok(found.into_iter().map(committed).collect())
        })
    }

    fn acls(&self) -> BoxFuture<'_, Result<Vec<Acl>>> {
        let missing = Failure::new(FailureKind::Missing, "the Kafka client of this program cannot read access rules");
        Box::pin(std::future::ready(Err(missing.advise("kafka-acls.sh --list shows them"))))
    }

    fn read<'a>(&'a self, topic: &'a str, stretches: Vec<Stretch>) -> BoxFuture<'a, Result<Box<dyn Reader>>> {
        Box::pin(async move {
            let known: HashSet<i32> = self.partitions(topic).await?.into_iter().collect();
            let stretches: BTreeMap<i32, Stretch> = stretches
                .into_iter()
                .filter(|stretch| known.contains(&stretch.partition))
                .map(|stretch| (stretch.partition, stretch))
                .collect();
            let messages = Messages::begin(&self.pool, topic, stretches).await?;
            Ok(Box::new(messages) as Box<dyn Reader>)
        })
    }

    fn create<'a>(&'a self, topic: &'a NewTopic) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.make(topic))
    }

    fn delete<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.remove(topic))
    }

    fn send<'a>(&'a self, message: &'a NewMessage) -> BoxFuture<'a, Result<(i32, i64)>> {
        Box::pin(self.put(message))
    }
}

fn broker(broker: &client::Broker) -> Broker {
    let (host, port) = broker.address.rsplit_once(':').unwrap_or((&broker.address, ""));
    // librdkafka tells neither racks nor the controller in its metadata.
    Broker { id: broker.id, host: host.to_owned(), port: port.parse().unwrap_or(0), rack: None, controller: None }
}

fn topic(topic: &TopicLayout) -> TopicMeta {
    let partition = |one: &client::PartitionLayout| PartitionMeta {
        id: one.id,
        leader: one.leader,
        replicas: one.replicas.clone(),
        in_sync: one.in_sync.clone(),
    };
    TopicMeta { name: topic.name.clone(), partitions: topic.partitions.iter().map(partition).collect() }
}

fn group(group: client::Group) -> Group {
    let member = |member: client::GroupMember| GroupMember {
        id: member.id,
        client_id: member.client,
        host: member.host.trim_start_matches('/').to_owned(),
    };
    Group {
        id: group.name,
        state: group.state,
        protocol: group.protocol,
        members: group.members.into_iter().map(member).collect(),
    }
}

/// What the client says, as what was found and the next step.
pub(super) fn failure(error: client::Error) -> Failure {
    let kind = match &error {
        client::Error::Unreachable { .. } | client::Error::Closed { .. } => FailureKind::Unavailable,
        client::Error::Refused { .. } => FailureKind::Refused,
        client::Error::TooLarge { .. } => FailureKind::Limit,
        client::Error::Property { .. } => FailureKind::Invalid,
        _ => FailureKind::Internal,
    };
    let text = error.to_string();
    match text.split_once("; ") {
        Some((message, advice)) => Failure::new(kind, message).advise(advice),
        None => Failure::new(kind, text),
    }
}
