//! Messages as they are read from stretches of partitions, with clients from a pool.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use walhouse_change::BoxFuture;
use walhouse_kafka::client::{ConsumedRecord, Consumer, Properties, Read, Start};
use walhouse_server::ports::{Reader, Record, Result, Stretch};

use super::topics::failure;

/// Clients that wait for the next request. Each has a connection to the cluster and few kilobytes when idle.
const IDLE: usize = 4;

/// Clients that read.
pub(super) struct Pool {
    properties: Properties,
    idle: Mutex<Vec<Consumer>>,
}

impl Pool {
    pub(super) fn new(properties: Properties) -> Self {
        Self { properties, idle: Mutex::default() }
    }

    /// One of those that wait, or a new one.
    pub(super) fn take(&self) -> Result<Consumer> {
        match self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            Some(consumer) => Ok(consumer),
            None => Consumer::new(&self.properties).map_err(failure),
        }
    }

    /// For the next one. It must have nothing assigned.
    pub(super) fn give_back(&self, consumer: Consumer) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(consumer);
            return;
        }
        drop(idle);
        end(consumer);
    }
}

/// The library's farewell blocks.
fn end(consumer: Consumer) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn_blocking(move || drop(consumer));
    }
}

/// A reading under way.
pub(super) struct Messages {
    consumer: Option<Consumer>,
    pool: Arc<Pool>,
    topic: String,
    /// Partitions not yet read, with the offset to stop at; none: go on for ever.
    open: BTreeMap<i32, Option<i64>>,
}

impl Messages {
    pub(super) async fn begin(pool: &Arc<Pool>, topic: &str, stretches: BTreeMap<i32, Stretch>) -> Result<Self> {
        let consumer = pool.take()?;
        let places: Vec<(String, i32, Start)> = stretches
            .values()
            .map(|stretch| (topic.to_owned(), stretch.partition, Start::Offset(stretch.from)))
            .collect();
        consumer.assign(&places).await.map_err(failure)?;
        Ok(Self {
            consumer: Some(consumer),
            pool: Arc::clone(pool),
            topic: topic.to_owned(),
            open: stretches.into_iter().map(|(partition, stretch)| (partition, stretch.until)).collect(),
        })
    }

    async fn read(&mut self) -> Result<Option<Record>> {
        loop {
            if self.open.is_empty() {
                return Ok(None);
            }
            let Some(consumer) = &self.consumer else { return Ok(None) };
            match consumer.read().await.map_err(failure)? {
                Read::Record(record) => {
                    let Some(&until) = self.open.get(&record.partition) else { continue };
                    // Offsets have gaps: the last one wanted may never come, and the first beyond it says so.
                    if until.is_some_and(|until| record.offset + 1 >= until) {
                        self.close(record.partition);
                    }
                    if until.is_none_or(|until| record.offset < until) {
                        return Ok(Some(of(record)));
                    }
                }
                Read::End(partition) => {
                    if self.open.get(&partition).is_some_and(Option::is_some) {
                        self.close(partition);
                    }
                }
            }
        }
    }

    fn close(&mut self, partition: i32) {
        self.open.remove(&partition);
        if let (false, Some(consumer)) = (self.open.is_empty(), &self.consumer) {
            // Reading on would only cost time.
            let _ = consumer.pause(&self.topic, partition);
        }
    }
}

impl Reader for Messages {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Record>>> {
        Box::pin(self.read())
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        let Some(consumer) = self.consumer.take() else { return };
        // A reading that has ended leaves nothing behind; one that was broken off has messages on their way.
        if self.open.is_empty() { self.pool.give_back(consumer) } else { end(consumer) }
    }
}

fn of(record: ConsumedRecord) -> Record {
    Record {
        partition: record.partition,
        offset: record.offset,
        timestamp_ms: record.timestamp,
        key: record.key.map(|key| key.to_vec()),
        value: record.value.map(|value| value.to_vec()),
        headers: record
            .headers
            .into_iter()
            .map(|header| (header.name.to_string(), header.value.map(|value| value.to_vec())))
            .collect(),
    }
}
