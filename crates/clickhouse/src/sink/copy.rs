//! The sink of one worker of a table's copy.
//!
//! The order of a copy's rows does not matter and an interrupted copy is dropped, so several
//! workers write side by side. Where there is a log, blocks go to it alone.
//! Rows gather while a block is being written; then the next one sets off. A small part of one is
//! sent when no batch has come for a moment, since the source may be waiting for the bytes that
//! are held here.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use walhouse_change::{BoxFuture, Change, ChangeBatch, Commit, Domain, Error, Permit, Result, Retry, Sink, Version};

use super::flight::broken;
use super::gather::{Gather, stored};
use super::inserter::{Destination, Inserter};
use crate::mapping::{TableKind, TablePlan};

/// Batches that wait while a block is being written; the byte budget bounds them.
const QUEUE: usize = 8;

/// No batch for that long: what is gathered is sent.
const QUIET: Duration = Duration::from_millis(50);

/// Rows from which on a block is worth its fixed cost when nothing else is being written.
const WORTHWHILE_ROWS: usize = 32_768;

/// Rows of a copy on their way.
#[derive(Debug)]
pub(crate) struct CopySink {
    queue: Option<mpsc::Sender<Part>>,
    task: Task,
}

/// Ends with the sink, unless it is closed.
#[derive(Debug)]
struct Task(JoinHandle<Result<()>>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Told when a batch is durable. The batch's bytes are given back here and not by the commit's
/// future: whoever holds that may be waiting for the source, which waits for the bytes.
#[derive(Debug)]
struct Done {
    tell: oneshot::Sender<Result<()>>,
    _held_until_durable: Permit,
}

#[derive(Debug)]
struct Part {
    batch: ChangeBatch,
    done: Done,
}

impl CopySink {
    pub(crate) fn new(plan: Arc<TablePlan>, inserter: Inserter, epoch: u16) -> Self {
        let gather = Gather::new(Arc::clone(&plan), epoch);
        Self::start(plan, inserter, gather)
    }

    /// One whose rows all have this version.
    pub(crate) fn imported(plan: Arc<TablePlan>, inserter: Inserter, version: Version) -> Self {
        let gather = Gather::copied(Arc::clone(&plan), version);
        Self::start(plan, inserter, gather)
    }

    fn start(plan: Arc<TablePlan>, inserter: Inserter, gather: Gather) -> Self {
        let (queue, parts) = mpsc::channel(QUEUE);
        // where there is a log, the current state gets the log's parts in the end
        let kind = if plan.history { TableKind::Log } else { TableKind::Current };
        let destination = Arc::new(Destination::staging(&plan, kind));
        let copy = Copy { gather, plan, inserter, destination, waiting: Vec::new(), under_way: None };
        Self { queue: Some(queue), task: Task(tokio::spawn(copy.run(parts))) }
    }

    async fn take(&mut self, mut batch: ChangeBatch) -> Result<Commit> {
        let permit = batch.take_permit();
        let (tell, wait) = oneshot::channel();
        let done = Done { tell, _held_until_durable: permit };
        let sent = match &self.queue {
            Some(queue) => queue.send(Part { batch, done }).await.is_ok(),
            None => false,
        };
        if !sent {
            return Err((&mut self.task.0)
                .await
                .unwrap_or_else(|error| Err(broken(&error)))
                .err()
                .unwrap_or_else(gone));
        }
        Ok(Commit::new(async move { wait.await.unwrap_or_else(|_| Err(gone())) }))
    }

    async fn finish(mut self) -> Result<()> {
        self.queue = None;
        (&mut self.task.0).await.unwrap_or_else(|error| Err(broken(&error)))
    }
}

fn gone() -> Error {
    Error::new(Domain::Target, Retry::Later, "the copy ended before the batch was durable")
}

impl Sink for CopySink {
    fn enqueue(&mut self, batch: ChangeBatch) -> BoxFuture<'_, Result<Commit>> {
        Box::pin(self.take(batch))
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(self.finish())
    }
}

struct Copy {
    plan: Arc<TablePlan>,
    gather: Gather,
    inserter: Inserter,
    destination: Arc<Destination>,
    /// Batches whose last row is gathered.
    waiting: Vec<Done>,
    /// The block that is being written.
    under_way: Option<Task>,
}

impl Copy {
    async fn run(mut self, mut parts: mpsc::Receiver<Part>) -> Result<()> {
        let ended = self.follow(&mut parts).await;
        if let Err(error) = &ended {
            tell(self.waiting, &Err(error.clone()));
        }
        ended
    }

    async fn follow(&mut self, parts: &mut mpsc::Receiver<Part>) -> Result<()> {
        loop {
            if self.under_way.is_none() && self.gather.rows() >= WORTHWHILE_ROWS {
                self.send();
            }
            tokio::select! {
                // a block that was written makes room for the next one, so it comes first
                biased;
                written = ended(&mut self.under_way) => {
                    self.under_way = None;
                    written?;
                }
                part = parts.recv() => match part {
                    Some(part) => self.take(part).await?,
                    None => break,
                },
                () = tokio::time::sleep(QUIET), if self.under_way.is_none() && !self.is_idle() => self.send(),
            }
        }
        self.landed().await?;
        self.send();
        self.landed().await
    }

    fn is_idle(&self) -> bool {
        self.gather.is_empty() && self.waiting.is_empty()
    }

    async fn take(&mut self, part: Part) -> Result<()> {
        let Part { batch, done } = part;
        for change in batch.changes() {
            let Change::Row(change) = change else { continue };
            if self.gather.is_full() {
                self.landed().await?;
                self.send();
            }
            stored(&self.plan, self.gather.push(&batch.row(change), true, None))?;
        }
        self.waiting.push(done);
        Ok(())
    }

    /// Waits for the block that is under way.
    async fn landed(&mut self) -> Result<()> {
        if self.under_way.is_some() {
            let written = ended(&mut self.under_way).await;
            self.under_way = None;
            return written;
        }
        Ok(())
    }

    /// Sends what is gathered; nothing may be under way.
    fn send(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let Some(sealed) = self.gather.seal() else {
            tell(waiting, &Ok(()));
            return;
        };
        let (inserter, destination) = (self.inserter.clone(), Arc::clone(&self.destination));
        self.under_way = Some(Task(tokio::spawn(async move {
            let token = inserter.copy_token(&destination);
            let written = inserter.insert(&destination, &sealed.block, token).await;
            tell(waiting, &written);
            written
        })));
    }
}

/// Waits for the end of the task; for ever where there is none. Cancel-safe.
async fn ended(task: &mut Option<Task>) -> Result<()> {
    match task {
        Some(task) => (&mut task.0).await.unwrap_or_else(|error| Err(broken(&error))),
        None => std::future::pending().await,
    }
}

fn tell(waiting: Vec<Done>, result: &Result<()>) {
    for done in waiting {
        // nobody waits any longer when the batch's commit was dropped
        let _ = done.tell.send(result.clone());
    }
}
