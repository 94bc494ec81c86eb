//! Offsets: where a connector is, as Debezium 2.4.2 stores it in Connect's offsets topic.
//!
//! The order of a stored offset's keys is that of the Java map that held them. Keys that nobody here knows are
//! ignored; keys that only this crate knows (`walhouse_..`) are ignored by Debezium.

use serde_json::{Map, Value as Json};

pub use crate::java::serial::KeyPart;

use crate::error::{Error, Result};
use crate::java::{hash, serial};
use crate::json;

const TIME: &str = "ts_usec";
const XID: &str = "txId";
const LSN: &str = "lsn";
const SNAPSHOT: &str = "snapshot";
const LAST_RECORD: &str = "last_snapshot_record";
const PROCESSED: &str = "lsn_proc";
const COMMIT: &str = "lsn_commit";
const MESSAGE: &str = "messageType";
const TRANSACTION: &str = "transaction_id";
const COUNT: &str = "transaction_data_collection_order_";
const SENT: &str = "incremental_snapshot_primary_key";
const MAXIMUM: &str = "incremental_snapshot_maximum_key";
const COLLECTIONS: &str = "incremental_snapshot_collections";
const CORRELATION: &str = "incremental_snapshot_correlation_id";
/// Every change whose position is `lsn_proc` was sent: several can share one, and an offset of Debezium's does not
/// say how many of them were.
const WHOLE: &str = "walhouse_lsn_whole";

/// The kind of the message that an offset is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// The beginning of a transaction.
    Begin,
    /// Its end.
    Commit,
    /// An inserted row.
    Insert,
    /// An updated row.
    Update,
    /// A deleted row.
    Delete,
    /// An emptied table.
    Truncate,
    /// A logical message.
    Message,
}

const KINDS: [(MessageKind, &str); 7] = [
    (MessageKind::Begin, "BEGIN"),
    (MessageKind::Commit, "COMMIT"),
    (MessageKind::Insert, "INSERT"),
    (MessageKind::Update, "UPDATE"),
    (MessageKind::Delete, "DELETE"),
    (MessageKind::Truncate, "TRUNCATE"),
    (MessageKind::Message, "MESSAGE"),
];

impl MessageKind {
    fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

/// The numbers of an offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Position of the event.
    pub lsn: Option<u64>,
    /// Position up to which all was processed.
    pub processed: Option<u64>,
    /// End of the last commit that was seen.
    pub commit: Option<u64>,
    /// The event's transaction.
    pub xid: Option<u32>,
    /// Microseconds since 1970.
    pub time: Option<i64>,
    /// The message that the event comes from.
    pub kind: Option<MessageKind>,
    /// Nothing else has the position `processed`.
    pub whole: bool,
}

/// The transaction whose metadata are under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionMark {
    /// Its id; none between transactions.
    pub id: Option<String>,
    /// Events by table.
    pub counts: Vec<(String, u64)>,
}

/// A table that an incremental snapshot has before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collection {
    /// `schema.table`.
    pub id: String,
    /// Which of its rows, as a condition.
    pub condition: Option<String>,
    /// The column that stands for its key.
    pub surrogate_key: Option<String>,
}

/// An incremental snapshot under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incremental {
    /// Key of the last row that was sent.
    pub sent: Option<Vec<KeyPart>>,
    /// The largest key when it began.
    pub maximum: Option<Vec<KeyPart>>,
    /// The table under way and those after it.
    pub collections: Vec<Collection>,
    /// Id of the signal that asked for it.
    pub correlation: Option<String>,
}

/// An offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offset {
    /// Where in the log.
    pub position: Position,
    /// In a snapshot: whether it is whole.
    pub snapshot: Option<bool>,
    /// Transaction metadata.
    pub transaction: TransactionMark,
    /// The incremental snapshot under way.
    pub incremental: Option<Incremental>,
}

impl Offset {
    /// The key under which a connector's offsets are stored.
    #[must_use]
    pub fn key(connector: &str, prefix: &str) -> String {
        let mut out = b"[".to_vec();
        json::append_string(&mut out, connector);
        out.extend(b",{\"server\":");
        json::append_string(&mut out, prefix);
        out.extend(b"}]");
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Reads a stored offset; none for one that was reset.
    ///
    /// # Errors
    /// It is not such an offset.
    pub fn parse(text: &[u8]) -> Result<Option<Self>> {
        let malformed = |problem: &str| Error::Offset { problem: problem.to_owned() };
        let json: Json = serde_json::from_slice(text).map_err(|_| malformed("it is not JSON"))?;
        let map = match json {
            Json::Null => return Ok(None),
            Json::Object(map) => map,
            _ => return Err(malformed("it is not an object")),
        };
        let number = |key: &str| map.get(key).and_then(Json::as_i64);
        let flag = |key: &str| map.get(key).and_then(Json::as_bool).unwrap_or(false);
        let kind = map.get(MESSAGE).and_then(Json::as_str);
        let position = Position {
            lsn: number(LSN).map(|lsn| lsn as u64),
            processed: number(PROCESSED).map(|lsn| lsn as u64),
            commit: number(COMMIT).map(|lsn| lsn as u64),
            xid: number(XID).map(|xid| xid as u32),
            time: number(TIME),
            kind: kind.and_then(|kind| KINDS.iter().find(|(_, name)| *name == kind)).map(|(kind, _)| *kind),
            whole: flag(WHOLE),
        };
        if position.lsn.or(position.processed).is_none() {
            return Err(malformed("it has neither lsn nor lsn_proc"));
        }
        Ok(Some(Self {
            position,
            snapshot: flag(SNAPSHOT).then(|| flag(LAST_RECORD)),
            transaction: transaction(&map),
            incremental: incremental(&map),
        }))
    }

    /// The offset as it is stored.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut entries = self.entries();
        hash::hash_map_order(&mut entries, |(key, _)| key);
        let mut out = b"{".to_vec();
        for (index, (key, value)) in entries.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            json::append_string(&mut out, key);
            out.push(b':');
            match value {
                Json::String(text) => json::append_string(&mut out, text),
                other => out.extend(other.to_string().into_bytes()),
            }
        }
        out.push(b'}');
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Keys and values in the order in which Debezium fills its map.
    fn entries(&self) -> Vec<(String, Json)> {
        let position = &self.position;
        let mut entries: Vec<(String, Json)> = Vec::with_capacity(12);
        let mut put = |key: &str, value: Option<Json>| entries.extend(value.map(|value| (key.to_owned(), value)));
        put(TIME, position.time.map(Json::from));
        put(XID, position.xid.map(Json::from));
        put(LSN, position.lsn.map(Json::from));
        put(SNAPSHOT, self.snapshot.map(|_| true.into()));
        put(LAST_RECORD, self.snapshot.map(Json::from));
        put(PROCESSED, position.processed.map(Json::from));
        put(COMMIT, position.commit.map(Json::from));
        put(MESSAGE, position.kind.map(|kind| kind.name().into()));
        put(WHOLE, position.whole.then(|| true.into()));
        if self.snapshot.is_some() {
            return entries;
        }
        put(TRANSACTION, Some(self.transaction.id.clone().map_or(Json::Null, Json::from)));
        for (table, count) in &self.transaction.counts {
            put(&format!("{COUNT}{table}"), Some((*count).into()));
        }
        if let Some(incremental) = &self.incremental {
            put(SENT, Some(serial::write(incremental.sent.as_deref()).into()));
            put(MAXIMUM, Some(serial::write(incremental.maximum.as_deref()).into()));
            put(COLLECTIONS, Some(collections(&incremental.collections).into()));
            put(CORRELATION, Some(incremental.correlation.clone().map_or(Json::Null, Json::from)));
        }
        entries
    }
}

fn transaction(map: &Map<String, Json>) -> TransactionMark {
    let counts = map.iter().filter_map(|(key, value)| Some((key.strip_prefix(COUNT)?.to_owned(), value.as_u64()?)));
    let id = map.get(TRANSACTION).and_then(Json::as_str).map(str::to_owned);
    TransactionMark { id, counts: counts.collect() }
}

fn incremental(map: &Map<String, Json>) -> Option<Incremental> {
    let text = |key: &str| map.get(key).and_then(Json::as_str);
    let list: Vec<Map<String, Json>> = serde_json::from_str(text(COLLECTIONS)?).ok()?;
    let part = |entry: &Map<String, Json>, suffix: &str| {
        let value = entry.get(&format!("{COLLECTIONS}_{suffix}"))?.as_str()?;
        (!value.is_empty()).then(|| value.to_owned())
    };
    let collection = |entry: &Map<String, Json>| {
        Some(Collection {
            id: part(entry, "id")?,
            condition: part(entry, "additional_condition"),
            surrogate_key: part(entry, "surrogate_key"),
        })
    };
    let key = |key: &str| text(key).and_then(serial::read).flatten();
    Some(Incremental {
        sent: key(SENT),
        maximum: key(MAXIMUM),
        collections: list.iter().filter_map(collection).collect(),
        correlation: text(CORRELATION).map(str::to_owned),
    })
}

fn collections(list: &[Collection]) -> String {
    let entry = |collection: &Collection| {
        let optional = |text: &Option<String>| text.clone().map_or(Json::Null, Json::from);
        let mut map = Map::new();
        map.insert(format!("{COLLECTIONS}_id"), collection.id.clone().into());
        map.insert(format!("{COLLECTIONS}_additional_condition"), optional(&collection.condition));
        map.insert(format!("{COLLECTIONS}_surrogate_key"), optional(&collection.surrogate_key));
        Json::Object(map)
    };
    Json::Array(list.iter().map(entry).collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from a real Debezium.
    const STREAMED: &str = r#"{"transaction_id":null,"lsn_proc":391766816,"messageType":"INSERT","lsn_commit":391766712,"lsn":391766816,"txId":3491,"ts_usec":1795502803841772}"#;
    const SNAPSHOT: &str =
        r#"{"last_snapshot_record":true,"lsn":404869888,"txId":3522,"ts_usec":1795502879229066,"snapshot":true}"#;
    const METADATA: &str = r#"{"transaction_id":"3442","lsn_proc":378625648,"messageType":"COMMIT","lsn_commit":378625648,"lsn":378625648,"transaction_data_collection_order_public.acc":2,"txId":3442,"ts_usec":1795502489401447}"#;

    #[test]
    fn recorded_offsets_are_read_and_written_again() {
        for text in [STREAMED, SNAPSHOT, METADATA] {
            let offset = Offset::parse(text.as_bytes()).unwrap().unwrap();
            assert_eq!(offset.to_json(), text);
        }
        assert_eq!(Offset::parse(b"null"), Ok(None));
        assert!(Offset::parse(b"{}").is_err() && Offset::parse(b"[").is_err());
        assert_eq!(Offset::key("a\"b", "p"), r#"["a\"b",{"server":"p"}]"#);
    }

    #[test]
    fn an_incremental_snapshot_survives() {
        let incremental = Incremental {
            sent: Some(vec![KeyPart::Int(10)]),
            maximum: Some(vec![KeyPart::Int(23)]),
            collections: vec![
                Collection { id: "public.big".into(), condition: Some("id > 1".into()), surrogate_key: None },
                Collection { id: "public.other".into(), ..Collection::default() },
            ],
            correlation: Some("s1".into()),
        };
        let streamed = Offset::parse(STREAMED.as_bytes()).unwrap().unwrap();
        let position = Position { whole: true, ..streamed.position };
        let offset = Offset { incremental: Some(incremental), position, ..streamed };
        assert_eq!(Offset::parse(offset.to_json().as_bytes()), Ok(Some(offset)));
    }
}
