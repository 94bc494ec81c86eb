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
            let records = log.read_to_end().await.map_err(port_error)?;
            let of_key =
                |record: &&walhouse_kafka::client::ConsumedRecord| record.key.as_deref() == Some(key.as_bytes());
            let last = records.iter().rev().find(of_key).and_then(|record| record.value.as_deref());
            let last = last.map(String::from_utf8_lossy).filter(|value| value != "null");
            Ok(last.map(std::borrow::Cow::into_owned))
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
