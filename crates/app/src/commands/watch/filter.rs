//! Which messages are shown: `--key`, `--table` and the position of `--from`.

use serde_json::Value;
use walhouse_change::Lsn;

use super::message::{Body, Message, Row};

/// What is asked for; an empty filter lets everything through.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// As the user wrote it.
    pub(super) key: Option<String>,
    /// `sales` or `public.sales`.
    pub(super) table: Option<String>,
    /// Changes from here on.
    pub(super) lsn: Option<Lsn>,
}

impl Filter {
    pub(super) fn wants(&self, message: &Message) -> bool {
        self.lsn.is_none_or(|from| follows(message, from))
            && self.table.as_deref().is_none_or(|table| is_of(message, table))
            && self.key.as_deref().is_none_or(|key| key_is(&message.key, key))
    }
}

/// A tombstone belongs to the delete before it, and has no position of its own: only changes count.
fn follows(message: &Message, from: Lsn) -> bool {
    message.lsn().is_some_and(|lsn| lsn >= from)
}

/// By the table that the record names; a record that names none is of the table that its topic ends with.
fn is_of(message: &Message, table: &str) -> bool {
    let ends = |name: &str| name == table || name.strip_suffix(table).is_some_and(|rest| rest.ends_with('.'));
    match message.change().and_then(|change| change.table.as_deref()) {
        // The user named a schema, the record only the table: the topic has both.
        Some(name) if table.contains('.') && !name.contains('.') => ends(&message.topic),
        Some(name) => ends(name),
        None => ends(&message.topic) && !matches!(&message.body, Body::Other(_)),
    }
}

/// Whether a key is the wanted one: as JSON (`{"id":7}`), by its only value (`7`), by named columns (`id=7,part=2`), or
/// as the text that it is (`Struct{id=7}`).
fn key_is(key: &Value, wanted: &str) -> bool {
    if let Ok(json) = serde_json::from_str::<Value>(wanted)
        && json == *key
    {
        return true;
    }
    let columns = match key {
        Value::Object(row) => row.clone(),
        Value::String(text) if text == wanted => return true,
        Value::String(text) => struct_text(text),
        other => return plain(other) == wanted,
    };
    let mut values = columns.values();
    if let (Some(only), None) = (values.next(), values.next())
        && plain(only) == wanted
    {
        return true;
    }
    let mut named = wanted.split(',').map(|pair| pair.split_once('='));
    named.all(|pair| {
        pair.is_some_and(|(name, value)| columns.get(name.trim()).is_some_and(|found| plain(found) == value))
    })
}

/// The columns of `Struct{a=1,b=x}`, as a StringConverter writes a key. It escapes nothing: a value with a comma in it
/// cannot be told from two columns, and is left whole when no `=` follows.
fn struct_text(text: &str) -> Row {
    let inner = text.strip_prefix("Struct{").and_then(|rest| rest.strip_suffix('}'));
    let mut columns: Vec<(String, String)> = Vec::new();
    for piece in inner.unwrap_or_default().split(',') {
        match (piece.split_once('='), columns.last_mut()) {
            (Some((name, value)), _) => columns.push((name.to_owned(), value.to_owned())),
            (None, Some((_, value))) => *value = format!("{value},{piece}"),
            (None, None) => {}
        }
    }
    columns.into_iter().map(|(name, value)| (name, Value::String(value))).collect()
}

/// A value as one types it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::message::Change;
    use super::*;

    #[test]
    fn keys() {
        for (key, wanted) in [
            (json!({"id": 7}), r#"{"id":7}"#),
            (json!({"id": 7}), "7"),
            (json!({"id": 7}), "id=7"),
            (json!({"a": "x", "b": 2}), "b=2,a=x"),
            (json!("Struct{id=7}"), "Struct{id=7}"),
            (json!("Struct{id=7}"), "7"),
            (json!("Struct{a=x,y,b=2}"), "b=2"),
            (json!(7), "7"),
            (json!("seven"), "seven"),
        ] {
            assert!(key_is(&key, wanted), "{key} {wanted}");
        }
        for (key, wanted) in [
            (json!({"id": 7}), "8"),
            (json!({"a": 7, "b": 7}), "7"),
            (json!({"id": 7}), "id=8"),
            (json!({"id": 7}), "no=7"),
            (Value::Null, "7"),
        ] {
            assert!(!key_is(&key, wanted), "{key} {wanted}");
        }
    }

    fn message(topic: &str, table: Option<&str>, lsn: u64) -> Message {
        let change = Change { table: table.map(str::to_owned), lsn: Some(Lsn(lsn)), ..Change::default() };
        Message {
            topic: topic.to_owned(),
            partition: 0,
            offset: 0,
            timestamp: None,
            key: Value::Null,
            headers: Vec::new(),
            body: Body::Change(change),
        }
    }

    #[test]
    fn tables() {
        assert!(is_of(&message("x", Some("public.sales"), 1), "sales"));
        assert!(is_of(&message("x", Some("public.sales"), 1), "public.sales"));
        assert!(is_of(&message("p.public.sales", Some("sales"), 1), "public.sales"));
        assert!(is_of(&message("p.public.sales", None, 1), "sales"));
        assert!(!is_of(&message("p.public.sales", Some("sales"), 1), "other.sales"));
        assert!(!is_of(&message("p.public.wholesales", None, 1), "sales"));
        assert!(!is_of(&message("x", Some("public.sales_territory"), 1), "sales"));
    }

    #[test]
    fn positions() {
        let filter = Filter { lsn: Some(Lsn(5)), ..Filter::default() };
        assert!(filter.wants(&message("t", None, 5)));
        assert!(!filter.wants(&message("t", None, 4)));
        assert!(Filter::default().wants(&message("t", None, 4)));
    }
}
