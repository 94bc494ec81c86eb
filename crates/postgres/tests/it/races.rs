//! Races that lose rows when versions, locks or snapshots are wrong. Each holds transactions open, which would hold
//! up every slot of a shared server.

use std::time::Duration;

use walhouse_change::{Change, Op, Origin, Retry, SlotKind, Version};
use walhouse_lab::postgres::Server;

use crate::support::{Db, connect, usable};

#[tokio::test]
async fn a_commit_at_the_consistent_point_is_newer_than_the_snapshot() {
    let server = Server::builder().start().await.unwrap();
    let db = Db::on(&server, "three").await;
    db.sql("CREATE TABLE vt (k int PRIMARY KEY, v text); INSERT INTO vt VALUES (1, 'old'), (2, 'old')").await;
    let origin = db.origin(&["public.*"]);
    let tables = usable(&origin).await;
    origin.publish(&tables).await.unwrap();
    let (x, y, z) = (connect(&db.url).await, connect(&db.url).await, connect(&db.url).await);

    x.batch_execute("BEGIN; SELECT txid_current()").await.unwrap();
    let taking = tokio::spawn({
        let (origin, tables) = (origin.clone(), tables.clone());
        async move { origin.snapshot(&tables, SlotKind::Lasting).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    y.batch_execute("BEGIN; SELECT txid_current()").await.unwrap();
    x.batch_execute("COMMIT").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!taking.is_finished());
    z.batch_execute("BEGIN; UPDATE vt SET v = 'new' WHERE k = 1").await.unwrap();
    y.batch_execute("COMMIT").await.unwrap();
    let snapshot = taking.await.unwrap();
    z.batch_execute("COMMIT").await.unwrap();

    let consistent_point = snapshot.consistent_point();
    let mut begun = crate::support::Begun { origin, tables, consistent_point, snapshot: Some(snapshot) };
    assert_eq!(begun.copied().await, ["read vt 0: [1, old]", "read vt 0: [2, old]"]);
    let mut reader = begun.stream().await;
    assert_eq!(reader.until("new").await, ["update vt 1: [1, new]"]);
    let batch = reader.batches.iter().find(|batch| !batch.is_empty()).unwrap();
    let Change::Row(change) = &batch.changes()[0] else { panic!("no row") };
    let row = batch.row(change);
    assert_eq!(row.transaction().commit_lsn, consistent_point, "the race did not come about");
    assert!(change.lsn < consistent_point);
    assert!(Version::row(0, row.position()) > Version::snapshot(0, consistent_point));
}

#[tokio::test]
async fn a_row_that_waited_for_its_key_is_the_newest() {
    let server = Server::builder().start().await.unwrap();
    let db = Db::on(&server, "waits").await;
    db.sql("CREATE TABLE mk (k int PRIMARY KEY, v text); INSERT INTO mk VALUES (7, 'orig')").await;
    let mut begun = db.begin().await;
    let mut reader = begun.stream().await;
    let (a, b) = (connect(&db.url).await, connect(&db.url).await);
    a.batch_execute("BEGIN; DELETE FROM mk WHERE k = 7").await.unwrap();
    let waiting = tokio::spawn(async move {
        b.batch_execute("BEGIN; INSERT INTO mk VALUES (7, 'from B'); COMMIT").await.unwrap();
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    a.batch_execute("INSERT INTO mk VALUES (7, 'tmp'); DELETE FROM mk WHERE k = 7; COMMIT").await.unwrap();
    waiting.await.unwrap();
    reader.until("from B").await;
    let mut versions = Vec::new();
    for batch in &reader.batches {
        for change in batch.changes() {
            let Change::Row(change) = change else { panic!("no row") };
            versions.push((Version::row(0, batch.row(change).position()), change.op, change.lsn));
        }
    }
    let newest = versions.iter().max_by_key(|it| it.0).unwrap();
    assert_eq!(newest.1, Op::Insert);
    assert!(versions.iter().any(|other| other.2 > newest.2), "the race did not come about");
}

#[tokio::test]
async fn a_rewrite_waits_for_the_copy() {
    let server = Server::builder().start().await.unwrap();
    let db = Db::on(&server, "rewrite").await;
    db.sql("CREATE TABLE rw (id int PRIMARY KEY, v int); INSERT INTO rw SELECT g, g FROM generate_series(1, 1000) g")
        .await;
    let begun = db.begin().await;
    let error =
        db.client.batch_execute("SET lock_timeout = '500ms'; ALTER TABLE rw ALTER v TYPE bigint").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "55P03");
    assert_eq!(begun.copied().await.len(), 1000);
    drop(begun);
    db.sql("ALTER TABLE rw ALTER v TYPE bigint").await;
}

#[tokio::test]
async fn whoever_holds_us_up_is_named() {
    let server = Server::builder().start().await.unwrap();
    let db = Db::on(&server, "holders").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY)").await;
    let mut config = db.config(&["public.*"]);
    (config.lock_wait_seconds, config.slot_wait_seconds) = (Some(1), Some(1));
    let origin = walhouse_postgres::Postgres::new(config, walhouse_change::Budget::new(1 << 20)).unwrap();
    let tables = usable(&origin).await;
    origin.publish(&tables).await.unwrap();
    let other = connect(&db.url).await;
    let pid: i32 = other.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);

    other.batch_execute("BEGIN; LOCK TABLE t").await.unwrap();
    let error = origin.snapshot(&tables, SlotKind::Lasting).await.err().unwrap();
    assert_eq!(error.retry(), &Retry::Later);
    assert!(error.to_string().contains(&format!("process {pid} on public.t")), "{error}");
    other.batch_execute("ROLLBACK; BEGIN; SELECT txid_current()").await.unwrap();
    let error = origin.snapshot(&tables, SlotKind::Lasting).await.err().unwrap();
    assert_eq!(error.retry(), &Retry::Later);
    assert!(error.to_string().contains(&format!("process {pid}")), "{error}");

    // nor does one remain when nobody waits any more
    let abandoned = tokio::time::timeout(Duration::from_millis(300), origin.snapshot(&tables, SlotKind::Lasting)).await;
    assert!(abandoned.is_err());
    tokio::time::sleep(Duration::from_millis(500)).await;
    other.batch_execute("COMMIT").await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(db.text("SELECT count(*) FROM pg_replication_slots").await, "0");
}
