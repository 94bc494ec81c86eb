//! Two sides' records, byte for byte.
//!
//! Masked is the connector's own clock and nothing else: the time at which it handled a change (the envelope's `ts_ms`,
//! `__ts_ms`), the record's own timestamp, and for rows of a snapshot its time and its slot's position, since each side
//! takes its own snapshot.

use std::collections::{BTreeMap, BTreeSet};

use walhouse_lab::kafka::Record;

use super::known::{self, Known};

/// The outcome of one scenario.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Records of the other side that were compared.
    pub(crate) messages: usize,
    /// How often each known difference was met.
    pub(crate) known: BTreeMap<&'static str, usize>,
    /// What is different and not known, for a person.
    pub(crate) unexplained: Vec<String>,
}

/// Topics that hold a worker's state, or what its own clock makes.
fn is_internal(topic: &str) -> bool {
    topic.starts_with("connect_") || topic.starts_with("__debezium-heartbeat")
}

/// Compares what both sides wrote, partition by partition.
pub(crate) fn compare(theirs: &[Record], ours: &[Record]) -> Comparison {
    let mut comparison = Comparison::default();
    let (theirs, ours) = (by_place(theirs), by_place(ours));
    let places: BTreeSet<&(String, i32)> = theirs.keys().chain(ours.keys()).collect();
    for place in places {
        let none = Vec::new();
        let (their, our) = (theirs.get(place).unwrap_or(&none), ours.get(place).unwrap_or(&none));
        comparison.messages += their.len();
        compare_place(place, their, our, &mut comparison);
    }
    comparison
}

/// A record as it is compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Masked {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Records by topic and partition. Without a key the producer chooses any partition: then they count as of one, and
/// their order is that of their bytes.
pub(crate) fn by_place(records: &[Record]) -> BTreeMap<(String, i32), Vec<Masked>> {
    let mut places: BTreeMap<(String, i32), Vec<Masked>> = BTreeMap::new();
    for record in records.iter().filter(|record| !is_internal(&record.topic)) {
        let partition = if record.key.is_some() { record.partition } else { -1 };
        places.entry((record.topic.clone(), partition)).or_default().push(masked(record));
    }
    for ((_, partition), records) in &mut places {
        if *partition < 0 {
            records.sort();
        }
    }
    places
}

fn compare_place(place: &(String, i32), theirs: &[Masked], ours: &[Masked], comparison: &mut Comparison) {
    let where_ = format!("{}-{}", place.0, place.1);
    if theirs.len() != ours.len() {
        comparison.unexplained.push(format!("{where_}: {} messages there, {} here", theirs.len(), ours.len()));
    }
    for (offset, (their, our)) in theirs.iter().zip(ours).enumerate() {
        if their == our {
            continue;
        }
        if let Some(Known { name, .. }) = known::find(their, our) {
            *comparison.known.entry(name).or_default() += 1;
            continue;
        }
        comparison.unexplained.push(format!("{where_} {offset}:\n{}", describe(their, our)));
        if theirs.len() != ours.len() {
            // From here on one side is a record ahead.
            return;
        }
    }
}

/// The first place where two records differ, with what is around it.
fn describe(their: &Masked, our: &Masked) -> String {
    if their.headers != our.headers {
        return format!("  headers there {:?}\n  headers here  {:?}", texts(&their.headers), texts(&our.headers));
    }
    let (part, there, here) =
        if their.key == our.key { ("value", &their.value, &our.value) } else { ("key", &their.key, &our.key) };
    let (Some(there), Some(here)) = (there, here) else {
        return format!("  {part} there {}\n  {part} here  {}", excerpt(there, 0), excerpt(here, 0));
    };
    let at = there.iter().zip(here).take_while(|(a, b)| a == b).count();
    let start = at.saturating_sub(120);
    let (there, here) = (Some(there.clone()), Some(here.clone()));
    format!(
        "  {part} there, from {start}: {}\n  {part} here,  from {start}: {}",
        excerpt(&there, start),
        excerpt(&here, start)
    )
}

fn texts(headers: &[(String, Option<Vec<u8>>)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.clone(), excerpt(value, 0))).collect()
}

/// 400 bytes of it.
fn excerpt(bytes: &Option<Vec<u8>>, start: usize) -> String {
    let Some(bytes) = bytes else { return "null".to_owned() };
    let end = bytes.len().min(start + 400);
    String::from_utf8_lossy(bytes.get(start..end).unwrap_or_default()).into_owned()
}

fn masked(record: &Record) -> Masked {
    let headers = record.headers.iter().map(|(name, value)| {
        let clock = name.ends_with("__ts_ms") || name == "ts_ms";
        (name.clone(), if clock { None } else { value.clone() })
    });
    Masked { key: record.key.clone(), value: record.value.as_deref().map(mask), headers: headers.collect() }
}

/// Fields that a snapshot's row has of its own: time, and the position and transaction of its slot.
const OF_A_SNAPSHOT: [&str; 10] = [
    "\"ts_ms\":",
    "\"lsn\":",
    "\"txId\":",
    "\"sequence\":",
    "\"__lsn\":",
    "\"x_lsn\":",
    "\"__source_ts_ms\":",
    "\"x_source_ts_ms\":",
    "\"__source_txId\":",
    "\"x_source_txId\":",
];

/// A value without the connector's own clock.
///
/// Inside a JSON text a quote is escaped, so nothing in a row's value looks like these names.
pub(crate) fn mask(value: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(value).into_owned();
    let mut text = mask_number(&text, "\"__ts_ms\":");
    for operation in ["c", "u", "d", "r", "t", "m"] {
        text = mask_number(&text, &format!("\"op\":\"{operation}\",\"ts_ms\":"));
    }
    let of_snapshot = [
        "\"op\":\"r\"",
        "\"__op\":\"r\"",
        "\"x_op\":\"r\"",
        "\"snapshot\":\"first",
        "\"snapshot\":\"last",
        "\"snapshot\":\"true",
    ];
    if of_snapshot.iter().any(|mark| text.contains(mark)) {
        for name in OF_A_SNAPSHOT {
            text = mask_number(&text, name);
        }
    }
    text.into_bytes()
}

/// Replaces the number, or the text in quotes, behind each `name` by a 0.
fn mask_number(text: &str, name: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(name) {
        masked.push_str(before);
        masked.push_str(name);
        let length = value_length(after);
        if length > 0 {
            masked.push('0');
        }
        rest = after.get(length..).unwrap_or_default();
    }
    masked.push_str(rest);
    masked
}

/// How long the number or the text at the beginning is; 0 for anything else, such as null.
fn value_length(text: &str) -> usize {
    if !text.starts_with('"') {
        return text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'-').count();
    }
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> String {
        String::from_utf8_lossy(&mask(value.as_bytes())).into_owned()
    }

    #[test]
    fn only_the_clock_is_masked() {
        assert_eq!(
            text(r#"{"after":{"ts_ms":7},"source":{"ts_ms":5,"lsn":6},"op":"c","ts_ms":99}"#),
            r#"{"after":{"ts_ms":7},"source":{"ts_ms":5,"lsn":6},"op":"c","ts_ms":0}"#
        );
        assert_eq!(text(r#"{"a":"\"op\":\"c\",\"ts_ms\":5"}"#), r#"{"a":"\"op\":\"c\",\"ts_ms\":5"}"#);
    }

    #[test]
    fn a_snapshot_has_a_position_of_its_own() {
        assert_eq!(
            text(
                r#"{"source":{"ts_ms":5,"snapshot":"true","sequence":"[null,\"1\"]","lsn":6,"xmin":null},"op":"r","ts_ms":9}"#
            ),
            r#"{"source":{"ts_ms":0,"snapshot":"true","sequence":0,"lsn":0,"xmin":null},"op":"r","ts_ms":0}"#
        );
    }

    fn record(partition: i32, offset: i64, key: Option<&str>, value: &str) -> Record {
        Record {
            topic: "t".to_owned(),
            partition,
            offset,
            timestamp: 0,
            key: key.map(|key| key.as_bytes().to_vec()),
            value: Some(value.as_bytes().to_vec()),
            headers: Vec::new(),
        }
    }

    #[test]
    fn a_difference_is_seen() {
        let (a, b) = (record(0, 0, Some("k"), "1"), record(0, 0, Some("k"), "2"));
        assert_eq!(compare(std::slice::from_ref(&a), std::slice::from_ref(&a)).unexplained.len(), 0);
        assert_eq!(compare(std::slice::from_ref(&a), std::slice::from_ref(&b)).unexplained.len(), 1);
        assert_eq!(compare(std::slice::from_ref(&a), &[]).unexplained.len(), 1, "a missing one");
        let elsewhere = record(1, 0, Some("k"), "1");
        assert_eq!(compare(&[a], &[elsewhere]).unexplained.len(), 2, "another partition");
        let (a, b) = (record(0, 0, None, "1"), record(1, 0, None, "1"));
        assert_eq!(compare(&[a], &[b]).unexplained.len(), 0, "without a key any partition is right");
    }
}
