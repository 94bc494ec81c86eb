//! `walhouse run` with `[kafka]`: the connector without Connect's REST interface, alone or beside the straight way.

use std::time::Duration;

use serde_json::Value;
use walhouse_kafka::client::{Log, Properties};
use walhouse_lab::kafka::Broker;
use walhouse_lab::postgres::Server;

use crate::harness::{Pipe, VISIBLE};

const TABLES: &str =
    "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'before'); CREATE TABLE other (id int)";
/// Between two looks for a topic.
const LOOK: Duration = Duration::from_millis(50);
const SECRET: &str = "the-password-of-the-source";

/// Sections that write to the shared broker under the prefix `name`.
async fn sections(name: &str, more: &str) -> String {
    let bootstrap = Broker::shared().await.unwrap().bootstrap();
    format!(
        "[kafka]\nbootstrap = {bootstrap:?}\ntopic_prefix = {name:?}\nconnector = {{ \"slot.name\" = \"{name}_kafka\", \
         \"publication.name\" = \"{name}_kafka\", \"slot.retry.delay.ms\" = \"200\", \
         \"retriable.restart.connector.wait.ms\" = \"200\"{more} }}\n"
    )
}

/// Operations and ids in the topic, once `count` have come.
async fn messages(topic: &str, count: usize) -> Vec<String> {
    let client = Properties::new(&Broker::shared().await.unwrap().bootstrap());
    let mut found = Vec::new();
    let came = async {
        // It is made with the first record.
        let mut log = loop {
            match Log::open(&client, topic).await {
                Ok(log) => break log,
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        };
        while found.len() < count {
            for record in log.read_to_end().await.unwrap() {
                let Some(value) = record.value else { continue };
                let value: Value = serde_json::from_slice(&value).unwrap();
                let payload = &value["payload"];
                let row = if payload["after"].is_null() { &payload["before"] } else { &payload["after"] };
                found.push(format!("{}{}", payload["op"].as_str().unwrap(), row["id"]));
            }
        }
    };
    let _ = tokio::time::timeout(VISIBLE, came).await;
    found
}

/// All that the internal topics hold, as text.
async fn internal(name: &str) -> String {
    let client = Properties::new(&Broker::shared().await.unwrap().bootstrap());
    let mut text = String::new();
    for kind in ["configs", "offsets", "statuses"] {
        let mut log = Log::open(&client, &format!("walhouse-{name}-{kind}")).await.unwrap();
        for record in log.read_to_end().await.unwrap() {
            text.push_str(&String::from_utf8_lossy(&record.value.unwrap_or_default()));
        }
    }
    text
}

/// What the process did when it was told to stop.
async fn stop(pipe: &mut Pipe) {
    let status = pipe.house.terminate(Duration::from_secs(10)).await.unwrap();
    assert!(status.success(), "{status}: {}", pipe.house.log_tail());
}

#[tokio::test(flavor = "multi_thread")]
async fn into_kafka_alone_it_copies_follows_and_goes_on_where_it_stopped() {
    let name = "run_alone";
    let sections = sections(name, "").await;
    let server = Server::builder().password(SECRET).start().await.unwrap();
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&secret, SECRET).unwrap();
    let url = format!("postgresql://postgres@127.0.0.1:{}/postgres", server.port());
    let lines = format!("tables = [\"public.t\"]\npassword_file = {:?}\n", secret.path());
    let mut pipe = Pipe::by(server.url(), &url, name, TABLES, |builder| {
        builder.without_clickhouse().postgres(&lines).rest(&sections)
    })
    .await;
    pipe.run().await;
    let topic = format!("{name}.public.t");
    assert_eq!(messages(&topic, 1).await, ["r1"]);
    pipe.source.batch_execute("INSERT INTO t VALUES (2, 'live'); INSERT INTO other VALUES (1)").await.unwrap();
    assert_eq!(messages(&topic, 2).await, ["r1", "c2"]);
    // Its connector shows, and nothing but it; what it needs is not deleted from under it.
    let (_, connectors) = pipe.house.get("/api/connectors").await.unwrap();
    assert!(connectors.contains(name) && connectors.contains("RUNNING"), "{connectors}");
    stop(&mut pipe).await;
    pipe.source.batch_execute("DELETE FROM t WHERE id = 1").await.unwrap();
    pipe.run().await;
    assert_eq!(messages(&topic, 3).await, ["r1", "c2", "d1"]);
    pipe.house.kill9().unwrap();
    pipe.source.batch_execute("INSERT INTO t VALUES (4, 'while dead')").await.unwrap();
    pipe.house.start().unwrap();
    assert_eq!(messages(&topic, 4).await, ["r1", "c2", "d1", "c4"]);
    stop(&mut pipe).await;
    let stored = internal(name).await;
    assert!(stored.contains("database.hostname") && !stored.contains(SECRET), "{stored}");
    assert!(!pipe.house.log().contains(SECRET));
    let report = pipe.house.command(&["check"]).output().unwrap();
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(report.contains("kafka") && report.contains("ready to run"), "{report}");
    pipe.teardown();
    let slots = "SELECT count(*) FROM pg_replication_slots, pg_publication";
    assert_eq!(pipe.source.query_one(slots, &[]).await.unwrap().get::<_, i64>(0), 0);
    let client = Properties::new(&Broker::shared().await.unwrap().bootstrap());
    assert!(Log::open(&client, "walhouse-run_alone-offsets").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_the_straight_way_both_have_every_change() {
    let name = "run_beside";
    let sections = sections(name, ", \"table.include.list\" = \"public.t\"").await;
    let mut pipe = Pipe::start_with(name, &TABLES.replace("other (id int)", "other (id int PRIMARY KEY)"), |builder| {
        builder.rest(&sections)
    })
    .await;
    let topic = format!("{name}.public.t");
    assert_eq!(messages(&topic, 1).await, ["r1"]);
    pipe.source.batch_execute("UPDATE t SET v = 'live'").await.unwrap();
    assert_eq!(messages(&topic, 2).await, ["r1", "u1"]);
    pipe.until_equal(&["t", "other"]).await;
    stop(&mut pipe).await;
    pipe.teardown();
    let slots = pipe.source.query_one("SELECT count(*) FROM pg_replication_slots WHERE database = $1", &[&name]).await;
    assert_eq!(slots.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_or_is_refused_is_said() {
    // The connector refuses its options.
    let name = "run_refused";
    let bad = sections(name, ", \"snapshot.mode\" = \"sometimes\"").await;
    let mut pipe = Pipe::prepare(name, TABLES, |builder| builder.without_clickhouse().rest(&bad)).await;
    pipe.refused(2, &["[kafka] connector", "snapshot.mode"]).await;
    // A task that cannot go on ends the process.
    let name = "run_failed";
    let sections_of_failed = sections(name, ", \"publication.autocreate.mode\" = \"disabled\"").await;
    let mut pipe = Pipe::prepare(name, TABLES, |builder| builder.without_clickhouse().rest(&sections_of_failed)).await;
    pipe.refused(3, &["[kafka] connector", "Publication autocreation is disabled"]).await;
    // Brokers that do not answer are waited for.
    let none = "[kafka]\nbootstrap = \"127.0.0.1:1\"\ntopic_prefix = \"none\"\n";
    let mut pipe = Pipe::prepare("run_waits", TABLES, |builder| builder.without_clickhouse().rest(none)).await;
    pipe.house.start().unwrap();
    pipe.unready(&["waiting for Kafka", "127.0.0.1:1"]).await;
    stop(&mut pipe).await;
    // With a worker elsewhere, and nothing to feed, there is nothing to run.
    let none = "[kafka]\nbootstrap = \"127.0.0.1:1\"\ntopic_prefix = \"none\"\nconnect = \"http://127.0.0.1:1\"\n";
    let mut pipe = Pipe::prepare("run_nothing", TABLES, |builder| builder.without_clickhouse().rest(none)).await;
    pipe.refused(2, &["[kafka] connect", "leave connect out"]).await;
}
