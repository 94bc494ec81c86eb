//! What a task needs of its worker: somewhere to send, somewhere to keep offsets, topics to take signals from.

use std::collections::BTreeMap;
use std::fmt;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use walhouse_kafka::Record;

/// A port could not do its work. Holds no row value and no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// What was attempted and what was found.
    pub message: String,
    /// Whether trying again later may help.
    pub retriable: bool,
}

/// Result of a port.
pub type PortResult<T> = Result<T, PortError>;

/// An offset with the key under which it is kept, both as they lie in Connect's offsets topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOffset {
    /// `["connector",{"server":"prefix"}]`
    pub key: String,
    /// The offset as JSON.
    pub value: String,
}

/// Records to send, in order.
#[derive(Clone)]
pub struct Chunk {
    /// The records.
    pub records: Vec<Record>,
    /// Where the connector is when all of them are delivered; none if that is where it was before.
    pub offset: Option<StoredOffset>,
}

/// Shows the number of records.
impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk").field("records", &self.records.len()).field("offset", &self.offset).finish()
    }
}

/// Resolves when all of a chunk is acknowledged: by all in-sync replicas, or by the commit of its transaction. It
/// need not be polled for that to happen.
pub type Delivery = BoxFuture<'static, PortResult<()>>;

/// Where records go. Chunks are sent one after the other, by one task.
pub trait Output: Send + Sync {
    /// Takes a chunk over, waiting for room, after everything that was taken before. Topics that are missing are made.
    ///
    /// # Errors
    /// A record that cannot be sent; nothing of later chunks is sent then.
    fn send(&self, chunk: Chunk) -> BoxFuture<'_, PortResult<Delivery>>;

    /// Whether a chunk's offset is stored in the transaction of its records, so that the task does not store it.
    fn stores_offsets(&self) -> bool {
        false
    }
}

/// Where offsets are kept.
pub trait OffsetStore: Send + Sync {
    /// The last value of a key that was stored; none when there is none or it was reset.
    fn load<'a>(&'a self, key: &'a str) -> BoxFuture<'a, PortResult<Option<String>>>;

    /// Stores an offset durably.
    fn save<'a>(&'a self, offset: &'a StoredOffset) -> BoxFuture<'a, PortResult<()>>;
}

/// A record of a signal topic.
#[derive(Clone, PartialEq, Eq)]
pub struct SignalRecord {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

/// Shows sizes.
impl fmt::Debug for SignalRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignalRecord({:?})", self.value.as_ref().map(Vec::len))
    }
}

/// Where signals come from beside the signal table.
pub trait SignalTopics: Send + Sync {
    /// Follows partition 0 of `topic` from its end. `properties` are the consumer's, without their prefix. Ends when
    /// the receiver is dropped.
    fn follow(&self, topic: &str, properties: BTreeMap<String, String>) -> PortResult<mpsc::Receiver<SignalRecord>>;
}
