//! The view that reads messages: from bytes to typed rows, in three steps, of which none can fail.
//!
//! The innermost step reads the JSON once, every value as text; the next one says what the message
//! is (operation, key's place, row); the outer one makes each value its column's. A message that is
//! no change of this table, or whose key cannot be read, keeps its bytes and gets an error; it goes
//! to the dead letters. A value that its column cannot hold, or that belongs to a column which the
//! table does not have yet, is in `_unrepresentable`.

use std::fmt::Write;

use super::feed::{Around, Feed, Source};
use super::statements::{BYTES, ERROR, EXTRA, UNCHANGED};
use super::value;
use crate::ddl::{identifier, literal, qualified};

/// The SELECT of the view.
pub(super) fn select(feed: &Feed) -> String {
    format!("SELECT\n{}\nFROM\n(\n{}\n) AS _kafka_m", outer(feed), indented(&middle(feed)))
}

fn indented(sql: &str) -> String {
    sql.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// Names and types of a JSON object's members, as text.
fn members<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let each = names.map(|name| format!("{} Nullable(String)", identifier(name)));
    format!("Tuple({})", each.collect::<Vec<_>>().join(", "))
}

fn fields(feed: &Feed) -> Vec<&str> {
    feed.columns.iter().map(|column| column.field.as_str()).collect()
}

/// Fields beside the row's own, in a message without an envelope.
fn added(feed: &Feed) -> Vec<&str> {
    match &feed.around {
        Around::Envelope => Vec::new(),
        Around::Row { added, .. } => ["__deleted"].into_iter().chain(added.iter().map(String::as_str)).collect(),
    }
}

/// The messages, their JSON read once.
fn inner(feed: &Feed) -> String {
    let payload = if feed.schemas { "'payload', " } else { "" };
    let shape = match &feed.around {
        Around::Envelope => {
            let row = members(fields(feed).into_iter());
            format!(
                "Tuple(before {row}, after {row}, source {}, op Nullable(String))",
                members(["lsn", "ts_ms"].into_iter())
            )
        }
        Around::Row { .. } => members(fields(feed).into_iter().chain(added(feed))),
    };
    format!(
        "SELECT raw, _topic, _partition, _offset, _key, _timestamp_ms, _headers.name AS names, _headers.value AS contents,\n    \
         JSONExtract({}, {payload}{}) AS body\nFROM {}",
        json(feed),
        literal(&shape),
        qualified(&feed.plan.database, &feed.named("queue")),
    )
}

/// The message's text; decimals that are numbers are quoted, since JSON's readers round them.
fn json(feed: &Feed) -> String {
    let quoted: Vec<String> = if feed.numbers {
        let decimals = feed.columns.iter().filter(|column| column.wire.may_be_rounded());
        decimals.map(|column| escaped(&column.field)).collect()
    } else {
        Vec::new()
    };
    if quoted.is_empty() {
        return "raw".to_owned();
    }
    // inside of a string every quote has a backslash before it: these can only be members' names
    let pattern = format!("\"({})\":(-?[0-9][0-9.eE+-]*)", quoted.join("|"));
    format!("replaceRegexpAll(raw, {}, '\"\\\\1\":\"\\\\2\"')", literal(&pattern))
}

fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for letter in name.chars() {
        if !letter.is_alphanumeric() && letter != '_' {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// What the message is.
fn middle(feed: &Feed) -> String {
    let place = |source: &Option<Source>| match source {
        None => "CAST(NULL AS Nullable(String))".to_owned(),
        Some(Source::Field(name)) => format!("tupleElement(body, {})", value::member(name)),
        Some(Source::Header(name)) => {
            let name = literal(name);
            format!("if(has(names, {name}), CAST(contents[indexOf(names, {name})] AS Nullable(String)), NULL)")
        }
    };
    let (op, deleted, lsn, committed, row) = match &feed.around {
        Around::Envelope => {
            let inside = |name: &str| format!("tupleElement(tupleElement(body, 'source'), '{name}')");
            (
                "tupleElement(body, 'op')".to_owned(),
                "ifNull(op = 'd', false)".to_owned(),
                inside("lsn"),
                inside("ts_ms"),
                "if(deleted, tupleElement(body, 'before'), tupleElement(body, 'after'))".to_owned(),
            )
        }
        Around::Row { op, lsn, committed, .. } => {
            let deleted = "ifNull(tupleElement(body, '__deleted') = 'true', false)".to_owned();
            (place(op), deleted, place(lsn), place(committed), "body".to_owned())
        }
    };
    format!(
        "SELECT raw, _topic, _partition, _offset, _key, _timestamp_ms,\n    {op} AS op,\n    {deleted} AS deleted,\n    \
         toInt64OrNull({lsn}) AS lsn,\n    toInt64OrNull({committed}) AS committed,\n    {row} AS row,\n    {} AS others\n\
         FROM\n(\n{}\n)",
        others(feed),
        indented(&inner(feed)),
    )
}

/// Members of the row that the table has no columns for.
fn others(feed: &Feed) -> String {
    let mut path = String::new();
    if feed.schemas {
        path.push_str(", 'payload'");
    }
    if feed.around == Around::Envelope {
        path.push_str(", if(deleted, 'before', 'after')");
    }
    let known: Vec<String> = fields(feed).into_iter().chain(added(feed)).map(value::member).collect();
    // read only where there are more or fewer than known: a function of JSON runs for all rows, so it gets
    // nothing to read for the others
    format!(
        "arrayFilter(kv -> kv.1 NOT IN ({}), JSONExtractKeysAndValuesRaw(if(JSONLength(raw{path}) = {}, '', raw){path}))",
        known.join(", "),
        known.len(),
    )
}

/// The n-th value of the row, as text.
fn value_at(index: usize) -> String {
    format!("tupleElement(_kafka_m.row, {})", index + 1)
}

/// The stage's columns, in its order.
fn outer(feed: &Feed) -> String {
    let plan = &feed.plan;
    let mut out = Vec::with_capacity(plan.columns.len() + 14);
    let mut unfit = Vec::new();
    let mut unchanged = Vec::new();
    let mut missing = Vec::new();
    for (index, (column, sent)) in plan.columns.iter().zip(&feed.columns).enumerate() {
        let x = value_at(index);
        let mut typed = value::typed(&sent.wire, &x, column.ty, plan.dates);
        let mut conditions = vec![format!("isNotNull({x})"), format!("isNull({typed})")];
        if let Some(placeholder) = &sent.placeholder {
            let same = format!("ifNull({x} = {}, false)", literal(placeholder));
            unchanged.push(format!("if({same}, {}, '')", literal(&column.name)));
            conditions.push(format!("NOT {same}"));
            typed = format!("if({same}, NULL, {typed})");
        }
        if column.key {
            missing.push(format!("isNull({typed})"));
        } else {
            if !feed.deletes_are_whole() {
                conditions.push("NOT _kafka_m.deleted".to_owned());
                typed = format!("if(_kafka_m.deleted, NULL, {typed})");
            }
            unfit.push((conditions.join(" AND "), literal(&column.name), value::stand_in(&sent.wire, &x)));
        }
        out.push(format!("{typed} AS {}", identifier(&column.name)));
    }
    out.push("ifNull(_kafka_m.lsn, -toInt64(_kafka_m._offset) - 1) AS `record_version`".to_owned());
    out.push(
        "ifNull(_kafka_m.committed, toUnixTimestamp64Milli(_kafka_m._timestamp_ms)) AS `source_updated_at_ms`"
            .to_owned(),
    );
    out.push(format!("{} AS `db_action`", action(feed)));
    out.push("toUInt8(_kafka_m.deleted) AS `is_deleted`".to_owned());
    out.push(format!("{} AS `_unrepresentable`", unrepresentable(&unfit)));
    out.push(format!("{} AS `_version`", version(feed)));
    out.push(format!("{} AS `{ERROR}`", error(feed, &missing)));
    out.push(format!("if(`{ERROR}` = '', '', _kafka_m.raw) AS `{BYTES}`"));
    let virtuals = ["_topic", "toInt32(_kafka_m._partition)", "toInt64(_kafka_m._offset)", "_key", "_timestamp_ms"];
    for (name, source) in EXTRA.iter().zip(virtuals) {
        let source = if source.starts_with('_') { format!("_kafka_m.{source}") } else { source.to_owned() };
        out.push(format!("{source} AS `{name}`"));
    }
    if feed.may_lack_values() {
        out.push(format!("arrayFilter(name -> name != '', [{}]) AS `{UNCHANGED}`", unchanged.join(", ")));
    }
    out.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join(",\n")
}

fn action(feed: &Feed) -> String {
    let has_op = !matches!(&feed.around, Around::Row { op: None, .. });
    if has_op {
        let truncate = if feed.truncates { ", _kafka_m.op = 't', 'truncate'" } else { "" };
        format!(
            "multiIf(_kafka_m.op = 'c', 'insert', _kafka_m.op = 'u', 'update', _kafka_m.op = 'd', 'delete', _kafka_m.op = 'r', 'read'{truncate}, NULL)"
        )
    } else {
        "if(_kafka_m.deleted, 'delete', NULL)".to_owned()
    }
}

/// Values that their columns cannot hold, and those without a column.
fn unrepresentable(unfit: &[(String, String, String)]) -> String {
    let any: String = unfit.iter().fold(String::new(), |mut all, (condition, ..)| {
        // writing to a String cannot fail
        let _ = write!(all, " OR ({condition})");
        all
    });
    let each: Vec<String> =
        unfit.iter().map(|(condition, name, text)| format!("if({condition}, [({name}, {text})], [])")).collect();
    let pairs = match each.is_empty() {
        true => "_kafka_m.others".to_owned(),
        false => format!("arrayConcat({}, _kafka_m.others)", each.join(", ")),
    };
    format!(
        "if(notEmpty(_kafka_m.others){any}, CAST({pairs} AS Map(String, String)), CAST(map() AS Map(String, String)))"
    )
}

/// `epoch << 112 | (offset + 1) << 48 | partition + 1`.
fn version(feed: &Feed) -> String {
    let mut epoch = feed.epochs.first.to_string();
    for cut in &feed.epochs.cuts {
        let (partitions, offsets): (Vec<_>, Vec<_>) =
            cut.iter().map(|(partition, offset)| (partition.to_string(), offset.to_string())).unzip();
        let _ = write!(
            epoch,
            " + (toInt64(_kafka_m._offset) >= transform(toInt32(_kafka_m._partition), [{}], [{}], 0))",
            partitions.join(", "),
            offsets.join(", ")
        );
    }
    format!(
        "bitOr(bitOr(bitShiftLeft(toUInt128({epoch}), 112), bitShiftLeft(toUInt128(_kafka_m._offset + 1), 48)), \
         toUInt128(_kafka_m._partition + 1))"
    )
}

/// Empty for a change of this table.
fn error(feed: &Feed, missing: &[String]) -> String {
    let key = missing.join(" OR ");
    let has_op = !matches!(&feed.around, Around::Row { op: None, .. });
    let truncated = if feed.truncates { "ifNull(_kafka_m.op = 't', false)" } else { "" };
    let mut cases = Vec::new();
    if has_op {
        cases
            .push("isNull(`db_action`), if(isValidJSON(_kafka_m.raw), 'not a change of a row', 'not JSON')".to_owned());
    }
    if feed.truncates {
        cases.push(format!("{truncated}, ''"));
    }
    cases.push(format!(
        "{key}, if(isValidJSON(_kafka_m.raw), 'the key is missing, or its column cannot hold it', 'not JSON')"
    ));
    format!("multiIf({}, '')", cases.join(", "))
}
