//! A slow or absent target, large transactions and large values: memory stays bounded, nothing is dropped.

use std::time::{Duration, Instant};

use walhouse_lab::postgres::Server;

use crate::harness::{Pipe, READY};

/// What the program promises, the engine apart.
const MEMORY: u64 = 300 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_target_stops_the_reading_and_keeps_the_connection() {
    let server = Server::builder().setting("wal_sender_timeout", "3s").start().await.unwrap();
    let sql = "CREATE TABLE held (id serial PRIMARY KEY, v text)";
    let mut pipe = Pipe::on(server.url(), "held", sql, |builder| builder).await;
    pipe.house.start().unwrap();
    pipe.house.ready(READY).await.unwrap();
    let sender = "SELECT pid FROM pg_stat_replication";
    let before: i32 = pipe.source.query_one(sender, &[]).await.unwrap().get(0);
    assert!(pipe.house.freeze_engine(true));
    pipe.execute("INSERT INTO held (v) SELECT repeat('v', 1000) FROM generate_series(1, 200000)").await;
    let frozen = Instant::now();
    pipe.unready(&["waiting for the target", "no answer for 6 s", "to mend it"]).await;
    let status = pipe.status();
    assert_eq!(status["state"], "waiting", "{status}");
    let metrics = pipe.house.get("/metrics").await.unwrap().1;
    assert!(metrics.contains("walhouse_state{state=\"waiting\"} 1"), "{metrics}");
    while frozen.elapsed() < Duration::from_secs(10) {
        let now: i32 = pipe.source.query_one(sender, &[]).await.unwrap().get(0);
        assert_eq!(now, before, "the replication connection was lost");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (_, peak) = pipe.house.memory().unwrap();
    assert!(peak < MEMORY, "{peak} bytes resident");
    assert!(pipe.house.freeze_engine(false));
    let thawed = Instant::now();
    pipe.until("SELECT count() FROM held", "200000\n").await;
    // 3 s on two busy cores: nothing waits for a timeout.
    assert!(thawed.elapsed() < Duration::from_secs(20), "resumed after {:?}", thawed.elapsed());
    pipe.until_equal(&["held"]).await;
    pipe.house.ready(READY).await.unwrap();
    let now: i32 = pipe.source.query_one(sender, &[]).await.unwrap().get(0);
    assert_eq!(now, before, "the pipe was dropped");

    // With nothing to write it is asked for a sign of life.
    assert!(pipe.house.freeze_engine(true));
    let frozen = Instant::now();
    pipe.unready(&["waiting for the target", "no answer for 6 s"]).await;
    assert!(frozen.elapsed() < Duration::from_secs(11), "shown after {:?}", frozen.elapsed());
    assert!(pipe.house.freeze_engine(false));
    pipe.house.ready(READY).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_five_million_rows_and_a_value_of_100_mb_pass() {
    let server = Server::builder().start().await.unwrap();
    let sql = "CREATE TABLE many (id int PRIMARY KEY, n int); CREATE TABLE large (id int PRIMARY KEY, n int, v bytea)";
    let mut pipe = Pipe::on(server.url(), "huge", sql, |builder| builder).await;
    pipe.house.start().unwrap();
    pipe.house.ready(READY).await.unwrap();
    pipe.execute("INSERT INTO many SELECT i, i FROM generate_series(1, 5000000) i").await;
    pipe.execute(
        "ALTER TABLE large ALTER COLUMN v SET STORAGE EXTERNAL; \
        INSERT INTO large VALUES (1, 0, decode(repeat('00ff41', 35000000), 'hex')); UPDATE large SET n = 1",
    )
    .await;
    pipe.until("SELECT count(), max(id) FROM view_many_last_rec", "5000000\t5000000\n").await;
    pipe.until("SELECT n, length(v) FROM view_large_last_rec", "1\t105000000\n").await;
    let (_, peak) = pipe.house.memory().unwrap();
    assert!(peak < MEMORY, "{} MiB resident", peak >> 20);
}
