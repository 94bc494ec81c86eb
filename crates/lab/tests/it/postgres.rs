//! Private servers: start, stop, kill, start again, die with their owner.

use std::path::Path;

use walhouse_lab::postgres::{Server, Version};

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
