//! A wrapper around both ends that rejects, fails after having done its work, delays, or crashes
//! the whole process, by seed.
//!
//! A crash is a request: [`Faults::crashed`] resolves, the call never returns, and the test drops
//! everything that would live in a process. So a crash can happen at every call and at every
//! return of the contracts, which is everywhere where state is half done.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;

use crate::memory::Random;
use crate::{
    Acknowledge, BoxFuture, ChangeBatch, Checkpoint, Commit, CopyPart, Domain, Error, Lsn, Observer, Opening, Origin,
    Result, Retry, Sink, SlotKind, Snapshot, Source, State, Survey, TableSchema, TableState, Target,
};

/// How often each fault happens, in percent of all calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// The call fails without having done anything.
    pub reject: u64,
    /// The call does its work, then fails.
    pub fail_after: u64,
    /// The call waits, both before and after its work.
    pub delay: u64,
    /// The process crashes, before or after the work.
    pub crash: u64,
    /// Longest wait.
    pub longest: Duration,
    /// `save_checkpoint` says it is done and is not. No sound pipeline can live with this or the
    /// next one: a test injects them to prove that it would notice.
    pub lost_checkpoint: u64,
    /// A batch counts as durable and is nowhere.
    pub lost_batch: u64,
}

enum Fault {
    None,
    Reject,
    FailAfter,
    Delay(Duration, Duration),
    CrashBefore,
    CrashAfter,
}

/// The source of faults of one test. Clones share it.
#[derive(Clone)]
pub struct Faults(Arc<Inner>);

struct Inner {
    random: Mutex<Random>,
    rates: Rates,
    quiet: AtomicBool,
    crash: Notify,
}

impl Faults {
    /// Faults at these rates, by seed.
    #[must_use]
    pub fn new(seed: u64, rates: Rates) -> Self {
        let random = Mutex::new(Random::new(seed));
        Self(Arc::new(Inner { random, rates, quiet: AtomicBool::new(false), crash: Notify::new() }))
    }

    /// No more faults from here on.
    pub fn quiet(&self) {
        self.0.quiet.store(true, Ordering::Relaxed);
    }

    /// A new process: a crash asked for in the last instant of the former one is forgotten.
    pub fn restart(&self) {
        let _ = self.crashed().now_or_never();
    }

    /// Resolves when the process is to crash.
    pub async fn crashed(&self) {
        self.0.crash.notified().await;
    }

    /// The end in question, with faults.
    pub fn origin(&self, inner: impl Origin + 'static) -> Arc<dyn Origin> {
        Arc::new(FaultyOrigin { inner: Arc::new(inner), faults: self.clone() })
    }

    /// The end in question, with faults.
    pub fn target(&self, inner: impl Target + 'static) -> Arc<dyn Target> {
        Arc::new(FaultyTarget { inner: Arc::new(inner), faults: self.clone() })
    }

    fn next(&self) -> Fault {
        if self.0.quiet.load(Ordering::Relaxed) {
            return Fault::None;
        }
        let rates = self.0.rates;
        let mut random = self.0.random.lock().unwrap_or_else(PoisonError::into_inner);
        let drawn = random.below(100);
        if drawn < rates.reject {
            Fault::Reject
        } else if drawn < rates.reject + rates.fail_after {
            Fault::FailAfter
        } else if drawn < rates.reject + rates.fail_after + rates.delay {
            Fault::Delay(random.time_below(rates.longest), random.time_below(rates.longest))
        } else if drawn < rates.reject + rates.fail_after + rates.delay + rates.crash {
            if random.chance(50) { Fault::CrashBefore } else { Fault::CrashAfter }
        } else {
            Fault::None
        }
    }

    fn lies(&self, percent: u64) -> bool {
        let quiet = self.0.quiet.load(Ordering::Relaxed);
        percent > 0 && !quiet && self.0.random.lock().unwrap_or_else(PoisonError::into_inner).chance(percent)
    }

    async fn around<T>(&self, domain: Domain, call: impl Future<Output = Result<T>>) -> Result<T> {
        match self.next() {
            Fault::None => call.await,
            Fault::Reject => Err(injected(domain)),
            Fault::FailAfter => call.await.and_then(|_| Err(injected(domain))),
            Fault::Delay(before, after) => {
                tokio::time::sleep(before).await;
                let result = call.await;
                tokio::time::sleep(after).await;
                result
            }
            Fault::CrashBefore => self.crash().await,
            Fault::CrashAfter => {
                // What the call gave goes with the process.
                drop(call.await);
                self.crash().await
            }
        }
    }

    async fn crash<T>(&self) -> T {
        self.0.crash.notify_one();
        std::future::pending().await
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("rates", &self.0.rates).finish_non_exhaustive()
    }
}

fn injected(domain: Domain) -> Error {
    Error::new(domain, Retry::Later, "injected fault")
}

struct FaultyOrigin {
    inner: Arc<dyn Origin>,
    faults: Faults,
}

impl FaultyOrigin {
    fn source(&self, inner: Box<dyn Source>) -> Box<dyn Source> {
        Box::new(FaultySource { inner, faults: self.faults.clone() })
    }
}

impl Origin for FaultyOrigin {
    fn survey(&self) -> BoxFuture<'_, Result<Survey>> {
        Box::pin(self.faults.around(Domain::Source, self.inner.survey()))
    }

    fn publish<'a>(&'a self, tables: &'a [Arc<TableSchema>]) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.faults.around(Domain::Source, self.inner.publish(tables)))
    }

    fn snapshot<'a>(
        &'a self,
        tables: &'a [Arc<TableSchema>],
        slot: SlotKind,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>>> {
        Box::pin(async move {
            let inner = self.faults.around(Domain::Source, self.inner.snapshot(tables, slot)).await?;
            Ok(Arc::new(FaultySnapshot { inner, faults: self.faults.clone() }) as Arc<dyn Snapshot>)
        })
    }

    fn drop_slot(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.faults.around(Domain::Source, self.inner.drop_slot()))
    }

    fn stream<'a>(&'a self, from: Lsn, tables: &'a [Arc<TableSchema>]) -> BoxFuture<'a, Result<Box<dyn Source>>> {
        Box::pin(async move {
            let inner = self.faults.around(Domain::Source, self.inner.stream(from, tables)).await?;
            Ok(self.source(inner))
        })
    }
}

struct FaultySnapshot {
    inner: Arc<dyn Snapshot>,
    faults: Faults,
}

impl Snapshot for FaultySnapshot {
    fn consistent_point(&self) -> Lsn {
        self.inner.consistent_point()
    }

    fn parts(&self) -> &[CopyPart] {
        self.inner.parts()
    }

    fn open<'a>(&'a self, part: &'a CopyPart) -> BoxFuture<'a, Result<Box<dyn Source>>> {
        Box::pin(async move {
            let inner = self.faults.around(Domain::Source, self.inner.open(part)).await?;
            Ok(Box::new(FaultySource { inner, faults: self.faults.clone() }) as Box<dyn Source>)
        })
    }
}

struct FaultySource {
    inner: Box<dyn Source>,
    faults: Faults,
}

impl Source for FaultySource {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<ChangeBatch>>> {
        Box::pin(self.faults.around(Domain::Source, self.inner.next()))
    }

    fn acknowledger(&self) -> Acknowledge {
        self.inner.acknowledger()
    }
}

struct FaultyTarget {
    inner: Arc<dyn Target>,
    faults: Faults,
}

impl FaultyTarget {
    async fn sink(&self, open: BoxFuture<'_, Result<Box<dyn Sink>>>) -> Result<Box<dyn Sink>> {
        let inner = self.faults.around(Domain::Target, open).await?;
        Ok(Box::new(FaultySink { inner, faults: self.faults.clone() }))
    }
}

impl Target for FaultyTarget {
    fn ping(&self) -> BoxFuture<'_, Result<()>> {
        self.inner.ping()
    }

    fn load(&self) -> BoxFuture<'_, Result<State>> {
        Box::pin(self.faults.around(Domain::Target, self.inner.load()))
    }

    fn save_checkpoint<'a>(&'a self, checkpoint: &'a Checkpoint) -> BoxFuture<'a, Result<()>> {
        if self.faults.lies(self.faults.0.rates.lost_checkpoint) {
            return Box::pin(std::future::ready(Ok(())));
        }
        Box::pin(self.faults.around(Domain::Target, self.inner.save_checkpoint(checkpoint)))
    }

    fn save_table<'a>(&'a self, table: &'a TableState) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.faults.around(Domain::Target, self.inner.save_table(table)))
    }

    fn begin_copy<'a>(&'a self, table: &'a Arc<TableSchema>) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.faults.around(Domain::Target, self.inner.begin_copy(table)))
    }

    fn copy_sink<'a>(&'a self, table: &'a Arc<TableSchema>, epoch: u16) -> BoxFuture<'a, Result<Box<dyn Sink>>> {
        Box::pin(self.sink(self.inner.copy_sink(table, epoch)))
    }

    fn finish_copy<'a>(&'a self, table: &'a Arc<TableSchema>) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.faults.around(Domain::Target, self.inner.finish_copy(table)))
    }

    fn open<'a>(
        &'a self,
        tables: &'a [Opening],
        epoch: u16,
        observer: Arc<dyn Observer>,
    ) -> BoxFuture<'a, Result<Box<dyn Sink>>> {
        Box::pin(self.sink(self.inner.open(tables, epoch, observer)))
    }
}

struct FaultySink {
    inner: Box<dyn Sink>,
    faults: Faults,
}

impl Sink for FaultySink {
    fn enqueue(&mut self, batch: ChangeBatch) -> BoxFuture<'_, Result<Commit>> {
        if self.faults.lies(self.faults.0.rates.lost_batch) {
            return Box::pin(std::future::ready(Ok(Commit::done())));
        }
        Box::pin(async move {
            let commit = self.faults.around(Domain::Target, self.inner.enqueue(batch)).await?;
            let faults = self.faults.clone();
            Ok(Commit::new(async move { faults.around(Domain::Target, commit).await }))
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        let Self { inner, faults } = *self;
        Box::pin(async move { faults.around(Domain::Target, inner.close()).await })
    }
}
