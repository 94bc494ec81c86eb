//! A message as it is shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::Change;
use super::decode::{Decoded, Format, Schemas, decode};
use crate::ports::{Record, Registry};

/// A header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Header {
    /// Its name; one may come several times.
    pub name: String,
    /// Its value as text; null when it has none.
    pub value: Option<String>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Message {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// When it was written, in milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: Option<i64>,
    /// Its key; null when it has none.
    pub key: Option<Decoded>,
    /// Its value; null for a tombstone.
    pub value: Option<Decoded>,
    /// In order.
    pub headers: Vec<Header>,
    /// The change that it carries, if it is one.
    pub change: Option<Change>,
}

/// As what keys and values are read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Formats {
    pub(crate) key: Format,
    pub(crate) value: Format,
}

impl Message {
    pub(crate) async fn of(
        record: &Record,
        formats: Formats,
        schemas: &Schemas,
        registry: Option<&dyn Registry>,
    ) -> Self {
        let key = match &record.key {
            Some(bytes) => Some(decode(formats.key, bytes, schemas, registry).await),
            None => None,
        };
        let value = match &record.value {
            Some(bytes) => Some(decode(formats.value, bytes, schemas, registry).await),
            None => None,
        };
        let header = |(name, value): &(String, Option<Vec<u8>>)| Header {
            name: name.clone(),
            value: value.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        };
        Self {
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            change: value.as_ref().and_then(|value| value.json.as_ref()).and_then(Change::of),
            key,
            value,
            headers: record.headers.iter().map(header).collect(),
        }
    }
}
