//! Schemas and values around a row: source block, envelope, transaction block, messages, heartbeat.

use std::sync::Arc;

use crate::schema::{self, Field, Schema, Type};
use crate::value::Value;

/// The version these bytes are of.
const VERSION: &str = "2.4.2.Final";

/// Indexes of the envelope's fields.
pub(crate) mod envelope {
    pub(crate) const BEFORE: usize = 0;
    pub(crate) const AFTER: usize = 1;
    pub(crate) const SOURCE: usize = 2;
    pub(crate) const TRANSACTION: usize = 5;
}

/// Where an event comes from.
pub(crate) struct Source<'a> {
    pub(crate) name: &'a str,
    pub(crate) database: &'a str,
    pub(crate) schema: &'a str,
    pub(crate) table: &'a str,
    /// Milliseconds since 1970.
    pub(crate) time: i64,
    pub(crate) snapshot: Option<&'static str>,
    pub(crate) last_commit: Option<u64>,
    pub(crate) lsn: u64,
    pub(crate) xid: Option<u32>,
    /// Whether the position is shown beside the sequence.
    pub(crate) shows_lsn: bool,
}

impl Source<'_> {
    pub(crate) fn value(&self) -> Value {
        let sequence = match self.last_commit {
            Some(commit) => format!("[\"{commit}\",\"{}\"]", self.lsn),
            None => format!("[null,\"{}\"]", self.lsn),
        };
        Value::Struct(vec![
            Value::text(VERSION),
            Value::text("postgresql"),
            Value::text(self.name),
            Value::Int(self.time),
            self.snapshot.map_or(Value::Null, Value::text),
            Value::text(self.database),
            Value::Str(sequence),
            Value::text(self.schema),
            Value::text(self.table),
            self.xid.map_or(Value::Null, |xid| Value::Int(i64::from(xid))),
            if self.shows_lsn { Value::Int(self.lsn as i64) } else { Value::Null },
            Value::Null,
        ])
    }
}

fn optional_int64() -> Schema {
    schema::int64().optional(true)
}

/// Schemas that every table shares.
pub(crate) struct Common {
    pub(crate) source: Arc<Schema>,
    pub(crate) transaction: Arc<Schema>,
    string: Arc<Schema>,
    time: Arc<Schema>,
}

impl Common {
    pub(crate) fn new() -> Self {
        let snapshot = schema::string()
            .optional(true)
            .semantic("io.debezium.data.Enum")
            .parameter("allowed", "true,last,false,incremental")
            .with_default(Some(Value::text("false")));
        let source = Schema::record(vec![
            Field::new("version", schema::string()),
            Field::new("connector", schema::string()),
            Field::new("name", schema::string()),
            Field::new("ts_ms", schema::int64()),
            Field::new("snapshot", snapshot),
            Field::new("db", schema::string()),
            Field::new("sequence", schema::string().optional(true)),
            Field::new("schema", schema::string()),
            Field::new("table", schema::string()),
            Field::new("txId", optional_int64()),
            Field::new("lsn", optional_int64()),
            Field::new("xmin", optional_int64()),
        ])
        .named("io.debezium.connector.postgresql.Source");
        let transaction = Schema::record(vec![
            Field::new("id", schema::string()),
            Field::new("total_order", schema::int64()),
            Field::new("data_collection_order", schema::int64()),
        ])
        .optional(true)
        .semantic("event.block");
        Self {
            source: source.into(),
            transaction: transaction.into(),
            string: schema::string().into(),
            time: optional_int64().into(),
        }
    }

    pub(crate) fn envelope(&self, row: &Arc<Schema>, name: &str) -> Schema {
        Schema::record(vec![
            Field::new("before", Arc::clone(row)),
            Field::new("after", Arc::clone(row)),
            Field::new("source", Arc::clone(&self.source)),
            Field::new("op", Arc::clone(&self.string)),
            Field::new("ts_ms", Arc::clone(&self.time)),
            Field::new("transaction", Arc::clone(&self.transaction)),
        ])
        .semantic(name)
    }
}

/// Schemas of the transaction topic.
pub(crate) struct TransactionSchemas {
    pub(crate) key: Arc<Schema>,
    pub(crate) value: Arc<Schema>,
}

impl TransactionSchemas {
    pub(crate) fn new() -> Self {
        let key = Schema::record(vec![Field::new("id", schema::string())])
            .semantic("io.debezium.connector.common.TransactionMetadataKey");
        let collection = Schema::record(vec![
            Field::new("data_collection", schema::string()),
            Field::new("event_count", schema::int64()),
        ])
        .optional(true)
        .semantic("event.collection");
        let collections = Schema::new(Type::Array(collection.into())).optional(true);
        let value = Schema::record(vec![
            Field::new("status", schema::string()),
            Field::new("id", schema::string()),
            Field::new("event_count", optional_int64()),
            Field::new("data_collections", collections),
            Field::new("ts_ms", schema::int64()),
        ])
        .semantic("io.debezium.connector.common.TransactionMetadataValue");
        Self { key: key.into(), value: value.into() }
    }
}

/// Schemas of logical messages.
pub(crate) struct MessageSchemas {
    pub(crate) key: Arc<Schema>,
    pub(crate) value: Arc<Schema>,
}

impl MessageSchemas {
    pub(crate) fn new(common: &Common, content: Schema) -> Self {
        let prefix = || Field::new("prefix", schema::string().optional(true));
        let key = Schema::record(vec![prefix()]).semantic("io.debezium.connector.postgresql.MessageKey");
        let message = Schema::record(vec![prefix(), Field::new("content", content.optional(true))])
            .semantic("io.debezium.connector.postgresql.Message");
        let value = Schema::record(vec![
            Field::new("op", schema::string()),
            Field::new("ts_ms", optional_int64()),
            Field::new("source", Arc::clone(&common.source)),
            Field::new("message", message),
        ])
        .semantic("io.debezium.connector.postgresql.MessageValue");
        Self { key: key.into(), value: value.into() }
    }
}

/// Schemas of heartbeats: key and value.
pub(crate) fn heartbeat_schemas() -> (Arc<Schema>, Arc<Schema>) {
    let key = Schema::record(vec![Field::new("serverName", schema::string())])
        .semantic("io.debezium.connector.common.ServerNameKey");
    let value =
        Schema::record(vec![Field::new("ts_ms", schema::int64())]).semantic("io.debezium.connector.common.Heartbeat");
    (key.into(), value.into())
}
