//! The copy: workers drain the parts of a snapshot, largest first, and each table is put in its
//! place as soon as its own parts are in.
//!
//! A table's state goes `Copying` before anything is written and `Live` after its copy stands in
//! its place. A crash between leaves `Copying`, and the next start copies that table again under
//! a snapshot of its own: nothing here is resumed halfway, since a snapshot does not outlive us.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use walhouse_change::{
    ChangeBatch, Commit, CopyPart, Domain, Error, Lsn, Phase, Result, Retry, Snapshot, Source, TableName, TableSchema,
    TableState, Target,
};

use crate::StatusBoard;
use crate::metrics::{self, Way};
use crate::orders::{Command, Orders};
use crate::plan::stopped;

/// One copy under one snapshot.
pub(crate) struct Copy {
    pub(crate) snapshot: Arc<dyn Snapshot>,
    pub(crate) target: Arc<dyn Target>,
    pub(crate) board: StatusBoard,
    pub(crate) epoch: u16,
    pub(crate) orders: Orders,
}

/// What the workers share.
struct Shared {
    copy: Copy,
    parts: Mutex<VecDeque<CopyPart>>,
    tables: BTreeMap<TableName, Table>,
}

struct Table {
    schema: Arc<TableSchema>,
    begun: OnceCell<()>,
    parts_left: AtomicUsize,
    rows: AtomicU64,
    /// Set once the table is stopped or paused; its other parts are given up.
    failure: OnceLock<Error>,
    /// Held while its state changes: what is stored last is what is true.
    turn: tokio::sync::Mutex<()>,
    finished: OnceLock<TableState>,
}

/// Copies `tables`, with the planner's estimates of their rows, from a snapshot into `target`: a copy that no
/// stream follows. `board` shows it.
///
/// Returns the state of each table: live once it is copied, or stopped by an error of its own.
///
/// # Errors
/// Whatever concerns more than one table; tables that were finished before stay finished.
pub async fn copy_tables(
    snapshot: Arc<dyn Snapshot>,
    target: Arc<dyn Target>,
    tables: &[(Arc<TableSchema>, u64)],
    board: &StatusBoard,
    workers: usize,
) -> Result<Vec<TableState>> {
    let mut shown: Vec<_> =
        tables.iter().map(|(schema, rows)| (TableState::pending(schema.name.clone(), schema.relid), *rows)).collect();
    shown.sort_by(|(left, _), (right, _)| left.name.cmp(&right.name));
    board.show_tables(shown.into_iter());
    let schemas: Vec<_> = tables.iter().map(|(schema, _)| Arc::clone(schema)).collect();
    let copy = Copy { snapshot, target, board: board.clone(), epoch: 0, orders: Orders::new() };
    run(copy, &schemas, workers).await
}

/// Copies all parts with this many workers.
///
/// Returns the new state of each of `tables`: live, stopped by an error of its own, or paused.
///
/// # Errors
/// Whatever concerns more than one table; tables that were finished before stay finished.
pub(crate) async fn run(copy: Copy, tables: &[Arc<TableSchema>], workers: usize) -> Result<Vec<TableState>> {
    let parts: VecDeque<CopyPart> = copy.snapshot.parts().to_vec().into();
    let tables = tables.iter().map(|schema| (schema.name.clone(), Table::new(schema, &parts))).collect();
    let shared = Arc::new(Shared { copy, parts: Mutex::new(parts), tables });
    // Dropping the set ends the workers: a copy that fails or is cancelled leaves none behind.
    let mut running = JoinSet::new();
    for _ in 0..workers.max(1) {
        running.spawn(work(Arc::clone(&shared)));
    }
    loop {
        tokio::select! {
            biased;
            ended = running.join_next() => match ended {
                Some(ended) => ended.map_err(|error| {
                    Error::new(Domain::Internal, Retry::Never, "a copy worker ended unexpectedly").with_source(error)
                })??,
                None => break,
            },
            table = shared.copy.orders.wait_for(|name, command| shared.to_be_paused(name, command)) => {
                if let Some(table) = shared.tables.get(&table) {
                    table.pause(&shared.copy).await?;
                }
            }
        }
    }
    Ok(shared.tables.values().filter_map(|table| table.finished.get().cloned()).collect())
}

impl Shared {
    /// The name of a table that is still being copied and is to be paused.
    fn to_be_paused(&self, name: &TableName, command: Command) -> Option<TableName> {
        let table = self.tables.get(name)?;
        let is_open = table.finished.get().is_none() && table.failure.get().is_none();
        (command == Command::Pause && is_open).then(|| name.clone())
    }
}

async fn work(shared: Arc<Shared>) -> Result<()> {
    loop {
        let part = shared.parts.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(part) = part else { return Ok(()) };
        let Some(table) = shared.tables.get(&part.schema.name) else { continue };
        let result = match copy_part(&shared.copy, table, &part).await {
            Ok(()) => table.part_is_in(&shared.copy).await,
            Err(error) => Err(error),
        };
        match result {
            Err(error) if *error.retry() == Retry::StopTable(part.schema.name.clone()) => {
                table.stop(&shared.copy, error).await?;
            }
            other => other?,
        }
    }
}

async fn copy_part(copy: &Copy, table: &Table, part: &CopyPart) -> Result<()> {
    // The source reads ahead while the target makes the tables.
    let mut source = copy.snapshot.open(part).await?;
    table.begun.get_or_try_init(|| table.begin(copy)).await?;
    if table.failure.get().is_some() {
        return Ok(());
    }
    let mut sink = copy.target.copy_sink(&table.schema, copy.epoch).await?;
    let mut commits = FuturesOrdered::<Commit>::new();
    while let Some(batch) = next_batch(&mut *source, &mut commits).await? {
        if table.failure.get().is_some() {
            return Ok(());
        }
        let (rows, bytes) = (batch.len(), batch.data_len());
        let (counted, board) = ((rows as u64, bytes as u64), copy.board.clone());
        board.received(counted.0, counted.1, None);
        let commit = sink.enqueue(batch).await?;
        commits.push_back(Commit::new(async move {
            commit.await?;
            board.durable(counted.0, counted.1);
            Ok(())
        }));
        table.rows.fetch_add(rows as u64, Ordering::Relaxed);
        copy.board.copied(&table.schema.name, rows as u64);
        metrics::batch(Way::Copy, rows, bytes);
    }
    sink.close().await?;
    while let Some(durable) = commits.next().await {
        durable?;
    }
    Ok(())
}

/// The source's next batch. Commits are looked at meanwhile, so that a failed insert is noticed at once and not when a
/// slow source has more; the source's future is kept, since it need not be cancel-safe.
async fn next_batch(source: &mut dyn Source, commits: &mut FuturesOrdered<Commit>) -> Result<Option<ChangeBatch>> {
    let mut next = source.next();
    loop {
        tokio::select! {
            // Durable batches are few and bounded by the memory budget.
            biased;
            Some(durable) = commits.next(), if !commits.is_empty() => durable?,
            batch = &mut next => return batch,
        }
    }
}

impl Table {
    fn new(schema: &Arc<TableSchema>, parts: &VecDeque<CopyPart>) -> Self {
        let own = parts.iter().filter(|part| part.schema.name == schema.name).count();
        Self {
            schema: Arc::clone(schema),
            begun: OnceCell::new(),
            parts_left: AtomicUsize::new(own),
            rows: AtomicU64::new(0),
            failure: OnceLock::new(),
            turn: tokio::sync::Mutex::new(()),
            finished: OnceLock::new(),
        }
    }

    fn state(&self, phase: Phase, consistent_point: Lsn) -> TableState {
        let rows_copied = self.rows.load(Ordering::Relaxed);
        let pending = TableState::pending(self.schema.name.clone(), self.schema.relid);
        TableState { phase, consistent_point, rows_copied, ..pending }
    }

    async fn begin(&self, copy: &Copy) -> Result<()> {
        let _turn = self.turn.lock().await;
        if self.failure.get().is_some() {
            return Ok(());
        }
        let state = self.state(Phase::Copying, copy.snapshot.consistent_point());
        copy.target.save_table(&state).await?;
        copy.board.show_table(&state);
        copy.target.begin_copy(&self.schema).await
    }

    /// Counts a part; with the last one, the copy takes the table's place.
    async fn part_is_in(&self, copy: &Copy) -> Result<()> {
        if self.parts_left.fetch_sub(1, Ordering::AcqRel) != 1 {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        if self.failure.get().is_some() {
            return Ok(());
        }
        copy.target.finish_copy(&self.schema).await?;
        let state = self.state(Phase::Live, copy.snapshot.consistent_point());
        copy.target.save_table(&state).await?;
        copy.board.show_table(&state);
        tracing::info!(table = %state.name, rows = state.rows_copied, "table copied");
        let _ = self.finished.set(state);
        Ok(())
    }

    /// Stops the table; only the first of several failing parts has a say.
    async fn stop(&self, copy: &Copy, error: Error) -> Result<()> {
        let text = error.one_line();
        let _turn = self.turn.lock().await;
        if self.failure.set(error).is_err() {
            return Ok(());
        }
        tracing::error!(table = %self.schema.name, error = %text, "table stopped");
        let state = stopped(self.state(Phase::Stopped, Lsn::ZERO), text);
        copy.target.save_table(&state).await?;
        copy.board.show_table(&state);
        let _ = self.finished.set(state);
        Ok(())
    }

    /// Gives the copy up because a user wants it so; one that is just finished stays.
    async fn pause(&self, copy: &Copy) -> Result<()> {
        let _turn = self.turn.lock().await;
        let paused = Error::new(Domain::Internal, Retry::Later, "the table was paused");
        if self.finished.get().is_some() || self.failure.set(paused).is_err() {
            return Ok(());
        }
        tracing::info!(table = %self.schema.name, "table paused while it was copied");
        let state = self.state(Phase::Paused, Lsn::ZERO);
        copy.target.save_table(&state).await?;
        copy.board.show_table(&state);
        copy.orders.carried_out(&state.name, Command::Pause);
        let _ = self.finished.set(state);
        Ok(())
    }
}
