//! The event loop: from the log into the target, and the acknowledgement back.
//!
//! ```text
//! source.next() -> ledger.receive -> sink.enqueue -> Commit (FIFO) -> ledger.commit
//!                                                                        |
//!              acknowledge <- ledger.store <- save stopped tables, then the checkpoint
//! ```
//!
//! The one order that matters is in the lower row: data, then checkpoint, then acknowledgement.
//! Each arrow waits for the one before it. A table that the sink stopped is put on record in the
//! same breath as, and before, the first checkpoint that passes changes dropped for it.
//!
//! Neither a source nor a sink is asked to be cancel-safe: the futures of both are kept until
//! they resolve, by owning what they borrow ([`Batches`], [`Taking`]).

use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{self, FuturesOrdered};
use futures_util::{Stream, StreamExt, TryFutureExt};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use walhouse_change::{
    Acknowledge, BoxFuture, ChangeBatch, Checkpoint, Domain, Error, Lsn, Origin, Result, Retry, Sink, SlotState,
    Source, Survey, TableName, TableState, Target,
};

use crate::aside::Aside;
use crate::ledger::{Delta, Ledger};
use crate::metrics::{self, Way};
use crate::observer::Watcher;
use crate::orders::Orders;
use crate::plan::{self, Action, Held, PlannedTable};
use crate::supervisor::Trouble;
use crate::{PipelineState, Settings, StatusBoard};

/// Batches whose durability is awaited. Those with rows are bounded by the memory budget; this
/// bounds the queue of those that only move the progress.
const MAX_PENDING: usize = 4096;

/// The source's batches. It owns the source, so that the future of `next` lives on between polls.
type Batches = Pin<Box<dyn Stream<Item = Result<ChangeBatch>> + Send>>;

/// An `enqueue` under way. It owns the sink and gives it back.
type Taking = BoxFuture<'static, (Box<dyn Sink>, Result<Pending>)>;

/// A batch that was taken over and is not known to be durable.
type Pending = BoxFuture<'static, Result<Delta>>;

/// Stopped tables and a checkpoint that were stored.
struct Stored {
    tables: Vec<TableState>,
    lsn: Lsn,
}

/// Why the loop ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The user asked for it.
    Cancelled,
    /// The set of tables to follow changed: start again from the checkpoint.
    Replan,
}

/// What a stream needs to know of its surroundings.
pub(crate) struct Surroundings<'a> {
    pub(crate) origin: &'a Arc<dyn Origin>,
    pub(crate) target: &'a Arc<dyn Target>,
    pub(crate) settings: &'a Settings,
    pub(crate) board: &'a StatusBoard,
    pub(crate) held: &'a mut Held,
    pub(crate) orders: &'a Orders,
    pub(crate) aside: &'a Aside,
    /// Live tables whose copy does not count any more are added here.
    pub(crate) lost: &'a mut BTreeSet<TableName>,
    /// What the attempts before ended with; taken once it is over.
    pub(crate) trouble: &'a mut Option<Trouble>,
}

/// A batch between being received and being durable.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    rows: u64,
    bytes: u64,
    /// Of its newest transaction.
    commit_time: Option<i64>,
}

/// A stream that is open at both ends.
pub(crate) struct Session<'a> {
    around: Surroundings<'a>,
    tables: Vec<PlannedTable>,
    checkpoint: Checkpoint,
    watcher: Arc<Watcher>,
    ledger: Ledger,
    batches: Batches,
    acknowledge: Acknowledge,
    /// Absent while `taking` has it.
    sink: Option<Box<dyn Sink>>,
    taking: Option<Taking>,
    commits: FuturesOrdered<Pending>,
    /// What each batch in `taking` and `commits` is.
    under_way: VecDeque<UnderWay>,
    saving: Option<BoxFuture<'static, Result<Stored>>>,
    save_after: Instant,
    surveying: Option<BoxFuture<'static, Result<Survey>>>,
    survey_after: Instant,
    is_live: bool,
}

impl<'a> Session<'a> {
    /// `tables` are all of the selection, with the state that they have now.
    pub(crate) fn new(
        around: Surroundings<'a>,
        tables: Vec<PlannedTable>,
        checkpoint: Checkpoint,
        watcher: Arc<Watcher>,
        source: Box<dyn Source>,
        sink: Box<dyn Sink>,
    ) -> Self {
        let now = Instant::now();
        Self {
            acknowledge: source.acknowledger(),
            batches: batches(source),
            ledger: Ledger::new(checkpoint.lsn),
            sink: Some(sink),
            taking: None,
            commits: FuturesOrdered::new(),
            under_way: VecDeque::new(),
            saving: None,
            save_after: now,
            surveying: None,
            survey_after: now + around.settings.survey_interval,
            around,
            tables,
            checkpoint,
            watcher,
            is_live: false,
        }
    }

    /// Follows the log until cancelled, then makes durable, stores and acknowledges what was
    /// taken over.
    ///
    /// # Errors
    /// Whatever either end reports; the next attempt goes on from the stored checkpoint.
    pub(crate) async fn run(mut self, cancel: &CancellationToken) -> Result<Outcome> {
        let outcome = self.follow(cancel).await?;
        if outcome == Outcome::Cancelled {
            self.around.board.enter(PipelineState::Stopping);
        }
        let deadline = self.around.settings.drain_deadline;
        let late = async {
            cancel.cancelled().await;
            sleep(deadline).await;
        };
        tokio::select! {
            biased;
            drained = self.drain() => drained?,
            () = late => tracing::warn!("could not make everything durable in time; the source will send the rest again"),
        }
        Ok(if cancel.is_cancelled() { Outcome::Cancelled } else { outcome })
    }

    async fn follow(&mut self, cancel: &CancellationToken) -> Result<Outcome> {
        self.show_live();
        // Stored by whoever ran before, who perhaps did not live to acknowledge it.
        (self.acknowledge)(self.ledger.stored());
        loop {
            let may_save = self.saving.is_none() && self.is_unsaved();
            let may_take = self.sink.is_some() && self.commits.len() < MAX_PENDING;
            tokio::select! {
                biased;
                // 1. The user waits for us.
                () = cancel.cancelled() => return Ok(Outcome::Cancelled),
                // So does another, for something less final: it is done between two attempts.
                () = self.around.orders.wait_for(|_, _| Some(())) => return Ok(Outcome::Replan),
                // 2. A stored checkpoint lets the source forget its log.
                stored = resolve(&mut self.saving) => self.acknowledge(stored?)?,
                // 3. Durable batches give memory back; cheap, and bounded by what was taken over.
                Some(delta) = self.commits.next(), if !self.commits.is_empty() => {
                    self.is_durable(delta?)?;
                    self.show_live();
                }
                // 4. What became durable is stored, at once after quiet and then once in a while.
                () = sleep_until(self.save_after), if may_save => self.save(),
                // 5. A table stopped: come round to 4 and put it on record.
                () = self.watcher.table_was_stopped() => {}
                // 6. The sink has the batch and is ready for the next one.
                (sink, taken) = resolve(&mut self.taking) => self.is_taken(sink, taken)?,
                // 7. A look at the catalog, now and then.
                survey = resolve(&mut self.surveying) => if self.asks_for_replan(survey)? {
                    return Ok(Outcome::Replan);
                },
                () = sleep_until(self.survey_after), if self.surveying.is_none() => self.survey(),
                // 8. More work, when all else is done: not reading is the backpressure.
                batch = self.batches.next(), if may_take => self.take(batch)?,
            }
        }
    }

    /// The second half of a stream's life: no intake any more, everything that was taken over
    /// becomes durable, stored and acknowledged.
    async fn drain(&mut self) -> Result<()> {
        if self.taking.is_some() {
            let (sink, taken) = resolve(&mut self.taking).await;
            self.is_taken(sink, taken)?;
        }
        if let Some(sink) = self.sink.take() {
            sink.close().await?;
        }
        while let Some(delta) = self.commits.next().await {
            self.is_durable(delta?)?;
        }
        if self.saving.is_some() {
            let stored = resolve(&mut self.saving).await?;
            self.acknowledge(stored)?;
        }
        if self.is_unsaved() {
            self.save();
            let stored = resolve(&mut self.saving).await?;
            self.acknowledge(stored)?;
        }
        // Only so that the source gets to send the acknowledgement; its batches are not counted
        // as received and come again.
        let farewell = async { while let Some(Ok(_)) = self.batches.next().await {} };
        let _ = timeout(self.around.settings.farewell, farewell).await;
        Ok(())
    }

    fn take(&mut self, batch: Option<Result<ChangeBatch>>) -> Result<()> {
        let batch = batch.unwrap_or_else(|| Err(Error::new(Domain::Source, Retry::Later, "the log's stream ended")))?;
        let delta = self.ledger.receive(batch.progress(), !batch.is_empty())?;
        let (rows, bytes) = (batch.len() as u64, batch.data_len() as u64);
        let commit_time = batch.transactions().last().map(|newest| newest.commit_time);
        self.around.board.received(rows, bytes, commit_time);
        self.under_way.push_back(UnderWay { rows, bytes, commit_time });
        match self.sink.take() {
            // Nothing for the sink, but its progress counts once all before it are durable.
            Some(sink) if batch.is_empty() => {
                self.sink = Some(sink);
                self.commits.push_back(Box::pin(std::future::ready(Ok(delta))));
            }
            Some(mut sink) => {
                metrics::batch(Way::Stream, batch.len(), batch.data_len());
                self.taking = Some(Box::pin(async move {
                    let taken = sink.enqueue(batch).await;
                    (sink, taken.map(|commit| Box::pin(commit.map_ok(move |()| delta)) as Pending))
                }));
            }
            None => {
                return Err(Error::new(Domain::Internal, Retry::Later, "a batch was read before the sink was ready"));
            }
        }
        self.show_progress();
        Ok(())
    }

    fn is_taken(&mut self, sink: Box<dyn Sink>, taken: Result<Pending>) -> Result<()> {
        self.commits.push_back(taken?);
        self.sink = Some(sink);
        Ok(())
    }

    fn is_durable(&mut self, delta: Delta) -> Result<()> {
        self.ledger.commit(delta)?;
        if let Some(UnderWay { rows, bytes, .. }) = self.under_way.pop_front() {
            self.around.board.durable(rows, bytes);
        }
        self.show_progress();
        Ok(())
    }

    fn is_unsaved(&self) -> bool {
        self.ledger.unstored().is_some() || self.watcher.has_stopped()
    }

    /// Begins to store stopped tables, then the checkpoint. The order in which the two are read
    /// here matters: a sink reports a stop before the batch that it concerns counts as durable.
    fn save(&mut self) {
        let lsn = self.ledger.durable();
        let stopped = self.watcher.take_stopped();
        let advances = lsn > self.ledger.stored();
        let tables: Vec<TableState> = self
            .tables
            .iter()
            .filter_map(|table| Some(plan::stopped(table.state.clone(), stopped.get(&table.state.name)?.one_line())))
            .collect();
        self.save_after = Instant::now() + self.around.settings.checkpoint_interval;
        let checkpoint = Checkpoint { lsn, ..self.checkpoint.clone() };
        let target = Arc::clone(self.around.target);
        self.saving = Some(Box::pin(async move {
            for table in &tables {
                target.save_table(table).await?;
            }
            if advances {
                target.save_checkpoint(&checkpoint).await?;
            }
            Ok(Stored { tables, lsn })
        }));
    }

    fn acknowledge(&mut self, stored: Stored) -> Result<()> {
        self.ledger.store(stored.lsn)?;
        (self.acknowledge)(stored.lsn);
        for state in stored.tables {
            let error = state.error.as_deref().unwrap_or_default();
            tracing::error!(table = %state.name, error, "table stopped");
            self.around.board.show_table(&state);
            if let Some(table) = self.tables.iter_mut().find(|table| table.state.name == state.name) {
                self.around.held.insert(state.name.clone(), Arc::clone(&table.schema));
                table.state = state;
            }
        }
        self.show_progress();
        Ok(())
    }

    fn survey(&mut self) {
        self.survey_after = Instant::now() + self.around.settings.survey_interval;
        let origin = Arc::clone(self.around.origin);
        self.surveying = Some(Box::pin(async move { origin.survey().await }));
    }

    /// True when a table is to be copied, or a live one cannot go on.
    fn asks_for_replan(&mut self, survey: Result<Survey>) -> Result<bool> {
        let survey = match survey {
            Ok(survey) => survey,
            Err(error) if *error.retry() == Retry::Never => return Err(error),
            Err(error) => {
                // The stream itself will notice if the source is gone.
                tracing::debug!(error = %error, "could not survey the source");
                return Ok(false);
            }
        };
        show_survey(self.around.board, &survey);
        let states: Vec<TableState> = self.tables.iter().map(|table| table.state.clone()).collect();
        let held = self.around.aside.held(self.around.held, Instant::now());
        let planned = plan::tables(&self.around.settings.slot, &states, &survey, &held, false)?;
        let is_live = |name: &TableName| self.tables.iter().any(|table| table.state.name == *name && table.is_live());
        let mut replan = false;
        for table in planned {
            let name = &table.state.name;
            match table.action {
                Action::Copy => {
                    // The next survey may find it as if nothing had happened.
                    if is_live(name) {
                        self.around.lost.insert(name.clone());
                    }
                    replan = true;
                }
                Action::Leave => replan |= is_live(name),
                Action::Stream => {}
            }
        }
        Ok(replan)
    }

    /// Shows that it is live, at first or again, unless what failed before has yet to become durable.
    fn show_live(&mut self) {
        if self.is_live {
            return;
        }
        match self.around.trouble.take_if(|trouble| trouble.is_over(self.ledger.durable())) {
            Some(trouble) => tracing::info!(after_ms = trouble.age_ms(), "live again"),
            None if self.around.trouble.is_some() => return,
            None => tracing::info!("live"),
        }
        self.is_live = true;
        self.around.board.enter(PipelineState::Live);
    }

    fn show_progress(&self) {
        let oldest_pending = self.under_way.iter().find_map(|batch| batch.commit_time);
        let ledger = self.ledger;
        self.around.board.update(|status| {
            status.checkpoint = ledger.stored();
            status.received = ledger.received();
            status.durable = ledger.durable();
            status.oldest_pending = oldest_pending;
            status.report_lag();
        });
    }
}

/// Shows the source's side of the lag.
pub(crate) fn show_survey(board: &StatusBoard, survey: &Survey) {
    board.update(|status| {
        status.current = survey.current;
        if let SlotState::Present { retained, .. } = survey.slot {
            status.retained_bytes = retained;
            metrics::retained(retained);
        }
        status.report_lag();
    });
}

/// Awaits what is in the slot and empties it; waits for ever on an empty one. Cancel-safe.
async fn resolve<T>(slot: &mut Option<BoxFuture<'static, T>>) -> T {
    match slot {
        Some(future) => {
            let value = future.await;
            *slot = None;
            value
        }
        None => std::future::pending().await,
    }
}

fn batches(source: Box<dyn Source>) -> Batches {
    Box::pin(stream::unfold(Some(source), |source| async move {
        let mut source = source?;
        match source.next().await {
            Ok(Some(batch)) => Some((Ok(batch), Some(source))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    }))
}
