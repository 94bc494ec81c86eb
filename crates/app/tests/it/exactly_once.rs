//! Crashes at bad moments: nothing is lost, stale or doubled.

use std::time::Duration;

use walhouse_lab::postgres::{Server, connect};

use crate::harness::{Pipe, READY};

const COUNTERS: &str = "CREATE TABLE counters (id int PRIMARY KEY, n int, pad text);
    INSERT INTO counters SELECT i, 0, repeat('p', 100) FROM generate_series(1, 200000) i;";

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_the_copy_it_copies_again() {
    let mut pipe = Pipe::prepare("killed_copy", COUNTERS, |builder| builder).await;
    for pause in [150, 300, 450, 600] {
        pipe.house.start().unwrap();
        tokio::time::sleep(Duration::from_millis(pause)).await;
        pipe.house.kill9().unwrap();
        pipe.execute("UPDATE counters SET n = n + 1 WHERE id % 1000 = 7").await;
    }
    pipe.house.start().unwrap();
    pipe.house.ready(READY).await.unwrap();
    pipe.until_equal(&["counters"]).await;
    let slots = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()";
    assert_eq!(pipe.source.query_one(slots, &[]).await.unwrap().get::<_, i64>(0), 1, "an orphan slot is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_streaming_it_goes_on() {
    let mut pipe = Pipe::start(
        "killed_stream",
        "CREATE TABLE counters (id int PRIMARY KEY, n int); \
        INSERT INTO counters SELECT i, 0 FROM generate_series(1, 1000) i",
    )
    .await;
    let url = pipe.url.clone();
    let load = tokio::spawn(async move {
        let client = connect(&url).await.unwrap();
        for round in 0..600 {
            let sql = format!(
                "UPDATE counters SET n = n + 1 WHERE id % 50 = {}; DELETE FROM counters WHERE id = {round}; \
                INSERT INTO counters VALUES ({round}, -1), (100000 + {round}, 1)",
                round % 50
            );
            client.batch_execute(&sql).await.unwrap();
            tokio::time::sleep(Duration::from_millis(8)).await;
        }
    });
    for kill in 0..6 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        if kill % 2 == 0 {
            pipe.house.kill9().unwrap();
            pipe.house.start().unwrap();
        } else {
            pipe.house.kill9_engine();
        }
    }
    load.await.unwrap();
    pipe.until_equal(&["counters"]).await;
    let twice = "SELECT count() FROM (SELECT id, _version FROM counters GROUP BY id, _version HAVING count() > 1)";
    assert_eq!(pipe.target(twice).await, "0\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_postgres_is_followed_again() {
    let mut server = Server::builder().start().await.unwrap();
    let mut pipe =
        Pipe::on(server.url(), "restarted", "CREATE TABLE t (id serial PRIMARY KEY, v text)", |builder| builder).await;
    pipe.house.start().unwrap();
    pipe.house.ready(READY).await.unwrap();
    for round in 0..3 {
        pipe.execute("INSERT INTO t (v) SELECT 'v' FROM generate_series(1, 500)").await;
        if round == 1 {
            server.restart().await.unwrap();
        } else {
            server.kill9().await.unwrap();
            server.start().await.unwrap();
        }
        pipe.source = connect(&server.url()).await.unwrap();
        pipe.execute("INSERT INTO t (v) VALUES ('after')").await;
        pipe.until_equal(&["t"]).await;
    }
}

/// A transaction that commits while the slot is made, with the row's own log record below the
/// slot's consistent point: it is in the stream and not in the snapshot.
#[tokio::test(flavor = "multi_thread")]
async fn the_consistent_point_race_loses_no_update() {
    let sql = "CREATE TABLE raced (k int PRIMARY KEY, v text); INSERT INTO raced VALUES (1, 'old');
        CREATE TABLE aside (k serial PRIMARY KEY)";
    let mut pipe = Pipe::prepare("raced", sql, |builder| builder).await;
    let (x, y, z) =
        (connect(&pipe.url).await.unwrap(), connect(&pipe.url).await.unwrap(), connect(&pipe.url).await.unwrap());
    x.batch_execute("BEGIN; INSERT INTO aside DEFAULT VALUES").await.unwrap();
    pipe.house.start().unwrap();
    // The slot's creation waits for X.
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender' AND wait_event_type = 'Lock'";
    for _ in 0..1500 {
        if pipe.source.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    y.batch_execute("BEGIN; INSERT INTO aside DEFAULT VALUES").await.unwrap();
    x.batch_execute("COMMIT").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    z.batch_execute("BEGIN; UPDATE raced SET v = 'NEW-from-Z' WHERE k = 1").await.unwrap();
    y.batch_execute("COMMIT").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    z.batch_execute("COMMIT").await.unwrap();
    pipe.house.ready(READY).await.unwrap();
    pipe.until("SELECT v FROM view_raced_last_rec", "NEW-from-Z\n").await;
    pipe.until_equal(&["raced", "aside"]).await;
}

/// An insert writes its log record before it waits for another transaction's unique key: the row's
/// own LSN says that the last delete won.
#[tokio::test(flavor = "multi_thread")]
async fn the_unique_wait_race_ends_with_the_later_commit() {
    let sql = "CREATE TABLE waited (k int PRIMARY KEY, v text); INSERT INTO waited VALUES (7, 'start')";
    let mut pipe = Pipe::start("waited", sql).await;
    let (a, b) = (connect(&pipe.url).await.unwrap(), connect(&pipe.url).await.unwrap());
    a.batch_execute("BEGIN; DELETE FROM waited WHERE k = 7").await.unwrap();
    let blocked = tokio::spawn(async move { b.batch_execute("INSERT INTO waited VALUES (7, 'from-B')").await });
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'";
    for _ in 0..500 {
        if pipe.source.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    a.batch_execute("INSERT INTO waited VALUES (7, 'from-A'); DELETE FROM waited WHERE k = 7; COMMIT").await.unwrap();
    blocked.await.unwrap().unwrap();
    pipe.until("SELECT v FROM view_waited_last_rec", "from-B\n").await;
    pipe.until_equal(&["waited"]).await;
}
