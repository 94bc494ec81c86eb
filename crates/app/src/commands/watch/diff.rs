//! What changed: between `before` and `after` where a record has both, else against the key's former version.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use super::message::{Body, Message, Row};

/// How many keys' last versions are remembered: some hundred megabytes of wide rows at most.
const REMEMBERED_KEYS: usize = 100_000;
/// What Debezium writes in place of a large value that did not change.
const UNAVAILABLE: &str = "__debezium_unavailable_value";

/// One column's change; none is "was not there".
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference {
    pub(super) column: String,
    pub(super) old: Option<Value>,
    pub(super) new: Option<Value>,
}

/// The last version of each key that went by.
#[derive(Debug)]
pub(super) struct Memory {
    /// Each with the turn in which it was remembered.
    rows: HashMap<(String, String), (u64, Row)>,
    /// Turns in order, some of them over: the oldest is forgotten first.
    turns: VecDeque<(u64, (String, String))>,
    turn: u64,
    capacity: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self { rows: HashMap::new(), turns: VecDeque::new(), turn: 0, capacity: REMEMBERED_KEYS }
    }
}

impl Memory {
    /// The message's differences from what was before it, which is then remembered as the key's last version. None
    /// when it is no change, or an update of a key whose former version nobody knows.
    pub(super) fn compare(&mut self, message: &Message) -> Option<Vec<Difference>> {
        let place = (message.topic.clone(), message.key.to_string());
        let Some(change) = message.change() else {
            if message.body == Body::Tombstone {
                self.rows.remove(&place);
            }
            return None;
        };
        let former = self.rows.remove(&place).map(|(_, row)| row);
        // Without the full identity, `before` has the key alone or is missing.
        let old = match (&change.before, former) {
            (Some(before), Some(former)) if before.len() < former.len() => Some(former),
            (Some(before), _) => Some(before.clone()),
            (None, former) => former,
        };
        let differences = match change.operation.as_deref() {
            Some("delete") => Some(between(Some(&old.clone().or(change.after.clone()).unwrap_or_default()), None)),
            Some("insert" | "read" | "message") => Some(between(None, change.after.as_ref())),
            _ => old.as_ref().map(|old| between(Some(old), change.after.as_ref())),
        };
        if let (Some(after), false, false) = (&change.after, change.is_delete(), message.key.is_null()) {
            self.remember(place, filled(after.clone(), old));
        }
        differences
    }

    fn remember(&mut self, place: (String, String), row: Row) {
        self.turn += 1;
        self.turns.push_back((self.turn, place.clone()));
        self.rows.insert(place, (self.turn, row));
        while self.rows.len() > self.capacity || self.turns.len() > 2 * self.capacity {
            let Some((turn, oldest)) = self.turns.pop_front() else { return };
            if self.rows.get(&oldest).is_some_and(|(last, _)| *last == turn) {
                self.rows.remove(&oldest);
            }
        }
    }
}

/// The new row, with what it leaves out taken from the old one.
fn filled(mut row: Row, old: Option<Row>) -> Row {
    for (column, value) in old.unwrap_or_default() {
        if row.get(&column).is_some_and(is_unavailable) {
            row.insert(column, value);
        }
    }
    row
}

fn is_unavailable(value: &Value) -> bool {
    value.as_str() == Some(UNAVAILABLE)
}

/// Columns whose values differ, in the rows' order.
fn between(old: Option<&Row>, new: Option<&Row>) -> Vec<Difference> {
    let none = Row::new();
    let (old, new) = (old.unwrap_or(&none), new.unwrap_or(&none));
    let gone = old.keys().filter(|column| !new.contains_key(*column));
    new.keys()
        .chain(gone)
        .map(|column| Difference {
            column: column.clone(),
            old: old.get(column).cloned(),
            new: new.get(column).cloned(),
        })
        .filter(|it| it.old != it.new && !it.new.as_ref().is_some_and(is_unavailable))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::message::Change;
    use super::*;

    fn row(value: Value) -> Option<Row> {
        value.as_object().cloned()
    }

    fn message(operation: &str, before: Value, after: Value) -> Message {
        Message {
            topic: "t".to_owned(),
            partition: 0,
            offset: 0,
            timestamp: None,
            key: json!({"id": 1}),
            headers: Vec::new(),
            body: Body::Change(Change {
                operation: Some(operation.to_owned()),
                before: row(before),
                after: row(after),
                ..Change::default()
            }),
        }
    }

    fn difference(column: &str, old: Option<Value>, new: Option<Value>) -> Difference {
        Difference { column: column.to_owned(), old, new }
    }

    #[test]
    fn of_an_envelope() {
        let update = message("update", json!({"id": 1, "a": 1}), json!({"id": 1, "a": 2}));
        assert_eq!(Memory::default().compare(&update), Some(vec![difference("a", Some(json!(1)), Some(json!(2)))]));
        let insert = message("insert", Value::Null, json!({"id": 1}));
        assert_eq!(Memory::default().compare(&insert), Some(vec![difference("id", None, Some(json!(1)))]));
        let delete = message("delete", json!({"id": 1}), Value::Null);
        assert_eq!(Memory::default().compare(&delete), Some(vec![difference("id", Some(json!(1)), None)]));
    }

    #[test]
    fn of_unwrapped_rows_by_their_key() {
        let mut memory = Memory::default();
        let update = message("update", Value::Null, json!({"id": 1, "a": 1, "b": 5}));
        assert_eq!(memory.compare(&update), None, "nobody knows what was before");
        let update = message("update", Value::Null, json!({"id": 1, "a": 2, "b": UNAVAILABLE}));
        assert_eq!(memory.compare(&update), Some(vec![difference("a", Some(json!(1)), Some(json!(2)))]));
        // A large value that did not change is still known from before.
        let update = message("update", Value::Null, json!({"id": 1, "a": 2, "b": 6}));
        assert_eq!(memory.compare(&update), Some(vec![difference("b", Some(json!(5)), Some(json!(6)))]));
        let delete = message("delete", Value::Null, json!({"id": 1, "a": null, "b": null}));
        assert_eq!(memory.compare(&delete).map(|all| all.len()), Some(3), "the whole former row");
        assert!(memory.rows.is_empty());
    }

    #[test]
    fn a_bare_before_is_filled_from_memory() {
        let mut memory = Memory::default();
        memory.compare(&message("insert", Value::Null, json!({"id": 1, "a": 1})));
        let update = message("update", json!({"id": 1}), json!({"id": 1, "a": 2}));
        assert_eq!(memory.compare(&update), Some(vec![difference("a", Some(json!(1)), Some(json!(2)))]));
    }

    #[test]
    fn the_oldest_key_is_forgotten_first() {
        let mut memory = Memory { capacity: 2, ..Memory::default() };
        for id in 0..5 {
            let mut one = message("insert", Value::Null, json!({"id": id}));
            one.key = json!(id);
            memory.compare(&one);
        }
        assert_eq!(memory.rows.len(), 2);
        assert!(memory.rows.contains_key(&("t".to_owned(), "4".to_owned())));
        for _ in 0..10 {
            memory.compare(&message("insert", Value::Null, json!({"id": 1})));
        }
        assert!(memory.turns.len() <= 4 && memory.rows.len() <= 2);
    }

    #[test]
    fn a_tombstone_forgets() {
        let mut memory = Memory::default();
        memory.compare(&message("insert", Value::Null, json!({"id": 1})));
        let mut tombstone = message("", Value::Null, Value::Null);
        tombstone.body = Body::Tombstone;
        assert_eq!(memory.compare(&tombstone), None);
        assert!(memory.rows.is_empty());
    }
}
