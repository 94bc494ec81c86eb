//! Records that are not of rows: transactions, logical messages, heartbeats.

use std::sync::Arc;

use walhouse_change::{Lsn, Transaction};

use super::Encoder;
use crate::error::Result;
use crate::names;
use crate::options::BinaryMode;
use crate::record::{Message, Record};
use crate::source::{self, Source};
use crate::transaction::Progress;
use crate::value::Value;

/// A message of `pg_logical_emit_message`.
#[derive(Clone, Copy)]
pub struct LogicalMessage<'a> {
    /// Whether it belongs to the transaction under way.
    pub transactional: bool,
    /// Its own position.
    pub lsn: Lsn,
    /// Its prefix.
    pub prefix: &'a str,
    /// Its content.
    pub content: &'a [u8],
}

/// Shows the sizes only.
impl std::fmt::Debug for LogicalMessage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogicalMessage({}, {} bytes)", self.lsn, self.content.len())
    }
}

impl Encoder {
    /// The record of a logical message, which comes between batches: a batch ends before it, and
    /// its transaction goes on in the next one.
    ///
    /// # Errors
    /// A transformation that cannot be applied.
    pub fn message(&mut self, message: &LogicalMessage<'_>, out: &mut Vec<Record>) -> Result<()> {
        if !self.options.messages.matches(message.prefix) {
            return Ok(());
        }
        let prefix = if self.options.oddities { names::garbled(message.prefix) } else { message.prefix.to_owned() };
        let content = match self.options.types.binary {
            BinaryMode::Bytes => Value::Bytes(message.content.to_vec()),
            BinaryMode::Base64 => Value::Str(crate::java::base64::standard(message.content)),
            BinaryMode::Base64UrlSafe => Value::Str(crate::java::base64::url_safe(message.content)),
            BinaryMode::Hex => Value::Str(crate::java::digest::hex(message.content)),
        };
        if !message.transactional {
            // To Debezium it is a transaction of its own, committed where it stands.
            self.last_commit = Some(message.lsn.0);
        }
        let source = Source {
            name: &self.options.prefix,
            database: &self.options.database,
            schema: "",
            table: "",
            time: self.progress.millis(),
            snapshot: None,
            last_commit: self.last_commit,
            lsn: message.lsn.0,
            xid: message.transactional.then_some(self.progress.xid),
        };
        let value = Value::Struct(vec![
            Value::text("m"),
            Value::Int((self.clock)()),
            source.value(),
            Value::Struct(vec![Value::text(&prefix), content]),
        ]);
        let message = Message {
            topic: Arc::clone(&self.message_topic),
            partition: None,
            key_schema: Some(Arc::clone(&self.message_schemas.key)),
            key: Value::Struct(vec![Value::Str(prefix)]),
            value_schema: Some(Arc::clone(&self.message_schemas.value)),
            value,
            headers: Vec::new(),
        };
        self.send(message, &mut Vec::new(), out)
    }

    /// A transaction without changes, or one whose Begin comes before a logical message.
    ///
    /// # Errors
    /// A transformation that cannot be applied.
    pub fn begin(&mut self, transaction: &Transaction, at: Lsn, out: &mut Vec<Record>) -> Result<()> {
        if self.open && self.progress.xid == transaction.xid && self.progress.commit_lsn == transaction.commit_lsn.0 {
            return Ok(());
        }
        self.progress = Progress::new(transaction.xid, transaction.commit_time, transaction.commit_lsn.0);
        self.open = true;
        let (key, value) = (self.progress.id(at.0), self.progress.begin(at.0));
        self.boundary(key, value, out)
    }

    /// The end of the transaction under way; `at` is the end of its commit record.
    ///
    /// # Errors
    /// A transformation that cannot be applied.
    pub fn commit(&mut self, at: Lsn, out: &mut Vec<Record>) -> Result<()> {
        self.open = false;
        self.last_commit = Some(at.0);
        let (key, value) = (self.progress.id(at.0), self.progress.end(at.0));
        self.boundary(key, value, out)
    }

    /// A heartbeat: always to partition 0.
    ///
    /// # Errors
    /// A transformation that cannot be applied.
    pub fn heartbeat(&mut self, out: &mut Vec<Record>) -> Result<()> {
        let (key_schema, value_schema) = source::heartbeat_schemas();
        let topic = names::topic(&[&self.options.heartbeat_topic, &self.options.prefix], &self.options.delimiter);
        let message = Message {
            topic: topic.into(),
            partition: Some(0),
            key_schema: Some(key_schema),
            key: Value::Struct(vec![Value::text(&self.options.prefix)]),
            value_schema: Some(value_schema),
            value: Value::Struct(vec![Value::Int((self.clock)())]),
            headers: Vec::new(),
        };
        self.send(message, &mut Vec::new(), out)
    }

    fn boundary(&mut self, key: Value, value: Value, out: &mut Vec<Record>) -> Result<()> {
        if !self.options.transaction_metadata {
            return Ok(());
        }
        let message = Message {
            topic: Arc::clone(&self.transaction_topic),
            partition: None,
            key_schema: Some(Arc::clone(&self.transaction_schemas.key)),
            key: Value::Struct(vec![key]),
            value_schema: Some(Arc::clone(&self.transaction_schemas.value)),
            value,
            headers: Vec::new(),
        };
        self.send(message, &mut Vec::new(), out)
    }
}
