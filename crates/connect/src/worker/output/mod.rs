//! A task's ports over Kafka: where its records go, where its offsets are kept, where its signals come from.
//!
//! At least once ([`plain`]): records are sent as they come, and the task stores an offset once everything before it
//! is acknowledged by all in-sync replicas. Exactly once ([`transactions`]): records and the offset behind them share
//! a transaction. Topics are made on their first record, as the connector's `topic.creation.*` says ([`topics`]).
//!
//! Architecture invariant: a delivery that has resolved is acknowledged, and no later chunk of the same task lies
//! before it.

mod offsets;
mod plain;
mod signals;
mod topics;
mod transactions;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use walhouse_kafka::Record;
use walhouse_kafka::client::{Admin, Error, Producer};

use crate::store::{Stores, TopicUse};
use crate::task::{OffsetStore, Output, PortError, PortResult, SignalTopics};
use crate::worker::Settings;
use topics::TopicMaker;

/// A transaction's length at most, under load, unless the connector sets one: short enough that nobody waits for it,
/// long enough that commits cost little.
const TRANSACTION: Duration = Duration::from_millis(100);

/// All ports of one task.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) output: Arc<dyn Output>,
    pub(crate) offsets: Arc<dyn OffsetStore>,
    pub(crate) signals: Arc<dyn SignalTopics>,
}

/// Whose ports they are.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) connector: String,
    pub(crate) task: u32,
}

/// Opens the ports of one task. With exactly-once support this fences every former run of it, by whichever worker.
pub(crate) async fn open(
    settings: &Settings,
    stores: &Stores,
    config: &BTreeMap<String, String>,
    owner: Owner,
    reported: Reported,
) -> PortResult<Ports> {
    let client = settings.connector_client("producer", config);
    let name = format!("connector-producer-{}-{}", owner.connector, owner.task);
    let client = if client.get("client.id").is_some() { client } else { client.with("client.id", name) };
    let (client, unknown) = client.without_unknown();
    let unused = client.without_effect().into_iter().map(str::to_owned).chain(unknown);
    for property in unused {
        tracing::warn!(connector = owner.connector, property, "producer property has no effect");
    }
    let admin = Admin::new(&settings.connector_client("admin", config)).map_err(port_error)?;
    let topics = TopicMaker::new(settings, config, admin);
    let topics = topics.map_err(|message| PortError { message, retriable: false })?;
    let transactional_id = format!("{}-{}-{}", settings.group, owner.connector, owner.task);
    let preparing = Preparing { stores: stores.clone(), tracking: settings.topic_tracking, owner, topics, reported };
    let output: Arc<dyn Output> = if settings.exactly_once {
        let producer = Producer::transactional(&client, &transactional_id).await.map_err(port_error)?;
        Arc::new(transactions::Transactions::start(preparing, producer, length(config), &settings.offsets.name))
    } else {
        Arc::new(plain::Plain::new(preparing, Producer::new(&client).map_err(port_error)?))
    };
    let offsets = offsets::KafkaOffsets::new(settings, stores);
    let signals = signals::KafkaSignals::new(settings.internal_client());
    Ok(Ports { output, offsets: Arc::new(offsets), signals: Arc::new(signals) })
}

/// How long a transaction may be.
fn length(config: &BTreeMap<String, String>) -> Duration {
    let set = || {
        let interval = config.get("transaction.boundary")?.trim().eq_ignore_ascii_case("interval");
        let millis = config.get("transaction.boundary.interval.ms")?.trim().parse().ok()?;
        interval.then(|| Duration::from_millis(millis))
    };
    set().unwrap_or(TRANSACTION)
}

/// A transaction that was given up, or brokers that do not answer, may be better at the next attempt.
fn port_error(error: Error) -> PortError {
    let retriable = error.is_transient() || matches!(error, Error::Aborted { .. });
    PortError { message: error.to_string(), retriable }
}

/// Topics that were reported as used since the last reset.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reported(Arc<Mutex<HashSet<Arc<str>>>>);

impl Reported {
    /// Reports all topics anew.
    pub(crate) fn reset(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether this is the topic's first use.
    fn first(&self, topic: &Arc<str>) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(topic))
    }
}

/// What is done before records are sent.
struct Preparing {
    stores: Stores,
    tracking: bool,
    owner: Owner,
    topics: TopicMaker,
    reported: Reported,
}

impl Preparing {
    /// Makes the topics of these records that are not there, and stores that they are used.
    async fn prepare(&mut self, records: &[Record]) -> PortResult<()> {
        let mut last: Option<&Arc<str>> = None;
        for record in records {
            if last.is_some_and(|last| Arc::ptr_eq(last, &record.topic) || *last == record.topic) {
                continue;
            }
            last = Some(&record.topic);
            self.topics.ensure(&record.topic).await.map_err(port_error)?;
            if self.tracking && self.reported.first(&record.topic) {
                self.report(&record.topic);
            }
        }
        Ok(())
    }

    /// A failure costs a line in a list, and no more; records need not wait for it.
    fn report(&self, topic: &str) {
        let used = TopicUse {
            name: topic.to_owned(),
            connector: self.owner.connector.clone(),
            task: self.owner.task,
            discover_timestamp: crate::worker::now_millis(),
        };
        let statuses = self.stores.statuses.clone();
        tokio::spawn(async move {
            if let Err(error) = statuses.put_topic(&used).await {
                tracing::warn!(%error, "storing a connector's use of a topic");
            }
        });
    }
}
