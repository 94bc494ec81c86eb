//! A Kafka cluster's topics and messages, over the port [`crate::ports::Topics`].
//!
//! Everything here is bounded: a page of messages by count, bytes and time; a search by messages
//! scanned; a tail by what its reader takes. Readers are few and each request has its own, so that
//! no search waits for another and each ends when its request does.

pub(crate) mod browse;
mod change;
pub(crate) mod decode;
pub(crate) mod lag;
pub(crate) mod message;
mod partitioner;
pub(crate) mod search;

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ports::{Failure, FailureKind, Result};

pub use change::{Change, ChangeOp};
pub use decode::{Decoded, Format};
pub use lag::LagPoint;
pub use message::{Header, Message};

/// Readers at a time. Each is a client with buffers of its own, some 20 MB at worst.
const READERS: usize = 16;

/// What requests about topics share.
#[derive(Debug)]
pub(crate) struct State {
    readers: Arc<Semaphore>,
    pub(crate) schemas: decode::Schemas,
    pub(crate) lags: lag::Book,
}

impl Default for State {
    fn default() -> Self {
        Self {
            readers: Arc::new(Semaphore::new(READERS)),
            schemas: decode::Schemas::default(),
            lags: lag::Book::default(),
        }
    }
}

impl State {
    /// The right to one more reader, for as long as it is kept.
    pub(crate) fn reader(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.readers).try_acquire_owned().map_err(|_| {
            let busy = Failure::new(FailureKind::Unavailable, format!("{READERS} messages views are open already"));
            busy.advise("close one, or wait until a search has ended")
        })
    }
}
