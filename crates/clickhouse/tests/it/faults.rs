//! An engine that fails, dies, stands still; a server that answers early.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::post;
use walhouse_change::{Budget, Retry, TableSchema, Target};
use walhouse_chdb::testing::TestEngine;

use crate::support::{INT8, Place, Script, TEXT, table, write};

/// Batches of one table, as a source would send them again from any point.
fn fifty_rows(t: &Arc<TableSchema>, lsn: u64) -> Script {
    (0..50).fold(Script::default().begin(1_000 + lsn), |script, row| {
        script.insert(t, &[Some((lsn * 100 + row).to_string().as_str()), Some("v")])
    })
}

/// kill -9 of the engine while inserts are under way, and in every other round of the sink as well:
/// what was durable stays, what comes again is there once.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_engine_loses_and_doubles_nothing() {
    let engine = TestEngine::start();
    let place = Place::at(&engine.url(), "killed");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    place.copied(&t, &[]).await;
    let mut durable = 0_u64;
    for round in 1..=6 {
        let mut sink = open_patiently(&place, &t).await;
        let (mut commits, restarts, started) = (VecDeque::new(), engine.engine().restarts(), Instant::now());
        let mut killed = false;
        // a checkpoint is behind what is durable, so some of it comes again, cut otherwise
        for lsn in durable.saturating_sub(37) + 1..durable + 400 {
            match sink.enqueue(fifty_rows(&t, lsn).batch()).await {
                Ok(commit) => commits.push_back((lsn, commit)),
                Err(_) => break,
            }
            if !killed && started.elapsed() > Duration::from_millis(20 + 35 * round) {
                engine.kill9();
                killed = true;
                if round % 2 == 0 {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        let patience = if round % 2 == 0 { Duration::ZERO } else { Duration::from_secs(60) };
        while let Some((lsn, commit)) = commits.pop_front() {
            match tokio::time::timeout(patience, commit).await {
                Ok(Ok(())) => durable = durable.max(lsn),
                Ok(Err(error)) => {
                    assert_eq!(error.retry(), &Retry::Later, "{}", error.one_line());
                    break;
                }
                Err(_) => break,
            }
        }
        drop(sink);
        if killed {
            engine.wait_restarted(restarts);
        }
        // nothing that was promised is missing
        let there = place.ask(&format!("SELECT count() FROM view_t_last_rec WHERE id < {}", (durable + 1) * 100)).await;
        assert_eq!(there, (durable * 50).to_string(), "round {round}");
    }
    assert!(durable > 0);
    let mut sink = open_patiently(&place, &t).await;
    for lsn in 1..=durable + 400 {
        let commit = sink.enqueue(fifty_rows(&t, lsn).batch()).await.unwrap();
        drop(commit);
    }
    sink.close().await.unwrap();
    assert_eq!(place.doubles("t").await, "0");
    assert_eq!(place.ask("SELECT count() FROM t").await, ((durable + 400) * 50).to_string());
    let lacking = "SELECT count() FROM t WHERE (id, _version) NOT IN (SELECT id, _version FROM t__current FINAL)";
    assert_eq!(place.ask(lacking).await, "0");
}

/// The server notes a block's token before it puts the part in place. Killed between the two, a table
/// that remembers tokens swallows the block when it comes again, and says that it was written: so
/// ours must not remember any.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_seen_swallows_nothing() {
    let place = Place::shared("tokens");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    place.copied(&t, &[]).await;
    for table in ["t", "t__current"] {
        for _ in 0..2 {
            place
                .ask(&format!(
                    "INSERT INTO {table} (id) SETTINGS insert_deduplicate = 1, deduplicate_insert = 'enable', \
                     insert_deduplication_token = 'same', async_insert = 0 VALUES (5)"
                ))
                .await;
        }
        assert_eq!(place.ask(&format!("SELECT count() FROM {table}")).await, "2", "{table}");
    }
}

async fn open_patiently(place: &Place, t: &Arc<TableSchema>) -> Box<dyn walhouse_change::Sink> {
    for _ in 0..100 {
        if place.target.load().await.is_ok()
            && let Ok(sink) = place.try_open(&[t]).await
        {
            return sink;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the engine does not come back");
}

/// An insert of a former process would land after the highest version was read: it is ended first.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_former_process_left_running_is_ended() {
    let place = Place::shared("left_running");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    place.copied(&t, &[]).await;
    let id = "walhouse-left_running-left_running-stream-t-7";
    let client = clickhouse::Client::default().with_url(&place.config.url);
    let slow = client
        .query("INSERT INTO left_running.t (id) SELECT number + sleepEachRow(0.1) FROM numbers(600) SETTINGS max_block_size = 1")
        .with_setting("query_id", id)
        .with_setting("log_comment", id)
        .with_setting("function_sleep_max_microseconds_per_block", "0");
    let slow = tokio::spawn(slow.execute());
    let running = format!("SELECT count() FROM system.processes WHERE Settings['log_comment'] = '{id}'");
    while place.ask(&running).await == "0" {
        assert!(!slow.is_finished(), "{:?}", slow.await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // another slot leaves it alone, and so does a slot of that name that feeds another database
    let url = &place.config.url;
    Place::with(url, "left_running", |config| config.slot = "left".to_owned()).target.load().await.unwrap();
    Place::with(url, "left", |config| config.slot = "left_running".to_owned()).target.load().await.unwrap();
    assert_eq!(place.ask(&running).await, "1");
    drop(place.open(&[&t]).await);
    assert_eq!(place.ask(&running).await, "0");
    assert!(slow.await.unwrap().is_err());
}

/// An engine that stands still takes nothing, and the budget stops whoever reads the source.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_engine_pushes_back_and_resumes() {
    let engine = TestEngine::start();
    let place = Place::at(&engine.url(), "frozen");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    place.copied(&t, &[]).await;
    let mut sink = place.open(&[&t]).await;
    write(&mut sink, Script::default().begin(200).insert(&t, &[Some("0"), None])).await;
    let budget = Budget::new(1 << 20);
    let signal = |name: &str| {
        let status = std::process::Command::new("kill").args([name, &engine.pid().to_string()]).status();
        assert!(status.unwrap().success());
    };
    signal("-STOP");
    let text = "v".repeat(64 << 10);
    let (mut commits, mut accepted) = (Vec::new(), 0_u64);
    loop {
        let charge = tokio::time::timeout(Duration::from_millis(500), budget.charge(text.len())).await;
        let Ok(permit) = charge else { break };
        accepted += 1;
        assert!(accepted <= 16, "the budget does not hold");
        let script =
            Script::default().begin(200 + accepted).insert(&t, &[Some(accepted.to_string().as_str()), Some(&text)]);
        commits.push(sink.enqueue(script.batch_with(permit)).await.unwrap());
    }
    assert_eq!(accepted, 16);
    assert_eq!(budget.in_flight(), 1 << 20);
    signal("-CONT");
    for commit in commits {
        commit.await.unwrap();
    }
    assert_eq!(budget.in_flight(), 0);
    sink.close().await.unwrap();
    assert_eq!(place.ask("SELECT count() FROM view_t_last_rec").await, "17");
    assert_eq!(place.doubles("t").await, "0");
}

/// A server that refuses inserts before it has read them.
#[derive(Clone, Default)]
struct Refusing {
    inserts: Arc<AtomicUsize>,
}

async fn answer(
    State(server): State<Refusing>,
    Query(parameters): Query<Vec<(String, String)>>,
    body: axum::body::Body,
) -> (StatusCode, String) {
    let insert = parameters.iter().any(|(name, value)| name == "query" && value.starts_with("INSERT"));
    if insert {
        server.inserts.fetch_add(1, Ordering::Relaxed);
        let text = "Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS)";
        return (StatusCode::INTERNAL_SERVER_ERROR, text.to_owned());
    }
    let sql = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let sql = String::from_utf8_lossy(&sql);
    let answer = if sql.contains("version()") { "{\"version\":\"26.7.2.1\"}\n" } else { "" };
    (StatusCode::OK, answer.to_owned())
}

/// The official client's `end` succeeds after a `send` that failed: this must not count as durable.
#[tokio::test(flavor = "multi_thread")]
async fn an_early_refusal_is_not_taken_for_success() {
    let server = Refusing::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(post(answer)).with_state(server.clone());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let place = Place::at(&url, "refusing");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    // A small block is read whole before the answer: a refusal, which is tried again. The answer to a large one comes
    // while it is being sent, and the connection breaks: its fate is unknown, so it is not.
    for (size, tries) in [(1, 4), (1 << 20, 1)] {
        let before = server.inserts.load(Ordering::Relaxed);
        let mut sink = place.target.copy_sink(&t, 0).await.unwrap();
        let text = "v".repeat(size);
        let mut script = Script::default().begin(200);
        for id in 0..20 {
            script = script.read(&t, &[Some(id.to_string().as_str()), Some(&text)]);
        }
        let commit = sink.enqueue(script.batch()).await.unwrap();
        let error = commit.await.unwrap_err();
        assert_eq!(error.retry(), &Retry::Later, "{size}");
        assert!(sink.close().await.is_err(), "{size}");
        let tried = server.inserts.load(Ordering::Relaxed) - before;
        assert!(tried >= tries, "{tried} inserts of {size}");
    }
    serving.abort();
}
