//! Records that are not of rows: transactions, logical messages, heartbeats.

use std::sync::Arc;

use walhouse_change::{ChangeBatch, LogMessage, Lsn, Transaction};

use super::Encoder;
use crate::error::Result;
use crate::names;
use crate::offset::MessageKind;
use crate::options::BinaryMode;
use crate::record::{Message, Record};
use crate::source::{self, Source};
use crate::transaction::Progress;
use crate::value::Value;

impl Encoder {
    /// The record of a logical message.
    pub(super) fn message(&mut self, batch: &ChangeBatch, message: &LogMessage, out: &mut Vec<Record>) -> Result<()> {
        let transactional = message.transaction.is_some();
        let time = self.progress.begun().or(self.position.time);
        self.arrive(message.lsn.0, MessageKind::Message);
        self.position.time = time;
        if !transactional {
            // To Debezium it is a transaction of its own, committed where it stands.
            (self.position.commit, self.position.xid) = (Some(message.lsn.0), None);
        }
        let prefix = String::from_utf8_lossy(batch.bytes(message.prefix));
        if !self.options.messages.matches(&prefix) {
            return Ok(());
        }
        let prefix = if self.options.oddities { names::garbled(&prefix) } else { prefix.into_owned() };
        let content = batch.bytes(message.content);
        let content = match self.options.types.binary {
            BinaryMode::Bytes => Value::Bytes(content.to_vec()),
            BinaryMode::Base64 => Value::Str(crate::java::base64::standard(content)),
            BinaryMode::Base64UrlSafe => Value::Str(crate::java::base64::url_safe(content)),
            BinaryMode::Hex => Value::Str(crate::java::digest::hex(content)),
        };
        let source = Source {
            name: &self.options.prefix,
            database: &self.options.database,
            schema: "",
            table: "",
            time: time.unwrap_or_default().div_euclid(1000),
            snapshot: None,
            last_commit: self.position.commit,
            lsn: message.lsn.0,
            xid: self.position.xid,
            shows_lsn: true,
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

    /// A transaction begins at `at`.
    pub(super) fn begin(&mut self, transaction: &Transaction, at: Lsn, out: &mut Vec<Record>) -> Result<()> {
        self.progress = Progress::new(transaction.xid, transaction.commit_time);
        if !self.options.transaction_metadata {
            return Ok(());
        }
        self.arrive(at.0, MessageKind::Begin);
        let (key, value) = (self.progress.id(at.0), self.progress.begin(at.0));
        self.boundary(key, value, out)
    }

    /// The end of the transaction under way; `at` is the end of its commit record.
    pub(super) fn commit(&mut self, at: Lsn, out: &mut Vec<Record>) -> Result<()> {
        let position = &mut self.position;
        (position.lsn, position.processed, position.commit) = (Some(at.0), Some(at.0), Some(at.0));
        if !self.options.transaction_metadata {
            return Ok(());
        }
        self.arrive(at.0, MessageKind::Commit);
        let (key, value) = (self.progress.id(at.0), self.progress.end(at.0));
        let outcome = self.boundary(key, value, out);
        self.progress.finish();
        outcome
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
