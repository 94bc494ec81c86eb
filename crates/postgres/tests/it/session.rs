//! Acknowledgements, keepalives, ends.

use std::time::{Duration, Instant};

use walhouse_change::{Lsn, Origin, Retry};
use walhouse_lab::postgres::Server;

use crate::support::{Db, PATIENCE};

/// Waits until the slot's confirmed position is at least `lsn`.
async fn confirmed_reaches(db: &Db, lsn: Lsn) {
    let deadline = Instant::now() + PATIENCE;
    while db.confirmed().await < lsn {
        assert!(Instant::now() < deadline, "{} was never confirmed: {}", lsn, db.confirmed().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_is_acknowledged_does_not_come_again() {
    let db = Db::new("session_acks").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY)").await;
    let mut begun = db.begin().await;
    let mut reader = begun.stream().await;
    for id in 0..3 {
        db.sql(&format!("INSERT INTO t VALUES ({id})")).await;
        reader.until(&format!("[{id}]")).await;
    }
    let first = reader.batches.iter().find(|batch| !batch.is_empty()).unwrap();
    let (commit, end) = (first.transactions()[0].commit_lsn, first.progress());
    assert!(first.len() == 1 && end > commit);

    // the commit's beginning does not confirm it; its end does
    reader.acknowledge(commit);
    confirmed_reaches(&db, commit).await;
    drop(reader);
    let mut reader = begun.stream_from(Lsn::ZERO).await;
    assert_eq!(reader.until("[2]").await.len(), 3);
    reader.acknowledge(end);
    drop(reader);
    assert_eq!(db.confirmed().await, end, "the last acknowledgement goes out with the farewell");
    let mut reader = begun.stream_from(Lsn::ZERO).await;
    assert_eq!(reader.until("[2]").await, ["insert t 1: [1]", "insert t 1: [2]"]);

    // an acknowledgement of what was never handed over would lose it
    reader.acknowledge(Lsn(end.0 + (1 << 30)));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(db.confirmed().await <= reader.progress);
    db.sql("INSERT INTO t VALUES (50)").await;
    reader.until("[50]").await;
    drop(reader);
    let mut reader = begun.stream_from(Lsn::ZERO).await;
    db.sql("INSERT INTO t VALUES (51)").await;
    reader.until("[51]").await;
    assert!(reader.shown.contains(&"insert t 1: [50]".to_owned()), "{:?}", reader.shown);
}

#[tokio::test]
async fn a_stalled_consumer_keeps_its_connection() {
    let server = Server::builder().setting("wal_sender_timeout", "3s").start().await.unwrap();
    let db = Db::on(&server, "stalled").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let mut begun = db.begin().await;
    let mut reader = begun.stream().await;
    db.sql("INSERT INTO t SELECT g, repeat('z', 300) FROM generate_series(1, 200000) g").await;
    db.sql("INSERT INTO t VALUES (0, 'last')").await;
    let pid = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'stalled'";
    let before = db.text(pid).await;
    // longer than two timeouts; the socket is full and nothing is read
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(db.text(pid).await, before, "the walsender was replaced or is gone");
    while !reader.shown.iter().any(|shown| shown.contains("last")) {
        reader.step().await.unwrap();
        // what is durable gives its memory back
        reader.batches.clear();
    }
    assert_eq!(reader.shown.len(), 200_001);
    // and idle, with pings to answer
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(db.text(pid).await, before);
}

#[tokio::test]
async fn an_idle_stream_advances() {
    let db = Db::new("session_idle").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (v text)").await;
    let origin = db.origin(&["public.t"]);
    let mut begun = db.begin_with(origin).await;
    let mut reader = begun.stream().await;
    let before = db.confirmed().await;
    db.sql("INSERT INTO other SELECT repeat('x', 200) FROM generate_series(1, 20000)").await;
    let end = db.lsn("SELECT pg_current_wal_lsn()").await;
    reader.until_progress(end).await;
    assert!(reader.batches.iter().all(|batch| batch.is_empty()) && reader.batches.len() < 20);
    reader.acknowledge(reader.progress);
    confirmed_reaches(&db, end).await;
    assert!(end > before);
}

#[tokio::test]
async fn the_server_can_shut_down_fast() {
    let mut server = Server::builder().start().await.unwrap();
    let db = Db::on(&server, "shutdown").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY)").await;
    let mut begun = db.begin().await;
    let mut reader = begun.stream().await;
    db.sql("INSERT INTO t VALUES (1)").await;
    reader.until("[1]").await;
    let consumer = tokio::spawn(async move {
        loop {
            reader.acknowledge(reader.progress);
            if let Err(error) = reader.step().await {
                return error;
            }
        }
    });
    let began = Instant::now();
    server.stop().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let error = consumer.await.unwrap();
    assert_eq!(error.retry(), &Retry::Later, "{}", error.one_line());
    let error = begun.origin.stream(Lsn::ZERO, &begun.tables).await.err().unwrap();
    assert_eq!(error.retry(), &Retry::Later, "{}", error.one_line());
}

#[tokio::test]
async fn a_lost_publication_is_an_error_and_never_silence() {
    let db = Db::new("session_publication").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY)").await;
    let mut begun = db.begin().await;
    let mut reader = begun.stream().await;
    db.sql("INSERT INTO t VALUES (1)").await;
    reader.until("[1]").await;
    db.sql("DROP PUBLICATION session_publication; INSERT INTO t VALUES (2)").await;
    let began = Instant::now();
    let error = reader.error().await;
    assert!(began.elapsed() < Duration::from_secs(5), "the stream itself tells, before anybody looks");
    assert_eq!(error.retry(), &Retry::Never, "{}", error.one_line());
    assert!(error.to_string().contains("publication \"session_publication\""), "{}", error.one_line());
    assert!(error.remedy().unwrap().contains("walhouse teardown"));
    let error = begun.origin.stream(Lsn::ZERO, &begun.tables).await.err().unwrap();
    assert_eq!(error.retry(), &Retry::Never, "{}", error.one_line());
}

#[tokio::test]
async fn a_table_taken_out_of_the_publication_is_noticed() {
    let db = Db::new("session_dropped").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)").await;
    let mut begun = db.begin().await;
    let mut reader = begun.stream().await;
    db.sql("ALTER PUBLICATION session_dropped DROP TABLE t").await;
    let error = reader.error().await;
    let again = Retry::CopyAgain(begun.tables[0].name.clone());
    assert_eq!(error.retry(), &again, "{}", error.one_line());
    assert!(error.to_string().contains("public.t was taken out"), "{}", error.one_line());
    // Put back, it still lacks what was committed meanwhile: neither a stream nor a survey takes it for whole.
    db.sql("ALTER PUBLICATION session_dropped ADD TABLE t").await;
    let error = begun.origin.stream(begun.consistent_point, &begun.tables).await.err().unwrap();
    assert_eq!(error.retry(), &again, "{}", error.one_line());
    for _ in 0..2 {
        let survey = begun.origin.survey().await.unwrap();
        assert_eq!(survey.published, Some(vec![begun.tables[1].relid]));
    }
    begun.origin.publish(&begun.tables).await.unwrap();
    assert_eq!(begun.origin.survey().await.unwrap().published.unwrap().len(), 2);
    drop(begun.stream().await);
}

#[tokio::test]
async fn a_publication_that_publishes_less_is_noticed() {
    let db = Db::new("session_less").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)").await;
    let mut begun = db.begin().await;
    drop(begun.stream().await);
    let mut changes = vec![
        ("SET (publish = 'insert')", "every operation", "SET (publish = 'insert, update, delete, truncate')"),
        ("SET (publish_via_partition_root = false)", "every operation", "SET (publish_via_partition_root = true)"),
    ];
    if begun.origin.server_facts().await.unwrap().version >= 15 {
        changes.push(("SET TABLE t WHERE (id > 5), u", "a row filter for public.t", "SET TABLE t, u"));
    }
    for (less, reason, back) in changes {
        db.sql(&format!("ALTER PUBLICATION session_less {less}")).await;
        let error = begun.origin.stream(begun.consistent_point, &begun.tables).await.err().unwrap();
        assert_eq!(error.retry(), &Retry::Never, "{}", error.one_line());
        assert!(error.to_string().contains(reason), "{}", error.one_line());
        assert!(error.remedy().unwrap().contains("walhouse teardown"));
        db.sql(&format!("ALTER PUBLICATION session_less {back}")).await;
    }
    db.sql("DROP PUBLICATION session_less; CREATE PUBLICATION session_less FOR TABLE t, u WITH (publish_via_partition_root)")
        .await;
    let error = begun.origin.stream(begun.consistent_point, &begun.tables).await.err().unwrap();
    assert!(error.to_string().contains("dropped and made anew"), "{}", error.one_line());
    assert_eq!(begun.origin.survey().await.unwrap().published, None);
}

#[tokio::test]
async fn a_slot_in_use_is_waited_for_and_a_missing_one_is_not() {
    let db = Db::new("session_slot").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY)").await;
    let mut begun = db.begin().await;
    let reader = begun.stream().await;
    let error = begun.origin.stream(Lsn::ZERO, &begun.tables).await.err().unwrap();
    assert_eq!(error.retry(), &Retry::Later, "{}", error.one_line());
    assert!(error.to_string().contains("active"), "{error}");
    drop(reader);
    begun.origin.drop_slot().await.unwrap();
    begun.origin.drop_slot().await.unwrap();
    let error = begun.origin.stream(Lsn::ZERO, &begun.tables).await.err().unwrap();
    assert_eq!(error.retry(), &Retry::Never, "{}", error.one_line());
}

#[tokio::test]
async fn a_locked_table_does_not_hold_the_session_up() {
    let server = Server::builder().setting("wal_sender_timeout", "3s").start().await.unwrap();
    let db = Db::on(&server, "locked").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)").await;
    let mut begun = db.begin().await;
    let mut reader = begun.stream().await;
    let pid = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'locked'";
    let before = db.text(pid).await;
    let other = crate::support::connect(&db.url).await;
    other.batch_execute("BEGIN; LOCK TABLE t").await.unwrap();
    // the publication is looked at meanwhile, and a description under FULL asks for the key
    tokio::time::sleep(Duration::from_secs(12)).await;
    db.sql("ALTER TABLE u REPLICA IDENTITY FULL; INSERT INTO u VALUES (1)").await;
    reader.until("insert u").await;
    assert_eq!(db.text(pid).await, before);
    other.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test]
async fn bytes_of_no_encoding_pass() {
    let server = Server::builder().start().await.unwrap();
    let client = server.connect().await.unwrap();
    client.batch_execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0").await.unwrap();
    let url = server.url_of("ascii");
    let db = Db { client: crate::support::connect(&url).await, url, name: "ascii".to_owned() };
    db.sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, E'\\xff')").await;
    let mut begun = db.begin().await;
    assert_eq!(begun.copied().await, ["read t 0: [1, \u{fffd}]"]);
    let mut reader = begun.stream().await;
    db.sql("INSERT INTO t VALUES (2, E'\\xfe')").await;
    reader.until("[2,").await;
    let batch = reader.batches.iter().find(|batch| !batch.is_empty()).unwrap();
    let walhouse_change::Change::Row(change) = &batch.changes()[0] else { panic!("no row") };
    let value = batch.row(change).new_image().unwrap().value(1);
    assert_eq!(value.bytes(), [0xfe]);
}
