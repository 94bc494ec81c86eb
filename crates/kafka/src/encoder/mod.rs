//! Changes in, records out, in the order in which Debezium produces them.

mod around;
mod incremental;
mod snapshot;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use walhouse_change::{Change, ChangeBatch, Image, Op, Row, TableSchema, Truncate};

use incremental::Window;
pub use snapshot::SnapshotPart;

use crate::catalog::TableFacts;
use crate::error::Result;
use crate::names;
use crate::offset::{MessageKind, Offset, Position};
use crate::options::{BinaryMode, Options, TypeOptions};
use crate::record::{Header, Message, Record};
use crate::schema::{self, Schema};
use crate::smt::Chain;
use crate::source::{Common, MessageSchemas, Source, TransactionSchemas};
use crate::table::{Images, Planner, RowPlan, TablePlan};
use crate::transaction::Progress;
use crate::value::Value;

/// Turns changes into Debezium's records. One per connector, for its whole run.
pub struct Encoder {
    options: Options,
    common: Common,
    facts: HashMap<u32, TableFacts>,
    labels: HashMap<u32, Vec<String>>,
    /// By the relation's address and whether it is for a snapshot.
    plans: HashMap<(usize, bool), (Arc<TableSchema>, Arc<TablePlan>)>,
    snapshot_types: TypeOptions,
    chain: Chain,
    transaction_schemas: TransactionSchemas,
    transaction_topic: Arc<str>,
    message_schemas: MessageSchemas,
    message_topic: Arc<str>,
    progress: Progress,
    /// Where the stream is.
    position: Position,
    /// Where the last record was.
    produced: Option<Offset>,
    /// In a snapshot: whether its last record was made.
    in_snapshot: Option<bool>,
    window: Window,
    clock: fn() -> i64,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("prefix", &self.options.prefix).finish_non_exhaustive()
    }
}

/// Milliseconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// A row's event before it is put into an envelope.
struct Event<'a> {
    plan: &'a TablePlan,
    op: &'static str,
    before: Value,
    after: Value,
    lsn: u64,
    /// Marker, xid, and time in milliseconds of a snapshot's row.
    snapshot: Option<(&'static str, Option<u32>, i64)>,
}

impl Encoder {
    /// An encoder that knows `tables` as the catalog has them.
    #[must_use]
    pub fn new(options: Options, tables: impl IntoIterator<Item = TableFacts>) -> Self {
        let common = Common::new();
        let content = match options.types.binary {
            BinaryMode::Bytes => schema::bytes(),
            _ => schema::string(),
        };
        let message_schemas = MessageSchemas::new(&common, content);
        let topic = |last: &str| -> Arc<str> { names::topic(&[&options.prefix, last], &options.delimiter).into() };
        Self {
            transaction_topic: topic(&options.transaction_topic),
            // Debezium joins this one by a dot, whatever the delimiter.
            message_topic: names::topic(&[&options.prefix, "message"], ".").into(),
            facts: tables.into_iter().map(|table| (table.relid, table)).collect(),
            labels: HashMap::new(),
            plans: HashMap::new(),
            snapshot_types: TypeOptions { snapshot: true, ..options.types.clone() },
            chain: Chain::default(),
            transaction_schemas: TransactionSchemas::new(),
            message_schemas,
            progress: Progress::default(),
            position: Position::default(),
            produced: None,
            in_snapshot: None,
            window: Window::default(),
            clock: now,
            common,
            options,
        }
    }

    /// Replaces the connector's own clock (`ts_ms` of envelopes), which gives milliseconds since 1970.
    #[must_use]
    pub fn with_clock(mut self, clock: fn() -> i64) -> Self {
        self.clock = clock;
        self
    }

    /// Options as they were read.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The catalog's view of a table, new or changed; schemas are made anew.
    pub fn set_table(&mut self, facts: TableFacts) {
        let relid = facts.relid;
        self.facts.insert(relid, facts);
        self.plans.retain(|_, (relation, _)| relation.relid != relid);
    }

    /// Labels of the enum type `oid`, in their order; schemas are made anew.
    pub fn set_enum(&mut self, oid: u32, labels: Vec<String>) {
        self.labels.insert(oid, labels);
        self.plans.clear();
    }

    /// Records of a batch of a whole log.
    ///
    /// # Errors
    /// What stops Debezium's task. Records of earlier changes of the batch are in `out` already.
    pub fn encode(&mut self, batch: &ChangeBatch, out: &mut Vec<Record>) -> Result<()> {
        batch.changes().iter().try_for_each(|change| self.change(batch, change, out))
    }

    /// Records of one change of a batch of a whole log.
    ///
    /// # Errors
    /// What stops Debezium's task.
    pub fn change(&mut self, batch: &ChangeBatch, change: &Change, out: &mut Vec<Record>) -> Result<()> {
        match change {
            Change::Row(row) => {
                let kind = match row.op {
                    Op::Insert | Op::Read => MessageKind::Insert,
                    Op::Update => MessageKind::Update,
                    Op::Delete => MessageKind::Delete,
                };
                self.arrive(row.lsn.0, kind);
                self.row(batch.row(row), out)
            }
            Change::Truncate(truncate) => {
                self.arrive(truncate.lsn.0, MessageKind::Truncate);
                self.truncate(batch, truncate, out)
            }
            Change::Begin { transaction, lsn } => match batch.transactions().get(*transaction as usize) {
                Some(transaction) => self.begin(transaction, *lsn, out),
                None => Ok(()),
            },
            Change::Commit { end, .. } => self.commit(*end, out),
            Change::Message(message) => self.message(batch, message, out),
            Change::Schema { .. } => Ok(()),
        }
    }

    /// Counts a change that was sent by a former run, without records of it.
    ///
    /// # Errors
    /// As [`Self::change`].
    pub fn skip(&mut self, batch: &ChangeBatch, change: &Change) -> Result<()> {
        let (position, produced) = (self.position, self.produced.clone());
        let outcome = match change {
            // Their positions are those of a stored offset at most, and their counts are wanted.
            Change::Begin { .. } | Change::Commit { .. } => self.change(batch, change, &mut Vec::new()),
            Change::Row(_) | Change::Truncate(_) if self.options.transaction_metadata => {
                self.change(batch, change, &mut Vec::new())
            }
            _ => Ok(()),
        };
        (self.position, self.produced) = (position, produced);
        outcome
    }

    /// Where the last record was: the offset that is stored once it is delivered. None before the first one.
    #[must_use]
    pub fn offset(&self) -> Option<&Offset> {
        self.produced.as_ref()
    }

    /// Goes on from a stored offset.
    pub fn resume(&mut self, offset: &Offset) {
        let commit = offset.position.commit.or(offset.position.processed);
        self.position = Position { commit, ..offset.position };
    }

    /// A message came: everything up to it was processed.
    fn arrive(&mut self, lsn: u64, kind: MessageKind) {
        let position = &mut self.position;
        (position.lsn, position.processed, position.kind) = (Some(lsn), Some(lsn), Some(kind));
        (position.time, position.xid) = (Some(self.progress.time), Some(self.progress.xid));
    }

    fn plan(&mut self, relation: &Arc<TableSchema>, snapshot: bool) -> Arc<TablePlan> {
        let address = (Arc::as_ptr(relation) as usize, snapshot);
        if let Some((_, plan)) = self.plans.get(&address) {
            return Arc::clone(plan);
        }
        let planner = Planner {
            options: &self.options,
            types: if snapshot { &self.snapshot_types } else { &self.options.types },
            common: &self.common,
            labels: &self.labels,
        };
        let plan = Arc::new(planner.plan(relation, self.facts.get(&relation.relid)));
        self.plans.insert(address, (Arc::clone(relation), Arc::clone(&plan)));
        plan
    }

    fn values(&self, row: &RowPlan, plan: &TablePlan, images: &Images<'_>) -> Result<Value> {
        row.value(images, &plan.id, if plan.snapshot { &self.snapshot_types } else { &self.options.types })
    }

    fn key(&self, plan: &TablePlan, images: &Images<'_>) -> Result<Value> {
        match &plan.key {
            Some(key) => self.values(key, plan, images),
            None => Ok(Value::Null),
        }
    }

    fn skips(&self, op: u8) -> bool {
        self.options.skipped.contains(&op)
    }

    fn row(&mut self, row: Row<'_>, out: &mut Vec<Record>) -> Result<()> {
        let plan = self.plan(row.schema(), false);
        if !plan.captured {
            return Ok(());
        }
        if let Some(fatal) = &plan.fatal {
            return Err(fatal.clone());
        }
        let lsn = row.change.lsn.0;
        let old = row.old_image().map(|(_, image)| image);
        match row.change.op {
            Op::Insert | Op::Read => {
                let Some(image) = row.new_image().filter(|_| !self.skips(b'c')) else { return Ok(()) };
                let images = Images { image, old: None };
                let after = self.values(&plan.row, &plan, &images)?;
                let key = self.key(&plan, &images)?;
                let event = Event { plan: &plan, op: "c", before: Value::Null, after, lsn, snapshot: None };
                self.emit(event, key, &mut Vec::new(), out)
            }
            Op::Delete => {
                let Some(image) = old.filter(|_| !self.skips(b'd')) else { return Ok(()) };
                let images = Images { image, old: None };
                let before = self.values(&plan.row, &plan, &images)?;
                let key = self.key(&plan, &images)?;
                self.delete(&plan, before, key, lsn, Vec::new(), out)
            }
            Op::Update => match row.new_image() {
                Some(new) => self.update(&plan, new, old, lsn, out),
                None => Ok(()),
            },
        }
    }

    fn update(
        &mut self,
        plan: &TablePlan,
        new: Image<'_>,
        old: Option<Image<'_>>,
        lsn: u64,
        out: &mut Vec<Record>,
    ) -> Result<()> {
        let images = Images { image: new, old };
        let after = self.values(&plan.row, plan, &images)?;
        let new_key = self.key(plan, &images)?;
        let (before, old_key) = match old {
            Some(image) => {
                let images = Images { image, old: None };
                (self.values(&plan.row, plan, &images)?, Some(self.key(plan, &images)?))
            }
            None => (Value::Null, None),
        };
        let moved = old_key.filter(|old_key| *old_key != new_key);
        let unchanged = self.options.skip_unchanged && before == after;
        if unchanged && (moved.is_none() || self.options.oddities) {
            return Ok(());
        }
        let Some(old_key) = moved else {
            if self.skips(b'u') {
                return Ok(());
            }
            let event = Event { plan, op: "u", before, after, lsn, snapshot: None };
            return self.emit(event, new_key, &mut Vec::new(), out);
        };
        let schema = plan.key.as_ref().map(|key| Arc::clone(&key.schema));
        let header = |name: &str, value: &Value| {
            vec![Header { name: name.into(), schema: schema.clone(), value: value.clone() }]
        };
        let mut created = header("__debezium.oldkey", &old_key);
        let deleted = header("__debezium.newkey", &new_key);
        if !self.skips(b'd') {
            self.delete(plan, before, old_key, lsn, deleted, out)?;
        }
        if self.skips(b'c') {
            return Ok(());
        }
        let event = Event { plan, op: "c", before: Value::Null, after, lsn, snapshot: None };
        self.emit(event, new_key, &mut created, out)
    }

    /// A delete and the tombstone behind it, which have their headers in common.
    fn delete(
        &mut self,
        plan: &TablePlan,
        before: Value,
        key: Value,
        lsn: u64,
        mut headers: Vec<Header>,
        out: &mut Vec<Record>,
    ) -> Result<()> {
        let event = Event { plan, op: "d", before, after: Value::Null, lsn, snapshot: None };
        self.emit(event, key.clone(), &mut headers, out)?;
        if !self.options.tombstones {
            return Ok(());
        }
        let tombstone = Message {
            topic: Arc::clone(&plan.topic),
            partition: None,
            key_schema: plan.key.as_ref().map(|key| Arc::clone(&key.schema)),
            key,
            value_schema: None,
            value: Value::Null,
            headers: headers.clone(),
        };
        self.send(tombstone, &mut headers, out)
    }

    fn truncate(&mut self, batch: &ChangeBatch, truncate: &Truncate, out: &mut Vec<Record>) -> Result<()> {
        if self.skips(b't') {
            return Ok(());
        }
        for table in &truncate.tables {
            let Some(relation) = batch.schemas().get(*table as usize) else { continue };
            let plan = self.plan(relation, false);
            if !plan.captured {
                continue;
            }
            let lsn = truncate.lsn.0;
            let (before, after) = (Value::Null, Value::Null);
            let event = Event { plan: &plan, op: "t", before, after, lsn, snapshot: None };
            let message = self.envelope(event, None, Value::Null, &[]);
            self.send(message, &mut Vec::new(), out)?;
        }
        Ok(())
    }

    fn emit(&mut self, event: Event<'_>, key: Value, headers: &mut Vec<Header>, out: &mut Vec<Record>) -> Result<()> {
        let schema = event.plan.key.as_ref().map(|key| Arc::clone(&key.schema));
        if event.snapshot.is_none() {
            self.window.touch(&event.plan.id, &key);
        }
        let message = self.envelope(event, schema, key, headers);
        self.send(message, headers, out)
    }

    fn envelope(
        &mut self,
        event: Event<'_>,
        key_schema: Option<Arc<Schema>>,
        key: Value,
        headers: &[Header],
    ) -> Message {
        let plan = event.plan;
        let streaming = event.snapshot.is_none();
        let (marker, xid, time) = match event.snapshot {
            Some((marker, xid, time)) => (Some(marker), xid, time),
            None => (None, self.position.xid, self.progress.millis()),
        };
        // What an incremental snapshot reads has no place in the log but that of its window's end.
        let incremental = event.snapshot.is_some_and(|(marker, ..)| marker == incremental::MARKER);
        let source = Source {
            name: &self.options.prefix,
            database: &self.options.database,
            schema: &plan.schema,
            table: &plan.table,
            time,
            snapshot: marker,
            last_commit: self.position.commit.filter(|_| streaming || incremental),
            lsn: event.lsn,
            xid,
            shows_lsn: !incremental,
        };
        let source = source.value();
        let transaction = if streaming && self.options.transaction_metadata {
            self.progress.event(&plan.id, event.lsn)
        } else {
            Value::Null
        };
        let value = Value::Struct(vec![
            event.before,
            event.after,
            source,
            Value::text(event.op),
            Value::Int((self.clock)()),
            transaction,
        ]);
        Message {
            topic: Arc::clone(&plan.topic),
            partition: None,
            key_schema,
            key,
            value_schema: Some(Arc::clone(&plan.envelope)),
            value,
            headers: headers.to_vec(),
        }
    }

    /// Through the transformations and the converters.
    fn send(&mut self, message: Message, shared: &mut Vec<Header>, out: &mut Vec<Record>) -> Result<()> {
        if let Some(message) = self.chain.apply(&self.options, message, shared)? {
            out.push(message.convert(&self.options));
            self.produced();
        }
        Ok(())
    }

    /// A record was made: where we are is where it was.
    fn produced(&mut self) {
        if self.position.lsn.is_none() {
            // A heartbeat before anything else.
            return;
        }
        let produced = self.produced.get_or_insert_default();
        (produced.position, produced.snapshot) = (self.position, self.in_snapshot);
        if self.options.transaction_metadata {
            produced.transaction = self.progress.mark();
        }
    }
}
