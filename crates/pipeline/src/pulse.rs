//! Whether the target answers. A target that stands still gives no error: calls just do not return. So every call is
//! noted while it is under way, an idle target is asked for a sign of life now and then, and silence that lasts is
//! shown as waiting. Nothing is broken off for it: when the target answers again, all goes on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use walhouse_change::{
    BoxFuture, ChangeBatch, Checkpoint, Commit, Domain, Error, Observer, Opening, Result, Retry, Sink, State,
    TableSchema, TableState, Target,
};

use crate::StatusBoard;

/// How often the pulse is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// An idle target is asked after this: soon enough that silence shows within ten seconds together with the usual
/// patience, and next to nothing for a server.
const ASK_AFTER: Duration = Duration::from_secs(2);

/// What an idle target is asked for.
const SIGN_OF_LIFE: &str = "give a sign of life";

/// Calls under way. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Pulse(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    next: u64,
    under_way: BTreeMap<u64, &'static str>,
    /// Last answer, or the beginning of the first call since nothing was under way.
    heard: Instant,
}

/// One call under way.
struct Call {
    pulse: Pulse,
    number: u64,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Inner { next: 0, under_way: BTreeMap::new(), heard: Instant::now() })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `what` completes "which was to ..".
    fn begin(&self, what: &'static str) -> Call {
        let mut inner = self.inner();
        if inner.under_way.is_empty() {
            inner.heard = Instant::now();
        }
        inner.next += 1;
        let number = inner.next;
        inner.under_way.insert(number, what);
        Call { pulse: self.clone(), number }
    }

    /// The target did something.
    pub(crate) fn beats(&self) {
        self.inner().heard = Instant::now();
    }

    async fn around<T>(&self, what: &'static str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let under_way = self.begin(what);
        let answer = call.await;
        if answer.is_ok() {
            under_way.pulse.beats();
        }
        answer
    }

    /// How long nothing has come though something is due, and what.
    fn silence(&self) -> Option<(Duration, &'static str)> {
        let inner = self.inner();
        // Work says more than the question that came before it.
        let work = inner.under_way.values().find(|what| **what != SIGN_OF_LIFE);
        let oldest = work.or_else(|| inner.under_way.values().next())?;
        Some((inner.heard.elapsed(), oldest))
    }

    /// How long there has been nothing to do.
    fn idle(&self) -> Option<Duration> {
        let inner = self.inner();
        inner.under_way.is_empty().then(|| inner.heard.elapsed())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.pulse.inner().under_way.remove(&self.number);
    }
}

/// Looks at the pulse for ever, and shows on the board what it finds. `target` is a [`Watched`] one.
pub(crate) async fn watch(target: Arc<dyn Target>, pulse: Pulse, board: StatusBoard, patience: Duration) {
    let mut asking: Option<BoxFuture<'_, Result<()>>> = None;
    let mut refused: Option<Error> = None;
    loop {
        tokio::select! {
            biased;
            answer = async { match &mut asking { Some(answer) => answer.await, None => std::future::pending().await } } => {
                asking = None;
                refused = answer.err();
            }
            () = sleep(LOOK) => {}
        }
        let silence = pulse.silence().filter(|(silence, _)| *silence >= patience);
        match (silence, &refused) {
            (Some((_, what)), _) => board.stall(&silent(what, patience)),
            (None, Some(error)) => board.stall(error),
            (None, None) => board.goes_on(),
        }
        // One that refused is asked again at once: it may be a moment's restart.
        if asking.is_none() && pulse.idle().is_some_and(|idle| refused.is_some() || idle >= ASK_AFTER) {
            asking = Some(target.ping());
        } else if asking.is_none() && refused.is_some() {
            // Work is under way again: it has its own say.
            refused = None;
        }
    }
}

fn silent(what: &str, patience: Duration) -> Error {
    let message = format!("no answer for {} s and longer from the target, which was to {what}", patience.as_secs());
    Error::new(Domain::Target, Retry::Later, message)
        .with_remedy("see whether it stands still or is overloaded; all goes on by itself when it answers")
}

/// A target whose calls are noted.
pub(crate) struct Watched {
    inner: Arc<dyn Target>,
    pulse: Pulse,
}

impl Watched {
    pub(crate) fn wrap(inner: Arc<dyn Target>, pulse: Pulse) -> Arc<dyn Target> {
        Arc::new(Self { inner, pulse })
    }

    async fn sink(&self, what: &'static str, open: BoxFuture<'_, Result<Box<dyn Sink>>>) -> Result<Box<dyn Sink>> {
        let inner = self.pulse.around(what, open).await?;
        Ok(Box::new(WatchedSink { inner, pulse: self.pulse.clone() }))
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("pulse", &self.pulse).finish_non_exhaustive()
    }
}

impl Target for Watched {
    fn ping(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.pulse.around(SIGN_OF_LIFE, self.inner.ping()))
    }

    fn load(&self) -> BoxFuture<'_, Result<State>> {
        Box::pin(self.pulse.around("read the state", self.inner.load()))
    }

    fn save_checkpoint<'a>(&'a self, checkpoint: &'a Checkpoint) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.pulse.around("store a checkpoint", self.inner.save_checkpoint(checkpoint)))
    }

    fn save_table<'a>(&'a self, table: &'a TableState) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.pulse.around("store a table's state", self.inner.save_table(table)))
    }

    fn begin_copy<'a>(&'a self, table: &'a Arc<TableSchema>) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.pulse.around("begin a table's copy", self.inner.begin_copy(table)))
    }

    fn copy_sink<'a>(&'a self, table: &'a Arc<TableSchema>, epoch: u16) -> BoxFuture<'a, Result<Box<dyn Sink>>> {
        Box::pin(self.sink("take a table's copy", self.inner.copy_sink(table, epoch)))
    }

    fn finish_copy<'a>(&'a self, table: &'a Arc<TableSchema>) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.pulse.around("finish a table's copy", self.inner.finish_copy(table)))
    }

    fn open<'a>(
        &'a self,
        tables: &'a [Opening],
        epoch: u16,
        observer: Arc<dyn Observer>,
    ) -> BoxFuture<'a, Result<Box<dyn Sink>>> {
        Box::pin(self.sink("look where its tables are", self.inner.open(tables, epoch, observer)))
    }
}

struct WatchedSink {
    inner: Box<dyn Sink>,
    pulse: Pulse,
}

impl Sink for WatchedSink {
    fn enqueue(&mut self, batch: ChangeBatch) -> BoxFuture<'_, Result<Commit>> {
        Box::pin(async move {
            // Taking over is no answer yet; the target has it once it is durable.
            let call = self.pulse.begin("make changes durable");
            let commit = self.inner.enqueue(batch).await?;
            Ok(Commit::new(async move {
                commit.await?;
                call.pulse.beats();
                Ok(())
            }))
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        let Self { inner, pulse } = *self;
        Box::pin(async move { pulse.around("make the last changes durable", inner.close()).await })
    }
}
