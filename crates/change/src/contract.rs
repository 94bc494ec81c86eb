//! The contracts. Object-safe: one virtual call per batch costs nothing, and neither end sees
//! the other.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::{ChangeBatch, Checkpoint, Error, Lsn, Result, State, TableName, TableSchema, TableState};

/// A boxed future, so that the contracts can be trait objects.
pub type BoxFuture<'a, T> = futures_util::future::BoxFuture<'a, T>;

/// Tells a source that everything up to an LSN is durable and checkpointed: it may forget it.
/// It returns at once, may be called from anywhere, and does nothing once the source is gone.
pub type Acknowledge = Arc<dyn Fn(Lsn) + Send + Sync>;

/// Where batches come from: a table's copy, or the log.
pub trait Source: Send {
    /// The next batch in order; `None` at the end of a copy (the log has none).
    ///
    /// Not cancel-safe unless an implementation says so: keep the future until it resolves.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<ChangeBatch>>>;

    /// The handle by which this source is told what it may forget. It is apart from the source,
    /// because acknowledgements come while the future of [`Self::next`] is under way and holds
    /// it. A copy's handle does nothing.
    fn acknowledger(&self) -> Acknowledge;
}

/// Where batches go.
///
/// Acceptance and durability are two awaits: `enqueue` resolves when the batch is taken over
/// (waiting there is backpressure), the [`Commit`] when all of it is durable on disk. A commit
/// need not be polled for its batch to become durable and to give its [`crate::Permit`] back: who
/// holds it may be waiting for the source, which waits for those bytes. Dropping a sink abandons what is not
/// durable yet; what the target's server still works on is ended by [`Target::load`].
pub trait Sink: Send {
    /// Takes a batch over. Batches come in log order.
    ///
    /// # Errors
    /// An error is final for this sink: drop it, open a new one from the last checkpoint.
    fn enqueue(&mut self, batch: ChangeBatch) -> BoxFuture<'_, Result<Commit>>;

    /// Makes everything durable that was taken over, then ends.
    fn close(self: Box<Self>) -> BoxFuture<'static, Result<()>>;
}

/// Resolves when a batch is durable.
pub struct Commit(BoxFuture<'static, Result<()>>);

impl Commit {
    /// Wraps the future that knows.
    pub fn new(durable: impl Future<Output = Result<()>> + Send + 'static) -> Self {
        Self(Box::pin(durable))
    }

    /// A batch that was durable at once (it held nothing for this sink).
    #[must_use]
    pub fn done() -> Self {
        Self::new(std::future::ready(Ok(())))
    }
}

impl Future for Commit {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Commit")
    }
}

/// The source's slot as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// No slot of that name.
    Missing,
    /// Usable.
    Present {
        /// Changes of transactions whose commit LSN is below are gone for this slot.
        confirmed: Lsn,
        /// Process id of the walsender that holds it now.
        active_pid: Option<i32>,
        /// Bytes of log that the slot retains.
        retained: u64,
    },
    /// Its log was removed, or it cannot be used for another reason.
    Lost {
        /// In the source's words.
        reason: String,
        /// From here on data is gone.
        confirmed: Lsn,
    },
}

/// A table of the selection as found in the source's catalog.
#[derive(Clone, Debug)]
pub struct SurveyedTable {
    /// Its shape.
    pub schema: Arc<TableSchema>,
    /// Why it cannot be replicated (no usable identity and the like), with what mends it.
    pub problem: Option<Error>,
    /// Planner's estimate of its rows.
    pub estimated_rows: u64,
    /// Size of its main data in bytes.
    pub bytes: u64,
}

/// What the source looks like at one moment.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Identity of the cluster.
    pub system_identifier: u64,
    /// Its timeline.
    pub timeline: u32,
    /// End of its log (the last replayed position of a standby).
    pub current: Lsn,
    /// Our slot.
    pub slot: SlotState,
    /// Our publication: the `relid`s it holds (roots of partitioned tables, as in `tables`), or
    /// `None` when it does not exist. A table that was live and is not in it has lost changes.
    pub published: Option<Vec<u32>>,
    /// The selection, in name order.
    pub tables: Vec<SurveyedTable>,
}

/// Which slot a snapshot is taken with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// The slot of the stream: created now and kept, so that stream and snapshot join.
    Lasting,
    /// One that ends with the snapshot, for tables that join a stream already under way.
    Temporary,
}

/// A piece of a table that one worker copies.
#[derive(Clone, Debug)]
pub struct CopyPart {
    /// The table.
    pub schema: Arc<TableSchema>,
    /// 0-based number of the piece within its table.
    pub number: u32,
    /// Number of pieces of that table.
    pub of: u32,
    /// Estimate of the piece's rows, for a progress bar.
    pub estimated_rows: u64,
    /// What the adapter needs to find the piece again (a range of blocks).
    pub range: Option<(u64, Option<u64>)>,
}

/// Everything of the source beside the stream.
pub trait Origin: Send + Sync {
    /// Reads the catalog, the slot and the server's identity.
    fn survey(&self) -> BoxFuture<'_, Result<Survey>>;

    /// Makes the publication hold exactly `tables`, creating it when missing.
    ///
    /// # Errors
    /// `Retry::Later` when it is not as this origin's last survey found it: were a table taken out
    /// of it since, putting it back would hide that changes are missing.
    fn publish<'a>(&'a self, tables: &'a [Arc<TableSchema>]) -> BoxFuture<'a, Result<()>>;

    /// Locks `tables`, creates the slot, exports its snapshot and opens workers on it.
    fn snapshot<'a>(
        &'a self,
        tables: &'a [Arc<TableSchema>],
        slot: SlotKind,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>>>;

    /// Drops our lasting slot if it exists.
    fn drop_slot(&self) -> BoxFuture<'_, Result<()>>;

    /// Starts streaming the transactions whose commit LSN is not below `from`. `tables` are those
    /// whose changes are wanted.
    fn stream<'a>(&'a self, from: Lsn, tables: &'a [Arc<TableSchema>]) -> BoxFuture<'a, Result<Box<dyn Source>>>;
}

/// A consistent view of the tables, held open until it is dropped.
pub trait Snapshot: Send + Sync {
    /// Where the stream goes on: the snapshot holds exactly the transactions whose commit LSN
    /// is below it.
    fn consistent_point(&self) -> Lsn;

    /// The pieces to copy, largest first; every table has at least one.
    fn parts(&self) -> &[CopyPart];

    /// Opens one piece. As many may be open at a time as the adapter has workers.
    fn open<'a>(&'a self, part: &'a CopyPart) -> BoxFuture<'a, Result<Box<dyn Source>>>;
}

/// A table that a stream's sink is opened for.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Its shape now.
    pub schema: Arc<TableSchema>,
    /// Events with a commit LSN below are in its copy: the sink drops them.
    pub from: Lsn,
}

/// Told by a sink what it saw, while it works.
pub trait Observer: Send + Sync {
    /// `table` is stopped: its later changes are dropped, the others go on. Called before the
    /// [`Commit`] of the batch in which it stopped resolves, so that no checkpoint passes a
    /// dropped change before the stop is on record.
    fn table_stopped(&self, table: &TableName, error: &Error);

    /// `rows` of `table` are visible, the newest of them committed at `commit_time`
    /// (microseconds since 1970-01-01 UTC).
    fn visible(&self, table: &TableName, rows: u64, commit_time: i64);
}

/// Everything of the target beside the stream of batches.
pub trait Target: Send + Sync {
    /// Asks for a sign of life, without any effect. One that cannot be asked always answers.
    fn ping(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Ends whatever a former process of the same slot has still running there, creates what is
    /// missing (database, service tables) and reads the state.
    fn load(&self) -> BoxFuture<'_, Result<State>>;

    /// Stores the checkpoint durably.
    fn save_checkpoint<'a>(&'a self, checkpoint: &'a Checkpoint) -> BoxFuture<'a, Result<()>>;

    /// Stores one table's state durably.
    fn save_table<'a>(&'a self, table: &'a TableState) -> BoxFuture<'a, Result<()>>;

    /// Makes an empty copy of `table` beside whatever is there, dropping an unfinished one.
    fn begin_copy<'a>(&'a self, table: &'a Arc<TableSchema>) -> BoxFuture<'a, Result<()>>;

    /// Opens one more sink into the copy that was begun; one per worker. Its rows have the
    /// version [`crate::Version::snapshot`].
    fn copy_sink<'a>(&'a self, table: &'a Arc<TableSchema>, epoch: u16) -> BoxFuture<'a, Result<Box<dyn Sink>>>;

    /// Puts the finished copy in the table's place in one step and (re)creates its views.
    fn finish_copy<'a>(&'a self, table: &'a Arc<TableSchema>) -> BoxFuture<'a, Result<()>>;

    /// Opens the stream's sink: adapts the tables to their schemas, reads what they hold and
    /// drops what comes again.
    fn open<'a>(
        &'a self,
        tables: &'a [Opening],
        epoch: u16,
        observer: Arc<dyn Observer>,
    ) -> BoxFuture<'a, Result<Box<dyn Sink>>>;
}
