//! Recorded scenarios replayed: topics, partitions, keys, values and headers are compared byte for
//! byte with what the real connector produced. Only its own clock and Java's identity hashes are
//! masked. Snapshot rows have no frames and are left out.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value as Json;
use walhouse_kafka::{Error, Record, TableFacts};

use crate::scenario::{Hints, Scenario, text};

/// A record as it is compared: partition (none for a record without a key), key, value, headers.
#[derive(PartialEq, Debug)]
pub(crate) struct Compared {
    partition: Option<u64>,
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
    headers: Vec<(String, Option<String>)>,
}

fn mask(text: String) -> String {
    let clock = Regex::new(r#"("op":"[a-z]","ts_ms":|"(?:__|m_)ts_ms":)\d+"#).unwrap();
    let identity = Regex::new(r"String;@[0-9a-f]+").unwrap();
    identity.replace_all(&clock.replace_all(&text, "${1}0"), "String;@0").into_owned()
}

pub(crate) fn recorded(message: &Json) -> Compared {
    let text = |value: &Json| value.as_str().map(str::to_owned);
    let key = text(&message["key_text"]);
    let headers = message["headers"].as_array().unwrap().iter();
    Compared {
        partition: key.as_ref().and(message["partition"].as_u64()),
        value: text(&message["value_text"]).map(mask),
        headers: headers.map(|pair| (pair[0].as_str().unwrap().to_owned(), text(&pair[1]))).collect(),
        key,
    }
}

pub(crate) fn produced(record: &Record, partitions: u32) -> Compared {
    let partition = |key: &bytes::Bytes| u64::from(walhouse_kafka::partition(key, partitions));
    Compared {
        partition: record.key.as_ref().map(partition),
        key: text(record.key.as_ref()),
        value: text(record.value.as_ref()).map(mask),
        headers: record.headers.iter().map(|header| (header.name.to_string(), text(header.value.as_ref()))).collect(),
    }
}

/// Records by topic and, where a topic has several, by partition.
type Streams = BTreeMap<(String, Option<u64>), Vec<Compared>>;

pub(crate) fn partitions(scenario: &Scenario, topic: &str) -> u32 {
    scenario.meta["topics"][topic].as_u64().unwrap_or(1) as u32
}

/// `snapshot` tells how many records at the head of a topic are of a snapshot, where they do not say so.
fn expected(scenario: &Scenario, snapshot: &[(&str, usize)]) -> Streams {
    let mut streams = Streams::new();
    let mut skip: BTreeMap<&str, usize> = snapshot.iter().copied().collect();
    for message in &scenario.messages {
        let topic = message["topic"].as_str().unwrap();
        let value = message["value_text"].as_str().unwrap_or_default();
        if topic.starts_with("__debezium-heartbeat") || value.contains(r#""op":"r""#) || value.contains(r#"__op":"r""#)
        {
            continue;
        }
        if let Some(left) = skip.get_mut(topic).filter(|left| **left > 0) {
            *left -= 1;
            continue;
        }
        let compared = recorded(message);
        let lane = if partitions(scenario, topic) > 1 { compared.partition } else { Some(0) };
        streams.entry((topic.to_owned(), lane)).or_default().push(compared);
    }
    streams
}

fn actual(scenario: &Scenario, records: &[Record]) -> Streams {
    let mut streams = Streams::new();
    for record in records {
        let count = partitions(scenario, &record.topic);
        let compared = produced(record, count);
        let lane = if count > 1 { compared.partition } else { Some(0) };
        streams.entry((record.topic.to_string(), lane)).or_default().push(compared);
    }
    streams
}

/// What differs, as short as it can be said.
pub(crate) fn difference(left: Option<&str>, right: Option<&str>) -> String {
    let (Some(left), Some(right)) = (left, right) else {
        return format!("recorded {left:.400?}\n  produced {right:.400?}");
    };
    let same = left.bytes().zip(right.bytes()).take_while(|(left, right)| left == right).count();
    let around = |text: &str| {
        let bytes = text.as_bytes();
        String::from_utf8_lossy(&bytes[same.saturating_sub(80).min(bytes.len())..(same + 160).min(bytes.len())])
            .into_owned()
    };
    format!("recorded …{}…\n  produced …{}…", around(left), around(right))
}

fn compare(name: &str, expected: &Streams, actual: &Streams) -> Vec<String> {
    let mut faults = Vec::new();
    let lanes: std::collections::BTreeSet<_> = expected.keys().chain(actual.keys()).collect();
    for lane in lanes {
        let empty = Vec::new();
        let (want, have) = (expected.get(lane).unwrap_or(&empty), actual.get(lane).unwrap_or(&empty));
        if want.len() != have.len() {
            faults.push(format!("{name} {lane:?}: recorded {} records, produced {}", want.len(), have.len()));
        }
        for (index, (want, have)) in want.iter().zip(have).enumerate().filter(|(_, (want, have))| want != have) {
            let what = format!("{name} {lane:?} record {index}");
            if want.key != have.key {
                faults.push(format!("{what} key:\n  {}", difference(want.key.as_deref(), have.key.as_deref())));
            } else if want.value != have.value {
                let text = difference(want.value.as_deref(), have.value.as_deref());
                faults.push(format!("{what} value:\n  {text}"));
            } else {
                faults.push(format!(
                    "{what}: {:?} {:?}\n  {:?} {:?}",
                    want.partition, want.headers, have.partition, have.headers
                ));
            }
        }
    }
    faults
}

fn check(name: &str, snapshot: &[(&str, usize)], hints: Hints) -> Vec<String> {
    let scenario = Scenario::load(name);
    let (records, error) = scenario.replay(hints);
    let mut faults = compare(name, &expected(&scenario, snapshot), &actual(&scenario, &records));
    faults.extend(error.map(|error| format!("{name}: {error}")));
    faults
}

/// Scenarios whose every streamed record is reproduced, with the count of snapshot rows that do
/// not say what they are.
const PASSING: &[(&str, &[(&str, usize)])] = &[
    ("a-users-config", &[]),
    ("b-envelope-schemas-off", &[]),
    ("b-envelope-schemas-on", &[]),
    ("c-types-default", &[]),
    ("c-types-double-hex-unknown", &[]),
    ("c-types-extremes-streamed", &[]),
    ("c-types-string-connect-base64", &[]),
    ("e-identity-toast", &[]),
    ("e-identity-toast-modes", &[]),
    ("e-notnull-fallbacks", &[]),
    ("f-header-values", &[]),
    ("f-keys-identifiers", &[]),
    ("f-keys-string-converter", &[]),
    ("f-partition-generated", &[]),
    ("f-partition-viaroot", &[]),
    ("h-columns-exclude-mask", &[]),
    ("h-columns-include-skip", &[]),
    ("h-naming", &[]),
    ("h-regexrouter-chain", &[("flat-ord", 1)]),
    ("h-router-predicate-decimal", &[("vh.public.all", 1)]),
    ("h-smt-defaults", &[("vh.public.ord", 1)]),
    ("h-smt-drop-fields", &[("vh.public.ord", 1)]),
    ("h-smt-drop-keep-tombstones", &[("vh.public.ord", 1)]),
    ("h-smt-none", &[]),
    ("h-smt-rewrite-headers", &[("vh.public.ord", 1)]),
    ("h-smt-route-by-field", &[("v-routed-a", 1)]),
    ("h-txmeta-heartbeat-message", &[]),
    ("h-txmeta-unwrap", &[]),
    ("i-restart-flush-1s", &[]),
    ("j-initial-existing-slot", &[]),
    ("j-initial-restart", &[]),
    ("j-pub-disabled-existing-insert-only", &[]),
    ("j-snapshot-overrides", &[]),
    ("k-incremental", &[]),
];

#[test]
fn recorded_scenarios_are_reproduced() {
    let only = std::env::var("SCENARIO").ok();
    let chosen = PASSING.iter().filter(|(name, _)| only.as_deref().is_none_or(|only| name.contains(only)));
    let faults: Vec<String> = chosen.flat_map(|(name, snapshot)| check(name, snapshot, Hints::default())).collect();
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn defaults_are_reproduced_as_they_change() {
    let rewind = |nth, facts: &mut TableFacts| {
        for column in facts.columns.iter_mut().filter(|column| nth == 1 && column.name == "i0") {
            column.default = Some("77".into());
        }
    };
    let faults = check("d-defaults", &[], Hints { rewind: Some(rewind), ..Hints::default() });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn schema_changes_are_reproduced() {
    let rewind = |nth, facts: &mut TableFacts| {
        if nth < 9 {
            for column in facts.columns.iter_mut().filter(|column| column.name == "a_new") {
                column.not_null = false;
                column.default = None;
            }
        }
        if facts.columns.len() > 1 {
            facts.primary_key = if nth < 10 { vec!["id".into()] } else { vec!["id".into(), "e".into()] };
        }
    };
    let faults = check("g-schema-change", &[], Hints { rewind: Some(rewind), ..Hints::default() });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_restarted_task_has_seen_no_commit() {
    let faults = check("j-always", &[], Hints { restarts: &[1], ..Hints::default() });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Scenarios in which the task failed: what was recorded came before, and the failure comes.
#[test]
fn failures_are_reproduced() {
    let mut faults = Vec::new();
    for name in [
        "c-fatal-nan-not-null",
        "d-default-wider-than-scale",
        "f-fatal-columns-differ-by-case",
        "h-fatal-smt-add-struct",
    ] {
        let scenario = Scenario::load(name);
        let (records, error) = scenario.replay(Hints::default());
        let known = matches!(
            (name, error),
            ("c-fatal-nan-not-null", Some(Error::RequiredField { .. }))
                | ("d-default-wider-than-scale", Some(Error::DefaultScale { .. }))
                | ("f-fatal-columns-differ-by-case", Some(Error::ColumnsDifferByCase { .. }))
                | ("h-fatal-smt-add-struct", Some(Error::Transform { .. }))
        );
        if !known {
            faults.push(format!("{name}: not the failure that was recorded"));
        }
        // Debezium loses what it had queued before the failure: what it sent is at the head.
        let have = actual(&scenario, &records);
        for (lane, want) in expected(&scenario, &[]) {
            let have = have.get(&lane).map_or(&[][..], Vec::as_slice);
            if have.len() < want.len() || want.iter().zip(have).any(|(want, have)| want != have) {
                faults.push(format!("{name} {lane:?}: other records before the failure"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
