//! An end that goes away is waited for and shown; one that came back as another is refused before anything is read.

use std::time::Duration;

use walhouse_lab::postgres::{Server, connect};

use crate::harness::{LoneEngine, Pipe, READY, TABLE};

/// What every loss of changes is mended by.
const COPY_AGAIN: &str = "to mend it: walhouse teardown, then walhouse run";

fn lines_with(pipe: &Pipe, text: &str) -> usize {
    pipe.house.log().lines().filter(|line| line.contains(text)).count()
}

/// After a refusal: the way out that it names works.
async fn copies_again(mut pipe: Pipe) {
    pipe.teardown();
    pipe.run().await;
    pipe.execute("INSERT INTO t VALUES (99, 'after')").await;
    pipe.until_equal(&["t"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_away_for_a_while() {
    let mut server = Server::builder().start().await.unwrap();
    let mut pipe = Pipe::on(server.url(), "away", TABLE, |builder| builder).await;
    pipe.run().await;
    server.stop().await.unwrap();
    pipe.unready(&["waiting for the source", "cannot reach postgres at 127.0.0.1"]).await;
    let status = pipe.status();
    assert_eq!(status["state"], "waiting", "{status}");
    assert!(status["error"].as_str().unwrap().contains("cannot reach postgres"), "{status}");
    tokio::time::sleep(Duration::from_secs(5)).await;
    server.start().await.unwrap();
    pipe.source = connect(&server.url()).await.unwrap();
    pipe.execute("INSERT INTO t VALUES (2, 'b')").await;
    pipe.house.ready(READY).await.unwrap();
    pipe.until_equal(&["t"]).await;
    // One for each new reason: the stream's end, nobody there, perhaps a server that is starting.
    let lines = lines_with(&pipe, "waiting, will try again");
    assert!((1..=3).contains(&lines), "{}", pipe.house.log());
    assert_eq!(lines_with(&pipe, "live again"), 1, "{}", pipe.house.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_is_killed() {
    let mut pipe = Pipe::start("re_engine", TABLE).await;
    let killed = pipe.house.engine_pid();
    assert!(pipe.house.kill9_engine());
    pipe.execute("INSERT INTO t VALUES (2, 'b')").await;
    pipe.until_equal(&["t"]).await;
    pipe.house.ready(READY).await.unwrap();
    assert!(pipe.house.engine_pid().is_some() && pipe.house.engine_pid() != killed);
    assert_eq!(lines_with(&pipe, "the engine process ended, starting it again"), 1, "{}", pipe.house.log());
    assert!(lines_with(&pipe, "\"WARN\"") <= 3, "{}", pipe.house.log());
}

/// An engine that does not come back at once is shown.
#[tokio::test(flavor = "multi_thread")]
async fn clickhouse_is_away_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let engine = LoneEngine::start(folder.path());
    let url = engine.url.clone();
    let mut pipe = Pipe::start_with("re_target", TABLE, |builder| builder.clickhouse_url(&url)).await;
    drop(engine);
    pipe.execute("INSERT INTO t VALUES (2, 'b')").await;
    pipe.unready(&["waiting for the target", &url, "to mend it"]).await;
    let status = pipe.status();
    assert_eq!(status["state"], "waiting", "{status}");
    let _engine = LoneEngine::start_at(folder.path(), url.trim_start_matches("http://"));
    pipe.house.ready(READY).await.unwrap();
    pipe.until_equal(&["t"]).await;
    assert!(lines_with(&pipe, "\"WARN\"") <= 5, "{}", pipe.house.log());
}

/// Ends the slot's consumer and drops the slot before it is back.
async fn drop_slot(pipe: &Pipe) {
    for _ in 0..100 {
        let end = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1";
        pipe.source.query(end, &[&pipe.slot]).await.unwrap();
        if pipe.source.query("SELECT pg_drop_replication_slot($1)", &[&pipe.slot]).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the slot is always in use");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slot_is_dropped_while_running() {
    let mut pipe = Pipe::start("re_dropped", TABLE).await;
    drop_slot(&pipe).await;
    pipe.ends(3, &["slot re_dropped is gone", COPY_AGAIN]).await;
    pipe.refused(3, &["slot re_dropped is gone", COPY_AGAIN]).await;
    copies_again(pipe).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slot_is_dropped_while_stopped() {
    let mut pipe = Pipe::start("re_dropped_idle", TABLE).await;
    pipe.house.terminate(READY).await.unwrap();
    drop_slot(&pipe).await;
    pipe.refused(3, &["slot re_dropped_idle is gone", "the changes after the checkpoint", COPY_AGAIN]).await;
    copies_again(pipe).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slot_is_advanced_by_another_consumer() {
    let mut pipe = Pipe::start("re_advanced", TABLE).await;
    pipe.house.terminate(READY).await.unwrap();
    pipe.execute("INSERT INTO t VALUES (2, 'lost')").await;
    pipe.execute("SELECT pg_replication_slot_advance('re_advanced', pg_current_wal_lsn())").await;
    pipe.refused(3, &["slot re_advanced was advanced to", "another consumer", COPY_AGAIN]).await;
    copies_again(pipe).await;
}

/// Up to 17 the stream fails at the next change; from 18 on Postgres leaves changes out and only warns.
#[tokio::test(flavor = "multi_thread")]
async fn the_publication_is_dropped_while_running() {
    let mut pipe = Pipe::start("re_published", TABLE).await;
    pipe.execute("DROP PUBLICATION re_published; INSERT INTO t VALUES (2, 'lost')").await;
    pipe.ends(3, &["publication", "re_published", "changes", COPY_AGAIN]).await;
    // And the next start does not make it anew as if nothing was missing.
    pipe.refused(3, &["the publication of slot re_published is gone, and with it the changes", COPY_AGAIN]).await;
    copies_again(pipe).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_walhouse_waits_for_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let engine = LoneEngine::start(folder.path());
    let mut first = Pipe::start_with("re_second", TABLE, |builder| builder.clickhouse_url(&engine.url)).await;
    let mut second = Pipe::on(first.url.clone(), "re_second", "", |builder| builder.clickhouse_url(&engine.url)).await;
    second.house.start().unwrap();
    second.unready(&["waiting for the source", "slot re_second is in use by another walhouse", "to mend it"]).await;
    assert_eq!(second.status()["state"], "waiting");
    first.execute("INSERT INTO t VALUES (2, 'b')").await;
    first.until_equal(&["t"]).await;
    first.house.terminate(READY).await.unwrap();
    second.house.ready(READY).await.unwrap();
    second.execute("INSERT INTO t VALUES (3, 'c')").await;
    second.until_equal(&["t"]).await;
    assert_eq!(lines_with(&second, "waiting, will try again"), 1, "{}", second.house.log());
}

/// Before the slot is read nothing of Postgres' own keeps a second one away: two would copy into the same tables.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_walhouse_waits_for_a_first_that_copies() {
    let folder = tempfile::tempdir().unwrap();
    let engine = LoneEngine::start(folder.path());
    let mut first = Pipe::prepare("re_copying", TABLE, |builder| builder.clickhouse_url(&engine.url)).await;
    let mut second = Pipe::on(first.url.clone(), "re_copying", "", |builder| builder.clickhouse_url(&engine.url)).await;
    // The slot's creation waits for every transaction that has a number.
    let other = connect(&first.url).await.unwrap();
    other.batch_execute("BEGIN; SELECT txid_current()").await.unwrap();
    first.house.start().unwrap();
    let holder = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE_REPLICATION_SLOT \"re_copying\"%'";
    let begun = std::time::Instant::now();
    while first.source.query_one(holder, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "no slot is being made: {}", first.house.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    second.house.start().unwrap();
    second.unready(&["waiting for the source", "slot re_copying is in use by another walhouse", "to mend it"]).await;
    let output = second.house.command(&["teardown", "--yes"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("slot re_copying is in use by"), "{said}");
    drop(other);
    first.house.ready(READY).await.unwrap();
    first.until_equal(&["t"]).await;
    first.house.kill9().unwrap();
    second.house.ready(READY).await.unwrap();
    second.execute("INSERT INTO t VALUES (3, 'c')").await;
    second.until_equal(&["t"]).await;
}

/// The stream ends and says why, takes the lock again, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lock_is_shown_and_taken_again() {
    let mut pipe = Pipe::start("re_lock", TABLE).await;
    let end = "SELECT count(pg_terminate_backend(l.pid)) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE l.locktype = 'advisory' AND d.datname = current_database()";
    assert_eq!(pipe.source.query_one(end, &[]).await.unwrap().get::<_, i64>(0), 1);
    pipe.execute("INSERT INTO t VALUES (2, 'b')").await;
    pipe.until_equal(&["t"]).await;
    pipe.house.ready(READY).await.unwrap();
    for line in ["lost the lock that keeps other processes off the slot", "waiting, will try again", "live again"] {
        assert_eq!(lines_with(&pipe, line), 1, "{line}: {}", pipe.house.log());
    }
    // Taken by somebody else, it shows for as long as he has it.
    let other = connect(&pipe.url).await.unwrap();
    let key = "SELECT (classid::int8 << 32) | objid::int8 FROM pg_locks WHERE locktype = 'advisory' AND database =
        (SELECT oid FROM pg_database WHERE datname = current_database())";
    let key: i64 = other.query_one(key, &[]).await.unwrap().get(0);
    pipe.source.query_one(end, &[]).await.unwrap();
    other.query_one("SELECT pg_advisory_lock($1)::text", &[&key]).await.unwrap();
    pipe.unready(&["waiting for the source", "slot re_lock is in use by another walhouse"]).await;
    assert_eq!(pipe.status()["state"], "waiting");
    drop(other);
    pipe.house.ready(READY).await.unwrap();
    pipe.execute("INSERT INTO t VALUES (3, 'c')").await;
    pipe.until_equal(&["t"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_answers() {
    let mut pipe = Pipe::start("re_cluster", TABLE).await;
    pipe.house.terminate(READY).await.unwrap();
    let other = Server::builder().start().await.unwrap();
    let client = other.connect().await.unwrap();
    client.batch_execute(TABLE).await.unwrap();
    let file = pipe.house.config_file();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(&pipe.url, &other.url())).unwrap();
    pipe.refused(3, &["the source is another cluster", "to mend it: connect to the former source"]).await;
    let slots = client.query_one("SELECT count(*) FROM pg_replication_slots", &[]).await.unwrap();
    assert_eq!(slots.get::<_, i64>(0), 0, "nothing is made there");

    std::fs::write(&file, text).unwrap();
    pipe.execute("INSERT INTO t VALUES (2, 'b')").await;
    pipe.run().await;
    pipe.until_equal(&["t"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slot_lost_its_log() {
    let server = Server::builder()
        .setting("max_slot_wal_keep_size", "16MB")
        .setting("max_wal_size", "64MB")
        .setting("min_wal_size", "32MB")
        .start()
        .await
        .unwrap();
    let mut pipe = Pipe::on(server.url(), "re_lost", TABLE, |builder| builder).await;
    pipe.run().await;
    pipe.house.terminate(READY).await.unwrap();
    for id in 2..10 {
        pipe.execute(&format!("INSERT INTO t VALUES ({id}, 'lost')")).await;
        pipe.execute("SELECT pg_switch_wal()").await;
    }
    pipe.execute("CHECKPOINT").await;
    pipe.refused(3, &["slot re_lost lost its log after", "wal_removed", COPY_AGAIN]).await;
    copies_again(pipe).await;
}
