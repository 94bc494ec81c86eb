//! Recorded scenarios replayed: topics, partitions, keys, values and headers are compared byte for
//! byte with what the real connector produced. Only its own clock and Java's identity hashes are
//! masked. Snapshot rows have no frames and are left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value as Json;
use walhouse_kafka::{Error, Record};

use crate::scenario::{Hints, Scenario, golden, text};

/// A record as it is compared: partition (none for a record without a key), key, value, headers.
#[derive(PartialEq, Debug)]
pub(crate) struct Compared {
    partition: Option<u64>,
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
    headers: Vec<(String, Option<String>)>,
}

/// Masks the connector's own clock (under the names that the configuration gives it) and Java's
/// identity hashes.
fn mask(text: String, clocks: &[String]) -> String {
    let names = clocks.iter().map(|name| regex::escape(name)).chain(["__ts_ms".to_owned()]);
    let names: Vec<String> = names.collect();
    let clock = Regex::new(&format!(r#"("op":"[a-z]","ts_ms":|"(?:{})":)\d+"#, names.join("|"))).unwrap();
    let identity = Regex::new(r"String;@[0-9a-f]+").unwrap();
    identity.replace_all(&clock.replace_all(&text, "${1}0"), "String;@0").into_owned()
}

/// Names under which `add.fields` or `add.headers` put the connector's clock.
fn clocks(scenario: &Scenario) -> Vec<String> {
    let mut names = Vec::new();
    for (key, list) in &scenario.config {
        if !key.ends_with(".add.fields") && !key.ends_with(".add.headers") {
            continue;
        }
        let prefix = scenario.config.get(&format!("{key}.prefix")).map_or("__", String::as_str);
        for item in list.split(',').map(str::trim) {
            let (source, renamed) = item.split_once(':').unwrap_or((item, item));
            if source == "ts_ms" {
                names.push(format!("{prefix}{renamed}"));
            }
        }
    }
    names
}

pub(crate) fn recorded(message: &Json, clocks: &[String]) -> Compared {
    let text = |value: &Json| value.as_str().map(str::to_owned);
    let key = text(&message["key_text"]);
    let headers = message["headers"].as_array().unwrap().iter();
    Compared {
        partition: key.as_ref().and(message["partition"].as_u64()),
        value: text(&message["value_text"]).map(|value| mask(value, clocks)),
        headers: headers.map(|pair| header(pair[0].as_str().unwrap(), text(&pair[1]), clocks)).collect(),
        key,
    }
}

pub(crate) fn produced(record: &Record, partitions: u32, clocks: &[String]) -> Compared {
    let partition = |key: &bytes::Bytes| u64::from(walhouse_kafka::partition(key, partitions));
    Compared {
        partition: record.key.as_ref().map(partition),
        key: text(record.key.as_ref()),
        value: text(record.value.as_ref()).map(|value| mask(value, clocks)),
        headers: record.headers.iter().map(|pair| header(&pair.name, text(pair.value.as_ref()), clocks)).collect(),
    }
}

fn header(name: &str, value: Option<String>, clocks: &[String]) -> (String, Option<String>) {
    let masked = clocks.iter().any(|clock| clock == name);
    (name.to_owned(), value.map(|value| if masked { String::new() } else { value }))
}

/// Records by topic and, where a topic has several, by partition.
type Streams = BTreeMap<(String, Option<u64>), Vec<Compared>>;

pub(crate) fn partitions(scenario: &Scenario, topic: &str) -> u32 {
    scenario.meta["topics"][topic].as_u64().unwrap_or(1) as u32
}

/// What was streamed: not the snapshots' rows, not the heartbeats.
fn expected(scenario: &Scenario) -> Streams {
    let mut streams = Streams::new();
    let clocks = clocks(scenario);
    let start = scenario.streaming_since().unwrap_or(i64::MAX);
    for message in &scenario.messages {
        let topic = message["topic"].as_str().unwrap();
        let value = message["value_text"].as_str().unwrap_or_default();
        let read = value.contains(r#""op":"r""#) || message["timestamp"].as_i64().unwrap() < start;
        if read || topic.starts_with("__debezium-heartbeat") {
            continue;
        }
        let compared = recorded(message, &clocks);
        let lane = if partitions(scenario, topic) > 1 { compared.partition } else { Some(0) };
        streams.entry((topic.to_owned(), lane)).or_default().push(compared);
    }
    streams
}

fn actual(scenario: &Scenario, records: &[Record]) -> Streams {
    let mut streams = Streams::new();
    let clocks = clocks(scenario);
    for record in records {
        let count = partitions(scenario, &record.topic);
        let compared = produced(record, count, &clocks);
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

fn check(name: &str, hints: Hints) -> Vec<String> {
    let scenario = Scenario::load(name);
    let (records, error) = scenario.replay(hints);
    if name.contains("-fatal-") || name.ends_with("d-default-wider-than-scale") {
        return failure(name, &scenario, &records, error);
    }
    let mut faults = compare(name, &expected(&scenario), &actual(&scenario, &records));
    faults.extend(error.map(|error| format!("{name}: {error}")));
    faults
}

/// A scenario in which the task failed: what was recorded came before, and the failure comes.
fn failure(name: &str, scenario: &Scenario, records: &[Record], error: Option<Error>) -> Vec<String> {
    let mut faults = Vec::new();
    if error.is_none() {
        faults.push(format!("{name}: the task does not fail"));
    }
    // Debezium loses what it had queued before the failure: what it sent is at the head.
    let have = actual(scenario, records);
    for (lane, want) in expected(scenario) {
        let have = have.get(&lane).map_or(&[][..], Vec::as_slice);
        if have.len() < want.len() || want.iter().zip(have).any(|(want, have)| want != have) {
            faults.push(format!("{name} {lane:?}: other records before the failure"));
        }
    }
    faults
}

/// Recordings whose frames do not tell what was produced; FINDINGS.md says why.
pub(crate) const NOT_REPLAYED: [&str; 7] = [
    "c-types-extremes-snapshot",
    "h-snapshot-key-excluded",
    "h-fatal-snapshot-key-excluded",
    "i-restart-flush-60s",
    "j-always",
    "j-never-existing-slot-backlog",
    "j-pub-filtered-altered",
];

/// Folders of recordings, in order.
pub(crate) fn recordings(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|folder| folder.join("pgoutput.jsonl").is_file() && folder.join("catalog.json").is_file());
    found.sort();
    found
}

/// Every recording in `tests/golden`, or in the folder that `WALHOUSE_GOLDEN` names.
#[test]
fn recorded_scenarios_are_reproduced() {
    let root = std::env::var_os("WALHOUSE_GOLDEN").map_or_else(golden, PathBuf::from);
    let mut faults = Vec::new();
    let mut count = 0;
    for folder in recordings(&root) {
        let name = folder.file_name().unwrap().to_str().unwrap();
        if !NOT_REPLAYED.contains(&name) {
            faults.extend(check(folder.to_str().unwrap(), Hints::default()));
            count += 1;
        }
    }
    println!("{count} recordings replayed");
    assert!(count > 0 && faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn schema_changes_are_reproduced() {
    let faults: Vec<String> =
        ["d-defaults", "g-schema-change"].iter().flat_map(|name| check(name, Hints::default())).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_restarted_task_has_seen_no_commit() {
    let faults = check("j-always", Hints { restarts: &[1] });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn failures_are_those_that_were_recorded() {
    let error = |name| Scenario::load(name).replay(Hints::default()).1;
    assert!(matches!(error("c-fatal-nan-not-null"), Some(Error::RequiredField { .. })));
    assert!(matches!(error("d-default-wider-than-scale"), Some(Error::DefaultScale { .. })));
    assert!(matches!(error("f-fatal-columns-differ-by-case"), Some(Error::ColumnsDifferByCase { .. })));
    assert!(matches!(error("h-fatal-smt-add-struct"), Some(Error::Transform { .. })));
}
