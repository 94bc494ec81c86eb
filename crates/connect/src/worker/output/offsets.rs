//! Where offsets are kept: the topic of offsets.

use futures_util::future::BoxFuture;
use walhouse_kafka::client::{Log, Properties};

use super::port_error;
use crate::error::Error;
use crate::store::{Offsets, Stores};
use crate::task::{OffsetStore, PortError, PortResult, StoredOffset};
use crate::worker::Settings;

/// Offsets of all connectors of this worker.
pub(super) struct KafkaOffsets {
    client: Properties,
    topic: String,
    offsets: Offsets,
}

impl KafkaOffsets {
    pub(super) fn new(settings: &Settings, stores: &Stores) -> Self {
        let client = settings.internal_client();
        Self { client, topic: settings.offsets.name.clone(), offsets: stores.offsets.clone() }
    }
}

impl OffsetStore for KafkaOffsets {
    /// Reads the topic anew, committed records only: what a former run stored last is seen, however it ended.
    fn load<'a>(&'a self, key: &'a str) -> BoxFuture<'a, PortResult<Option<String>>> {
        Box::pin(async move {
            let mut log = Log::open(&self.client, &self.topic).await.map_err(port_error)?;
            let mut last = None;
            let read = log.each_to_end(|record| {
                if record.key.as_deref() == Some(key.as_bytes()) {
                    last = record.value;
                }
            });
            read.await.map_err(port_error)?;
            let last = last.map(|value| String::from_utf8_lossy(&value).into_owned());
            Ok(last.filter(|value| value != "null"))
        })
    }

    fn save<'a>(&'a self, offset: &'a StoredOffset) -> BoxFuture<'a, PortResult<()>> {
        Box::pin(async move {
            let saved = self.offsets.put(&offset.key, Some(&offset.value)).await;
            saved.map_err(|error| {
                let retriable = matches!(&error, Error::Kafka(error) if error.is_transient());
                PortError { retriable, message: error.to_string() }
            })
        })
    }
}
