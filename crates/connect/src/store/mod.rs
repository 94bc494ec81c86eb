//! Connect's three internal topics: configurations, offsets, statuses, with the very records that Connect 3.5.1 writes
//! and reads, so that either worker goes on where the other stopped.
//!
//! Each topic is followed from its beginning into a state in memory. Whoever writes waits until what was written came
//! back, so that a later look sees it.

mod configs;
mod follower;
mod offsets;
mod statuses;

use std::sync::Arc;

use walhouse_kafka::Record;
use walhouse_kafka::client::{Admin, NewTopic, Placed, Producer, Properties};

use crate::error::{Error, Result};
use crate::worker::{InternalTopic, Settings};

pub use configs::{Configs, Connector, TargetState};
pub(crate) use follower::Follower;
pub use offsets::Offsets;
pub use statuses::{State, Status, Statuses, TopicUse};

/// The copies of an internal topic unless told otherwise: what Connect wants, where there are as many brokers.
const REPLICATION: usize = 3;

/// All three.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Configurations and what connectors are meant to do.
    pub configs: Configs,
    /// Where connectors are.
    pub offsets: Offsets,
    /// What connectors and tasks do, and which topics they wrote.
    pub statuses: Statuses,
}

impl Stores {
    /// Makes missing topics and reads all of them.
    ///
    /// # Errors
    /// A topic that is not compacted or has another number of partitions than it must have, a missing right, or no
    /// broker.
    pub async fn open(settings: &Settings) -> Result<Self> {
        let client = settings.internal_client();
        let admin = Admin::new(&client)?;
        for (topic, single) in [(&settings.configs, true), (&settings.offsets, false), (&settings.statuses, false)] {
            ensure(&admin, topic, single).await?;
        }
        // One producer, so that records of different topics are sent in the order of the calls; nothing to wait for.
        let producer = Producer::new(&client.clone().with("linger.ms", "0"))?;
        let writer = |topic: &InternalTopic| Writer { producer: producer.clone(), topic: topic.name.as_str().into() };
        Ok(Self {
            configs: Configs::open(&client, writer(&settings.configs)).await?,
            offsets: Offsets::open(&client, writer(&settings.offsets)).await?,
            statuses: Statuses::open(&client, writer(&settings.statuses)).await?,
        })
    }
}

/// Makes the topic, or checks the one that is there.
async fn ensure(admin: &Admin, topic: &InternalTopic, single: bool) -> Result<()> {
    let problem = |problem: String| Error::Topic { topic: topic.name.clone(), problem };
    let Some(found) = admin.topic(&topic.name).await? else {
        let replication = match topic.replication {
            Some(replication) => replication,
            None => i32::try_from(admin.brokers().await?.len().min(REPLICATION)).unwrap_or(1),
        };
        let mut new = NewTopic::compacted(&topic.name, topic.partitions, replication);
        new.settings.extend(topic.settings.clone());
        if admin.create(&new).await? {
            tracing::info!(topic = topic.name, partitions = topic.partitions, replication, "made an internal topic");
        }
        return Ok(());
    };
    if single && found.partitions != 1 {
        return Err(problem(format!("it has {} partitions and must have one", found.partitions)));
    }
    let settings = admin.settings(&topic.name).await?;
    let policy = settings.get("cleanup.policy").and_then(|setting| setting.value.clone()).unwrap_or_default();
    if policy != "compact" {
        let mend = "kafka-configs --alter --add-config cleanup.policy=compact";
        return Err(problem(format!("its cleanup.policy is {policy} and would lose records; set it with {mend}")));
    }
    Ok(())
}

/// Writes records of one internal topic.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    producer: Producer,
    topic: Arc<str>,
}

impl Writer {
    /// Writes one record and waits until it came back to `follower`.
    async fn put<T>(&self, follower: &Follower<T>, key: &str, value: Option<String>) -> Result<()>
    where
        T: follower::Apply,
    {
        let placed = self.send(key, value).await?;
        follower.reached(placed).await
    }

    /// Writes one record and waits until it is acknowledged.
    async fn send(&self, key: &str, value: Option<String>) -> Result<Placed> {
        let placed = self.producer.put(&self.record(key, value)).await;
        // Whoever asked is told; the others' records are not to fail with this one.
        placed.inspect_err(|_| self.producer.forgive()).map_err(Into::into)
    }

    pub(crate) fn record(&self, key: &str, value: Option<String>) -> Record {
        Record {
            topic: Arc::clone(&self.topic),
            partition: None,
            key: Some(key.to_owned().into()),
            value: value.map(Into::into),
            headers: Vec::new(),
        }
    }
}

/// Opens a topic for following.
async fn follow<T: follower::Apply>(client: &Properties, topic: &str, state: T) -> Result<Follower<T>> {
    Follower::open(client, topic, state).await
}
