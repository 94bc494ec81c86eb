//! [`Target`] over a [`Store`]: one lane per table, each with one insert under way at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::try_join_all;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::store::{Entry, Place, Store, StoredRow};
use super::{Seen, read};
use crate::{
    BoxFuture, ChangeBatch, Checkpoint, Commit, Domain, Error, Lsn, Observer, Opening, Permit, Position, Result, Retry,
    Sink, SlotPhase, State, TableName, TableSchema, TableState, Target, Version,
};

/// Inserts that wait in a lane before `enqueue` has to.
const LANE: usize = 4;

/// A client of a [`Store`] for one slot.
#[derive(Clone, Debug)]
pub struct MemoryTarget {
    store: Store,
    slot: String,
}

impl MemoryTarget {
    /// A row with this value cannot be stored: it stops its table.
    pub const POISON: &str = "poison";

    /// A client that keeps its state under this slot's name.
    #[must_use]
    pub fn new(store: &Store, slot: &str) -> Self {
        Self { store: store.clone(), slot: slot.to_owned() }
    }

    fn save_checkpoint_now(&self, checkpoint: &Checkpoint) -> Result<()> {
        self.store.tell_checkpoint(&self.slot, checkpoint);
        let mut inner = self.store.lock();
        let before = inner.checkpoints.get(&self.slot).filter(|before| before.phase == SlotPhase::Ready);
        if before.is_some_and(|before| (before.epoch, before.lsn) > (checkpoint.epoch, checkpoint.lsn)) {
            return Err(internal("a checkpoint moved backward"));
        }
        inner.checkpoints.insert(self.slot.clone(), checkpoint.clone());
        Ok(())
    }

    fn finish_copy_now(&self, table: &TableSchema) -> Result<()> {
        let mut inner = self.store.lock();
        let copy = inner.copies.remove(&table.name).ok_or_else(|| internal("there is no copy to finish"))?;
        inner.tables.insert(table.name.clone(), copy);
        Ok(())
    }

    fn open_now(&self, tables: &[Opening], epoch: u16, observer: &Arc<dyn Observer>) -> Result<MemorySink> {
        let mut lanes = Lanes::default();
        for Opening { schema, from } in tables {
            let place = Place { table: schema.name.clone(), copy: false };
            if self.store.is_busy(&place) {
                return Err(internal("a former sink's insert is still under way"));
            }
            let stored = self.store.table(&schema.name).filter(|stored| stored.relid == schema.relid);
            let floor = stored.ok_or_else(|| internal("a table was opened that was never copied"))?.floor();
            lanes.open(&self.store, place, *from, floor, Some(Arc::clone(observer)));
        }
        Ok(MemorySink { lanes, epoch })
    }
}

impl Target for MemoryTarget {
    fn ping(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.store.thaws().await;
            Ok(())
        })
    }

    fn load(&self) -> BoxFuture<'_, Result<State>> {
        Box::pin(async {
            self.store.thaws().await;
            self.store.end_inserts();
            Ok(self.store.state(&self.slot))
        })
    }

    fn save_checkpoint<'a>(&'a self, checkpoint: &'a Checkpoint) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            self.store.thaws().await;
            self.save_checkpoint_now(checkpoint)
        })
    }

    fn save_table<'a>(&'a self, table: &'a TableState) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            let mut inner = self.store.lock();
            inner.states.entry(self.slot.clone()).or_default().insert(table.name.clone(), table.clone());
            Ok(())
        })
    }

    fn begin_copy<'a>(&'a self, table: &'a Arc<TableSchema>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            let empty = super::Stored { relid: table.relid, ..Default::default() };
            self.store.lock().copies.insert(table.name.clone(), empty);
            Ok(())
        })
    }

    fn copy_sink<'a>(&'a self, table: &'a Arc<TableSchema>, epoch: u16) -> BoxFuture<'a, Result<Box<dyn Sink>>> {
        Box::pin(async move {
            let mut lanes = Lanes::default();
            let place = Place { table: table.name.clone(), copy: true };
            lanes.open(&self.store, place, Lsn::ZERO, Version::default(), None);
            Ok(Box::new(MemorySink { lanes, epoch }) as Box<dyn Sink>)
        })
    }

    fn finish_copy<'a>(&'a self, table: &'a Arc<TableSchema>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { self.finish_copy_now(table) })
    }

    fn open<'a>(
        &'a self,
        tables: &'a [Opening],
        epoch: u16,
        observer: Arc<dyn Observer>,
    ) -> BoxFuture<'a, Result<Box<dyn Sink>>> {
        Box::pin(async move { Ok(Box::new(self.open_now(tables, epoch, &observer)?) as Box<dyn Sink>) })
    }
}

struct MemorySink {
    lanes: Lanes,
    epoch: u16,
}

#[derive(Default)]
struct Lanes {
    open: BTreeMap<TableName, Lane>,
    /// Dropping it ends the lanes where they stand.
    tasks: JoinSet<()>,
}

struct Lane {
    inserts: mpsc::Sender<Insert>,
    from: Lsn,
    floor: Version,
    /// Absent in a copy.
    observer: Option<Arc<dyn Observer>>,
    stopped: bool,
}

struct Insert {
    entries: Vec<Entry>,
    commit_time: i64,
    /// The batch's bytes, given back with its last insert.
    held: Arc<Permit>,
    done: oneshot::Sender<()>,
}

impl Lanes {
    fn open(&mut self, store: &Store, place: Place, from: Lsn, floor: Version, observer: Option<Arc<dyn Observer>>) {
        let (inserts, mut queue) = mpsc::channel::<Insert>(LANE);
        let (store, table) = (store.clone(), place.table.clone());
        let lane = Lane { inserts, from, floor, observer: observer.clone(), stopped: false };
        self.tasks.spawn(async move {
            while let Some(Insert { entries, commit_time, held, done }) = queue.recv().await {
                let rows = entries.len() as u64;
                store.insert(&place, entries).await;
                if let Some(observer) = &observer {
                    observer.visible(&place.table, rows, commit_time);
                }
                drop(held);
                // Nobody may be interested any more.
                let _ = done.send(());
            }
        });
        self.open.insert(table, lane);
    }
}

impl Lane {
    /// What of a change is news for this lane's table.
    fn entries(&mut self, epoch: u16, seen: &Seen, table: &TableName) -> Result<Vec<Entry>> {
        let at = seen.position();
        if self.stopped || at.commit_lsn < self.from {
            return Ok(Vec::new());
        }
        let row = |id, version, value| Entry::Row(StoredRow { id, version, value });
        // A copy's rows come without an index.
        let version = if at.index == 0 { Version::snapshot(epoch, at.commit_lsn) } else { Version::row(epoch, at) };
        let tombstone = Version::tombstone(epoch, at);
        let mut entries = Vec::new();
        match seen {
            Seen::Put { value: Some(value), .. } if value == MemoryTarget::POISON => {
                self.stop(table)?;
                return Ok(Vec::new());
            }
            Seen::Put { old, id, value, .. } => {
                entries.extend(old.map(|old| row(old, tombstone, None)));
                entries.push(row(*id, version, value.clone()));
            }
            Seen::Gone { id, .. } => entries.push(row(*id, version, None)),
            Seen::Emptied { .. } => entries.push(Entry::Truncate(version)),
        }
        // Only now, so that a stop is found again when its table is replayed.
        entries.retain(|entry| entry.version() > self.floor);
        Ok(entries)
    }

    fn stop(&mut self, table: &TableName) -> Result<()> {
        let error = Error::new(Domain::Target, Retry::StopTable(table.clone()), "cannot store a value");
        let Some(observer) = &self.observer else { return Err(error) };
        self.stopped = true;
        observer.table_stopped(table, &error);
        Ok(())
    }
}

impl Entry {
    fn version(&self) -> Version {
        match self {
            Self::Row(row) => row.version,
            Self::Truncate(version) => *version,
        }
    }
}

impl Seen {
    /// Where the change stands.
    #[must_use]
    pub fn position(&self) -> Position {
        match self {
            Self::Put { at, .. } | Self::Gone { at, .. } | Self::Emptied { at, .. } => *at,
        }
    }

    /// The tables that it concerns.
    #[must_use]
    pub fn tables(&self) -> &[TableName] {
        match self {
            Self::Put { table, .. } | Self::Gone { table, .. } => std::slice::from_ref(table),
            Self::Emptied { tables, .. } => tables,
        }
    }
}

impl MemorySink {
    async fn take(&mut self, mut batch: ChangeBatch) -> Result<Commit> {
        let permit = Arc::new(batch.take_permit());
        let mut inserts = BTreeMap::<TableName, Vec<Entry>>::new();
        for seen in read(&batch) {
            for table in seen.tables() {
                let Some(lane) = self.lanes.open.get_mut(table) else { continue };
                inserts.entry(table.clone()).or_default().extend(lane.entries(self.epoch, &seen, table)?);
            }
        }
        let commit_time = batch.transactions().last().map_or(0, |newest| newest.commit_time);
        let mut durable = Vec::new();
        for (table, entries) in inserts.into_iter().filter(|(_, entries)| !entries.is_empty()) {
            let Some(lane) = self.lanes.open.get(&table) else { continue };
            let (done, waiter) = oneshot::channel();
            let insert = Insert { entries, commit_time, held: Arc::clone(&permit), done };
            lane.inserts.send(insert).await.map_err(|_| internal("a lane ended"))?;
            durable.push(waiter);
        }
        Ok(Commit::new(async move {
            try_join_all(durable).await.map(drop).map_err(|_| internal("an insert was abandoned"))
        }))
    }
}

impl Sink for MemorySink {
    fn enqueue(&mut self, batch: ChangeBatch) -> BoxFuture<'_, Result<Commit>> {
        Box::pin(self.take(batch))
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            self.lanes.open.clear();
            while let Some(ended) = self.lanes.tasks.join_next().await {
                ended.map_err(|error| internal("a lane failed").with_source(error))?;
            }
            Ok(())
        })
    }
}

fn internal(message: &str) -> Error {
    Error::new(Domain::Target, Retry::Never, message)
}
