//! A copy whose source has nothing more for hours: what the target says is heard meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use walhouse_change::memory::{MemoryOrigin, MemoryTarget, Server, Store, Write};
use walhouse_change::{
    Acknowledge, BoxFuture, ChangeBatch, Checkpoint, Commit, CopyPart, Domain, Error, Lsn, Observer, Opening, Origin,
    Pattern, Result, Retry, Sink, SlotKind, Snapshot, Source, State, Survey, TableName, TableSchema, TableState,
    Target,
};
use walhouse_pipeline::{Pipeline, PipelineState, Settings, Status};

use crate::oracle::SLOT;

/// Between two batches of a copy.
const PAUSE: Duration = Duration::from_secs(3600);

/// What the ends count and do.
#[derive(Default)]
struct Plan {
    /// Calls of a copy's `next`.
    asked: AtomicUsize,
    /// Futures of `next` that were dropped before they had an answer.
    dropped: AtomicUsize,
    /// The copy's inserts fail, a second after they were taken over.
    fails: AtomicBool,
}

struct SlowOrigin(MemoryOrigin, Arc<Plan>);

impl Origin for SlowOrigin {
    fn survey(&self) -> BoxFuture<'_, Result<Survey>> {
        self.0.survey()
    }

    fn publish<'a>(&'a self, tables: &'a [Arc<TableSchema>]) -> BoxFuture<'a, Result<()>> {
        self.0.publish(tables)
    }

    fn snapshot<'a>(
        &'a self,
        tables: &'a [Arc<TableSchema>],
        slot: SlotKind,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>>> {
        Box::pin(async move {
            let inner = self.0.snapshot(tables, slot).await?;
            Ok(Arc::new(SlowSnapshot(inner, Arc::clone(&self.1))) as Arc<dyn Snapshot>)
        })
    }

    fn drop_slot(&self) -> BoxFuture<'_, Result<()>> {
        self.0.drop_slot()
    }

    fn stream<'a>(&'a self, from: Lsn, tables: &'a [Arc<TableSchema>]) -> BoxFuture<'a, Result<Box<dyn Source>>> {
        self.0.stream(from, tables)
    }
}

struct SlowSnapshot(Arc<dyn Snapshot>, Arc<Plan>);

impl Snapshot for SlowSnapshot {
    fn consistent_point(&self) -> Lsn {
        self.0.consistent_point()
    }

    fn parts(&self) -> &[CopyPart] {
        self.0.parts()
    }

    fn open<'a>(&'a self, part: &'a CopyPart) -> BoxFuture<'a, Result<Box<dyn Source>>> {
        Box::pin(async move {
            let inner = self.0.open(part).await?;
            Ok(Box::new(SlowCopy { inner, plan: Arc::clone(&self.1), first: true }) as Box<dyn Source>)
        })
    }
}

/// The first batch comes at once, every other one after the pause.
struct SlowCopy {
    inner: Box<dyn Source>,
    plan: Arc<Plan>,
    first: bool,
}

impl Source for SlowCopy {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<ChangeBatch>>> {
        /// Counts itself when it is dropped unanswered.
        struct Asked(Option<Arc<Plan>>);
        impl Asked {
            fn is_answered(&mut self) {
                self.0 = None;
            }
        }
        impl Drop for Asked {
            fn drop(&mut self) {
                if let Some(plan) = &self.0 {
                    plan.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        self.plan.asked.fetch_add(1, Ordering::Relaxed);
        let mut asked = Asked(Some(Arc::clone(&self.plan)));
        Box::pin(async move {
            if !std::mem::take(&mut self.first) {
                sleep(PAUSE).await;
            }
            let batch = self.inner.next().await;
            asked.is_answered();
            batch
        })
    }

    fn acknowledger(&self) -> Acknowledge {
        self.inner.acknowledger()
    }
}

struct FailingTarget(MemoryTarget, Arc<Plan>);

impl Target for FailingTarget {
    fn load(&self) -> BoxFuture<'_, Result<State>> {
        self.0.load()
    }

    fn save_checkpoint<'a>(&'a self, checkpoint: &'a Checkpoint) -> BoxFuture<'a, Result<()>> {
        self.0.save_checkpoint(checkpoint)
    }

    fn save_table<'a>(&'a self, table: &'a TableState) -> BoxFuture<'a, Result<()>> {
        self.0.save_table(table)
    }

    fn begin_copy<'a>(&'a self, table: &'a Arc<TableSchema>) -> BoxFuture<'a, Result<()>> {
        self.0.begin_copy(table)
    }

    fn copy_sink<'a>(&'a self, table: &'a Arc<TableSchema>, epoch: u16) -> BoxFuture<'a, Result<Box<dyn Sink>>> {
        Box::pin(async move {
            let inner = self.0.copy_sink(table, epoch).await?;
            Ok(Box::new(FailingSink(inner, Arc::clone(&self.1))) as Box<dyn Sink>)
        })
    }

    fn finish_copy<'a>(&'a self, table: &'a Arc<TableSchema>) -> BoxFuture<'a, Result<()>> {
        self.0.finish_copy(table)
    }

    fn open<'a>(
        &'a self,
        tables: &'a [Opening],
        epoch: u16,
        observer: Arc<dyn Observer>,
    ) -> BoxFuture<'a, Result<Box<dyn Sink>>> {
        self.0.open(tables, epoch, observer)
    }
}

struct FailingSink(Box<dyn Sink>, Arc<Plan>);

impl Sink for FailingSink {
    fn enqueue(&mut self, batch: ChangeBatch) -> BoxFuture<'_, Result<Commit>> {
        let fails = self.1.fails.load(Ordering::Relaxed);
        Box::pin(async move {
            let durable = self.0.enqueue(batch).await?;
            if !fails {
                return Ok(durable);
            }
            Ok(Commit::new(async {
                sleep(Duration::from_secs(1)).await;
                Err(Error::new(Domain::Target, Retry::Later, "the insert failed"))
            }))
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        self.0.close()
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_insert_is_noticed_while_the_source_is_waited_for() {
    let plan = Arc::new(Plan::default());
    plan.fails.store(true, Ordering::Relaxed);
    // Three rows in batches of two: the second one is hours away.
    let (server, store) = (Server::new(2, Duration::from_millis(100)), Store::new(1, Duration::from_millis(5)));
    let table = TableName::new("public", "t");
    server.create_table(&table);
    let row = |id: i64| (&table, Write::Put(id, "row".to_owned()));
    server.transact(&[row(1), row(2), row(3)]);
    let origin = SlowOrigin(MemoryOrigin::new(&server, SLOT, vec![Pattern::parse("public.*").unwrap()]), plan.clone());
    let target = FailingTarget(MemoryTarget::new(&store, SLOT), Arc::clone(&plan));
    let settings = Settings { jitter_seed: Some(1), copy_workers: 1, ..Settings::new(SLOT) };
    let pipeline = Pipeline::new(Arc::new(origin), Arc::new(target), settings);
    let (board, cancel) = (pipeline.board(), CancellationToken::new());
    let (began, task) = (Instant::now(), tokio::spawn(pipeline.run(cancel.clone())));
    let failed = |status: &Status| matches!(&status.state, PipelineState::Waiting { error, .. } if error.contains("the insert failed"));
    timeout(2 * PAUSE, board.wait_for(failed)).await.expect("the failure is noticed");
    assert!(began.elapsed() < Duration::from_secs(10), "noticed after {:?}", began.elapsed());

    // While the target does well, its answers do not disturb the wait for the source.
    plan.fails.store(false, Ordering::Relaxed);
    board.wait_for(|status| status.state == PipelineState::Copying).await;
    let (asked, dropped) = (plan.asked.load(Ordering::Relaxed), plan.dropped.load(Ordering::Relaxed));
    timeout(10 * PAUSE, board.wait_for(Status::is_ready)).await.expect("the copy comes to its end");
    assert_eq!(plan.dropped.load(Ordering::Relaxed), dropped, "a future of the source was given up");
    let (after, rows) = (plan.asked.load(Ordering::Relaxed) - asked, store.table(&table).unwrap().current().len());
    assert_eq!(rows, 3);
    assert!(after <= 3, "{after} calls for two batches and the end");
    cancel.cancel();
    task.await.unwrap().unwrap();
}
