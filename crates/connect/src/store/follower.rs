//! A topic followed into a state in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use walhouse_kafka::client::{ConsumedRecord, Log, Placed, Properties};

use crate::error::{Error, Result};

/// Before reading is tried again after an error that may pass.
const PAUSE: Duration = Duration::from_secs(2);

/// A state that records change.
pub(crate) trait Apply: Send + Sync + 'static {
    /// Applies one record; what cannot be read is left out.
    fn apply(&mut self, key: &str, value: Option<&[u8]>);
}

/// The state, as far as the topic has been read.
pub(crate) struct Follower<T> {
    state: Arc<RwLock<T>>,
    seen: watch::Receiver<Seen>,
    _task: Arc<Ends>,
}

/// Offsets of the last records applied, by partition, and how many were applied in all.
#[derive(Clone, Debug, Default)]
struct Seen {
    offsets: BTreeMap<i32, i64>,
}

/// Ends the task with the last handle.
struct Ends(AbortHandle);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T: Apply> Follower<T> {
    /// Reads the topic to its end, then goes on following it.
    pub(crate) async fn open(client: &Properties, topic: &str, state: T) -> Result<Self> {
        let mut log = Log::open(client, topic).await?;
        let state = Arc::new(RwLock::new(state));
        let (sender, seen) = watch::channel(Seen::default());
        log.each_to_end(|record| apply(&state, &sender, &record)).await?;
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                match log.next().await {
                    Ok(record) => apply(&shared, &sender, &record),
                    Err(error) => {
                        tracing::warn!(topic = log.topic(), %error, "following an internal topic");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        });
        Ok(Self { state, seen, _task: Arc::new(Ends(task.abort_handle())) })
    }

    /// Looks at the state.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until the record at this place was applied.
    pub(crate) async fn reached(&self, placed: Placed) -> Result<()> {
        let mut seen = self.seen.clone();
        let there = |seen: &Seen| seen.offsets.get(&placed.partition).is_some_and(|offset| *offset >= placed.offset);
        seen.wait_for(there).await.map(drop).map_err(|_| Error::Ending)
    }

    /// Resolves after the next record from now on.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> + Send + use<T> {
        let mut seen = self.seen.clone();
        seen.mark_unchanged();
        async move {
            let _ = seen.changed().await;
        }
    }
}

fn apply<T: Apply>(state: &RwLock<T>, seen: &watch::Sender<Seen>, record: &ConsumedRecord) {
    if let Some(key) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) {
        state.write().unwrap_or_else(PoisonError::into_inner).apply(key, record.value.as_deref());
    }
    seen.send_modify(|seen| {
        seen.offsets.insert(record.partition, record.offset);
    });
}

impl<T> Clone for Follower<T> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), seen: self.seen.clone(), _task: Arc::clone(&self._task) }
    }
}

impl<T> fmt::Debug for Follower<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").finish_non_exhaustive()
    }
}
