//! Redelivery, broken messages, values that were not sent, truncates, partitions that are spread anew.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use walhouse_change::ReplicaIdentity;
use walhouse_clickhouse::kafka::{Around, Epochs, Feed};

use super::{builtin, create, feed, seed, send};
use crate::support::{INT8, Place, TEXT};

const PLACEHOLDER: &str = "__debezium_unavailable_value";

fn table(place: &Place, identity: ReplicaIdentity, around: Around) -> Feed {
    let text = json!({"type": "string", "optional": true});
    let fields = [
        ("id", builtin(INT8), json!({"type": "int64"})),
        ("state", builtin(TEXT), text.clone()),
        ("note", builtin(TEXT), text),
    ];
    feed(&place.config.database, identity, around, &fields)
}

fn event(op: &str, lsn: i64, before: Value, after: Value) -> String {
    json!({"before": before, "after": after, "source": {"lsn": lsn, "ts_ms": 1_700_000_000_000_i64 + lsn}, "op": op})
        .to_string()
}

fn row(id: i64, state: &str, note: &str) -> Value {
    json!({"id": id, "state": state, "note": note})
}

fn unwrapped(op: &str, lsn: i64, row: &Value) -> String {
    let mut row = row.clone();
    for (name, value) in [("__table", json!("t")), ("__op", json!(op)), ("__lsn", json!(lsn))] {
        row[name] = value;
    }
    row["__source_ts_ms"] = json!(1_700_000_000_000_i64 + lsn);
    row["__deleted"] = json!(if op == "d" { "true" } else { "false" });
    row.to_string()
}

const LOG: &str = "SELECT id, record_version, db_action, state FROM t ORDER BY id, record_version";

#[tokio::test]
async fn what_comes_again_is_there_once() {
    let place = Place::shared("kafka_again");
    create(&place, &table(&place, ReplicaIdentity::Full, seed())).await;
    let messages = [
        (0, 0, unwrapped("c", 10, &row(1, "a", "n"))),
        (0, 1, unwrapped("u", 20, &row(1, "b", "n"))),
        (1, 0, unwrapped("c", 15, &row(2, "x", "n"))),
        (0, 2, unwrapped("d", 30, &row(1, "b", "n"))),
    ];
    send(&place, &messages).await;
    let log = "1\t10\tinsert\ta\n1\t20\tupdate\tb\n1\t30\tdelete\tb\n2\t15\tinsert\tx";
    assert_eq!(place.ask(LOG).await, log);
    assert_eq!(place.rows("t", "id, state").await, "2\tx");
    // Kafka delivers again: the same offsets, cut otherwise
    send(&place, &messages[..2]).await;
    send(&place, &messages[1..]).await;
    assert_eq!(place.ask(LOG).await, log);
    // the connector sends again: other offsets, and twice in a block; what is new among it stays
    let again = |offset, message: usize| (messages[message].0, offset, messages[message].2.clone());
    let newer = (1, 2, unwrapped("u", 12, &row(2, "y", "n")));
    send(&place, &[again(3, 1), again(4, 3), again(5, 3), again(1, 2), newer]).await;
    assert_eq!(
        place.ask(LOG).await,
        format!("{}\n2\t12\tupdate\ty\n2\t15\tinsert\tx", log.rsplit_once('\n').unwrap().0)
    );
    assert_eq!(place.rows("t", "id, state").await, "2\ty");
}

#[tokio::test]
async fn a_broken_message_is_a_dead_letter() {
    let place = Place::shared("kafka_dead");
    create(&place, &table(&place, ReplicaIdentity::Full, seed())).await;
    let other = "{\"id\":\"no number\",\"__op\":\"c\"}".to_owned();
    let messages = [
        (0, 0, "garbage".to_owned()),
        (0, 1, String::new()),
        (0, 2, "null".to_owned()),
        (0, 3, "[1,2]".to_owned()),
        (0, 4, other),
        (0, 5, "{\"id\":1}".to_owned()),
        (0, 6, unwrapped("c", 1, &row(7, "a", "n"))),
        (0, 7, "{\"id\":99999999999999999999999999999999999999,\"__op\":\"c\"}".to_owned()),
    ];
    for _ in 0..2 {
        send(&place, &messages).await;
        assert_eq!(place.rows("t", "id, state").await, "7\ta");
        let dead = place.ask("SELECT offset, error FROM walhouse_dead_letters ORDER BY offset").await;
        let expected = [
            "0\tnot JSON",
            "1\tnot JSON",
            "2\tnot a change of a row",
            "3\tnot a change of a row",
            "4\tthe key is missing, or its column cannot hold it",
            "5\tnot a change of a row",
            "7\tnot JSON",
        ];
        assert_eq!(dead, expected.join("\n"));
    }
    let letter = "SELECT topic, partition, key, raw FROM walhouse_dead_letters WHERE offset = 0";
    assert_eq!(place.ask(letter).await, "x.public.t\t0\tk\tgarbage");
}

#[tokio::test]
async fn an_unchanged_value_is_the_last_one_that_came() {
    let place = Place::shared("kafka_fill");
    let mut feed = table(&place, ReplicaIdentity::Default, Around::Envelope);
    feed.columns[2].placeholder = Some(PLACEHOLDER.to_owned());
    create(&place, &feed).await;
    let same = |id, state| row(id, state, PLACEHOLDER);
    let null = json!({"id": 3, "state": "a", "note": null});
    let first = [
        (0, 0, event("c", 10, Value::Null, row(1, "a", "first"))),
        (0, 1, event("u", 11, Value::Null, same(1, "b"))),
        (0, 2, event("c", 12, Value::Null, null)),
        (0, 3, event("u", 13, Value::Null, same(3, "b"))),
        // its row came before the connector
        (0, 4, event("u", 14, Value::Null, same(4, "b"))),
    ];
    send(&place, &first).await;
    let notes = "id, state, note, _unrepresentable";
    let unknown = "{'note':'(unchanged, not imported yet)'}";
    assert_eq!(place.rows("t", notes).await, format!("1\tb\tfirst\t{{}}\n3\tb\t\\N\t{{}}\n4\tb\t\\N\t{unknown}"));
    let second = [
        (0, 5, event("u", 20, Value::Null, same(1, "c"))),
        (0, 6, event("u", 21, Value::Null, row(1, "d", "second"))),
        (0, 7, event("u", 22, Value::Null, same(1, "e"))),
        (0, 8, event("u", 23, Value::Null, same(4, "c"))),
        (0, 9, event("d", 24, json!({"id": 3, "state": "", "note": ""}), Value::Null)),
    ];
    for block in [&second[..1], &second[1..], &second[..], &first[..]] {
        send(&place, block).await;
    }
    assert_eq!(place.rows("t", notes).await, format!("1\te\tsecond\t{{}}\n4\tc\t\\N\t{unknown}"));
    let history = place.ask("SELECT record_version, note FROM t WHERE id = 1 ORDER BY record_version").await;
    assert_eq!(history, "10\tfirst\n11\tfirst\n20\tfirst\n21\tsecond\n22\tsecond");
    // a delete tells its key; the rest are stand-ins
    assert_eq!(place.ask("SELECT state, note FROM t WHERE id = 3 AND is_deleted").await, "\\N\t\\N");
    assert_eq!(place.ask(&format!("SELECT count() FROM t WHERE note = '{PLACEHOLDER}'")).await, "0");
}

#[tokio::test]
async fn a_truncate_hides_what_was_before() {
    let place = Place::shared("kafka_truncate");
    let mut feed = table(&place, ReplicaIdentity::Full, Around::Envelope);
    feed.truncates = true;
    create(&place, &feed).await;
    let insert = |lsn, id| event("c", lsn, Value::Null, row(id, "a", "n"));
    // it has no key, so it comes by any partition, before or after what it truncated
    send(&place, &[(0, 0, insert(10, 1)), (1, 0, event("t", 20, Value::Null, Value::Null)), (0, 1, insert(30, 2))])
        .await;
    send(&place, &[(2, 0, insert(15, 3))]).await;
    assert_eq!(place.rows("t", "id").await, "2");
    assert_eq!(place.ask("SELECT id FROM t_at(at = now64(6)) ORDER BY id").await, "2");
    assert_eq!(place.ask("SELECT count() FROM walhouse_dead_letters").await, "0");
}

#[tokio::test]
async fn more_partitions_or_another_topic_begin_an_epoch() {
    let place = Place::shared("kafka_epochs");
    let mut feed = table(&place, ReplicaIdentity::Full, Around::Envelope);
    feed.epochs = Epochs { first: 2, cuts: vec![BTreeMap::from([(0, 100)])] };
    create(&place, &feed).await;
    let update = |lsn, state| event("u", lsn, Value::Null, row(1, state, "n"));
    send(&place, &[(0, 99, update(10, "old place")), (1, 0, update(20, "new place"))]).await;
    assert_eq!(place.rows("t", "state").await, "new place");
    let epochs = place.ask("SELECT bitShiftRight(_version, 112) FROM t ORDER BY record_version").await;
    assert_eq!(epochs, "2\n3");
}

#[tokio::test]
async fn fields_without_a_column_are_kept() {
    let place = Place::shared("kafka_more");
    create(&place, &table(&place, ReplicaIdentity::Full, seed())).await;
    let mut more = row(1, "a", "n");
    more["price"] = json!("1.50");
    more["bad"] = json!(7);
    let mut less = row(2, "a", "n");
    less.as_object_mut().unwrap().remove("note");
    send(&place, &[(0, 0, unwrapped("c", 1, &more)), (0, 1, unwrapped("c", 2, &less))]).await;
    let expected = "1\tn\t{'bad':'7','price':'\"1.50\"'}\n2\t\\N\t{}";
    assert_eq!(place.rows("t", "id, note, mapSort(_unrepresentable)").await, expected);
}
