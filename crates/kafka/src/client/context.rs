//! What librdkafka calls back: its log lines and its errors, as `tracing` events.

use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel as Level;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::{debug, error, info, warn};

use crate::client::error::lower;

/// Shared by all clients.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// Whether "all brokers are down" was said since the last time one was up: it is said once, not each second.
    down: AtomicBool,
}

impl ClientContext for Context {
    fn log(&self, level: Level, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        match code {
            // Each broker's own trouble: librdkafka goes on trying, and says so when none is left.
            Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::OperationTimedOut) => {
                debug!(reason, "a Kafka broker does not answer");
            }
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                if !self.down.swap(true, Ordering::Relaxed) {
                    warn!(reason, "no Kafka broker answers: waiting");
                }
            }
            // Asked for, and told to the reader as well.
            Some(RDKafkaErrorCode::PartitionEOF) => {}
            _ => warn!(error = lower(&error.to_string()), reason, "Kafka client"),
        }
    }
}

impl ConsumerContext for Context {}

impl Context {
    /// A broker answered.
    pub(crate) fn up(&self) {
        if self.down.load(Ordering::Relaxed) && self.down.swap(false, Ordering::Relaxed) {
            info!("Kafka answers again");
        }
    }
}

fn log(level: Level, facility: &str, message: &str) {
    // Lost connections are expected while a broker restarts; `error` above tells what matters of them.
    let expected = matches!(facility, "FAIL" | "ERROR" | "REQTMOUT" | "TIMEOUT" | "PARTCNT" | "TERMINATE");
    match level {
        Level::Emerg | Level::Alert | Level::Critical => error!(facility, "librdkafka: {message}"),
        Level::Error | Level::Warning if !expected => warn!(facility, "librdkafka: {message}"),
        _ => debug!(facility, "librdkafka: {message}"),
    }
}
