//! One process at a time works for a slot, from its survey on.

use std::time::{Duration, Instant};

use walhouse_change::{Origin, Retry};

use crate::support::{Db, PATIENCE};

const HELD: &str = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND d.datname = current_database()";
const END: &str = "SELECT count(pg_terminate_backend(l.pid)) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND d.datname = current_database()";

#[tokio::test]
async fn a_second_origin_waits_for_the_first() {
    let db = Db::new("claim_second").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY)").await;
    let (first, second) = (db.origin(&["public.*"]), db.origin(&["public.*"]));
    first.survey().await.unwrap();
    first.survey().await.unwrap();
    assert_eq!(db.text(HELD).await, "1");
    let holder = second.slot_holder().await.unwrap().unwrap();
    let error = second.survey().await.unwrap_err();
    assert_eq!(error.retry(), &Retry::Later);
    let line = error.one_line();
    assert!(line.starts_with("slot claim_second is in use by another walhouse, the server process "), "{line}");
    assert!(line.contains(&format!("pg_terminate_backend({holder})")), "{line}");
    // Looking from outside takes nothing and waits for nobody.
    assert!(second.check().await.iter().all(|finding| !finding.what.contains("in use by another")));
    second.slot_facts().await.unwrap();
    second.publication_facts().await.unwrap();
    second.tables().await.unwrap();
    second.drop_slot().await.unwrap();

    // Another slot is another matter.
    let mut config = db.config(&["public.*"]);
    config.slot = Some("claim_other".to_owned());
    let other = walhouse_postgres::Postgres::new(config, walhouse_change::Budget::new(1)).unwrap();
    other.survey().await.unwrap();

    // A session that ends a moment later than its process is waited for.
    let (surveyed, ()) = tokio::join!(second.survey(), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(first);
    });
    surveyed.unwrap();
    assert_ne!(second.slot_holder().await.unwrap().unwrap(), holder);
}

#[tokio::test]
async fn what_works_under_a_lost_claim_ends() {
    let db = Db::new("claim_lost").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 30000) g")
        .await;
    let mut begun = db.begin().await;
    let snapshot = begun.snapshot.take().unwrap();
    let mut copy = snapshot.open(&snapshot.parts()[0]).await.unwrap();
    copy.next().await.unwrap().unwrap();
    assert_eq!(db.text(END).await, "1");
    let error = loop {
        match tokio::time::timeout(PATIENCE, copy.next()).await.expect("the copy ends") {
            Ok(batch) => assert!(batch.is_some(), "the copy came to its end without its lock"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.retry(), &Retry::Later);
    assert!(error.to_string().contains("lost the session whose lock"), "{}", error.one_line());
    drop((copy, snapshot));
    // Nothing begins under it either; the next survey takes it again.
    let mut reader = begun.stream().await;
    assert!(reader.error().await.to_string().contains("lost the session whose lock"));
    begun.origin.survey().await.unwrap();
    assert_eq!(db.text(HELD).await, "1");

    let mut reader = begun.stream().await;
    db.sql("INSERT INTO t VALUES (0, 'streamed')").await;
    reader.until("streamed").await;
    let ended = Instant::now();
    assert_eq!(db.text(END).await, "1");
    let error = reader.error().await;
    assert!(error.to_string().contains("lost the session whose lock"), "{}", error.one_line());
    assert_eq!(error.retry(), &Retry::Later);
    assert!(ended.elapsed() < Duration::from_secs(5), "noticed after {:?}", ended.elapsed());
}
