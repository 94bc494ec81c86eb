//! The stream's sink: one task per table behind one queue each.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use walhouse_change::{BoxFuture, Change, ChangeBatch, Commit, Domain, Error, Observer, Result, Retry, Sink};

use super::inserter::Inserter;
use super::pace::{self, Pace};
use super::table::{Done, Part, Start, Table};
use crate::target::Tables;

/// Batches that a table's queue holds. The byte budget bounds what is in flight; this only keeps
/// a stopped table from hoarding small ones.
const QUEUE: usize = 64;

/// Follows the stream.
#[derive(Debug)]
pub(crate) struct StreamSink {
    queues: Vec<mpsc::Sender<Part>>,
    /// From `pg_class.oid` to the index of the table's queue.
    by_relid: HashMap<u32, usize>,
    tasks: JoinSet<Result<()>>,
    failure: Arc<OnceLock<Error>>,
    _watcher: Watcher,
}

/// Ends with the sink.
#[derive(Debug)]
struct Watcher(tokio::task::JoinHandle<()>);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl StreamSink {
    pub(crate) fn open(
        starts: Vec<Start>,
        inserter: Inserter,
        tables: Tables,
        epoch: u16,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let failure = Arc::new(OnceLock::new());
        let (mut queues, mut by_relid, mut paces) = (Vec::new(), HashMap::new(), HashMap::new());
        let mut tasks = JoinSet::new();
        for start in starts {
            let pace = Pace::new();
            for &kind in start.plan.tables() {
                paces.insert(start.plan.table_name(kind), Arc::clone(&pace));
            }
            let (queue, parts) = mpsc::channel(QUEUE);
            by_relid.insert(start.plan.schema.relid, queues.len());
            queues.push(queue);
            let table = Table::new(start, inserter.clone(), tables.clone(), epoch, Arc::clone(&observer), pace);
            let failure = Arc::clone(&failure);
            tasks.spawn(async move {
                let ended = table.run(parts).await;
                if let Err(error) = &ended {
                    // the first failure is the cause of the others
                    let _ = failure.set(error.clone());
                }
                ended
            });
        }
        let watcher = tokio::spawn(pace::watch(inserter.client, tables.database().to_owned(), paces));
        Self { queues, by_relid, tasks, failure, _watcher: Watcher(watcher) }
    }

    /// The changes of each table, as indexes into the batch, with the table's queue.
    fn split(&self, batch: &ChangeBatch) -> Vec<(usize, Vec<u32>)> {
        let queue_of: Vec<Option<usize>> =
            batch.schemas().iter().map(|schema| self.by_relid.get(&schema.relid).copied()).collect();
        let mut parts: Vec<Option<Vec<u32>>> = vec![None; self.queues.len()];
        let mut add = |table: u32, change: usize| {
            let queue = queue_of.get(table as usize).copied().flatten();
            if let Some(part) = queue.and_then(|queue| parts.get_mut(queue)) {
                part.get_or_insert_default().push(change as u32);
            }
        };
        for (at, change) in batch.changes().iter().enumerate() {
            match change {
                Change::Row(row) => add(row.table, at),
                Change::Schema { table } => add(*table, at),
                Change::Truncate(truncate) => truncate.tables.iter().for_each(|&table| add(table, at)),
                Change::Begin { .. } | Change::Commit { .. } | Change::Message(_) => {}
            }
        }
        parts.into_iter().enumerate().filter_map(|(queue, part)| Some((queue, part?))).collect()
    }

    async fn take(&mut self, mut batch: ChangeBatch) -> Result<Commit> {
        if let Some(failure) = self.failure.get() {
            return Err(failure.clone());
        }
        let permit = Arc::new(batch.take_permit());
        let parts = self.split(&batch);
        let batch = Arc::new(batch);
        let mut waits = Vec::with_capacity(parts.len());
        for (queue, changes) in parts {
            let (tell, wait) = oneshot::channel();
            let done = Done { tell, held_until_durable: Arc::clone(&permit) };
            let part = Part { batch: Arc::clone(&batch), changes, done };
            let Some(queue) = self.queues.get(queue) else { continue };
            if queue.send(part).await.is_err() {
                return Err(self.reason());
            }
            waits.push(wait);
        }
        if waits.is_empty() {
            return Ok(Commit::done());
        }
        let failure = Arc::clone(&self.failure);
        Ok(Commit::new(async move {
            for ended in join_all(waits).await {
                ended.unwrap_or_else(|_| Err(failure.get().cloned().unwrap_or_else(gone)))?;
            }
            Ok(())
        }))
    }

    fn reason(&self) -> Error {
        self.failure.get().cloned().unwrap_or_else(gone)
    }

    async fn finish(mut self) -> Result<()> {
        // the tasks end when their queues do
        self.queues.clear();
        let mut first = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let ended = ended.unwrap_or_else(|error| Err(super::flight::broken(&error)));
            first = first.and(ended);
        }
        first
    }
}

fn gone() -> Error {
    Error::new(Domain::Target, Retry::Later, "the sink was dropped before the batch was durable")
}

impl Sink for StreamSink {
    fn enqueue(&mut self, batch: ChangeBatch) -> BoxFuture<'_, Result<Commit>> {
        Box::pin(self.take(batch))
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(self.finish())
    }
}
