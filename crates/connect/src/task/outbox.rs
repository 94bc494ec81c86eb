//! From the thread that makes records to the async side that sends them: chunks, a few at a time.

use tokio::sync::mpsc;
use walhouse_change::Lsn;
use walhouse_kafka::{Offset, Record};

use super::ports::{Chunk, StoredOffset};

/// Chunks between the two sides: enough for both to be busy, few enough to bound memory.
pub(super) const CHUNKS: usize = 4;
/// Bytes of a chunk at most, beyond a single change's.
const CHUNK_BYTES: usize = 4 << 20;

/// A chunk, and what it means once it is delivered.
pub(super) struct Parcel {
    pub(super) chunk: Chunk,
    /// What may be confirmed once the chunk's offset is stored.
    pub(super) commit: Option<Lsn>,
    /// What may be confirmed once everything up to here is delivered and every offset stored.
    pub(super) progress: Option<Lsn>,
}

/// Nobody takes records any more: the task is to end.
#[derive(Debug)]
pub(super) struct Closed;

/// The thread's end.
pub(super) struct Outbox {
    sender: mpsc::Sender<Parcel>,
    key: String,
    /// Records that wait for their chunk to be full.
    pub(super) records: Vec<Record>,
    counted: usize,
    bytes: usize,
    max_records: usize,
    /// Where the records that wait will have brought the connector; none if that is not known yet.
    pub(super) reached: Option<Offset>,
    /// Offsets are not to move for now.
    pub(super) held: bool,
    progress: Lsn,
}

impl Outbox {
    pub(super) fn new(sender: mpsc::Sender<Parcel>, key: String, max_records: usize) -> Self {
        Self {
            sender,
            key,
            records: Vec::new(),
            counted: 0,
            bytes: 0,
            max_records,
            reached: None,
            held: false,
            progress: Lsn::ZERO,
        }
    }

    /// Whether nobody takes records any more.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether the chunk is full.
    pub(super) fn is_full(&mut self) -> bool {
        for record in self.records.get(self.counted..).unwrap_or_default() {
            let size = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
            self.bytes += size(&record.key) + size(&record.value);
        }
        self.counted = self.records.len();
        self.counted >= self.max_records || self.bytes >= CHUNK_BYTES
    }

    /// Hands over what waits, waiting for room.
    pub(super) fn flush(&mut self, progress: Option<Lsn>) -> Result<(), Closed> {
        let reached = self.reached.take().filter(|_| !self.held);
        let progress = progress.filter(|progress| !self.held && *progress > self.progress);
        if self.records.is_empty() && progress.is_none() && reached.is_none() {
            return Ok(());
        }
        self.progress = progress.unwrap_or(self.progress);
        let commit = reached.as_ref().and_then(|offset| offset.position.commit);
        let offset = reached.map(|offset| StoredOffset { key: self.key.clone(), value: offset.to_json() });
        let records = std::mem::take(&mut self.records);
        (self.counted, self.bytes) = (0, 0);
        self.records.reserve(records.len().min(self.max_records));
        let parcel = Parcel { chunk: Chunk { records, offset }, commit: commit.map(Lsn), progress };
        self.sender.blocking_send(parcel).map_err(|_| Closed)
    }
}
