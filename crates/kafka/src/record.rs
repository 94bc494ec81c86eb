//! Records: before the converters ([`Message`]) and after them ([`Record`]).

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::options::Options;
use crate::schema::Schema;
use crate::value::Value;

/// A header before its converter.
#[derive(Clone)]
pub(crate) struct Header {
    pub(crate) name: Arc<str>,
    pub(crate) schema: Option<Arc<Schema>>,
    pub(crate) value: Value,
}

/// A record as transformations see it.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: Option<u32>,
    pub(crate) key_schema: Option<Arc<Schema>>,
    pub(crate) key: Value,
    pub(crate) value_schema: Option<Arc<Schema>>,
    pub(crate) value: Value,
    pub(crate) headers: Vec<Header>,
}

impl Message {
    /// Through the converters.
    pub(crate) fn convert(self, options: &Options) -> Record {
        let key = options.key.convert(self.key_schema.as_deref(), &self.key);
        let value = options.value.convert(self.value_schema.as_deref(), &self.value);
        let headers = self.headers.into_iter().map(|header| RecordHeader {
            value: options.header.convert(header.schema.as_deref(), &header.value).map(Bytes::from),
            name: header.name,
        });
        Record {
            topic: self.topic,
            partition: self.partition,
            key: key.map(Bytes::from),
            value: value.map(Bytes::from),
            headers: headers.collect(),
        }
    }
}

/// A record's header.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordHeader {
    /// Its name; a name may come more than once.
    pub name: Arc<str>,
    /// Its bytes, none for a null header.
    pub value: Option<Bytes>,
}

/// A record as it is produced.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Topic's name.
    pub topic: Arc<str>,
    /// The partition, where the connector chooses it (heartbeats). Otherwise the producer does:
    /// [`crate::partition`] of the key, or any partition for a record without one.
    pub partition: Option<u32>,
    /// The key's bytes, none for Kafka's null.
    pub key: Option<Bytes>,
    /// The value's bytes, none for a tombstone.
    pub value: Option<Bytes>,
    /// Headers in order.
    pub headers: Vec<RecordHeader>,
}

/// Shows sizes, never contents: they are users' rows.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("topic", &self.topic)
            .field("key_bytes", &self.key.as_ref().map(Bytes::len))
            .field("value_bytes", &self.value.as_ref().map(Bytes::len))
            .field("headers", &self.headers.len())
            .finish_non_exhaustive()
    }
}

/// Shows the name and the size, never the content.
impl fmt::Debug for RecordHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{:?}]", self.name, self.value.as_ref().map(Bytes::len))
    }
}
