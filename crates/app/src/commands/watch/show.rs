//! A message as it is printed: for a person (in colour where that is wanted), or as a line of JSON.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::diff::Difference;
use super::message::{Body, Change, Message, Row};

/// The colours of a terminal, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    pub(super) colour: bool,
}

/// Select Graphic Rendition codes.
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";

impl Palette {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A message: a line that says what and where, then its content.
    pub(super) fn message(self, message: &Message, differences: Option<&[Difference]>) -> String {
        let mut text = self.headline(message);
        match (&message.body, differences) {
            (Body::Tombstone, _) => {}
            (Body::Other(value), _) => text.push_str(&format!("\n    {}", clean(&value.to_string()))),
            (Body::Change(_), Some([])) => text.push_str(&self.paint(DIM, "\n    nothing changed")),
            (Body::Change(_), Some(differences)) => {
                for difference in differences {
                    text.push_str(&format!("\n    {}", self.difference(difference)));
                }
            }
            (Body::Change(change), None) => {
                for row in rows(change) {
                    text.push_str(&format!("\n    {}", self.row(row)));
                }
            }
        }
        text
    }

    fn headline(self, message: &Message) -> String {
        let place = format!("{}[{}]@{}", message.topic, message.partition, message.offset);
        let mut words = vec![self.paint(DIM, &clock(message.timestamp)), self.paint(DIM, &clean(&place))];
        match &message.body {
            Body::Tombstone => words.push(self.paint(RED, "tombstone")),
            Body::Other(_) => {}
            Body::Change(change) => {
                let operation = change.operation.as_deref().unwrap_or("row");
                words.push(self.paint(colour_of(operation), &clean(operation)));
                words.extend(change.table.as_deref().map(clean));
                words.extend(change.lsn.map(|lsn| self.paint(DIM, &lsn.to_string())));
            }
        }
        let key = match &message.key {
            Value::Null => None,
            Value::String(text) => Some(clean(text)),
            other => Some(clean(&other.to_string())),
        };
        words.extend(key.map(|key| self.paint(CYAN, &key)));
        words.join(" ")
    }

    fn row(self, row: &Row) -> String {
        let columns =
            row.iter().map(|(name, value)| format!("{}={}", self.paint(DIM, &clean(name)), clean(&value.to_string())));
        columns.collect::<Vec<_>>().join(" ")
    }

    fn difference(self, difference: &Difference) -> String {
        let show = |value: &Value| clean(&value.to_string());
        let column = clean(&difference.column);
        match (&difference.old, &difference.new) {
            (Some(old), Some(new)) => {
                let (old, new) = (self.paint(RED, &show(old)), self.paint(GREEN, &show(new)));
                format!("{} {column}: {old} -> {new}", self.paint(YELLOW, "~"))
            }
            (None, Some(new)) => self.paint(GREEN, &format!("+ {column}: {}", show(new))),
            (Some(old), None) => self.paint(RED, &format!("- {column}: {}", show(old))),
            (None, None) => column,
        }
    }
}

/// The row as it is now, or as it was before it went.
fn rows(change: &Change) -> impl Iterator<Item = &Row> {
    change.after.as_ref().or(change.before.as_ref()).into_iter()
}

fn colour_of(operation: &str) -> &'static str {
    match operation {
        "insert" | "read" => GREEN,
        "delete" | "truncate" => RED,
        _ => YELLOW,
    }
}

/// A terminal obeys control characters: what is in the data must not.
fn clean(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// The record's time in UTC.
fn clock(timestamp: Option<i64>) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3]");
    let moment = timestamp.and_then(|ms| OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok());
    moment.and_then(|moment| moment.format(format).ok()).unwrap_or_else(|| "(no time)".to_owned())
}

/// A message as one line of JSON.
pub(super) fn json_line(message: &Message, differences: Option<&[Difference]>) -> String {
    let mut line = json!({
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "timestamp": message.timestamp,
        "key": message.key,
        "headers": message.headers.iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
    });
    let rest = match &message.body {
        Body::Tombstone => json!({"tombstone": true}),
        Body::Other(value) => json!({"value": value}),
        Body::Change(change) => json!({
            "operation": change.operation,
            "table": change.table,
            "lsn": change.lsn.map(|lsn| lsn.0),
            "before": change.before,
            "after": change.after,
        }),
    };
    if let (Value::Object(line), Value::Object(rest)) = (&mut line, rest) {
        line.extend(rest);
        line.extend(differences.map(|all| ("changes".to_owned(), changes(all))));
    }
    line.to_string()
}

/// `{"column": [old, new]}`, null where there was or is none.
fn changes(differences: &[Difference]) -> Value {
    let pair = |it: &Difference| (it.column.clone(), json!([it.old, it.new]));
    Value::Object(differences.iter().map(pair).collect())
}

#[cfg(test)]
mod tests {
    use walhouse_change::Lsn;

    use super::*;

    fn update() -> Message {
        let row = |value: Value| value.as_object().cloned();
        Message {
            topic: "rembo.public.sales".to_owned(),
            partition: 2,
            offset: 15,
            timestamp: Some(1_700_000_000_123),
            key: json!({"sales_id": 7}),
            headers: vec![("h".to_owned(), json!("x"))],
            body: Body::Change(Change {
                operation: Some("update".to_owned()),
                table: Some("public.sales".to_owned()),
                lsn: Some(Lsn(0x16_B374_D848)),
                before: row(json!({"sales_id": 7, "note": "a\u{1b}[2J"})),
                after: row(json!({"sales_id": 7, "note": null})),
            }),
        }
    }

    fn changed() -> Vec<Difference> {
        vec![
            Difference { column: "note".to_owned(), old: Some(json!("a\u{1b}[2J")), new: Some(Value::Null) },
            Difference { column: "more".to_owned(), old: None, new: Some(json!(1)) },
            Difference { column: "less".to_owned(), old: Some(json!(2)), new: None },
        ]
    }

    #[test]
    fn for_a_person() {
        let palette = Palette { colour: false };
        let mut tombstone = update();
        tombstone.body = Body::Tombstone;
        let mut other = update();
        other.body = Body::Other(json!({"ts_ms": 1}));
        let text = [
            palette.message(&update(), None),
            palette.message(&update(), Some(&changed())),
            palette.message(&update(), Some(&[])),
            palette.message(&tombstone, None),
            palette.message(&other, None),
            Palette { colour: true }.message(&update(), Some(&changed())).replace('\x1b', "ESC"),
        ];
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn as_json() {
        let mut tombstone = update();
        tombstone.body = Body::Tombstone;
        let text = [json_line(&update(), None), json_line(&update(), Some(&changed())), json_line(&tombstone, None)];
        insta::assert_snapshot!(text.join("\n"));
    }
}
