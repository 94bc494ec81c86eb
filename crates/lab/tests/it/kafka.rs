//! A private broker: start, kill, stop, start again, dies with its owner.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use walhouse_lab::kafka::{Broker, Connect, Reader};
use walhouse_lab::verify::until;

#[tokio::test]
async fn a_broker_lives_through_everything() {
    let mut broker = Broker::builder().partitions(3).start().await.unwrap();
    let (bootstrap, pid) = (broker.bootstrap(), broker.pid().unwrap());

    broker.kill9().unwrap();
    assert!(!broker.is_running());
    broker.start().await.unwrap();
    assert_eq!(broker.bootstrap(), bootstrap);
    assert_ne!(broker.pid().unwrap(), pid);

    broker.restart().await.unwrap();
    assert_eq!(broker.bootstrap(), bootstrap);

    let (pid, folder) = (broker.pid().unwrap(), broker.folder().to_owned());
    drop(broker);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!folder.exists(), "a temporary folder goes with its broker");
}

#[tokio::test]
async fn a_bad_broker_setting_shows_the_log() {
    let error = Broker::builder().setting("num.io.threads", "none").start().await.unwrap_err();
    assert!(error.to_string().contains("num.io.threads"), "{error}");
}

/// Set for a child that starts a broker, says its process id and folder, and waits to be killed.
const OWNER: &str = "LAB_TEST_BROKER_OWNER";

#[tokio::test]
async fn broker_owner() {
    if std::env::var_os(OWNER).is_some() {
        let broker = Broker::builder().start().await.unwrap();
        println!("\nbroker {} {}", broker.pid().unwrap(), broker.folder().display());
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn a_broker_ends_with_its_killed_owner() {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["kafka::broker_owner", "--exact", "--nocapture"])
        .env(OWNER, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.into_iter().find(|line| line.starts_with("broker ")).unwrap();
    let (pid, folder) = line.trim_start_matches("broker ").split_once(' ').unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    until("the end of the broker", Duration::from_secs(20), async || {
        let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let gone = command_line.is_empty() && !Path::new(folder).exists();
        gone.then_some(()).ok_or_else(|| "the broker or its folder is still there".to_owned())
    })
    .await
    .unwrap();
}

/// The seed's own pair in earnest: a change comes out of a real Debezium.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_debezium_streams_a_change() {
    let broker = Broker::builder().start().await.unwrap();
    let postgres = walhouse_lab::postgres::Server::shared().await.unwrap();
    let url = postgres.create_database("debezium").await.unwrap();
    let client = walhouse_lab::postgres::connect(&url).await.unwrap();
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    let connect = Connect::builder(broker.bootstrap()).start().await.unwrap();
    let config = format!(
        r#"{{"name": "one", "config": {{"connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "plugin.name": "pgoutput", "database.hostname": "127.0.0.1", "database.port": "{}", "database.user": "postgres",
        "database.password": "x", "database.dbname": "debezium", "topic.prefix": "p", "slot.name": "lab_debezium"}}}}"#,
        postgres.port()
    );
    let reply = connect.request("POST", "/connectors", Some(&config)).await.unwrap();
    assert_eq!(reply.status, 201, "{}", reply.body);
    client.batch_execute("INSERT INTO t VALUES (7)").await.unwrap();
    let reader = Reader::new(&broker.bootstrap()).unwrap();
    let topic = ["p.public.t".to_owned()];
    let records = until("the change in Kafka", Duration::from_secs(90), async || {
        let records = reader.all(&topic).map_err(|error| error.to_string())?;
        if records.is_empty() { Err(connect.log_tail()) } else { Ok(records) }
    })
    .await
    .unwrap();
    let value = String::from_utf8(records[0].value.clone().unwrap()).unwrap();
    assert!(value.contains(r#""after":{"id":7}"#) && value.contains(r#""version":"2.4.2.Final""#), "{value}");
    drop(connect);
    client.execute("SELECT pg_drop_replication_slot('lab_debezium')", &[]).await.ok();
}
