//! Where signals come from beside the signal table: a topic, followed from its end.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use walhouse_kafka::client::{Consumer, Properties, Start};

use super::port_error;
use crate::task::{PortResult, SignalRecord, SignalTopics};

/// Signals are few; more than this and the topic waits.
const WAITING: usize = 64;

/// Topics of this worker's cluster, or of the one that the connector names.
pub(super) struct KafkaSignals {
    client: Properties,
}

impl KafkaSignals {
    pub(super) fn new(client: Properties) -> Self {
        Self { client }
    }
}

impl SignalTopics for KafkaSignals {
    fn follow(&self, topic: &str, properties: BTreeMap<String, String>) -> PortResult<mpsc::Receiver<SignalRecord>> {
        let (client, _) = self.client.clone().with_all(properties).without_unknown();
        let consumer = Consumer::new(&client).map_err(port_error)?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let topic = topic.to_owned();
        tokio::spawn(async move {
            let places = [(topic.clone(), 0, Start::End)];
            if let Err(error) = consumer.assign(&places).await {
                tracing::error!(topic, %error, "following a signal topic");
                return;
            }
            loop {
                let next = tokio::select! {
                    next = consumer.next() => next,
                    () = sender.closed() => return,
                };
                match next {
                    Ok(record) => {
                        let signal = SignalRecord {
                            key: record.key.map(|key| key.to_vec()),
                            value: record.value.map(|value| value.to_vec()),
                        };
                        if sender.send(signal).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        tracing::error!(topic, %error, "following a signal topic");
                        return;
                    }
                }
            }
        });
        Ok(receiver)
    }
}
