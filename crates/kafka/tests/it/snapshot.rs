//! Snapshot rows against the recordings. They have no frames; where the same values were streamed
//! too, under another id, those are taken, else the rows of the scenario's SQL are written here.

use std::sync::Arc;

use regex::Regex;
use serde_json::Value as Json;
use walhouse_change::{Lsn, TableSchema, Transaction};
use walhouse_kafka::{Error, SnapshotPart};
use walhouse_value::Kind;

use crate::golden::{difference, partitions, produced, recorded};
use crate::pgoutput::Field;
use crate::scenario::Scenario;

/// The recorded snapshot rows of a topic.
fn snapshot_messages<'a>(scenario: &'a Scenario, topic: &str) -> Vec<&'a Json> {
    let is_read = |message: &&Json| message["value_text"].as_str().is_some_and(|text| text.contains(r#""op":"r""#));
    scenario.messages.iter().filter(|message| message["topic"] == topic).filter(is_read).collect()
}

fn payload(message: &Json) -> Json {
    let value: Json = serde_json::from_str(message["value_text"].as_str().unwrap()).unwrap();
    if value["payload"].is_object() { value["payload"].clone() } else { value }
}

/// The transaction that stands for the recorded snapshot, and its xid.
fn transaction(message: &Json) -> (Transaction, u32) {
    let source = payload(message)["source"].clone();
    let number = |key: &str| source[key].as_i64().unwrap();
    let (lsn, time) = (Lsn(number("lsn") as u64), number("ts_ms") * 1000);
    (Transaction { xid: 0, commit_lsn: lsn, commit_time: time }, number("txId") as u32)
}

fn text(value: &str) -> Field {
    Field { kind: Kind::Text, bytes: value.to_owned().into_bytes().into() }
}

fn row(values: &[Option<&str>]) -> Vec<Field> {
    let null = || Field { kind: Kind::Null, bytes: bytes::Bytes::new() };
    values.iter().map(|value| value.map_or_else(null, text)).collect()
}

/// Rows of the same values that `streamed` recorded, `offset` below their ids, compared with the
/// snapshot's rows of these ids.
fn check(snapshot: &str, streamed: &str, offset: i64) -> Vec<String> {
    let scenario = Scenario::load(snapshot);
    let rows = Scenario::load(streamed).inserted();
    let marker = Regex::new(r#""snapshot":"[a-z_]+""#).unwrap();
    let mut faults = Vec::new();
    let mut compared = 0;
    for (relation, rows) in rows {
        let prefix = scenario.meta["topic_prefix"].as_str().unwrap();
        let topic = format!("{prefix}.{}.{}", relation.name.schema, relation.name.name);
        let relation = scenario.table(&relation.name.schema, &relation.name.name);
        for message in snapshot_messages(&scenario, &topic) {
            let id = payload(message)["after"]["id"].as_i64().unwrap();
            let streamed_id = (id + offset).to_string();
            let Some(row) = rows.iter().find(|row| row[0].bytes == streamed_id) else { continue };
            let mut row = row.clone();
            row[0] = text(&id.to_string());
            let (transaction, xid) = transaction(message);
            let part = SnapshotPart { xid, ..SnapshotPart::default() };
            let mut encoder = scenario.encoder();
            let records = scenario.snapshot(&mut encoder, &relation, &[row], transaction, part).unwrap();
            let (want, have) = (recorded(message, &[]), produced(&records[0], partitions(&scenario, &topic), &[]));
            let plain = |value: Option<&String>| value.map(|value| marker.replace(value, "").into_owned());
            let (want_value, have_value) = (plain(want.value.as_ref()), plain(have.value.as_ref()));
            compared += 1;
            if want.key != have.key {
                faults.push(format!("{topic} {id}: {}", difference(want.key.as_deref(), have.key.as_deref())));
            }
            if want_value != have_value {
                let text = difference(want_value.as_deref(), have_value.as_deref());
                faults.push(format!("{topic} {id}: {text}"));
            }
        }
    }
    assert!(compared > 0, "{snapshot}: nothing was compared");
    faults
}

#[test]
fn snapshot_values_are_reproduced() {
    let mut faults = Vec::new();
    for name in ["c-types-default", "c-types-double-hex-unknown", "c-types-string-connect-base64"] {
        faults.extend(check(name, name, 100));
    }
    faults.extend(check("c-types-extremes-snapshot", "c-types-extremes-streamed", 1));
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn snapshot_rows_are_marked() {
    for name in ["b-envelope-schemas-off", "b-envelope-schemas-on"] {
        let scenario = Scenario::load(name);
        let tables: [(&str, Vec<Vec<Field>>); 3] = [
            ("aa_first", vec![row(&[Some("1"), Some("one")]), row(&[Some("2"), Some("two")]), row(&[Some("3"), None])]),
            ("cc_mid", vec![row(&[Some("only"), Some("-5"), None])]),
            (
                "dd_last",
                vec![
                    row(&[Some("10"), Some("x"), Some("1.10")]),
                    row(&[Some("20"), Some("y"), Some("-99.99")]),
                    row(&[Some("30"), Some("z"), None]),
                ],
            ),
        ];
        let mut encoder = scenario.encoder();
        for (index, (table, rows)) in tables.iter().enumerate() {
            let topic = format!("vb.inv.{table}");
            let want = snapshot_messages(&scenario, &topic);
            let (transaction, xid) = transaction(want[0]);
            let (first_table, last_table) = (index == 0, index == 2);
            let part = SnapshotPart { xid, first_table, last_table, starts: true, ends: true, blocking: false };
            let relation = scenario.table("inv", table);
            let records = scenario.snapshot(&mut encoder, &relation, rows, transaction, part).unwrap();
            assert_eq!(records.len(), want.len());
            for (want, have) in want.iter().zip(&records) {
                assert_eq!(recorded(want, &[]), produced(have, 1, &[]));
            }
        }
    }
}

/// The one row of `public.pet`, with an error's or a record's test.
fn pet(name: &str, oddities: bool) -> (Scenario, Result<Vec<walhouse_kafka::Record>, Error>) {
    let mut scenario = Scenario::load(name);
    if !oddities {
        scenario.config.remove("walhouse.oddities");
    }
    let relation: Arc<TableSchema> = scenario.table("public", "pet");
    let (transaction, xid) = match snapshot_messages(&scenario, "vh.public.pet").first() {
        Some(message) => transaction(message),
        None => (Transaction { xid: 0, commit_lsn: Lsn(1), commit_time: 0 }, 1),
    };
    let part = SnapshotPart { xid, first_table: true, last_table: true, starts: true, ends: true, blocking: false };
    let rows = [row(&[Some("t1"), Some("1"), Some("Rex")])];
    let records = scenario.snapshot(&mut scenario.encoder(), &relation, &rows, transaction, part);
    (scenario, records)
}

#[test]
fn excluded_keys_are_what_they_were_in_snapshots() {
    let (scenario, records) = pet("h-snapshot-key-excluded", true);
    assert_eq!(recorded(&scenario.messages[0], &[]), produced(&records.unwrap()[0], 1, &[]));
    let (_, records) = pet("h-fatal-snapshot-key-excluded", true);
    assert!(matches!(records, Err(Error::SnapshotKey { .. })));
}

#[test]
fn excluded_keys_are_right_by_default() {
    for name in ["h-snapshot-key-excluded", "h-fatal-snapshot-key-excluded"] {
        let (_, records) = pet(name, false);
        let key = produced(&records.unwrap()[0], 1, &[]).key.unwrap();
        assert!(key.ends_with(r#""payload":{"owner":1,"tag":"t1"}}"#), "{key}");
    }
}

#[test]
fn snapshot_values_are_right_by_default() {
    let mut scenario = Scenario::load("c-types-default");
    scenario.config.remove("walhouse.oddities");
    let mut values = String::new();
    for (relation, rows) in scenario.inserted() {
        let transaction = Transaction { xid: 0, commit_lsn: Lsn(1), commit_time: 0 };
        let records =
            scenario.snapshot(&mut scenario.encoder(), &relation, &rows, transaction, SnapshotPart::default());
        records.unwrap().iter().for_each(|record| values.extend(crate::scenario::text(record.value.as_ref())));
    }
    for part in [r#""m":"f/////////8=""#, r#""vb1":true"#, r#""tz0":"1500-03-01T00:00:00Z""#] {
        assert!(values.contains(part), "no {part}");
    }
}
