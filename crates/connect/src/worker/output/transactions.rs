//! Exactly once: records and the offset behind them in one transaction.
//!
//! A transaction ends as soon as nothing waits to be sent, or after some time under load. The producer's transactional
//! id is Connect's for the task, so that a former run, of whichever worker, is fenced. Only after that is the offset
//! read from which the task goes on.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use walhouse_kafka::Record;
use walhouse_kafka::client::Producer;

use super::{Preparing, port_error};
use crate::task::{Chunk, Delivery, Output, PortError, PortResult, StoredOffset};

/// Chunks that wait for the transaction before them to be committed: their size is the task's to bound.
const WAITING: usize = 16;

type Taken = (Chunk, oneshot::Sender<PortResult<()>>);

/// Sends records in transactions.
pub(super) struct Transactions {
    chunks: mpsc::Sender<Taken>,
}

impl Transactions {
    pub(super) fn start(preparing: Preparing, producer: Producer, length: Duration, offsets: &str) -> Self {
        let (chunks, receiver) = mpsc::channel(WAITING);
        let sender = Sender { preparing, producer, length, offsets: offsets.into(), chunks: receiver };
        tokio::spawn(sender.run());
        Self { chunks }
    }
}

impl Output for Transactions {
    fn send(&self, chunk: Chunk) -> BoxFuture<'_, PortResult<Delivery>> {
        Box::pin(async move {
            let (done, committed) = oneshot::channel();
            self.chunks.send((chunk, done)).await.map_err(|_| ended())?;
            let delivered: Delivery = Box::pin(async move { committed.await.unwrap_or_else(|_| Err(ended())) });
            Ok(delivered)
        })
    }

    fn stores_offsets(&self) -> bool {
        true
    }
}

fn ended() -> PortError {
    PortError { message: "sending records: an earlier transaction failed".to_owned(), retriable: true }
}

/// Owns the producer: one transaction after the other.
struct Sender {
    preparing: Preparing,
    producer: Producer,
    length: Duration,
    /// The topic of offsets.
    offsets: Arc<str>,
    chunks: mpsc::Receiver<Taken>,
}

impl Sender {
    /// Until nobody sends any more, or a transaction fails: then the task begins anew from the stored offset.
    async fn run(mut self) {
        while let Some(first) = self.chunks.recv().await {
            let mut waiting = Vec::new();
            let result = self.transaction(first, &mut waiting).await;
            for done in waiting {
                let _ = done.send(result.clone());
            }
            if let Err(error) = result {
                tracing::warn!(connector = self.preparing.owner.connector, %error, "a transaction failed");
                return;
            }
        }
    }

    async fn transaction(
        &mut self,
        first: Taken,
        waiting: &mut Vec<oneshot::Sender<PortResult<()>>>,
    ) -> PortResult<()> {
        if let Err(error) = self.producer.begin() {
            waiting.push(first.1);
            return Err(port_error(error));
        }
        let filled = self.fill(first, waiting).await;
        if filled.is_err() {
            // What was sent of it will not be seen.
            let _ = self.producer.abort().await;
            return filled;
        }
        self.producer.commit().await.map_err(port_error)
    }

    /// Sends chunks until none waits or the transaction is old enough, then the offset, and waits for all of it.
    async fn fill(&mut self, first: Taken, waiting: &mut Vec<oneshot::Sender<PortResult<()>>>) -> PortResult<()> {
        let since = Instant::now();
        let mut deliveries = Vec::new();
        let mut offset = None;
        let mut next = Some(first);
        while let Some((chunk, done)) = next {
            waiting.push(done);
            self.preparing.prepare(&chunk.records).await?;
            deliveries.push(self.producer.send(&chunk.records).await.map_err(port_error)?);
            offset = chunk.offset.or(offset);
            next = if since.elapsed() < self.length { self.chunks.try_recv().ok() } else { None };
        }
        if let Some(offset) = offset {
            let record = self.record(offset);
            deliveries.push(self.producer.send(&[record]).await.map_err(port_error)?);
        }
        // The first failure says what is wrong; the commit would only say that there was one.
        for delivery in deliveries {
            delivery.await.map_err(port_error)?;
        }
        Ok(())
    }

    fn record(&self, offset: StoredOffset) -> Record {
        Record {
            topic: Arc::clone(&self.offsets),
            partition: None,
            key: Some(offset.key.into()),
            value: Some(offset.value.into()),
            headers: Vec::new(),
        }
    }
}
