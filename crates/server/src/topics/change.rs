//! A message of change data capture as what it says: which row changed, and how.
//!
//! Known are Debezium's envelope (`before`, `after`, `op`, `source`), with or without the schema
//! around it, and its flattened form (`__op`, `__lsn`, ... beside the columns).

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::decode::tamed;
use crate::ports::ColumnChange;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeOp {
    /// The row came with a snapshot.
    Read,
    /// It was inserted.
    Create,
    /// It was updated.
    Update,
    /// It was deleted.
    Delete,
    /// The table was emptied.
    Truncate,
    /// A message that an application wrote to the log.
    Message,
    /// Something else.
    Other,
}

impl ChangeOp {
    fn of(letter: &str) -> Self {
        match letter {
            "r" => Self::Read,
            "c" => Self::Create,
            "u" => Self::Update,
            "d" => Self::Delete,
            "t" => Self::Truncate,
            "m" => Self::Message,
            _ => Self::Other,
        }
    }
}

/// A change that a message carries.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Change {
    /// What was done.
    pub op: ChangeOp,
    /// The table's schema in the source.
    pub schema: Option<String>,
    /// The table in the source.
    pub table: Option<String>,
    /// Position in the source's log, a decimal number.
    pub lsn: Option<String>,
    /// When the source changed it, in milliseconds since 1970-01-01 UTC.
    pub changed_ms: Option<i64>,
    /// Whether the values before are known.
    pub has_before: bool,
    /// Every column.
    pub columns: Vec<ColumnChange>,
}

impl Change {
    /// The change in a message's value; none when it is something else.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let object = match object.get("payload").and_then(Value::as_object) {
            Some(payload) if object.contains_key("schema") => payload,
            _ => object,
        };
        envelope(object).or_else(|| flattened(object))
    }
}

fn envelope(object: &Map<String, Value>) -> Option<Change> {
    let op = ChangeOp::of(object.get("op")?.as_str()?);
    let source = object.get("source").and_then(Value::as_object);
    if source.is_none() && !object.contains_key("after") {
        return None;
    }
    let field = |name: &str| source.and_then(|source| source.get(name));
    let before = object.get("before").and_then(Value::as_object);
    let after = object.get("after").and_then(Value::as_object);
    Some(Change {
        op,
        schema: text(field("schema")),
        table: text(field("table")),
        lsn: number(field("lsn")),
        changed_ms: field("ts_ms").and_then(Value::as_i64),
        has_before: before.is_some(),
        columns: columns(before, after, op),
    })
}

fn flattened(object: &Map<String, Value>) -> Option<Change> {
    let field = |name: &str| object.get(name);
    let deleted = field("__deleted").and_then(Value::as_str).map(|text| text == "true");
    let op = match (field("__op").and_then(Value::as_str), deleted) {
        (Some(letter), _) => ChangeOp::of(letter),
        (None, Some(true)) => ChangeOp::Delete,
        (None, Some(false)) => ChangeOp::Other,
        (None, None) => field("__lsn").or_else(|| field("__table")).map(|_| ChangeOp::Other)?,
    };
    let plain = object.iter().filter(|(name, _)| !name.starts_with("__"));
    let row: Map<String, Value> = plain.map(|(name, value)| (name.clone(), value.clone())).collect();
    let (before, after) = if op == ChangeOp::Delete { (Some(&row), None) } else { (None, Some(&row)) };
    Some(Change {
        op,
        schema: text(field("__schema")),
        table: text(field("__table")),
        lsn: number(field("__lsn")),
        changed_ms: field("__source_ts_ms").or_else(|| field("__ts_ms")).and_then(Value::as_i64),
        has_before: before.is_some(),
        columns: columns(before, after, op),
    })
}

fn columns(before: Option<&Map<String, Value>>, after: Option<&Map<String, Value>>, op: ChangeOp) -> Vec<ColumnChange> {
    let names = after.or(before).into_iter().flatten().map(|(name, _)| name);
    let more = before.into_iter().flatten().map(|(name, _)| name);
    let more = more.filter(|name| after.is_some_and(|after| !after.contains_key(*name)));
    let value = |row: Option<&Map<String, Value>>, name: &str| row.and_then(|row| row.get(name)).cloned();
    let column = |name: &String| {
        let (old, new) = (value(before, name), value(after, name));
        let changed = match op {
            // Without the old values, nobody knows which changed.
            ChangeOp::Update if before.is_none() => false,
            _ => old != new,
        };
        let shown = |value: Option<Value>| tamed(value.unwrap_or(Value::Null));
        ColumnChange { name: name.clone(), before: shown(old), after: shown(new), changed }
    };
    names.chain(more).map(column).collect()
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

fn number(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_envelope_is_a_diff() {
        let bare = json!({
            "before": {"id": 1, "name": "a", "gone": 2}, "after": {"id": 1, "name": "b", "big": 9_007_199_254_740_993_i64},
            "op": "u", "source": {"schema": "public", "table": "t", "lsn": 24_023_128, "ts_ms": 5}
        });
        let wrapped = json!({ "schema": {}, "payload": bare });
        let change = Change::of(&bare).unwrap();
        assert_eq!(Change::of(&wrapped).unwrap(), change);
        assert_eq!(
            (change.op, change.table.as_deref(), change.lsn.as_deref()),
            (ChangeOp::Update, Some("t"), Some("24023128"))
        );
        let changed: Vec<_> =
            change.columns.iter().filter(|column| column.changed).map(|column| &*column.name).collect();
        assert_eq!(changed, ["name", "big", "gone"]);
        assert_eq!(change.columns.iter().find(|column| column.name == "big").unwrap().after, json!("9007199254740993"));
    }

    #[test]
    fn a_flattened_row_is_known_by_its_marks() {
        let change =
            Change::of(&json!({"id": 1, "__op": "d", "__deleted": "true", "__lsn": 7, "__table": "t"})).unwrap();
        assert_eq!((change.op, change.lsn.as_deref(), change.has_before), (ChangeOp::Delete, Some("7"), true));
        assert_eq!(change.columns.len(), 1);
        let update = Change::of(&json!({"id": 1, "__op": "u"})).unwrap();
        assert!(!update.columns.iter().any(|column| column.changed), "nobody knows what changed");
    }

    #[test]
    fn other_values_are_no_changes() {
        for value in
            [json!({"id": 1}), json!([1]), json!("x"), json!(null), json!({"op": "u"}), json!({"op": 1, "after": {}})]
        {
            assert_eq!(Change::of(&value), None, "{value}");
        }
    }
}
