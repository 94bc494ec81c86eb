//! [`Origin`] over a [`Server`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::server::{Logged, Server, Slot, State, Write, now_micros};
use super::{RowBatch, server::Event};
use crate::{
    Acknowledge, BoxFuture, ChangeBatch, CopyPart, Domain, Error, Lsn, OldImage, Origin, Pattern, Permit, Result,
    Retry, SlotKind, SlotState, Snapshot, Source, Survey, SurveyedTable, TableName, TableSchema, Transaction,
};

/// A client of a [`Server`] with a slot and a publication of the same name.
#[derive(Clone, Debug)]
pub struct MemoryOrigin {
    server: Server,
    slot: String,
    selection: Vec<Pattern>,
    /// The publication as last surveyed.
    surveyed: Arc<Mutex<Option<BTreeSet<u32>>>>,
}

impl MemoryOrigin {
    /// A client that follows the tables which match `selection`.
    #[must_use]
    pub fn new(server: &Server, slot: &str, selection: Vec<Pattern>) -> Self {
        Self { server: server.clone(), slot: slot.to_owned(), selection, surveyed: Arc::default() }
    }

    fn survey_now(&self) -> Survey {
        let state = self.server.lock();
        let selected = |name: &TableName| self.selection.iter().any(|pattern| pattern.matches(name));
        let tables = state.tables.iter().filter(|(name, _)| selected(name)).map(|(_, table)| SurveyedTable {
            schema: Arc::clone(&table.schema),
            problem: table.problem.clone(),
            estimated_rows: table.rows.len() as u64,
            bytes: 0,
        });
        let published = state.publications.get(&self.slot).cloned();
        self.surveyed.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&published);
        let now = Instant::now();
        let slot = state.slots.get(&self.slot).map_or(SlotState::Missing, |slot| SlotState::Present {
            confirmed: slot.confirmed,
            active_pid: slot.active_at(now),
            retained: state.end.bytes_since(slot.confirmed),
        });
        Survey {
            system_identifier: 1,
            timeline: 1,
            current: state.end,
            slot,
            published: published.map(|relids| relids.into_iter().collect()),
            tables: tables.collect(),
        }
    }

    /// Waits for the transactions that run now, as creating a slot does; then, in one instant,
    /// creates it and takes the snapshot.
    async fn snapshot_now(&self, tables: &[Arc<TableSchema>], kind: SlotKind) -> Result<MemorySnapshot> {
        let running: BTreeSet<_> = self.server.lock().running.keys().copied().collect();
        loop {
            let news = self.server.news.notified();
            tokio::pin!(news);
            // Registered before the look, so that a commit between the two is not missed.
            news.as_mut().enable();
            if let Some(snapshot) = self.try_snapshot(&running, tables, kind)? {
                return Ok(snapshot);
            }
            news.await;
        }
    }

    fn try_snapshot(
        &self,
        running: &BTreeSet<u32>,
        tables: &[Arc<TableSchema>],
        kind: SlotKind,
    ) -> Result<Option<MemorySnapshot>> {
        let mut state = self.server.lock();
        if state.running.keys().any(|xid| running.contains(xid)) {
            return Ok(None);
        }
        if state.is_full {
            return Err(Error::new(Domain::Source, Retry::Never, "cannot create the slot: all are in use"));
        }
        let consistent_point = state.end;
        if kind == SlotKind::Lasting {
            if state.slots.contains_key(&self.slot) {
                return Err(Error::new(Domain::Source, Retry::Never, "cannot create the slot: it exists"));
            }
            let slot = Slot { confirmed: consistent_point, active: None, busy_until: Instant::now() };
            state.slots.insert(self.slot.clone(), slot);
        }
        let rows: BTreeMap<_, _> = tables.iter().map(|schema| (schema.relid, state.rows_of(schema))).collect();
        let parts = tables.iter().flat_map(|schema| parts(schema, rows[&schema.relid].len(), self.server.batch));
        Ok(Some(MemorySnapshot { consistent_point, parts: parts.collect(), rows, batch: self.server.batch }))
    }

    fn stream_now(&self, from: Lsn, tables: &[Arc<TableSchema>]) -> Result<Box<dyn Source>> {
        let mut state = self.server.lock();
        state.next_pid += 1;
        let (pid, connections) = (state.next_pid, state.connections);
        let Some(slot) = state.slots.get_mut(&self.slot) else {
            return Err(Error::new(Domain::Source, Retry::Never, "cannot stream: there is no slot"));
        };
        if let Some(pid) = slot.active_at(Instant::now()) {
            let message = format!("cannot stream: the slot is active for process {pid}");
            return Err(Error::new(Domain::Source, Retry::Later, message));
        }
        slot.active = Some(pid);
        let start = from.max(slot.confirmed);
        let next = state.log.partition_point(|logged| logged.commit_lsn < start);
        Ok(Box::new(MemoryStream {
            server: self.server.clone(),
            slot: self.slot.clone(),
            alive: Arc::new(AtomicBool::new(true)),
            wanted: tables.iter().map(|schema| schema.relid).collect(),
            connections,
            next,
            event: 0,
            index: 0,
            progress: start,
        }))
    }
}

impl Origin for MemoryOrigin {
    fn survey(&self) -> BoxFuture<'_, Result<Survey>> {
        Box::pin(async { Ok(self.survey_now()) })
    }

    fn publish<'a>(&'a self, tables: &'a [Arc<TableSchema>]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            let mut state = self.server.lock();
            let mut surveyed = self.surveyed.lock().unwrap_or_else(PoisonError::into_inner);
            if state.publications.get(&self.slot) != surveyed.as_ref() {
                return Err(Error::new(Domain::Source, Retry::Later, "the publication changed under way"));
            }
            let relids: BTreeSet<u32> = tables.iter().map(|schema| schema.relid).collect();
            *surveyed = Some(relids.clone());
            state.publications.insert(self.slot.clone(), relids);
            Ok(())
        })
    }

    fn snapshot<'a>(
        &'a self,
        tables: &'a [Arc<TableSchema>],
        slot: SlotKind,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>>> {
        Box::pin(async move { Ok(Arc::new(self.snapshot_now(tables, slot).await?) as Arc<dyn Snapshot>) })
    }

    fn drop_slot(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.server.lock().slots.remove(&self.slot);
            Ok(())
        })
    }

    fn stream<'a>(&'a self, from: Lsn, tables: &'a [Arc<TableSchema>]) -> BoxFuture<'a, Result<Box<dyn Source>>> {
        Box::pin(async move { self.stream_now(from, tables) })
    }
}

impl Slot {
    fn active_at(&self, now: Instant) -> Option<i32> {
        self.active.or_else(|| (now < self.busy_until).then_some(1))
    }
}

impl State {
    fn rows_of(&self, schema: &TableSchema) -> BTreeMap<i64, String> {
        let table = self.tables.get(&schema.name).filter(|table| table.schema.relid == schema.relid);
        table.map(|table| table.rows.clone()).unwrap_or_default()
    }
}

fn parts(schema: &Arc<TableSchema>, rows: usize, batch: usize) -> Vec<CopyPart> {
    // Two batches to a part, so that parts, batches and tables all come in numbers.
    let of = rows.div_ceil(2 * batch).max(1);
    let per_part = rows.div_ceil(of) as u64;
    let part = |number: usize| {
        let start = number as u64 * per_part;
        let end = (number + 1 < of).then_some(start + per_part);
        let range = Some((start, end));
        CopyPart { schema: Arc::clone(schema), number: number as u32, of: of as u32, estimated_rows: per_part, range }
    };
    (0..of).map(part).collect()
}

struct MemorySnapshot {
    consistent_point: Lsn,
    rows: BTreeMap<u32, BTreeMap<i64, String>>,
    parts: Vec<CopyPart>,
    batch: usize,
}

impl Snapshot for MemorySnapshot {
    fn consistent_point(&self) -> Lsn {
        self.consistent_point
    }

    fn parts(&self) -> &[CopyPart] {
        &self.parts
    }

    fn open<'a>(&'a self, part: &'a CopyPart) -> BoxFuture<'a, Result<Box<dyn Source>>> {
        let (start, end) = part.range.unwrap_or((0, None));
        let all = self.rows.get(&part.schema.relid).into_iter().flatten().skip(start as usize);
        let rows: Vec<_> = all.take(end.map_or(usize::MAX, |end| (end - start) as usize)).collect();
        let rows = rows.into_iter().map(|(id, value)| (*id, value.clone())).collect();
        let copy = MemoryCopy {
            schema: Arc::clone(&part.schema),
            consistent_point: self.consistent_point,
            rows,
            batch: self.batch,
        };
        Box::pin(async move { Ok(Box::new(copy) as Box<dyn Source>) })
    }
}

struct MemoryCopy {
    schema: Arc<TableSchema>,
    consistent_point: Lsn,
    rows: std::collections::VecDeque<(i64, String)>,
    batch: usize,
}

impl Source for MemoryCopy {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<ChangeBatch>>> {
        Box::pin(async {
            tokio::task::yield_now().await;
            let mut batch = RowBatch::default();
            let transaction = Transaction { xid: 0, commit_lsn: self.consistent_point, commit_time: now_micros() };
            batch.builder.begin(transaction);
            let table = batch.builder.schema(&self.schema);
            let count = self.rows.len().min(self.batch);
            for (id, value) in self.rows.drain(..count) {
                let row = batch.row(id, Some(&value));
                batch.builder.read(table, self.consistent_point, &row);
            }
            Ok((!batch.builder.is_empty()).then(|| batch.finish(Permit::default())))
        })
    }

    fn acknowledger(&self) -> Acknowledge {
        Arc::new(|_| {})
    }
}

struct MemoryStream {
    server: Server,
    slot: String,
    /// False once the connection is gone: acknowledgements go nowhere then.
    alive: Arc<AtomicBool>,
    wanted: BTreeSet<u32>,
    connections: u64,
    /// Index into the log of the transaction to send, and into its events.
    next: usize,
    event: usize,
    /// Messages of the transaction sent so far.
    index: u64,
    progress: Lsn,
}

impl MemoryStream {
    /// The next batch if there is something to tell.
    fn try_next(&mut self) -> Result<Option<ChangeBatch>> {
        let server = self.server.clone();
        let state = server.lock();
        if state.connections != self.connections {
            return Err(Error::new(Domain::Source, Retry::Later, "cannot read the log: the connection broke"));
        }
        let mut batch = RowBatch::default();
        while let Some(logged) = state.log.get(self.next) {
            if !self.send(&mut batch, logged, server.batch) {
                return Ok(Some(batch.finish(Permit::default())));
            }
            batch.builder.progress(logged.end_lsn);
            (self.next, self.event, self.index) = (self.next + 1, 0, 0);
        }
        // Nothing open before the end: transactions under way will commit behind it.
        batch.builder.progress(state.end);
        let news = !batch.builder.is_empty() || state.end > self.progress;
        self.progress = state.end;
        Ok(news.then(|| batch.finish(Permit::default())))
    }

    /// Adds the rest of a transaction; false when the batch is full before its end.
    fn send(&mut self, batch: &mut RowBatch, logged: &Logged, limit: usize) -> bool {
        let Logged { xid, commit_lsn, commit_time, .. } = *logged;
        while let Some(event) = logged.events.get(self.event) {
            if batch.builder.len() >= limit {
                return false;
            }
            self.event += 1;
            if !event.published.contains(&self.slot) {
                continue;
            }
            self.index += 1;
            if self.wanted.contains(&event.schema.relid) {
                batch.builder.begin(Transaction { xid, commit_lsn, commit_time });
                put(batch, event, self.index);
            }
        }
        true
    }
}

/// A `Put` is sent as an insert whether or not the row was there: what is stored is the same.
fn put(batch: &mut RowBatch, event: &Event, index: u64) {
    let table = batch.builder.schema(&event.schema);
    match &event.write {
        Write::Put(id, value) => {
            let row = batch.row(*id, Some(value));
            batch.builder.insert(table, event.lsn, index, &row);
        }
        Write::Move(from, to, value) => {
            let (old, new) = (batch.row(*from, None), batch.row(*to, Some(value)));
            batch.builder.update(table, event.lsn, index, &new, Some((OldImage::Key, &old)));
        }
        Write::Delete(id) => {
            let old = batch.row(*id, None);
            batch.builder.delete(table, event.lsn, index, (OldImage::Key, &old));
        }
        Write::Truncate => batch.builder.truncate(vec![table], event.lsn, index),
    }
}

impl Source for MemoryStream {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<ChangeBatch>>> {
        Box::pin(async {
            loop {
                let server = self.server.clone();
                let news = server.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if let Some(batch) = self.try_next()? {
                    return Ok(Some(batch));
                }
                news.await;
            }
        })
    }

    fn acknowledger(&self) -> Acknowledge {
        let (server, slot, alive) = (self.server.clone(), self.slot.clone(), Arc::clone(&self.alive));
        Arc::new(move |upto| {
            if alive.load(Ordering::Relaxed) {
                server.acknowledge(&slot, upto);
            }
        })
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        self.alive.store(false, Ordering::Relaxed);
        if let Some(slot) = self.server.lock().slots.get_mut(&self.slot) {
            slot.active = None;
            slot.busy_until = Instant::now() + self.server.linger;
        }
    }
}
