//! What the console asks the source database.

use walhouse_change::{BoxFuture, Lsn};

use super::Result;

/// The source's log, and what bounds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalFacts {
    /// End of the log.
    pub current: Lsn,
    /// Log that is kept for the slot, in bytes.
    pub retained_bytes: u64,
    /// `max_slot_wal_keep_size` in bytes; none when it is unlimited.
    pub keep_limit_bytes: Option<u64>,
    /// Free space of the disk under the log, where it can be seen.
    pub disk_free_bytes: Option<u64>,
}

/// The source database.
pub trait Source: Send + Sync {
    /// Looks at the log. It is asked every few seconds.
    ///
    /// # Errors
    /// The source cannot be reached.
    fn wal(&self) -> BoxFuture<'_, Result<WalFacts>>;
}
