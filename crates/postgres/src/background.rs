//! Blocking work on a thread of its own, awaited.
//!
//! Not the runtime's blocking pool: that one is waited for when the program ends, and a slot's creation may wait for
//! somebody's transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;
use walhouse_change::{Domain, Error, Result, Retry};

/// Tells the work that nobody waits for it any more.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Runs `work` and awaits it. When the future is dropped the work is told to stop, and what it returns all the same
/// is dropped.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce(&Stop) -> crate::Result<T> + Send + 'static) -> Result<T> {
    struct StopOnDrop(Stop);
    impl Drop for StopOnDrop {
        fn drop(&mut self) {
            self.0.0.store(true, Ordering::Release);
        }
    }
    let stop = Stop::default();
    let _stop_on_drop = StopOnDrop(stop.clone());
    let (sender, receiver) = oneshot::channel();
    let body = move || drop(sender.send(work(&stop)));
    let internal = |what| Error::new(Domain::Internal, Retry::Later, what);
    std::thread::Builder::new()
        .name("walhouse-postgres".to_owned())
        .spawn(body)
        .map_err(|error| internal("cannot start a thread").with_source(error))?;
    receiver.await.map_err(|_| internal("a thread ended by a panic"))?.map_err(Into::into)
}
