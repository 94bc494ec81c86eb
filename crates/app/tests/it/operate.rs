//! What an operator does: check, status, teardown, verify, and the end of a run.

use std::process::Output;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::Pipe;

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')";
/// The promise is 10 s; the rest is for a busy machine's process table.
const END: Duration = Duration::from_secs(11);

fn command(pipe: &Pipe, arguments: &[&str]) -> (Option<i32>, String, Output) {
    let output = pipe.house.command(arguments).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), output)
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

/// What a query counts that is asked for the slot's name, which is the publication's too.
async fn count(pipe: &Pipe, sql: &str) -> i64 {
    pipe.source.query_one(sql, &[&pipe.slot]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_verify_with_and_without_a_running_process() {
    let mut pipe = Pipe::start("operate_status", TABLE).await;
    pipe.execute("INSERT INTO t VALUES (3, 'c')").await;
    pipe.until_equal(&["t"]).await;

    let (code, text, _) = command(&pipe, &["status", "--json"]);
    let live = json(&text);
    assert_eq!(
        (code, live["running"].as_bool(), live["state"].as_str()),
        (Some(0), Some(true), Some("live")),
        "{text}"
    );
    assert_eq!(live["tables"][0]["phase"], "live");
    assert_eq!(live["tables"][0]["rows_copied"], 2);
    assert!(live["tables"][0]["applied_time"].is_string(), "{text}");

    let status = pipe.house.terminate(END).await.unwrap();
    assert_eq!(status.code(), Some(0));
    let (code, text, _) = command(&pipe, &["status", "--json"]);
    let stored = json(&text);
    assert_eq!((code, stored["running"].as_bool(), stored["state"].as_str()), (Some(0), Some(false), Some("stopped")));
    assert_eq!(stored["tables"][0]["table"], "public.t");
    assert!(stored["tables"][0]["applied_lsn"].is_string() && stored["lag_bytes"].is_u64(), "{text}");
    let (_, text, _) = command(&pipe, &["status"]);
    assert!(text.starts_with("slot operate_status: stopped\n"), "{text}");

    let (code, text, output) = command(&pipe, &["verify"]);
    assert_eq!(code, Some(0), "{text} {output:?}");
    assert!(text.contains("public.t: equal, 3 rows"), "{text}");
    pipe.execute("DELETE FROM t WHERE id = 3").await;
    let (code, text, _) = command(&pipe, &["verify"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("only in ClickHouse: 1 (3)"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_blocks() {
    let pipe = Pipe::prepare("operate_check", TABLE, |builder| builder).await;
    let (code, text, output) = command(&pipe, &["check", "--json"]);
    assert_eq!((code, json(&text)["blocks"].as_bool()), (Some(0), Some(false)), "{text} {output:?}");

    pipe.execute("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); CREATE TABLE s_t (id int PRIMARY KEY)").await;
    let (code, text, _) = command(&pipe, &["check"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("tables public.s_t and s.t would both create \"s_t\""), "{text}");
}

/// Two tables of one name end the start, before anything is made on either side.
#[tokio::test(flavor = "multi_thread")]
async fn colliding_names_end_the_start() {
    let sql = "CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); CREATE TABLE s_t (id int PRIMARY KEY)";
    let mut pipe = Pipe::prepare("operate_collide", sql, |builder| builder).await;
    pipe.house.start().unwrap();
    let status = pipe.house.ended(Duration::from_secs(60)).await.unwrap();
    assert_eq!(status.code(), Some(3), "{}", pipe.house.log_tail());
    assert!(pipe.house.log().contains("public.s_t and s.t would both create"), "{}", pipe.house.log_tail());
    assert_eq!(count(&pipe, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn teardown_leaves_nothing() {
    let mut pipe = Pipe::start("operate_teardown", TABLE).await;
    let (code, _, output) = command(&pipe, &["teardown", "--yes"]);
    assert_eq!(code, Some(1), "a running walhouse is in the way: {output:?}");
    assert_eq!(pipe.house.terminate(END).await.unwrap().code(), Some(0));
    assert_eq!(command(&pipe, &["teardown"]).0, Some(2), "nobody to ask");

    let (code, text, output) = command(&pipe, &["teardown", "--yes", "--tables"]);
    assert_eq!(code, Some(0), "{output:?}");
    assert!(text.contains("removed slot operate_teardown"), "{text}");
    assert_eq!(count(&pipe, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1").await, 0);
    assert_eq!(count(&pipe, "SELECT count(*) FROM pg_publication WHERE pubname = $1").await, 0);
    assert_eq!(command(&pipe, &["teardown", "--yes", "--tables"]).0, Some(0), "a second time finds nothing to do");

    // And a new run starts from nothing.
    pipe.house.start().unwrap();
    pipe.house.ready(Duration::from_secs(60)).await.unwrap();
    pipe.until_equal(&["t"]).await;
}

/// A slot that somebody else made is not taken over: a refusal, which waiting does not heal.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_slot_is_refused() {
    let mut pipe = Pipe::prepare("operate_foreign", TABLE, |builder| builder).await;
    pipe.execute("SELECT pg_create_logical_replication_slot('operate_foreign', 'pgoutput')").await;
    pipe.house.start().unwrap();
    let status = pipe.house.ended(Duration::from_secs(60)).await.unwrap();
    assert_eq!(status.code(), Some(3), "{}", pipe.house.log_tail());
    let last = pipe.house.log().lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("walhouse: slot operate_foreign exists") && last.contains("to mend it"), "{last}");
}

/// While the engine stands still nothing can be made durable; the end comes all the same, and in time.
#[tokio::test(flavor = "multi_thread")]
async fn ends_in_time_with_a_target_that_stands_still() {
    let mut pipe = Pipe::start("operate_frozen", TABLE).await;
    assert!(pipe.house.freeze_engine(true));
    pipe.execute("INSERT INTO t VALUES (3, 'c')").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    let status = pipe.house.terminate(END).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", pipe.house.log_tail());
    assert!(began.elapsed() < END);
    pipe.house.start().unwrap();
    pipe.house.ready(Duration::from_secs(60)).await.unwrap();
    pipe.until_equal(&["t"]).await;
}

/// Who asks twice does not want to wait for the drain; nothing is lost by that.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let mut pipe = Pipe::start("operate_twice", TABLE).await;
    assert!(pipe.house.freeze_engine(true));
    pipe.execute("INSERT INTO t VALUES (3, 'c')").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let pid = Pid::from_raw(i32::try_from(pipe.house.pid().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let status = pipe.house.terminate(Duration::from_secs(2)).await.unwrap();
    assert_eq!(status.code(), Some(130), "{}", pipe.house.log_tail());
    pipe.house.start().unwrap();
    pipe.house.ready(Duration::from_secs(60)).await.unwrap();
    pipe.until_equal(&["t"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_one_line() {
    let mut pipe = Pipe::prepare("operate_port", TABLE, |builder| builder).await;
    let address = pipe.house.console_url().trim_start_matches("http://").to_owned();
    let _holder = std::net::TcpListener::bind(&address).unwrap();
    let (code, text, _) = command(&pipe, &["check"]);
    assert_eq!(code, Some(1));
    assert!(text.contains(&format!("[console] listen {address} is in use")), "{text}");
    pipe.house.start().unwrap();
    let status = pipe.house.ended(Duration::from_secs(30)).await.unwrap();
    assert_eq!(status.code(), Some(1));
    let last = pipe.house.log().lines().last().unwrap_or_default().to_owned();
    assert!(last.contains(&address) && last.contains("choose another port"), "{last}");
}
