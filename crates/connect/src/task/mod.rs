//! The task: what carries one connector's changes from Postgres into Kafka.
//!
//! Reading order: [`TaskContext`] is what a worker gives it, `ports` what it asks of the worker; `settings` are its
//! options. [`run_task`] starts as Debezium does (`start`: publication, slot, stored offset), takes a snapshot where
//! one is due (`snapshot`), and streams (`stream`), all on one ordinary thread which hands chunks of records to the
//! async side (`deliver`): that sends them, waits for their delivery, stores offsets and confirms to Postgres.
//!
//! Architecture invariant: nothing is confirmed to Postgres before Kafka acknowledged its records and the offset
//! behind them is stored; and whatever the offset says, no row after it is skipped.

mod deliver;
mod failure;
mod incremental;
mod outbox;
mod ports;
mod publication;
mod resume;
mod settings;
mod signal;
mod snapshot;
mod stream;
mod tables;
mod thread;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use walhouse_kafka::Offset;

use settings::Settings;
use thread::{Confirm, Finished, Job};

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
    /// The worker's configuration: converters, `offset.flush.timeout.ms`.
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
    let settings = Arc::new(Settings::parse(&context.config, &context.worker)?);
    let mut tries = 0;
    while !context.stop.is_cancelled() {
        let Err(failure) = run_once(&context, &settings).await else { break };
        tries += 1;
        let gives_up = !failure.retriable || (settings.max_retries >= 0 && tries > settings.max_retries);
        if context.stop.is_cancelled() || gives_up {
            return Err(failure);
        }
        tracing::warn!(connector = context.connector, failure = %failure, "the task is started again");
        (context.observer)(TaskEvent::Retrying(failure.trace));
        tokio::select! {
            () = context.stop.cancelled() => {}
            () = tokio::time::sleep(settings.retry_delay) => {}
        }
    }
    if settings.drop_slot {
        drop_slot(&settings).await;
    }
    Ok(())
}

/// From the stored offset to the end, whatever it is.
async fn run_once(context: &TaskContext, settings: &Arc<Settings>) -> Result<(), TaskFailure> {
    let prefix = context.config.get("topic.prefix").map_or("", String::as_str);
    let offset_key = Offset::key(&context.connector, prefix);
    let stored = context.offsets.load(&offset_key).await?;
    let offset = stored.map(|text| Offset::parse(text.as_bytes())).transpose()?.flatten();
    let signals = match (&settings.signals.topic, &context.signals) {
        (Some(topic), Some(signals)) => Some(signals.follow(topic, settings.signals.consumer.clone())?),
        _ => None,
    };
    let (sender, parcels) = mpsc::channel(outbox::CHUNKS);
    let confirm = Confirm::default();
    let job = Job {
        settings: Arc::clone(settings),
        config: context.config.clone(),
        worker: context.worker.clone(),
        offset,
        offset_key,
        parcels: sender,
        signals,
        confirm: confirm.clone(),
        observer: Arc::clone(&context.observer),
        runtime: tokio::runtime::Handle::current(),
    };
    let (done, finished) = oneshot::channel();
    let body = move || drop(done.send(job.run()));
    let name = format!("task {}", context.connector);
    let started = std::thread::Builder::new().name(name).spawn(body);
    started.map_err(|error| TaskFailure::connect(format!("cannot start a thread: {error}")))?;
    let delivered = deliver::deliver(context, settings, &confirm, parcels).await;
    // The stream is closed only now: its farewell takes the last confirmation along.
    let Ok(Finished { outcome, stream }) = finished.await else {
        return Err(TaskFailure::connect("the task's thread ended by a panic"));
    };
    if let Some(stream) = stream {
        drop(tokio::task::spawn_blocking(move || drop(stream)).await);
    }
    delivered?;
    outcome?;
    // A snapshot was all that was asked for: the task stays, with nothing to do.
    context.stop.cancelled().await;
    Ok(())
}

/// `slot.drop.on.stop`
async fn drop_slot(settings: &Arc<Settings>) {
    let settings = Arc::clone(settings);
    let dropping = move || {
        let database = walhouse_postgres::Database::new(&settings.database, walhouse_change::Budget::new(1))?;
        database.drop_slot(&settings.slot)
    };
    match tokio::task::spawn_blocking(dropping).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = %error, "cannot drop the replication slot"),
        Err(_) => tracing::warn!("dropping the replication slot ended by a panic"),
    }
}
