//! Where a reading thread hands its batches to an async consumer: room for one, and either side can end it.
//!
//! The thread asks for room before it makes a batch, so it goes on gathering while the consumer is busy, and it never
//! waits here longer than it chooses to: a replication session has keepalives to send.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use walhouse_change::{Budget, ChangeBatch, Domain, Error, Permit, Result, Retry};

/// How often a thread that lacks budget asks again: short against a batch's insert, long against a system call.
const BUDGET_POLL: Duration = Duration::from_millis(5);

#[derive(Default)]
struct State {
    batch: Option<ChangeBatch>,
    /// How the thread ended.
    end: Option<Result<()>>,
    /// The consumer went away.
    closed: bool,
}

/// Shared by the thread and its consumer.
#[derive(Default)]
pub(crate) struct Handover {
    state: Mutex<State>,
    /// The batch was taken, or a side ended.
    changed: Condvar,
    /// There is a batch, or the end.
    ready: Notify,
}

impl Handover {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether [`Self::put`] has room. Only the thread fills it, so room found stays.
    pub(crate) fn has_room(&self) -> bool {
        self.state().batch.is_none()
    }

    /// Waits for room, `timeout` at most; also returns when the consumer went away.
    pub(crate) fn wait_room(&self, timeout: Duration) -> bool {
        let occupied = |state: &mut State| state.batch.is_some() && !state.closed;
        let waited = self.changed.wait_timeout_while(self.state(), timeout, occupied);
        waited.unwrap_or_else(PoisonError::into_inner).0.batch.is_none()
    }

    /// Hands a batch over; there must be room.
    pub(crate) fn put(&self, batch: ChangeBatch) {
        self.state().batch = Some(batch);
        self.ready.notify_one();
    }

    /// Ends the thread's side; what was put stays to be taken.
    fn finish(&self, end: Result<()>) {
        self.state().end.get_or_insert(end);
        self.changed.notify_all();
        self.ready.notify_one();
    }

    /// Ends the consumer's side.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Waits for the thread's end.
    pub(crate) fn wait_finished(&self, timeout: Duration) {
        let running = |state: &mut State| state.end.is_none();
        drop(self.changed.wait_timeout_while(self.state(), timeout, running));
    }

    /// The next batch; none at the end. Cancel-safe: a batch stays until it is returned.
    pub(crate) async fn next(&self) -> Result<Option<ChangeBatch>> {
        loop {
            {
                let mut state = self.state();
                if let Some(batch) = state.batch.take() {
                    self.changed.notify_all();
                    return Ok(Some(batch));
                }
                if let Some(end) = &state.end {
                    return end.clone().map(|()| None);
                }
            }
            self.ready.notified().await;
        }
    }

    /// Takes `bytes` of the budget, waiting as long as it takes; none when the consumer went away.
    pub(crate) fn charge(&self, budget: &Budget, bytes: usize) -> Option<Permit> {
        loop {
            if let Some(permit) = budget.try_charge(bytes) {
                return Some(permit);
            }
            if self.is_closed() {
                return None;
            }
            std::thread::sleep(BUDGET_POLL);
        }
    }
}

/// Runs `work` on a thread of its own whose outcome ends the handover, also if it panics.
pub(crate) fn spawn(
    name: &str,
    handover: &Arc<Handover>,
    work: impl FnOnce() -> Result<()> + Send + 'static,
) -> Result<()> {
    struct Ending(Arc<Handover>);
    impl Drop for Ending {
        fn drop(&mut self) {
            // Without effect after an orderly end.
            self.0.finish(Err(Error::new(Domain::Internal, Retry::Later, "the reading thread ended by a panic")));
        }
    }
    let ending = Ending(Arc::clone(handover));
    let body = move || ending.0.finish(work());
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map(drop)
        .map_err(|error| Error::new(Domain::Internal, Retry::Later, "cannot start a thread").with_source(error))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use walhouse_change::BatchBuilder;

    use super::*;

    fn batch() -> ChangeBatch {
        BatchBuilder::default().finish(Bytes::new(), Permit::default())
    }

    #[tokio::test]
    async fn what_was_put_comes_before_the_end() {
        let handover = Arc::new(Handover::default());
        let other = Arc::clone(&handover);
        spawn("test", &handover, move || {
            for _ in 0..100 {
                while !other.wait_room(Duration::from_millis(50)) {}
                other.put(batch());
            }
            Err(Error::new(Domain::Source, Retry::Later, "over"))
        })
        .unwrap();
        for _ in 0..100 {
            assert!(handover.next().await.unwrap().is_some());
        }
        assert_eq!(handover.next().await.unwrap_err().to_string(), "over");
        assert_eq!(handover.next().await.unwrap_err().to_string(), "over");
    }

    #[tokio::test]
    async fn a_panic_is_an_end() {
        let handover = Arc::new(Handover::default());
        spawn("test", &handover, || panic!("expected by the test")).unwrap();
        assert!(handover.next().await.unwrap_err().to_string().contains("panic"));
    }
}
