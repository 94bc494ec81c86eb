//! The rows that were there before the connector.

use std::time::Duration;

use walhouse_change::Lsn;

use super::{Place, UNWRAP};

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, v text, n numeric(12,2), at timestamptz DEFAULT now());
    ALTER TABLE t REPLICA IDENTITY FULL;
    INSERT INTO t (id, v, n) SELECT g, 'before ' || g, g * 1.25 FROM generate_series(1, 20000) g";

#[tokio::test(flavor = "multi_thread")]
async fn needs_the_connectors_slot_and_the_tables() {
    let place = Place::new("import_early", TABLE, &UNWRAP).await;
    let line = place.refused(&["import"], 3);
    assert!(
        line.contains("no replication slot \"import_early\"") && line.contains("start the connector first"),
        "{line}"
    );
    place.ends.prepare().await;
    let line = place.refused(&["import"], 3);
    assert!(line.contains("walhouse kafka-tables --apply"), "{line}");
    place.ok(&["kafka-tables", "--apply"]);
    assert_eq!(place.ok(&["import"]), "public.t: imported 20000 rows\n");
    assert_eq!(place.ask("SELECT count(), max(_version) FROM t").await.unwrap(), "20000\t0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_meanwhile_is_neither_lost_nor_stale_nor_twice() {
    let mut place = Place::new("import_live", TABLE, &UNWRAP).await;
    place.ok(&["kafka-tables", "--apply"]);
    place.ends.prepare().await;
    // changes before the copy, which reach ClickHouse before it, and after it
    place.execute("UPDATE t SET v = 'early' WHERE id <= 100; DELETE FROM t WHERE id BETWEEN 101 AND 200").await;
    let connector = place.ends.start(Lsn(0)).await;
    place.until("SELECT count() FROM t", "200").await;
    drop(connector);
    place
        .execute("UPDATE t SET v = 'late' WHERE id BETWEEN 51 AND 300; DELETE FROM t WHERE id BETWEEN 301 AND 400")
        .await;
    let writer = tokio::spawn({
        let url = place.ends.url.clone();
        async move {
            let client = walhouse_lab::postgres::connect(&url).await.unwrap();
            for round in 0..200 {
                let sql = format!(
                    "UPDATE t SET n = n + 1 WHERE id % 200 = {round}; DELETE FROM t WHERE id = {}; \
                     INSERT INTO t (id, v) VALUES ({}, 'new'); UPDATE t SET id = -id WHERE id = {}",
                    1_000 + round,
                    100_000 + round,
                    2_000 + round
                );
                client.batch_execute(&sql).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    place.ok(&["import"]);
    let _connector = place.ends.start(Lsn(0)).await;
    writer.await.unwrap();
    place.until_equal(&["t"]).await;
    let twice = "SELECT count() FROM (SELECT 1 FROM t GROUP BY id, record_version, db_action HAVING count() > 1)";
    assert_eq!(place.ask(twice).await.unwrap(), "0");
    // done is done; once more is possible
    assert!(place.ok(&["import"]).contains("imported already"));
    let read = "SELECT count() FROM t WHERE db_action = 'read'";
    let before = place.ask(read).await.unwrap();
    place.ok(&["import", "--again"]);
    place.until_equal(&["t"]).await;
    assert_ne!(before, "0");
    let again = "SELECT count() = (SELECT count() FROM view_t_last_rec) FROM t WHERE db_action = 'read'";
    assert_eq!(place.ask(again).await.unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_was_not_sent_comes_with_the_import() {
    let table = "CREATE TABLE t (id int PRIMARY KEY, v int, big text);
        ALTER TABLE t ALTER COLUMN big SET STORAGE EXTERNAL;
        INSERT INTO t SELECT g, 0, repeat('x' || g, 3000) FROM generate_series(1, 50) g";
    let mut place = Place::new("import_toast", table, &[("value.converter.schemas.enable", "false")]).await;
    place.ok(&["kafka-tables", "--apply"]);
    place.ends.prepare().await;
    let _connector = place.ends.start(Lsn(0)).await;
    place.execute("UPDATE t SET v = 1 WHERE id <= 20; UPDATE t SET big = 'short' WHERE id = 3; UPDATE t SET v = 2 WHERE id <= 5").await;
    place.until("SELECT count(), countIf(big IS NULL) FROM view_t_last_rec WHERE v > 0", "20\t19").await;
    place.ok(&["import"]);
    place.until_equal(&["t"]).await;
    assert_eq!(place.ask("SELECT count() FROM t WHERE big IS NULL OR big LIKE '%debezium%'").await.unwrap(), "0");
    place.execute("UPDATE t SET v = 3").await;
    place.until_equal(&["t"]).await;
}
