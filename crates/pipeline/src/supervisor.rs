//! The supervisor: runs one attempt after the other, each from the stored checkpoint.
//!
//! There is one way to start and one way to recover, and it is the same: survey the source, load
//! the target's state, plan, copy what must be copied, open both ends, stream. Whatever breaks
//! ends the attempt as a whole; a new one is cheap, because everything is replayed from the
//! checkpoint and a target drops what it has. A new table that shows up in the selection takes
//! the same way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use walhouse_change::{
    Checkpoint, Domain, Error, Lsn, Opening, Origin, Phase, Result, Retry, SlotKind, SlotPhase, Snapshot, State,
    Survey, TableName, TableSchema, TableState, Target,
};

use crate::aside::Aside;
use crate::backoff::Backoff;
use crate::copy::{self, Copy};
use crate::observer::Watcher;
use crate::orders::{Commander, Orders};
use crate::plan::{self, Action, Held, Plan, PlannedTable, Start};
use crate::pulse::{self, Pulse, Watched};
use crate::status::now_micros;
use crate::stream::{self, Outcome, Session, Surroundings};
use crate::{PipelineState, Settings, StatusBoard, metrics};

/// Carries changes from an origin to a target until it is cancelled.
pub struct Pipeline {
    origin: Arc<dyn Origin>,
    target: Arc<dyn Target>,
    settings: Settings,
    board: StatusBoard,
    pulse: Pulse,
    held: Held,
    orders: Orders,
    aside: Aside,
    /// Tables that lost changes, until that is on record.
    lost: BTreeSet<TableName>,
    /// The selection as of the last plan.
    known: BTreeMap<TableName, (Arc<TableSchema>, TableState)>,
    trouble: Option<Trouble>,
}

/// What the pipeline is waiting for to heal.
#[derive(Debug)]
pub(crate) struct Trouble {
    message: String,
    since_ms: i64,
    /// It is over when this is durable: a target that answers need not take what it refused.
    until: Lsn,
}

impl Trouble {
    /// Whether it is over for a stream of which everything up to `durable` is durable.
    pub(crate) fn is_over(&self, durable: Lsn) -> bool {
        durable >= self.until
    }

    /// Since it began.
    pub(crate) fn age_ms(&self) -> i64 {
        now_micros() / 1000 - self.since_ms
    }
}

/// Tables as they are after the copy, and where the stream starts.
struct Prepared {
    tables: Vec<PlannedTable>,
    checkpoint: Checkpoint,
}

impl Pipeline {
    /// A pipeline between these ends.
    pub fn new(origin: Arc<dyn Origin>, target: Arc<dyn Target>, settings: Settings) -> Self {
        let board = StatusBoard::new(settings.slot.as_str());
        let pulse = Pulse::new();
        let target = Watched::wrap(target, pulse.clone());
        Self {
            origin,
            target,
            settings,
            board,
            pulse,
            held: Held::new(),
            orders: Orders::new(),
            aside: Aside::default(),
            lost: BTreeSet::new(),
            known: BTreeMap::new(),
            trouble: None,
        }
    }

    /// Where its state is shown.
    #[must_use]
    pub fn board(&self) -> StatusBoard {
        self.board.clone()
    }

    /// Takes commands for it.
    #[must_use]
    pub fn commander(&self) -> Commander {
        Commander::new(self.board.clone(), self.orders.clone())
    }

    /// Copies, then streams, until cancelled.
    ///
    /// # Errors
    /// A wrong configuration or a refusal; what heals by waiting is waited for.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<()> {
        let patience = self.settings.target_patience;
        let watch = pulse::watch(Arc::clone(&self.target), self.pulse.clone(), self.board.clone(), patience);
        tokio::select! {
            biased;
            ended = self.attempts(&cancel) => ended,
            // It has no end.
            () = watch => Ok(()),
        }
    }

    async fn attempts(&mut self, cancel: &CancellationToken) -> Result<()> {
        let settings = &self.settings;
        let mut backoff = Backoff::new(settings.backoff_min, settings.backoff_max, settings.jitter_seed);
        loop {
            let began = Instant::now();
            match self.attempt(cancel).await {
                Ok(Outcome::Cancelled) => break,
                Ok(Outcome::Replan) => tracing::info!("the set of tables changes, planning anew"),
                Err(error) if *error.retry() == Retry::Never => {
                    self.board.enter(PipelineState::Failed { error: error.one_line() });
                    return Err(error);
                }
                Err(error) if cancel.is_cancelled() => {
                    tracing::warn!(error = %error.one_line(), "could not make everything durable before the end");
                    break;
                }
                Err(error) if self.stop_table(&error).await || self.copies_again(&error) => {}
                Err(error) => {
                    // An attempt that outlived the longest wait had recovered.
                    if began.elapsed() > self.settings.backoff_max {
                        backoff.reset();
                    }
                    let wait = backoff.next();
                    self.is_waiting(&error, backoff.attempt());
                    tokio::select! {
                        biased;
                        () = cancel.cancelled() => break,
                        // Perhaps what mends it.
                        () = self.orders.next() => {}
                        () = sleep(wait) => {}
                    }
                }
            }
        }
        self.board.enter(PipelineState::Stopping);
        Ok(())
    }

    async fn attempt(&mut self, cancel: &CancellationToken) -> Result<Outcome> {
        let watcher = Arc::new(Watcher::new(self.board.clone(), self.pulse.clone()));
        let opened = async {
            let prepared = self.prepare().await?;
            let openings = openings(&prepared.tables);
            let schemas: Vec<_> = openings.iter().map(|opening| Arc::clone(&opening.schema)).collect();
            let sink = self.target.open(&openings, prepared.checkpoint.epoch, Arc::clone(&watcher) as _).await?;
            let source = self.origin.stream(prepared.checkpoint.lsn, &schemas).await?;
            Ok::<_, Error>((prepared, source, sink))
        };
        // Nothing before the stream needs an orderly end: a copy is begun anew, a temporary slot
        // goes with its connection.
        let (prepared, source, sink) = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(Outcome::Cancelled),
            opened = opened => opened?,
        };
        let around = Surroundings {
            origin: &self.origin,
            target: &self.target,
            settings: &self.settings,
            board: &self.board,
            held: &mut self.held,
            orders: &self.orders,
            aside: &self.aside,
            lost: &mut self.lost,
            trouble: &mut self.trouble,
        };
        Session::new(around, prepared.tables, prepared.checkpoint, watcher, source, sink).run(cancel).await
    }

    /// Everything before the stream. The survey comes before the target is touched: a slot in
    /// use may belong to a living process that writes to the same target.
    async fn prepare(&mut self) -> Result<Prepared> {
        let survey = self.origin.survey().await?;
        stream::show_survey(&self.board, &survey);
        if let Some(trouble) = &mut self.trouble {
            // A promoted standby's log may end before what was received.
            trouble.until = trouble.until.min(survey.current);
        }
        plan::slot_is_free(&self.settings.slot, &survey)?;
        let mut state = self.target.load().await?;
        self.record_lost(&mut state).await?;
        self.carry_out(&mut state, &survey).await?;
        let plan = plan::plan(&self.settings.slot, &state, &survey, &self.held)?;
        self.show(&plan);
        for state in &plan.saves {
            self.target.save_table(state).await?;
        }
        let Plan { start, mut tables, .. } = plan;
        let checkpoint = match start {
            Start::Fresh { checkpoint, drop_slot } => self.begin(checkpoint, drop_slot, &mut tables).await?,
            Start::Resume(checkpoint) => {
                self.resume(checkpoint.epoch, survey.published.as_deref(), &mut tables).await?;
                checkpoint
            }
        };
        Ok(Prepared { tables, checkpoint })
    }

    /// Carries out what users want done with tables: from here on a start finds it so.
    async fn carry_out(&mut self, state: &mut State, survey: &Survey) -> Result<()> {
        for (name, command) in self.orders.open() {
            let surveyed = survey.tables.iter().find(|table| table.schema.name == name);
            if let Some(relid) = surveyed.map(|table| table.schema.relid) {
                let stored = state.tables.iter().position(|table| table.name == name);
                let before = stored.and_then(|index| state.tables.get(index)).cloned();
                let before = before.unwrap_or_else(|| TableState::pending(name.clone(), relid));
                let after = TableState { phase: command.phase(), error: None, ..before };
                self.target.save_table(&after).await?;
                match stored.and_then(|index| state.tables.get_mut(index)) {
                    Some(table) => *table = after,
                    None => state.tables.push(after),
                }
                self.held.remove(&name);
                tracing::info!(table = %name, %command, "carried out a command");
            }
            self.orders.carried_out(&name, command);
        }
        state.tables.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(())
    }

    /// Publishes, makes the slot and copies under its snapshot.
    async fn begin(
        &mut self,
        creating: Checkpoint,
        drop_slot: bool,
        tables: &mut [PlannedTable],
    ) -> Result<Checkpoint> {
        // Written first: a slot found later together with this checkpoint is ours.
        self.target.save_checkpoint(&creating).await?;
        if drop_slot {
            self.origin.drop_slot().await?;
        }
        self.origin.publish(&schemas(tables, |action| action != Action::Leave)).await?;
        let to_copy = schemas(tables, |action| action == Action::Copy);
        let snapshot = self.origin.snapshot(&to_copy, SlotKind::Lasting).await?;
        let lsn = snapshot.consistent_point();
        let ready = Checkpoint { phase: SlotPhase::Ready, lsn, ..creating };
        self.target.save_checkpoint(&ready).await?;
        self.copy(snapshot, ready.epoch, tables).await?;
        Ok(ready)
    }

    /// Publishes and copies what is new, under the snapshot of a temporary slot. What keeps the new tables from that
    /// does not keep the others from going on.
    async fn resume(&mut self, epoch: u16, published: Option<&[u32]>, tables: &mut [PlannedTable]) -> Result<()> {
        let to_copy = schemas(tables, |action| action == Action::Copy);
        match self.join(published, tables, &to_copy).await {
            Ok(Some(snapshot)) => self.copy(snapshot, epoch, tables).await,
            Ok(None) => Ok(()),
            Err(error) if *error.retry() == Retry::Never && !to_copy.is_empty() => {
                self.set_aside(tables, &error).await?;
                self.join(published, tables, &[]).await.map(drop)
            }
            Err(error) => Err(error),
        }
    }

    async fn join(
        &self,
        published: Option<&[u32]>,
        tables: &[PlannedTable],
        to_copy: &[Arc<TableSchema>],
    ) -> Result<Option<Arc<dyn Snapshot>>> {
        let to_publish = schemas(tables, |action| action != Action::Leave);
        // Left alone when it is as it should be: were a table taken out of it since the survey, putting it back now
        // would hide that changes are missing.
        let wanted: BTreeSet<u32> = to_publish.iter().map(|schema| schema.relid).collect();
        if published.map(|relids| relids.iter().copied().collect()) != Some(wanted) {
            self.origin.publish(&to_publish).await?;
        }
        if to_copy.is_empty() {
            return Ok(None);
        }
        // After the publication has the new tables, so that the snapshot waits for every transaction that changed
        // them unpublished.
        self.origin.snapshot(to_copy, SlotKind::Temporary).await.map(Some)
    }

    /// Stops the tables that were to be copied, until they are tried again.
    async fn set_aside(&mut self, tables: &mut [PlannedTable], error: &Error) -> Result<()> {
        for table in tables.iter_mut().filter(|table| table.action == Action::Copy) {
            let state = plan::stopped(table.state.clone(), error.one_line());
            self.target.save_table(&state).await?;
            tracing::error!(table = %state.name, error = %error.one_line(), "table stopped, will be tried again");
            self.aside.put(&table.schema, Instant::now());
            self.board.show_table(&state);
            table.action = Action::Leave;
            table.state = state;
        }
        Ok(())
    }

    /// Takes the copies of tables that lost changes for void, before anything makes them look whole again.
    async fn record_lost(&mut self, state: &mut State) -> Result<()> {
        while let Some(name) = self.lost.first() {
            if let Some(table) = state.tables.iter_mut().find(|table| table.name == *name && table.phase == Phase::Live)
            {
                let pending = TableState::pending(table.name.clone(), table.relid);
                self.target.save_table(&pending).await?;
                *table = pending;
            }
            self.lost.pop_first();
        }
        Ok(())
    }

    async fn copy(&mut self, snapshot: Arc<dyn Snapshot>, epoch: u16, tables: &mut [PlannedTable]) -> Result<()> {
        self.board.enter(PipelineState::Copying);
        let schemas = schemas(tables, |action| action == Action::Copy);
        tracing::info!(tables = schemas.len(), consistent_point = %snapshot.consistent_point(), "copying");
        let orders = self.orders.clone();
        let copy = Copy { snapshot, target: Arc::clone(&self.target), board: self.board.clone(), epoch, orders };
        for state in copy::run(copy, &schemas, self.settings.copy_workers).await? {
            let Some(table) = tables.iter_mut().find(|table| table.schema.name == state.name) else { continue };
            self.aside.remove(&state.name);
            if state.phase == Phase::Live {
                table.action = Action::Stream;
                self.held.remove(&state.name);
            } else {
                table.action = Action::Leave;
                if state.phase == Phase::Stopped {
                    self.held.insert(state.name.clone(), Arc::clone(&table.schema));
                }
            }
            table.state = state;
        }
        Ok(())
    }

    /// Puts a table on record as stopped when `error` says so; true when that was done and the
    /// next attempt can begin without it.
    async fn stop_table(&mut self, error: &Error) -> bool {
        let Retry::StopTable(name) = error.retry() else { return false };
        let Some((schema, state)) = self.known.get(name) else { return false };
        if self.held.get(name) == Some(schema) {
            return false;
        }
        let state = plan::stopped(state.clone(), error.one_line());
        if let Err(error) = self.target.save_table(&state).await {
            tracing::warn!(table = %name, error = %error, "could not record that the table is stopped");
            return false;
        }
        tracing::error!(table = %name, error = %error.one_line(), "table stopped");
        self.held.insert(name.clone(), Arc::clone(schema));
        self.board.show_table(&state);
        true
    }

    /// True when `error` says that a table lost changes: the next attempt copies it again.
    fn copies_again(&mut self, error: &Error) -> bool {
        let Retry::CopyAgain(name) = error.retry() else { return false };
        tracing::warn!(table = %name, error = %error.one_line(), "the table is copied again");
        self.lost.insert(name.clone())
    }

    fn show(&mut self, plan: &Plan) {
        let stopped = |table: &&PlannedTable| table.action == Action::Leave && table.state.phase == Phase::Stopped;
        for table in plan.tables.iter().filter(stopped) {
            let name = &table.schema.name;
            let known = self.known.get(name).is_some_and(|(_, state)| state.error == table.state.error);
            if !known && !self.held.contains_key(name) {
                let error = table.state.error.as_deref().unwrap_or_default();
                tracing::error!(table = %name, error, "table left out");
            }
        }
        self.board.show_tables(plan.tables.iter().map(|table| (table.state.clone(), table.estimated_rows)));
        let known = plan.tables.iter().map(|table| {
            let name = table.schema.name.clone();
            (name, (Arc::clone(&table.schema), table.state.clone()))
        });
        self.known = known.collect();
    }

    /// One log line when the trouble is a new one, none for each attempt.
    fn is_waiting(&mut self, error: &Error, attempt: u32) {
        metrics::failure(error.domain());
        let message = error.one_line();
        let domain = metrics::domain_label(error.domain());
        if self.trouble.as_ref().is_none_or(|trouble| trouble.message != message) {
            tracing::warn!(domain, error = %message, "waiting, will try again");
        }
        let since_ms = self.trouble.as_ref().map_or_else(|| now_micros() / 1000, |trouble| trouble.since_ms);
        let received = if error.domain() == Domain::Target { self.board.read().received } else { Lsn::ZERO };
        let until = self.trouble.as_ref().map_or(received, |trouble| trouble.until.max(received));
        self.trouble = Some(Trouble { message: message.clone(), since_ms, until });
        self.board.enter(PipelineState::Waiting { domain: domain.to_owned(), error: message, since_ms, attempt });
    }
}

fn schemas(tables: &[PlannedTable], wanted: fn(Action) -> bool) -> Vec<Arc<TableSchema>> {
    tables.iter().filter(|table| wanted(table.action)).map(|table| Arc::clone(&table.schema)).collect()
}

fn openings(tables: &[PlannedTable]) -> Vec<Opening> {
    let streamed = tables.iter().filter(|table| table.action == Action::Stream);
    streamed.map(|table| Opening { schema: Arc::clone(&table.schema), from: table.state.consistent_point }).collect()
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("settings", &self.settings).finish_non_exhaustive()
    }
}
