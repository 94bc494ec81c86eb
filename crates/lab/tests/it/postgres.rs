//! Private servers: start, stop, kill, start again, die with their owner.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use walhouse_lab::postgres::{Server, Version};
use walhouse_lab::verify::until;

async fn number(server: &Server, sql: &str) -> i64 {
    server.connect().await.unwrap().query_one(sql, &[]).await.unwrap().get(0)
}

async fn lives_through_everything(version: Version) {
    let mut server = Server::builder().version(version).setting("wal_sender_timeout", "2s").start().await.unwrap();
    let client = server.connect().await.unwrap();
    client.batch_execute("CREATE TABLE t AS SELECT generate_series(1, 10) AS id").await.unwrap();
    let row = client
        .query_one("SELECT current_setting('wal_level'), current_setting('wal_sender_timeout')", &[])
        .await
        .unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("logical", "2s"));

    let port = server.port();
    let first_pid = server.pid().unwrap();
    server.kill9().await.unwrap();
    assert!(!server.is_running());
    assert!(!Path::new(&format!("/proc/{first_pid}")).exists());
    server.start().await.unwrap();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid().unwrap(), first_pid);
    assert_eq!(number(&server, "SELECT count(*) FROM t").await, 10);

    server.set("work_mem", "7MB");
    server.restart().await.unwrap();
    assert_eq!(number(&server, "SELECT count(*) FROM t").await, 10);
    let memory = server.connect().await.unwrap().query_one("SHOW work_mem", &[]).await.unwrap();
    assert_eq!(memory.get::<_, &str>(0), "7MB");

    let pid = server.pid().unwrap();
    let data = server.data().to_owned();
    drop(server);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!data.exists(), "a temporary folder goes with its server");
}

#[tokio::test]
async fn the_machines_own_version() {
    lives_through_everything(Version::for_tests().unwrap()).await;
}

#[tokio::test]
async fn the_oldest_version() {
    lives_through_everything(Version::V14).await;
}

#[tokio::test]
async fn the_newest_version() {
    lives_through_everything(Version::V18).await;
}

#[tokio::test]
async fn a_kept_folder_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    for expected in 1..=2 {
        let server = Server::builder().data_dir(folder.path()).durable(true).start().await.unwrap();
        let client = server.connect().await.unwrap();
        client.batch_execute("CREATE TABLE IF NOT EXISTS t (id int); INSERT INTO t VALUES (1)").await.unwrap();
        assert_eq!(number(&server, "SELECT count(*) FROM t").await, expected);
    }
}

#[tokio::test]
async fn a_folder_in_use_is_refused_with_the_servers_own_words() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Server::builder().data_dir(folder.path()).start().await.unwrap();
    let error = Server::builder().data_dir(folder.path()).start().await.unwrap_err();
    assert!(error.to_string().contains("postmaster.pid"), "{error}");
}

#[tokio::test]
async fn a_bad_setting_shows_the_log() {
    let error = Server::builder().setting("no_such_setting", "1").start().await.unwrap_err();
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[tokio::test]
async fn a_password_is_asked_for() {
    let server = Server::builder().password("let me in").start().await.unwrap();
    let url = format!("postgresql://postgres:wrong@127.0.0.1:{}/postgres", server.port());
    let refused = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.err().unwrap();
    assert_eq!(refused.code(), Some(&tokio_postgres::error::SqlState::INVALID_PASSWORD));
    assert_eq!(number(&server, "SELECT count(*) FROM pg_roles WHERE rolname = 'postgres'").await, 1);
    assert!(!format!("{server:?}").contains("let me in"));
}

#[tokio::test]
async fn one_server_serves_many_databases() {
    let server = Server::shared().await.unwrap();
    let url = server.create_database("it's \"one\"").await;
    assert!(url.is_ok());
}

/// Set for a child that starts a server, says its process id and folder, and waits to be killed.
const OWNER: &str = "LAB_TEST_SERVER_OWNER";

#[tokio::test]
async fn server_owner() {
    if std::env::var_os(OWNER).is_some() {
        let server = Server::builder().start().await.unwrap();
        println!("\nserver {} {}", server.pid().unwrap(), server.data().display());
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn a_server_ends_with_its_killed_owner() {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["postgres::server_owner", "--exact", "--nocapture"])
        .env(OWNER, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.into_iter().find(|line| line.starts_with("server ")).unwrap();
    let (pid, data) = line.trim_start_matches("server ").split_once(' ').unwrap();
    assert!(Path::new(&format!("/proc/{pid}")).exists());
    owner.kill().unwrap();
    owner.wait().unwrap();
    until("the end of the server", Duration::from_secs(20), async || {
        // Where nobody reaps it, an ended process stays as a zombie without a command line.
        let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let gone = command_line.is_empty() && !Path::new(data).exists();
        gone.then_some(()).ok_or_else(|| "the server or its folder is still there".to_owned())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn root_is_given_a_data_directory_that_the_server_can_reach() {
    let closed = tempfile::tempdir().unwrap();
    std::fs::set_permissions(closed.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let folder = closed.path().join("server");
    for expected in 1..=2 {
        let server = Server::builder().data_dir(&folder).start().await.unwrap();
        let client = server.connect().await.unwrap();
        client.batch_execute("CREATE TABLE IF NOT EXISTS t (id int); INSERT INTO t VALUES (1)").await.unwrap();
        assert_eq!(number(&server, "SELECT count(*) FROM t").await, expected);
    }
    // Which is elsewhere for root only, and then ours to remove.
    let data = folder.join("data").canonicalize().unwrap();
    if !data.starts_with(closed.path().canonicalize().unwrap()) {
        std::fs::remove_dir_all(data).unwrap();
    }
}
