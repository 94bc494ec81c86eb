//! Changes in, records out, in the order in which Debezium produces them.

mod around;
mod snapshot;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use walhouse_change::{Change, ChangeBatch, Image, Lsn, Op, Row, TableSchema, Truncate};

pub use around::LogicalMessage;
pub use snapshot::SnapshotPart;

use crate::catalog::TableFacts;
use crate::error::Result;
use crate::names;
use crate::options::{BinaryMode, Options, TypeOptions};
use crate::record::{Header, Message, Record};
use crate::schema::{self, Schema};
use crate::smt::Chain;
use crate::source::{Common, MessageSchemas, Source, TransactionSchemas};
use crate::table::{Images, Planner, RowPlan, TablePlan};
use crate::transaction::Progress;
use crate::value::Value;

/// Where a transaction begins and ends in the log, beside what a batch says of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edges {
    /// Position of the Begin message: the transaction's first record.
    pub begin: Lsn,
    /// End of the commit record.
    pub end: Lsn,
}

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
    open: bool,
    last_commit: Option<u64>,
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
    snapshot: Option<(&'static str, u32, i64)>,
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
            message_topic: topic("message"),
            facts: tables.into_iter().map(|table| (table.relid, table)).collect(),
            labels: HashMap::new(),
            plans: HashMap::new(),
            snapshot_types: TypeOptions { snapshot: true, ..options.types.clone() },
            chain: Chain::default(),
            transaction_schemas: TransactionSchemas::new(),
            message_schemas,
            progress: Progress::default(),
            open: false,
            last_commit: None,
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

    /// Records of a batch of the log. `edges` has one entry per transaction of the batch; one that
    /// is cut by the batch's end goes on in the next batch.
    ///
    /// # Errors
    /// What stops Debezium's task. Records of earlier changes of the batch are in `out` already.
    pub fn encode(&mut self, batch: &ChangeBatch, edges: &[Edges], out: &mut Vec<Record>) -> Result<()> {
        let mut changes = batch.changes().iter().peekable();
        for (index, transaction) in batch.transactions().iter().enumerate() {
            let edge = edges.get(index).copied().unwrap_or_default();
            self.begin(transaction, edge.begin, out)?;
            while let Some(change) = changes.next_if(|change| belongs(change, index)) {
                match change {
                    Change::Row(row) => self.row(batch.row(row), out)?,
                    Change::Truncate(truncate) => self.truncate(batch, truncate, out)?,
                    Change::Schema { .. } => {}
                }
            }
            let whole = index + 1 < batch.transactions().len() || batch.progress() > transaction.commit_lsn;
            if whole {
                self.commit(edge.end, out)?;
            }
        }
        Ok(())
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
        self.delete(plan, before, old_key, lsn, deleted, out)?;
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
            None => (None, self.progress.xid, self.progress.millis()),
        };
        let source = Source {
            name: &self.options.prefix,
            database: &self.options.database,
            schema: &plan.schema,
            table: &plan.table,
            time,
            snapshot: marker,
            last_commit: self.last_commit.filter(|_| streaming),
            lsn: event.lsn,
            xid: Some(xid),
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
        }
        Ok(())
    }
}

fn belongs(change: &Change, transaction: usize) -> bool {
    match change {
        Change::Row(row) => row.transaction as usize == transaction,
        Change::Truncate(truncate) => truncate.transaction as usize == transaction,
        Change::Schema { .. } => true,
    }
}
