//! A server with a log: transactions that overlap, slots that skip what is confirmed,
//! publications that hold for the changes made while a table is in them.
//!
//! What it shares with Postgres, because pipelines have lost rows over each of these: a commit's
//! LSN can equal the consistent point of a snapshot that does not hold it; a slot redelivers
//! exactly the transactions whose commit LSN is not below the confirmed one; an acknowledgement
//! in the future is believed; a change made before its table was published is never sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::table_schema;
use crate::{Error, Lsn, TableName, TableSchema};

/// Identifies a transaction.
pub type Xid = u32;

/// Bytes of log per record; any multiple of 8 does.
const RECORD: u64 = 24;

/// What a transaction does to a row or a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Inserts the row, or updates it if it is there.
    Put(i64, String),
    /// Gives a row another key and value, if it is there and the key is free.
    Move(i64, i64, String),
    /// Deletes the row, if it is there.
    Delete(i64),
    /// Empties the table.
    Truncate,
}

/// One record of a transaction.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its own LSN.
    pub lsn: Lsn,
    /// The table as it was.
    pub schema: Arc<TableSchema>,
    /// What it did.
    pub write: Write,
    /// Publications that held the table when it was written.
    pub published: BTreeSet<String>,
}

/// A committed transaction.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its id.
    pub xid: Xid,
    /// Where its commit record starts.
    pub commit_lsn: Lsn,
    /// Where its commit record ends.
    pub end_lsn: Lsn,
    /// Microseconds since 1970-01-01 UTC.
    pub commit_time: i64,
    /// Its records.
    pub events: Vec<Event>,
}

#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) schema: Arc<TableSchema>,
    pub(super) rows: BTreeMap<i64, String>,
    pub(super) problem: Option<Error>,
}

#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) confirmed: Lsn,
    /// The walsender that has it, and until when at least.
    pub(super) active: Option<i32>,
    pub(super) busy_until: Instant,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) end: Lsn,
    pub(super) tables: BTreeMap<TableName, Table>,
    pub(super) log: Vec<Logged>,
    pub(super) running: BTreeMap<Xid, Vec<Event>>,
    pub(super) slots: BTreeMap<String, Slot>,
    pub(super) publications: BTreeMap<String, BTreeSet<u32>>,
    /// No further slot can be created.
    pub(super) is_full: bool,
    /// Streams opened under an older number are broken.
    pub(super) connections: u64,
    pub(super) next_pid: i32,
    next_xid: Xid,
    next_relid: u32,
}

/// Told what is about to be acknowledged for a slot.
type Watch = Box<dyn Fn(&str, Lsn) + Send + Sync>;

/// The server. Clones are handles on the same one.
#[derive(Clone)]
pub struct Server {
    state: Arc<Mutex<State>>,
    acknowledgements: Arc<OnceLock<Watch>>,
    pub(super) news: Arc<Notify>,
    /// Changes per batch, so that transactions are cut.
    pub(super) batch: usize,
    /// How long a slot stays in use after its stream ended.
    pub(super) linger: Duration,
}

impl Server {
    /// An empty server. Batches hold up to `batch` changes; a slot stays in use for `linger`
    /// after its stream has ended.
    #[must_use]
    pub fn new(batch: usize, linger: Duration) -> Self {
        let state = State {
            end: Lsn(0x1000),
            tables: BTreeMap::new(),
            log: Vec::new(),
            running: BTreeMap::new(),
            slots: BTreeMap::new(),
            publications: BTreeMap::new(),
            is_full: false,
            connections: 0,
            next_pid: 100,
            next_xid: 700,
            next_relid: 16_384,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            acknowledgements: Arc::default(),
            news: Arc::new(Notify::new()),
            batch: batch.max(1),
            linger,
        }
    }

    /// Has `watch` called with the slot and the LSN of each acknowledgement, before it counts.
    /// Only the first call of this counts.
    pub fn watch_acknowledgements(&self, watch: impl Fn(&str, Lsn) + Send + Sync + 'static) {
        let _ = self.acknowledgements.set(Box::new(watch));
    }

    pub(super) fn acknowledge(&self, slot: &str, upto: Lsn) {
        if let Some(watch) = self.acknowledgements.get() {
            watch(slot, upto);
        }
        if let Some(slot) = self.lock().slots.get_mut(slot) {
            slot.confirmed = slot.confirmed.max(upto);
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates the table, or creates it anew under a new relid.
    pub fn create_table(&self, name: &TableName) {
        let mut state = self.lock();
        state.next_relid += 1;
        let schema = table_schema(state.next_relid, name.clone());
        state.tables.insert(name.clone(), Table { schema, rows: BTreeMap::new(), problem: None });
    }

    /// Gives the table a problem, or takes it away.
    pub fn set_problem(&self, name: &TableName, problem: Option<Error>) {
        if let Some(table) = self.lock().tables.get_mut(name) {
            table.problem = problem;
        }
    }

    /// Takes the table out of every publication, behind everybody's back.
    pub fn unpublish(&self, name: &TableName) {
        let mut state = self.lock();
        if let Some(relid) = state.tables.get(name).map(|table| table.schema.relid) {
            for relids in state.publications.values_mut() {
                relids.remove(&relid);
            }
        }
    }

    /// Puts a table back into every publication, behind their owners' backs.
    pub fn publish_again(&self, name: &TableName) {
        let mut state = self.lock();
        if let Some(relid) = state.tables.get(name).map(|table| table.schema.relid) {
            for relids in state.publications.values_mut() {
                relids.insert(relid);
            }
        }
    }

    /// From here on there is no free replication slot, or there are some again.
    pub fn use_up_slots(&self, used_up: bool) {
        self.lock().is_full = used_up;
    }

    /// Begins a transaction.
    pub fn begin(&self) -> Xid {
        let mut state = self.lock();
        state.next_xid += 1;
        let xid = state.next_xid;
        state.running.insert(xid, Vec::new());
        xid
    }

    /// Writes in a transaction. False when the write has no effect, or would have to wait for a
    /// row or table that another transaction has written.
    pub fn write(&self, xid: Xid, name: &TableName, write: Write) -> bool {
        let mut state = self.lock();
        if state.is_locked(xid, name, &write) || !state.has_effect(xid, name, &write) {
            return false;
        }
        let Some(table) = state.tables.get(name) else { return false };
        let schema = Arc::clone(&table.schema);
        let holds = |(publication, relids): (&String, &BTreeSet<u32>)| {
            relids.contains(&schema.relid).then(|| publication.clone())
        };
        let published = state.publications.iter().filter_map(holds).collect();
        let lsn = state.end;
        state.end.0 += RECORD;
        let event = Event { lsn, schema, write, published };
        state.running.get_mut(&xid).map(|events| events.push(event)).is_some()
    }

    /// Commits a transaction; returns where it ends.
    pub fn commit(&self, xid: Xid) -> Lsn {
        let mut state = self.lock();
        let events = state.running.remove(&xid).unwrap_or_default();
        let commit_lsn = state.end;
        state.end.0 += RECORD;
        let end_lsn = state.end;
        for event in &events {
            if let Some(table) = state.tables.get_mut(&event.schema.name) {
                table.apply(event);
            }
        }
        state.log.push(Logged { xid, commit_lsn, end_lsn, commit_time: now_micros(), events });
        drop(state);
        self.news.notify_waiters();
        end_lsn
    }

    /// One transaction with these writes; returns where it ends.
    pub fn transact(&self, writes: &[(&TableName, Write)]) -> Lsn {
        let xid = self.begin();
        for (table, write) in writes {
            self.write(xid, table, write.clone());
        }
        self.commit(xid)
    }

    /// Log that concerns nobody.
    pub fn unrelated(&self) {
        self.lock().end.0 += RECORD;
        self.news.notify_waiters();
    }

    /// Breaks every stream.
    pub fn break_connections(&self) {
        self.lock().connections += 1;
        self.news.notify_waiters();
    }

    /// The committed rows of a table.
    #[must_use]
    pub fn rows(&self, name: &TableName) -> BTreeMap<i64, String> {
        self.lock().tables.get(name).map(|table| table.rows.clone()).unwrap_or_default()
    }

    /// The table's shape.
    #[must_use]
    pub fn schema(&self, name: &TableName) -> Option<Arc<TableSchema>> {
        self.lock().tables.get(name).map(|table| Arc::clone(&table.schema))
    }

    /// Calls `reader` with the committed transactions in order.
    pub fn read_log<R>(&self, reader: impl FnOnce(&[Logged]) -> R) -> R {
        reader(&self.lock().log)
    }

    /// End of the log.
    #[must_use]
    pub fn end(&self) -> Lsn {
        self.lock().end
    }

    /// Where a slot stands, if it exists.
    #[must_use]
    pub fn confirmed(&self, slot: &str) -> Option<Lsn> {
        self.lock().slots.get(slot).map(|slot| slot.confirmed)
    }

    /// Names of all slots.
    #[must_use]
    pub fn slots(&self) -> Vec<String> {
        self.lock().slots.keys().cloned().collect()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("state", &self.state).finish_non_exhaustive()
    }
}

impl State {
    /// Postgres would make the writer wait; tests just do something else.
    fn is_locked(&self, xid: Xid, name: &TableName, write: &Write) -> bool {
        let others = self.running.iter().filter(|(other, _)| **other != xid).flat_map(|(_, events)| events);
        let mut theirs = others.filter(|event| event.schema.name == *name).map(|event| &event.write);
        match write {
            Write::Truncate => theirs.next().is_some(),
            _ => theirs
                .any(|other| *other == Write::Truncate || write.keys().iter().any(|key| other.keys().contains(key))),
        }
    }

    fn has_effect(&self, xid: Xid, name: &TableName, write: &Write) -> bool {
        match write {
            Write::Put(..) | Write::Truncate => true,
            Write::Delete(id) => self.exists(xid, name, *id),
            Write::Move(from, to, _) => from != to && self.exists(xid, name, *from) && !self.exists(xid, name, *to),
        }
    }

    /// Whether the transaction sees the row.
    pub(super) fn exists(&self, xid: Xid, name: &TableName, id: i64) -> bool {
        let own = self.running.get(&xid).into_iter().flatten().rev().filter(|event| event.schema.name == *name);
        for event in own {
            match &event.write {
                Write::Truncate => return false,
                Write::Put(key, _) if *key == id => return true,
                Write::Delete(key) if *key == id => return false,
                Write::Move(from, _, _) if *from == id => return false,
                Write::Move(_, to, _) if *to == id => return true,
                _ => {}
            }
        }
        self.tables.get(name).is_some_and(|table| table.rows.contains_key(&id))
    }
}

impl Table {
    /// A transaction that outlived its table changes nothing in the new one.
    fn apply(&mut self, event: &Event) {
        if event.schema.relid != self.schema.relid {
            return;
        }
        match &event.write {
            Write::Put(id, value) => {
                self.rows.insert(*id, value.clone());
            }
            Write::Move(from, to, value) => {
                self.rows.remove(from);
                self.rows.insert(*to, value.clone());
            }
            Write::Delete(id) => {
                self.rows.remove(id);
            }
            Write::Truncate => self.rows.clear(),
        }
    }
}

impl Write {
    fn keys(&self) -> Vec<i64> {
        match self {
            Self::Put(id, _) | Self::Delete(id) => vec![*id],
            Self::Move(from, to, _) => vec![*from, *to],
            Self::Truncate => Vec::new(),
        }
    }
}

pub(super) fn now_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}
