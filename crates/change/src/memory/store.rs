//! What a target keeps: tables with every version of their rows, copies under way, checkpoints.
//!
//! An insert is in flight for a while before it counts. One that was in flight when its client
//! went away has its fate decided by the next [`Store::end_inserts`], either way, as an insert
//! that a database server goes on with after its client died.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::Random;
use crate::{Checkpoint, State, TableName, TableState, Version};

/// One version of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredRow {
    /// Its key.
    pub id: i64,
    /// Its version.
    pub version: Version,
    /// Its value, `None` for a deleted row.
    pub value: Option<String>,
}

/// What is written to a table.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Row(StoredRow),
    Truncate(Version),
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The source's table that it was copied from.
    pub relid: u32,
    /// Every version of every row, as they came.
    pub rows: Vec<StoredRow>,
    /// Rows of older versions were truncated.
    pub truncated: Version,
}

impl Stored {
    /// The newest version, from which on changes are news.
    pub(super) fn floor(&self) -> Version {
        self.rows.iter().map(|row| row.version).max().unwrap_or_default().max(self.truncated)
    }

    fn apply(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            match entry {
                Entry::Row(row) => self.rows.push(row),
                Entry::Truncate(version) => self.truncated = self.truncated.max(version),
            }
        }
    }

    /// The rows that are there now.
    #[must_use]
    pub fn current(&self) -> BTreeMap<i64, String> {
        let mut newest = BTreeMap::<i64, &StoredRow>::new();
        for row in self.rows.iter().filter(|row| row.version > self.truncated) {
            let known = newest.entry(row.id).or_insert(row);
            if row.version > known.version {
                *known = row;
            }
        }
        newest.into_iter().filter_map(|(id, row)| Some((id, row.value.clone()?))).collect()
    }

    /// Number of rows that are there twice under the same key and version.
    #[must_use]
    pub fn duplicates(&self) -> usize {
        let mut seen = std::collections::BTreeSet::new();
        self.rows.iter().filter(|row| !seen.insert((row.id, row.version))).count()
    }
}

/// A table, or the copy that will take its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) table: TableName,
    pub(super) copy: bool,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) tables: BTreeMap<TableName, Stored>,
    pub(super) copies: BTreeMap<TableName, Stored>,
    pub(super) checkpoints: BTreeMap<String, Checkpoint>,
    pub(super) states: BTreeMap<String, BTreeMap<TableName, TableState>>,
    flights: BTreeMap<u64, (Place, Vec<Entry>)>,
    next_flight: u64,
    random: Random,
    slowest: Duration,
}

/// Told what is about to be stored for a slot.
type Watch = Box<dyn Fn(&str, &Checkpoint) + Send + Sync>;

/// The store. Clones are handles on the same one.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Mutex<Inner>>,
    frozen: watch::Sender<bool>,
    checkpoints: Arc<OnceLock<Watch>>,
}

impl Store {
    /// An empty store, whose inserts take up to `slowest`, by seed.
    #[must_use]
    pub fn new(seed: u64, slowest: Duration) -> Self {
        let inner = Inner {
            tables: BTreeMap::new(),
            copies: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            states: BTreeMap::new(),
            flights: BTreeMap::new(),
            next_flight: 0,
            random: Random::new(seed),
            slowest,
        };
        Self { inner: Arc::new(Mutex::new(inner)), frozen: watch::Sender::new(false), checkpoints: Arc::default() }
    }

    /// From now on inserts take up to `slowest`.
    pub fn slow_down(&self, slowest: Duration) {
        self.lock().slowest = slowest;
    }

    /// Stands still, or goes on: until then no call returns, and nothing becomes durable.
    pub fn freeze(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    pub(super) async fn thaws(&self) {
        // The sender lives as long as this store does.
        let _ = self.frozen.subscribe().wait_for(|frozen| !frozen).await;
    }

    /// Has `watch` called with the slot and each checkpoint, before it is stored. Only the first
    /// call of this counts.
    pub fn watch_checkpoints(&self, watch: impl Fn(&str, &Checkpoint) + Send + Sync + 'static) {
        let _ = self.checkpoints.set(Box::new(watch));
    }

    pub(super) fn tell_checkpoint(&self, slot: &str, checkpoint: &Checkpoint) {
        if let Some(watch) = self.checkpoints.get() {
            watch(slot, checkpoint);
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A table as it is.
    #[must_use]
    pub fn table(&self, name: &TableName) -> Option<Stored> {
        self.lock().tables.get(name).cloned()
    }

    /// What is stored for a slot.
    #[must_use]
    pub fn state(&self, slot: &str) -> State {
        let inner = self.lock();
        let tables = inner.states.get(slot).map(|states| states.values().cloned().collect()).unwrap_or_default();
        State { checkpoint: inner.checkpoints.get(slot).cloned(), tables }
    }

    /// Inserts: in flight for a while, then durable in one step.
    pub(super) async fn insert(&self, place: &Place, entries: Vec<Entry>) {
        let (flight, time) = {
            let mut inner = self.lock();
            let (flight, slowest) = (inner.next_flight, inner.slowest);
            inner.next_flight += 1;
            inner.flights.insert(flight, (place.clone(), entries));
            (flight, inner.random.time_below(slowest))
        };
        tokio::time::sleep(time).await;
        self.thaws().await;
        self.lock().land(flight);
    }

    /// Ends the inserts that nobody waits for any more; some of them happened.
    pub(super) fn end_inserts(&self) {
        let mut inner = self.lock();
        for flight in inner.flights.keys().copied().collect::<Vec<_>>() {
            if inner.random.chance(50) {
                inner.land(flight);
            }
        }
        inner.flights.clear();
    }

    /// True while an insert into the place is in flight.
    pub(super) fn is_busy(&self, place: &Place) -> bool {
        self.lock().flights.values().any(|(busy, _)| busy == place)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Inner {
    fn land(&mut self, flight: u64) {
        if let Some((place, entries)) = self.flights.remove(&flight) {
            let tables = if place.copy { &mut self.copies } else { &mut self.tables };
            tables.entry(place.table).or_default().apply(entries);
        }
    }
}
