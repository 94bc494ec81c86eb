//! Offsets: what the encoder says after the last record is what the real connector left in its offsets topic.

use serde_json::Value as Json;
use walhouse_kafka::Offset;

use crate::golden::{NOT_REPLAYED, recordings};
use crate::scenario::{Hints, Scenario, golden};

/// The last offset that a recording left, and the connector's key.
fn recorded(folder: &std::path::Path) -> Option<(String, String)> {
    let text = std::fs::read_to_string(folder.join("offsets.jsonl")).ok()?;
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.iter().rev().find(|line| line["value_text"].is_string())?;
    Some((last["key_text"].as_str()?.to_owned(), last["value_text"].as_str()?.to_owned()))
}

#[test]
fn recorded_offsets_are_reproduced() {
    let mut faults = Vec::new();
    let mut compared = 0;
    for folder in recordings(&golden()) {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let Some((key, value)) = recorded(&folder) else { continue };
        let parsed = Offset::parse(value.as_bytes()).unwrap().unwrap();
        assert_eq!(parsed.to_json(), value, "{name}: not written as it was read");
        let scenario = Scenario::load(&name);
        let connector = scenario.meta["connector"].as_str().unwrap();
        assert_eq!(Offset::key(connector, &scenario.config["topic.prefix"]), key);
        // Of the recorded run, and not of one before it.
        let fresh = parsed.position.time.map(|time| time / 1000) >= scenario.streaming_since();
        if NOT_REPLAYED.contains(&name.as_str()) || parsed.snapshot.is_some() || !fresh {
            continue;
        }
        let hints = if name == "j-always" { Hints { restarts: &[1] } } else { Hints::default() };
        let (_, error, offset) = scenario.replay_with_offset(hints);
        if error.is_some() {
            // What was decoded before the failing change and not yet polled was not produced.
            continue;
        }
        compared += 1;
        let have = offset.map(|offset| offset.to_json());
        if have.as_deref() != Some(value.as_str()) {
            faults.push(format!("{name}\n  recorded {value}\n  produced {have:?}"));
        }
    }
    println!("{compared} offsets compared");
    assert!(compared > 20 && faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}
