//! A seat in a consumer group: of several that ask for the same topic's partition 0, one has it.
//!
//! It is used as an election. The one that holds the partition is in charge; when it dies or leaves, another is. One
//! that joins takes nothing away: the assignment is cooperative and sticky. A group in which workers of Kafka Connect
//! are is refused by the broker, and the other way round.

use std::fmt;
use std::sync::Arc;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::client::context::Context;
use crate::client::error::{Error, Result};
use crate::client::java::Role;
use crate::client::properties::{Properties, property_error};

/// How long a dead holder keeps its seat: the least that brokers allow.
const SESSION_MS: u32 = 6000;
const HEARTBEAT_MS: u32 = 2000;

/// Who has the seat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seat {
    /// The group has not said yet, or not again since it was lost.
    #[default]
    Undecided,
    /// This one.
    Held,
    /// Another.
    Taken,
}

/// A seat that is asked for, and perhaps held. Given up when dropped.
pub struct Membership {
    seat: watch::Receiver<Seat>,
    task: AbortHandle,
    consumer: Arc<StreamConsumer<Told>>,
}

impl Membership {
    /// Asks for partition 0 of `topic` in `group`.
    ///
    /// # Errors
    /// A property that cannot be used.
    pub fn join(properties: &Properties, group: &str, topic: &str) -> Result<Self> {
        let defaults = [
            ("session.timeout.ms", SESSION_MS.to_string()),
            ("heartbeat.interval.ms", HEARTBEAT_MS.to_string()),
            ("partition.assignment.strategy", "cooperative-sticky".to_owned()),
            ("auto.offset.reset", "latest".to_owned()),
        ];
        let mut config = properties.config(Role::Consumer, &defaults)?;
        config.set("group.id", group).set("enable.auto.commit", "false");
        let (sender, seat) = watch::channel(Seat::Undecided);
        let told = Told { common: Context::default(), seat: sender };
        let consumer: StreamConsumer<Told> =
            config.create_with_context(told).map_err(|error| property_error(&error))?;
        let attempt = format!("joining group {group}");
        let bootstrap = properties.bootstrap().to_owned();
        consumer.subscribe(&[topic]).map_err(|error| Error::from_kafka(&bootstrap, &attempt, &error))?;
        let consumer = Arc::new(consumer);
        let polled = Arc::clone(&consumer);
        let task = tokio::spawn(async move {
            loop {
                // Rebalances happen inside; records are not of interest.
                if let Err(error) = polled.recv().await {
                    report(&attempt, &error);
                }
            }
        });
        Ok(Self { seat, task: task.abort_handle(), consumer })
    }

    /// Who has the seat, now and from now on.
    #[must_use]
    pub fn seat(&self) -> watch::Receiver<Seat> {
        self.seat.clone()
    }

    /// Gives the seat up, so that another need not wait for it.
    pub async fn leave(self) {
        let consumer = Arc::clone(&self.consumer);
        drop(self);
        // Closing a consumer says goodbye to the group, and blocks.
        let _ = tokio::task::spawn_blocking(move || {
            consumer.unsubscribe();
            drop(consumer);
        })
        .await;
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership").field("seat", &*self.seat.borrow()).finish_non_exhaustive()
    }
}

fn report(attempt: &str, error: &KafkaError) {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::GroupAuthorizationFailed) => {
            tracing::error!(attempt, "the right to read the group is missing");
        }
        _ => tracing::debug!(attempt, %error, "membership"),
    }
}

/// Called from librdkafka.
struct Told {
    common: Context,
    seat: watch::Sender<Seat>,
}

impl ClientContext for Told {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.common.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.common.error(error, reason);
    }
}

impl ConsumerContext for Told {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Revoke(_) | Rebalance::Error(_)) {
            self.seat.send_replace(Seat::Undecided);
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(partitions) = rebalance else { return };
        let _ = consumer.pause(partitions);
        // What is assigned now is only what came in addition.
        let all = consumer.assignment();
        let held = all.is_ok_and(|all| all.elements().iter().any(|element| element.partition() == 0));
        let seat = if held { Seat::Held } else { Seat::Taken };
        self.seat.send_if_modified(|former| std::mem::replace(former, seat) != seat);
    }
}
