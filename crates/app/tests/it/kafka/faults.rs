//! Crashes, messages that are none, topics that are made anew.

use walhouse_change::Lsn;
use walhouse_kafka::Record;
use walhouse_kafka::client::{Admin, Producer, Properties};

use super::{Place, UNWRAP};

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, v text); ALTER TABLE t REPLICA IDENTITY FULL";

#[tokio::test(flavor = "multi_thread")]
async fn crashes_and_repeats_double_nothing() {
    let mut place = Place::new("crashes", TABLE, &UNWRAP).await;
    place.ok(&["kafka-tables", "--apply"]);
    place.ends.prepare().await;
    for round in 0..3 {
        // from the beginning each time, as after a connector's crash before it stored an offset
        let connector = place.ends.start(Lsn(0)).await;
        place.execute(&format!("INSERT INTO t SELECT g, 'x' FROM generate_series({round}000, {round}999) g")).await;
        place
            .execute(&format!(
                "UPDATE t SET v = v || '{round}' WHERE id % 3 = {round}; DELETE FROM t WHERE id % 10 = {round}"
            ))
            .await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        place.restart_engine();
        place.until_equal(&["t"]).await;
        drop(connector);
    }
    let twice = "SELECT count() FROM (SELECT 1 FROM t GROUP BY id, record_version, db_action HAVING count() > 1)";
    assert_eq!(place.ask(twice).await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_stops_nothing() {
    let mut place = Place::new("poison", TABLE, &UNWRAP).await;
    place.ok(&["kafka-tables", "--apply"]);
    place.ends.prepare().await;
    let _connector = place.ends.start(Lsn(0)).await;
    place.execute("INSERT INTO t VALUES (1, 'a')").await;
    let record = |partition, key: Option<&str>, value: Option<&str>| Record {
        topic: "poison.public.t".into(),
        partition: Some(partition),
        key: key.map(|key| key.to_owned().into()),
        value: value.map(|value| value.to_owned().into()),
        headers: Vec::new(),
    };
    let values = [Some("garbage"), None, Some(""), Some("{}"), Some("{\"payload\":null}"), Some("\u{0}\u{1}")];
    let records: Vec<Record> =
        (0..4).flat_map(|partition| values.map(|value| record(partition, Some("k"), value))).collect();
    let producer = Producer::new(&Properties::new(&place.ends.bootstrap)).unwrap();
    producer.send(&records).await.unwrap().await.unwrap();
    place.execute("INSERT INTO t SELECT g, 'b' FROM generate_series(2, 100) g; DELETE FROM t WHERE id = 1").await;
    place.until_equal(&["t"]).await;
    // a tombstone is no letter; whether an empty value is one is the reader's choice
    place.until("SELECT countIf(raw != '') FROM walhouse_dead_letters WHERE topic = 'poison.public.t'", "16").await;
    let letter = "SELECT DISTINCT key, error FROM walhouse_dead_letters WHERE raw = 'garbage'";
    assert_eq!(place.ask(letter).await.unwrap(), "k\tnot JSON");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_anew_counts_from_its_beginning() {
    let mut place = Place::new("anew", TABLE, &UNWRAP).await;
    place.ok(&["kafka-tables", "--apply"]);
    place.ends.prepare().await;
    let connector = place.ends.start(Lsn(0)).await;
    place.execute("INSERT INTO t SELECT g, 'old' FROM generate_series(1, 500) g").await;
    place.until_equal(&["t"]).await;
    place.ok(&["kafka-tables", "--apply"]);
    drop(connector);
    let admin = Admin::new(&Properties::new(&place.ends.bootstrap)).unwrap();
    assert!(admin.delete("anew.public.t").await.unwrap());
    // the changes of that time are in no topic
    place.execute("DELETE FROM t WHERE id <= 100").await;
    let lsn: String = place.source.query_one("SELECT pg_current_wal_lsn()::text", &[]).await.unwrap().get(0);
    let done = place.ok(&["kafka-tables", "--apply"]);
    assert!(done.contains("was made anew") && done.contains("epoch 1 begins"), "{done}");
    place.execute("UPDATE t SET v = 'new' WHERE id BETWEEN 101 AND 200").await;
    let _connector = place.ends.start(lsn.parse().unwrap()).await;
    place.until("SELECT count() FROM view_t_last_rec WHERE v = 'new'", "100").await;
    // an import brings what was missed, and buries what is gone
    assert!(place.ok(&["import"]).contains("imported 400 rows"));
    place.until_equal(&["t"]).await;
}
