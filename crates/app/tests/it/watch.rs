//! `walhouse watch` on a real broker: records as connectors write them, filters, places and differences.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use walhouse_kafka::Record;
use walhouse_kafka::client::{Producer, Properties};
use walhouse_lab::kafka::{Broker, create_topic};
use walhouse_lab::verify::until;

use crate::harness::PROGRAM;

fn watch(bootstrap: &str, topic: &str, more: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["watch", topic, "--bootstrap", bootstrap]).args(more).stdin(Stdio::null());
    command
}

/// Everything that is there, as JSON.
fn lines(bootstrap: &str, topic: &str, more: &[&str]) -> Vec<Value> {
    let output = watch(bootstrap, topic, &["--no-follow", "--json"]).args(more).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn record(topic: &str, key: &str, value: Option<String>) -> Record {
    Record {
        topic: topic.into(),
        partition: None,
        key: Some(key.to_owned().into()),
        value: value.map(Into::into),
        headers: Vec::new(),
    }
}

/// An unwrapped row with its schema, under a text key, as the connector of the sample workload writes it.
fn unwrapped(topic: &str, id: i64, amount: i64, day: i64, op: &str, lsn: u64) -> Record {
    let value = json!({
        "schema": {"type": "struct", "fields": [
            {"type": "int32", "optional": false, "field": "sales_id"},
            {"type": "int64", "optional": true, "field": "amount"},
            {"type": "int32", "optional": true, "name": "io.debezium.time.Date", "version": 1, "field": "day"},
        ]},
        "payload": {"sales_id": id, "amount": amount, "day": day, "__table": "sales", "__op": op, "__lsn": lsn,
                    "__source_ts_ms": 1, "__deleted": if op == "d" { "true" } else { "false" }},
    });
    record(topic, &format!("Struct{{sales_id={id}}}"), Some(value.to_string()))
}

fn enveloped(topic: &str, before: &Value, after: &Value, op: &str, lsn: u64) -> Record {
    let value = json!({"before": before, "after": after, "op": op, "ts_ms": 1,
                       "source": {"schema": "public", "table": "item", "lsn": lsn}});
    record(topic, r#"{"id":1}"#, Some(value.to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_what_flows() {
    let broker = Broker::shared().await.unwrap();
    let bootstrap = broker.bootstrap();
    let producer = Producer::new(&Properties::new(&bootstrap)).unwrap();
    let (sales, item) = ("w.public.sales", "w.public.item");
    create_topic(&bootstrap, sales, 3, &[]).await.unwrap();
    create_topic(&bootstrap, item, 1, &[]).await.unwrap();
    let records = [
        unwrapped(sales, 1, 10, 19_000, "c", 100),
        unwrapped(sales, 2, 20, 19_000, "c", 200),
        unwrapped(sales, 1, 11, 19_000, "u", 300),
        unwrapped(sales, 1, 11, 19_000, "d", 400),
        record(sales, "Struct{sales_id=1}", None),
        enveloped(item, &Value::Null, &json!({"id": 1, "name": "a"}), "c", 250),
        enveloped(item, &json!({"id": 1, "name": "a"}), &json!({"id": 1, "name": "b"}), "u", 350),
    ];
    producer.send(&records).await.unwrap().await.unwrap();

    let all = lines(&bootstrap, "w.public.*", &["--from", "beginning"]);
    assert_eq!(all.len(), records.len());
    let of_item: Vec<&Value> = all.iter().filter(|line| line["table"] == "public.item").collect();
    assert_eq!(of_item[1]["operation"], "update");
    assert_eq!(of_item[1]["before"], json!({"id": 1, "name": "a"}));
    assert_eq!(of_item[1]["key"], json!({"id": 1}));

    // By key, as a number alone and as it is written; the tombstone has the key as well.
    for key in ["1", "sales_id=1", "Struct{sales_id=1}"] {
        let found = lines(&bootstrap, sales, &["--from", "beginning", "--key", key]);
        assert_eq!(found.len(), 4, "{key}");
        assert_eq!(found[3]["tombstone"], true);
    }
    assert_eq!(lines(&bootstrap, "w.*", &["--from", "beginning", "--table", "item"]).len(), 2);
    assert_eq!(lines(&bootstrap, "w.*", &["--from", "beginning", "--table", "public.sales"]).len(), 5);

    // By position, in both ways of writing it, and by time.
    for place in ["0/12C", "300"] {
        let found: Vec<u64> =
            lines(&bootstrap, "w.*", &["--from", place]).iter().map(|line| line["lsn"].as_u64().unwrap()).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().all(|lsn| *lsn >= 300), "{found:?}");
    }
    assert_eq!(lines(&bootstrap, "w.*", &["--from", "1h"]).len(), records.len());
    assert_eq!(lines(&bootstrap, "w.*", &["--from", "2100-01-01"]).len(), 0);

    // What changed, for a program: by before and after, and by the key's former version.
    let found = lines(&bootstrap, "w.*", &["--from", "beginning", "--diff"]);
    let changes: Vec<&Value> =
        found.iter().filter(|line| line["operation"] == "update").map(|it| &it["changes"]).collect();
    assert!(changes.contains(&&json!({"amount": [10, 11]})), "{changes:?}");
    assert!(changes.contains(&&json!({"name": ["a", "b"]})), "{changes:?}");

    // The same for a person: a date is a date, old values are red and new ones green.
    let arguments = ["--from", "beginning", "--no-follow", "--diff", "--color", "always", "--key", "1"];
    let output = watch(&bootstrap, sales, &arguments).output().unwrap();
    let shown = text(&output.stdout);
    assert!(shown.contains("\x1b[31m10\x1b[0m -> \x1b[32m11\x1b[0m"), "{shown}");
    assert!(shown.contains("2022-01-08") && shown.contains("tombstone") && !shown.contains("__op"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_topics_that_come_later_and_knows_what_was_before() {
    let broker = Broker::shared().await.unwrap();
    let bootstrap = broker.bootstrap();
    let producer = Producer::new(&Properties::new(&bootstrap)).unwrap();
    let old = "follow.public.sales";
    create_topic(&bootstrap, old, 1, &[]).await.unwrap();
    producer.put(&unwrapped(old, 1, 10, 0, "c", 100)).await.unwrap();

    let child = watch(&bootstrap, "follow.*", &["--diff", "--json", "--count", "2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It says nothing when it is ready: a topic that comes once it has looked is one that came later.
    let done = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    tokio::time::sleep(Duration::from_secs(4)).await;
    let new = "follow.public.later";
    create_topic(&bootstrap, new, 1, &[]).await.unwrap();
    producer.put(&unwrapped(new, 5, 50, 0, "c", 300)).await.unwrap();
    producer.put(&unwrapped(old, 1, 12, 0, "u", 200)).await.unwrap();
    let output: Output = until("two records to be shown", Duration::from_secs(60), async || {
        if done.is_finished() { Ok(()) } else { Err("it still waits".to_owned()) }
    })
    .await
    .map(|()| done)
    .unwrap()
    .await
    .unwrap();
    let lines: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{lines:?} {}", text(&output.stderr));
    let update = lines.iter().find(|line| line["topic"] == old).unwrap();
    assert_eq!(update["changes"], json!({"amount": [10, 12]}), "the former version is from before the watch");
    assert!(lines.iter().any(|line| line["topic"] == new));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_watch_is_refused() {
    for (more, needle) in [(["-X", "nonsense"], "KEY=VALUE"), (["--from", "yesterday"], "log position")] {
        let output = watch("127.0.0.1:1", "t", &more).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains(needle), "{}", text(&output.stderr));
    }
}
