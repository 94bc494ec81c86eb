//! At least once: each chunk is sent as it comes.

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use walhouse_kafka::client::Producer;

use super::{Preparing, port_error};
use crate::task::{Chunk, Delivery, Output, PortResult};

/// Sends records with an idempotent producer.
pub(super) struct Plain {
    producer: Producer,
    /// Also keeps chunks in order.
    preparing: Mutex<Preparing>,
}

impl Plain {
    pub(super) fn new(preparing: Preparing, producer: Producer) -> Self {
        Self { producer, preparing: Mutex::new(preparing) }
    }
}

impl Output for Plain {
    fn send(&self, chunk: Chunk) -> BoxFuture<'_, PortResult<Delivery>> {
        Box::pin(async move {
            let mut preparing = self.preparing.lock().await;
            preparing.prepare(&chunk.records).await?;
            let delivery = self.producer.send(&chunk.records).await.map_err(port_error)?;
            drop(preparing);
            let delivered: Delivery = Box::pin(async move { delivery.await.map_err(port_error) });
            Ok(delivered)
        })
    }
}
