//! What an operator does behind our back concerns one table, and the others go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use walhouse_change::faults::Rates;
use walhouse_change::memory::{MemoryOrigin, Server};
use walhouse_change::{
    BoxFuture, Domain, Error, Lsn, Origin, Phase, Result, Retry, SlotKind, Snapshot, Source, Survey, TableName,
    TableSchema,
};
use walhouse_pipeline::{PipelineState, Status};

use crate::flow::{House, name, phase, put};
use crate::oracle;

/// A new table needs a slot of its own for a while. Where there is none it waits, and nobody else does.
#[tokio::test(start_paused = true)]
async fn a_table_without_a_free_slot_waits_for_one() {
    let house = House::new(Rates::default());
    let running = house.run_with(house.origin());
    running.until(Status::is_ready).await;
    house.server.use_up_slots(true);
    let new = name("u");
    house.server.create_table(&new);
    house.server.transact(&[(&new, put(1, "new")), (&house.table, put(2, "beside"))]);
    let status = running.until(|status| phase(status, &new) == Some(&Phase::Stopped)).await;
    let shown = status.tables.iter().find(|table| table.name == new).unwrap();
    assert!(shown.error.as_deref().unwrap().contains("all are in use"), "{:?}", shown.error);
    running.until(Status::is_ready).await;
    house.server.transact(&[(&house.table, put(3, "followed")), (&new, put(2, "later"))]);
    house.until(|| house.value(&house.table, 3).is_some()).await;
    // Tried again and again, at growing distances.
    sleep(Duration::from_secs(3600)).await;
    assert!(running.board.is_ready() && !running.task.is_finished());
    house.server.transact(&[(&house.table, put(4, "followed"))]);
    house.until(|| house.value(&house.table, 4).is_some()).await;
    house.server.use_up_slots(false);
    let began = Instant::now();
    while phase(&running.board.read(), &new) != Some(&Phase::Live) {
        sleep(Duration::from_secs(1)).await;
        assert!(began.elapsed() < Duration::from_secs(16 * 60), "it is not tried again");
    }
    house.server.transact(&[(&new, put(3, "followed"))]);
    let tables = [house.table.clone(), new];
    house.until(|| oracle::difference(&house.server, &house.store, &tables).is_none()).await;
    running.stop().await.unwrap();
}

/// Without anything to go on with it is a refusal, as before.
#[tokio::test(start_paused = true)]
async fn no_free_slot_at_the_first_start_is_a_refusal() {
    let house = House::new(Rates::default());
    house.server.use_up_slots(true);
    let running = house.run_with(house.origin());
    let error = running.task.await.unwrap().unwrap_err();
    assert_eq!(error.retry(), &Retry::Never);
}

/// Takes a table out of the publication, and puts it back as soon as the survey has seen that it is missing. Or the
/// stream notices, before any survey.
struct Operator {
    inner: MemoryOrigin,
    server: Server,
    table: TableName,
    /// The stream says that the table lost changes.
    stream_tells: Arc<AtomicBool>,
    seen: Arc<AtomicUsize>,
}

impl Origin for Operator {
    fn survey(&self) -> BoxFuture<'_, Result<Survey>> {
        Box::pin(async {
            let survey = self.inner.survey().await?;
            let schema = survey.tables.iter().find(|found| found.schema.name == self.table);
            let published = survey.published.as_deref().unwrap_or_default();
            if !published.is_empty() && schema.is_some_and(|found| !published.contains(&found.schema.relid)) {
                self.server.publish_again(&self.table);
                self.seen.fetch_add(1, Ordering::Relaxed);
            }
            Ok(survey)
        })
    }

    fn publish<'a>(&'a self, tables: &'a [Arc<TableSchema>]) -> BoxFuture<'a, Result<()>> {
        self.inner.publish(tables)
    }

    fn snapshot<'a>(
        &'a self,
        tables: &'a [Arc<TableSchema>],
        slot: SlotKind,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>>> {
        self.inner.snapshot(tables, slot)
    }

    fn drop_slot(&self) -> BoxFuture<'_, Result<()>> {
        self.inner.drop_slot()
    }

    fn stream<'a>(&'a self, from: Lsn, tables: &'a [Arc<TableSchema>]) -> BoxFuture<'a, Result<Box<dyn Source>>> {
        if self.stream_tells.swap(false, Ordering::Relaxed) {
            let lost = Retry::CopyAgain(self.table.clone());
            return Box::pin(std::future::ready(Err(Error::new(Domain::Source, lost, "it was taken out"))));
        }
        self.inner.stream(from, tables)
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_that_left_the_publication_is_copied_again_though_it_is_back() {
    for stream_notices in [false, true] {
        let house = House::new(Rates::default());
        let other = name("u");
        house.server.create_table(&other);
        let (tells, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let operator = Operator {
            inner: house.origin(),
            server: house.server.clone(),
            table: house.table.clone(),
            stream_tells: Arc::clone(&tells),
            seen: Arc::clone(&seen),
        };
        let running = house.run_with(operator);
        running.until(Status::is_ready).await;
        house.server.unpublish(&house.table);
        house.server.transact(&[(&house.table, put(2, "missing")), (&other, put(1, "beside"))]);
        if stream_notices {
            house.server.publish_again(&house.table);
            tells.store(true, Ordering::Relaxed);
            house.server.break_connections();
        }
        house.until(|| house.value(&house.table, 2).is_some()).await;
        assert_eq!(seen.load(Ordering::Relaxed), usize::from(!stream_notices));
        house.server.transact(&[(&house.table, put(3, "followed")), (&other, put(2, "beside"))]);
        let tables = [house.table.clone(), other];
        house.until(|| oracle::difference(&house.server, &house.store, &tables).is_none()).await;
        assert!(!matches!(running.board.read().state, PipelineState::Failed { .. }));
        running.stop().await.unwrap();
    }
}
