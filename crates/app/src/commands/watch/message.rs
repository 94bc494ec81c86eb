//! What a record says: its key and its value, in any of the forms that a connector writes.
//!
//! JSON with and without a schema, an envelope (`before`, `after`, `op`, `source`) or an unwrapped row (`__op`,
//! `__lsn`, .. among its columns), a tombstone, a text, or bytes. Nothing here reads or writes anything else.

use serde_json::{Map, Value};
use walhouse_change::Lsn;
use walhouse_kafka::client::ConsumedRecord;

use super::readable::readable;

/// Columns by name, in the record's order.
pub(super) type Row = Map<String, Value>;

/// A record that was understood as far as possible.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// Milliseconds since 1970, as the record carries it.
    pub(super) timestamp: Option<i64>,
    pub(super) key: Value,
    pub(super) headers: Vec<(String, Value)>,
    pub(super) body: Body,
}

/// A record's value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    /// Null: the key is gone.
    Tombstone,
    /// A row that changed.
    Change(Change),
    /// Anything else: a heartbeat, a transaction's edge, a text, bytes.
    Other(Value),
}

/// A row that changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Change {
    /// `insert`, `update`, `delete`, `read` (a snapshot's row), `truncate`, `message`, or the letter as it came; none
    /// when the record does not say.
    pub(super) operation: Option<String>,
    /// As the record names it: `public.sales`, or `sales` where it leaves the schema out.
    pub(super) table: Option<String>,
    pub(super) lsn: Option<Lsn>,
    pub(super) before: Option<Row>,
    pub(super) after: Option<Row>,
}

impl Change {
    pub(super) fn is_delete(&self) -> bool {
        self.operation.as_deref() == Some("delete")
    }
}

impl Message {
    /// Reads a record. With `readable`, numbers that a schema calls a date, a time or a decimal are written as such.
    pub(super) fn decode(record: &ConsumedRecord, as_text: bool) -> Self {
        let headers: Vec<(String, Value)> = record
            .headers
            .iter()
            .map(|header| {
                let value = header.value.as_deref().map_or(Value::Null, |bytes| parse(bytes, as_text));
                (header.name.to_string(), value)
            })
            .collect();
        let body = match record.value.as_deref() {
            // With schemas off, Kafka Connect writes a null row as four letters.
            None | Some(b"null") => Body::Tombstone,
            Some(bytes) => body(parse(bytes, as_text), &headers),
        };
        Self {
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.as_deref().map_or(Value::Null, |bytes| parse(bytes, as_text)),
            headers,
            body,
        }
    }

    /// The change, if it is one.
    pub(super) fn change(&self) -> Option<&Change> {
        match &self.body {
            Body::Change(change) => Some(change),
            _ => None,
        }
    }

    /// The change's position in Postgres' log.
    pub(super) fn lsn(&self) -> Option<Lsn> {
        self.change().and_then(|change| change.lsn)
    }
}

/// Bytes as JSON (a schema around it is taken off), else as text, else in hexadecimal.
fn parse(bytes: &[u8], as_text: bool) -> Value {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Value::String(bytes.iter().fold("\\x".to_owned(), |text, byte| text + &format!("{byte:02x}")));
    };
    let Ok(value) = serde_json::from_str::<Value>(text) else { return Value::String(text.to_owned()) };
    match value {
        Value::Object(mut object) if object.len() == 2 && object.contains_key("schema") => {
            match (object.remove("payload"), object.remove("schema")) {
                (Some(payload), Some(schema)) if as_text => readable(&schema, payload),
                (Some(payload), _) => payload,
                (None, schema) => {
                    object.extend(schema.map(|schema| ("schema".to_owned(), schema)));
                    Value::Object(object)
                }
            }
        }
        other => other,
    }
}

fn body(value: Value, headers: &[(String, Value)]) -> Body {
    match value {
        Value::Null => Body::Tombstone,
        Value::Object(object) if is_envelope(&object) => Body::Change(enveloped(object)),
        Value::Object(object) if is_event(&object) => Body::Other(Value::Object(object)),
        Value::Object(object) => Body::Change(unwrapped(object, headers)),
        other => Body::Other(other),
    }
}

fn is_envelope(object: &Row) -> bool {
    object.contains_key("op") && object.get("source").is_some_and(Value::is_object)
}

/// A heartbeat (`ts_ms` alone), or a transaction's edge.
fn is_event(object: &Row) -> bool {
    let edge = object.contains_key("status") && object.contains_key("id") && object.contains_key("event_count");
    edge || (object.len() == 1 && object.contains_key("ts_ms"))
}

fn enveloped(mut object: Row) -> Change {
    let mut row = |name: &str| match object.remove(name) {
        Some(Value::Object(row)) => Some(row),
        _ => None,
    };
    let (before, after, message) = (row("before"), row("after"), row("message"));
    let source = row("source").unwrap_or_default();
    let name = |key: &str| source.get(key).and_then(Value::as_str).filter(|name| !name.is_empty());
    Change {
        operation: object.get("op").and_then(Value::as_str).map(operation),
        table: name("table").map(|table| name("schema").map_or(table.to_owned(), |schema| format!("{schema}.{table}"))),
        lsn: source.get("lsn").and_then(lsn),
        before,
        // A logical message has its content where a row would be.
        after: after.or(message),
    }
}

/// A row with its metadata columns, which begin with two underscores, taken out of it; some of it may be in headers.
fn unwrapped(row: Row, headers: &[(String, Value)]) -> Change {
    let (about, row): (Row, Row) = row.into_iter().partition(|(name, _)| name.starts_with("__"));
    let of = |name: &str| {
        let header = || headers.iter().find(|(header, _)| header == name).map(|(_, value)| value);
        about.get(name).or_else(header).filter(|value| !value.is_null())
    };
    let text = |name: &str| of(name).and_then(Value::as_str);
    let deleted = text("__deleted") == Some("true");
    let table = text("__table").or(text("__source_table"));
    let schema = text("__schema").or(text("__source_schema"));
    Change {
        operation: text("__op").map(operation).or_else(|| deleted.then(|| "delete".to_owned())),
        table: table.map(|table| schema.map_or(table.to_owned(), |schema| format!("{schema}.{table}"))),
        lsn: of("__lsn").or_else(|| of("__source_lsn")).and_then(lsn),
        before: None,
        after: Some(row),
    }
}

fn operation(letter: &str) -> String {
    match letter {
        "c" => "insert",
        "u" => "update",
        "d" => "delete",
        "r" => "read",
        "t" => "truncate",
        "m" => "message",
        other => other,
    }
    .to_owned()
}

fn lsn(value: &Value) -> Option<Lsn> {
    value.as_u64().map(Lsn)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;
    use walhouse_kafka::RecordHeader;

    use super::*;

    fn record(key: &str, value: Option<&str>) -> ConsumedRecord {
        ConsumedRecord {
            topic: "t".to_owned(),
            partition: 0,
            offset: 0,
            timestamp: Some(1),
            key: Some(Bytes::copy_from_slice(key.as_bytes())),
            value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())),
            headers: Vec::new(),
        }
    }

    fn change(value: &str) -> Change {
        let message = Message::decode(&record("{}", Some(value)), true);
        message.change().cloned().unwrap_or_else(|| panic!("{message:?}"))
    }

    #[test]
    fn an_envelope() {
        let payload =
            r#"{"before":{"id":1},"after":{"id":2},"source":{"schema":"public","table":"t","lsn":23},"op":"u"}"#;
        let found = change(payload);
        assert_eq!(found.operation.as_deref(), Some("update"));
        assert_eq!(found.table.as_deref(), Some("public.t"));
        assert_eq!(found.lsn, Some(Lsn(23)));
        assert_eq!(serde_json::to_value(&found.before).unwrap_or_default(), json!({"id": 1}));
        assert_eq!(found, change(&format!(r#"{{"schema":{{"type":"struct","fields":[]}},"payload":{payload}}}"#)));
    }

    #[test]
    fn an_unwrapped_row() {
        let found = change(r#"{"id":1,"a":null,"__table":"t","__op":"u","__lsn":5,"__deleted":"false"}"#);
        assert_eq!(found.operation.as_deref(), Some("update"));
        assert_eq!((found.table.as_deref(), found.lsn), (Some("t"), Some(Lsn(5))));
        assert_eq!(serde_json::to_value(&found.after).unwrap_or_default(), json!({"id": 1, "a": null}));
        assert!(change(r#"{"id":1,"__deleted":"true"}"#).is_delete());
        assert_eq!(change(r#"{"id":1}"#).operation, None);
    }

    #[test]
    fn metadata_in_headers() {
        let mut record = record("{}", Some(r#"{"id":1}"#));
        let header = |name: &str, value: &'static str| RecordHeader {
            name: name.into(),
            value: Some(Bytes::from_static(value.as_bytes())),
        };
        record.headers = vec![header("__op", "d"), header("__lsn", "77")];
        let message = Message::decode(&record, true);
        assert!(message.change().is_some_and(Change::is_delete));
        assert_eq!(message.lsn(), Some(Lsn(77)));
    }

    #[test]
    fn keys_and_what_is_no_change() {
        let key = |text: &str| Message::decode(&record(text, None), true).key;
        assert_eq!(key(r#"{"schema":{"type":"struct"},"payload":{"id":1}}"#), json!({"id": 1}));
        assert_eq!(key("Struct{id=1}"), json!("Struct{id=1}"));
        assert_eq!(key("7"), json!(7));
        assert_eq!(Message::decode(&record("7", None), true).body, Body::Tombstone);
        assert_eq!(Message::decode(&record("7", Some("null")), true).body, Body::Tombstone);
        let other = |text: &str| Message::decode(&record("7", Some(text)), true).body;
        assert_eq!(other(r#"{"schema":{},"payload":null}"#), Body::Tombstone);
        assert_eq!(other(r#"{"ts_ms":5}"#), Body::Other(json!({"ts_ms": 5})));
        assert_eq!(other("plain words"), Body::Other(json!("plain words")));
        let mut bytes = record("7", None);
        bytes.value = Some(Bytes::from_static(&[0xff, 1]));
        assert_eq!(Message::decode(&bytes, true).body, Body::Other(json!("\\xff01")));
    }
}
