//! A task that runs, with a Kafka in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use walhouse_connect::task::{
    Chunk, Delivery, OffsetStore, Output, PortError, PortResult, StoredOffset, TaskContext, TaskEvent, TaskFailure,
    run_task,
};
use walhouse_kafka::Record;

/// Records and offsets, in memory.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    pub(crate) records: Arc<Mutex<Vec<Record>>>,
    pub(crate) offsets: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
    /// While set, nothing is acknowledged.
    pub(crate) silent: Arc<AtomicBool>,
    /// While set, offsets are waited for.
    pub(crate) away: Arc<AtomicBool>,
    /// How many writes of an offset fail from now on, as they do while brokers change.
    pub(crate) refusals: Arc<AtomicUsize>,
    /// Writes of an offset that were begun.
    pub(crate) writes: Arc<AtomicUsize>,
}

impl Memory {
    pub(crate) fn count(&self) -> usize {
        self.records.lock().unwrap().len()
    }

    pub(crate) fn count_but_heartbeats(&self) -> usize {
        let records = self.records.lock().unwrap();
        records.iter().filter(|record| !record.topic.starts_with("__debezium-heartbeat")).count()
    }

    /// The last stored offset.
    pub(crate) fn offset(&self) -> Option<String> {
        self.offsets.lock().unwrap().values().next_back().and_then(|all| all.last().cloned())
    }
}

impl Output for Memory {
    fn send(&self, chunk: Chunk) -> BoxFuture<'_, PortResult<Delivery>> {
        self.records.lock().unwrap().extend(chunk.records);
        let silent = Arc::clone(&self.silent);
        let delivery: Delivery = Box::pin(async move {
            while silent.load(Ordering::Acquire) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(())
        });
        Box::pin(async { Ok(delivery) })
    }
}

impl OffsetStore for Memory {
    fn load<'a>(&'a self, key: &'a str) -> BoxFuture<'a, PortResult<Option<String>>> {
        let stored = self.offsets.lock().unwrap().get(key).and_then(|all| all.last().cloned());
        Box::pin(async { Ok(stored) })
    }

    fn save<'a>(&'a self, offset: &'a StoredOffset) -> BoxFuture<'a, PortResult<()>> {
        self.writes.fetch_add(1, Ordering::AcqRel);
        Box::pin(async {
            if self.refusals.load(Ordering::Acquire) > 0 {
                self.refusals.fetch_sub(1, Ordering::AcqRel);
                return Err(PortError { message: "no leader".to_owned(), retriable: true });
            }
            while self.away.load(Ordering::Acquire) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            self.offsets.lock().unwrap().entry(offset.key.clone()).or_default().push(offset.value.clone());
            Ok(())
        })
    }
}

/// A task under way.
pub(crate) struct Running {
    stop: CancellationToken,
    pub(crate) paused: watch::Sender<bool>,
    pub(crate) events: Arc<Mutex<Vec<TaskEvent>>>,
    handle: JoinHandle<Result<(), TaskFailure>>,
}

pub(crate) fn start(
    connector: &str,
    config: &BTreeMap<String, String>,
    worker: &BTreeMap<String, String>,
    memory: &Memory,
) -> Running {
    let (paused, receiver) = watch::channel(false);
    let stop = CancellationToken::new();
    let events: Arc<Mutex<Vec<TaskEvent>>> = Arc::default();
    let seen = Arc::clone(&events);
    let context = TaskContext {
        connector: connector.to_owned(),
        config: config.clone(),
        worker: worker.clone(),
        output: Arc::new(memory.clone()),
        offsets: Arc::new(memory.clone()),
        signals: None,
        stop: stop.clone(),
        paused: receiver,
        observer: Arc::new(move |event| seen.lock().unwrap().push(event)),
    };
    Running { stop, paused, events, handle: tokio::spawn(run_task(context)) }
}

impl Running {
    /// Ends it in good order.
    pub(crate) async fn stop(self) -> Result<(), TaskFailure> {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.handle).await.expect("the task does not stop").unwrap()
    }

    /// Ends it where it stands: what it knows is lost.
    pub(crate) async fn kill(self) {
        self.handle.abort();
        let _ = self.handle.await;
    }

    /// The failure that ends it.
    pub(crate) async fn failure(self) -> TaskFailure {
        tokio::time::timeout(PATIENCE, self.handle).await.expect("no failure").unwrap().unwrap_err()
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    pub(crate) fn has_seen(&self, event: &TaskEvent) -> bool {
        self.events.lock().unwrap().contains(event)
    }
}

/// A machine with other work may take its time.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain: {what}");
}
