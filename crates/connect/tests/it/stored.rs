//! What a worker stores, and what another makes of it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use walhouse_kafka::client::{Log, Properties, Seat};
use walhouse_lab::kafka::Broker;
use walhouse_lab::postgres::Server;

use crate::fake::Fake;
use crate::harness::until;
use crate::house::{House, in_charge};

async fn config(extra: &[(&str, &str)]) -> Json {
    let postgres = Server::shared().await.unwrap();
    let mut config = json!({
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "plugin.name": "pgoutput",
        "database.hostname": "127.0.0.1",
        "database.port": postgres.port().to_string(),
        "database.user": "postgres",
        "database.password": "pw",
        "database.dbname": "postgres",
        "topic.prefix": "stored",
        "table.include.list": "public.orders",
    });
    for (key, value) in extra {
        config[*key] = json!(value);
    }
    config
}

/// Keys and values of a topic, in order.
async fn records(topic: &str) -> Vec<(String, Option<Json>)> {
    let client = Properties::new(&Broker::shared().await.unwrap().bootstrap());
    let records = Log::open(&client, topic).await.unwrap().read_to_end().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let read = |record: walhouse_kafka::client::ConsumedRecord| {
        let value = record.value.map(|value| serde_json::from_slice(&value).unwrap());
        (text(&record.key.unwrap()), value)
    };
    records.into_iter().map(read).collect()
}

fn is(state: &'static str) -> impl Fn(&crate::house::Answer) -> bool {
    move |answer| answer.json()["tasks"][0]["state"] == state && answer.json()["connector"]["state"] == state
}

/// The records of a real worker under the same commands, in the same order.
#[tokio::test(flavor = "multi_thread")]
async fn configurations_are_stored_as_connect_stores_them() {
    let house = House::start(Arc::new(Fake), "").await;
    let body = json!({ "name": "c 1", "config": config(&[("topic.prefix", "like")]).await });
    assert_eq!(house.post("/connectors", &body).await.status, 201);
    let at = "/connectors/c%201";
    house.until(&format!("{at}/status"), is("RUNNING")).await;
    for (method, path, state) in
        [("PUT", "/pause", "PAUSED"), ("PUT", "/resume", "RUNNING"), ("POST", "/restart?includeTasks=true", "RUNNING")]
    {
        house.call(method, &format!("{at}{path}"), None, &[]).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        house.until(&format!("{at}/status"), is(state)).await;
    }
    assert_eq!(house.call("PUT", &format!("{at}/stop"), None, &[]).await.status, 204);
    house.until(&format!("{at}/status"), |answer| answer.json()["connector"]["state"] == "STOPPED").await;
    house.call("PUT", &format!("{at}/resume"), None, &[]).await;
    house.until(&format!("{at}/status"), is("RUNNING")).await;
    assert_eq!(house.call("DELETE", at, None, &[]).await.status, 204);
    house.until(&format!("{at}/status"), |answer| answer.status == 404).await;

    let stored = records(&format!("{}_configs", house.name)).await;
    let keys: Vec<&str> = stored.iter().map(|(key, _)| key.as_str()).collect();
    let expected = [
        "connector-c 1",
        "task-c 1-0",
        "commit-c 1",
        "target-state-c 1",
        "target-state-c 1",
        "restart-connector-c 1",
        "commit-c 1",
        "target-state-c 1",
        "target-state-c 1",
        "task-c 1-0",
        "commit-c 1",
        "connector-c 1",
        "target-state-c 1",
    ];
    assert_eq!(keys, expected);
    let value = |at: usize| stored[at].1.clone().unwrap();
    assert_eq!(value(1)["properties"]["task.class"], "io.debezium.connector.postgresql.PostgresConnectorTask");
    assert_eq!(value(2), json!({ "tasks": 1 }));
    assert_eq!(value(3), json!({ "state": "PAUSED", "state.v2": "PAUSED" }));
    assert_eq!(value(5), json!({ "include-tasks": true, "only-failed": false }));
    assert_eq!(value(7), json!({ "state": "PAUSED", "state.v2": "STOPPED" }));
    assert_eq!(stored[11].1, None);
    // A deletion is answered before its statuses are gone.
    until("the statuses are gone", async || {
        let statuses = records(&format!("{}_statuses", house.name)).await;
        let last = |key: &str| statuses.iter().rev().find(|(name, _)| name == key).unwrap().1.clone();
        (last("status-connector-c 1"), last("status-task-c 1-0")) == (None, None)
    })
    .await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_goes_on_where_another_stopped() {
    let first = House::start(Arc::new(Fake), "").await;
    let body = json!({ "name": "on", "config": config(&[("topic.prefix", "goes-on")]).await });
    assert_eq!(first.post("/connectors", &body).await.status, 201);
    first.until("/connectors/on/status", is("RUNNING")).await;
    first.until("/connectors/on/offsets", |answer| answer.body.contains("518571976")).await;
    first.until("/connectors/on/topics", |answer| answer.body.contains("goes-on.public.orders")).await;
    // A second one of the group waits, answers, and changes nothing: neither what is stored nor who is in charge.
    let settings = walhouse_connect::Settings::parse(&first.settings).unwrap();
    let rest = walhouse_connect::Rest::bind(&settings).await.unwrap();
    let address = rest.address().to_string();
    let before = records(&format!("{}_statuses", first.name)).await.len();
    let waiting = walhouse_connect::Worker::start(settings, address, Arc::new(Fake)).await.unwrap();
    // It says so when the group has decided, and not before.
    let refused = waiting.target("on", walhouse_connect::TargetState::Paused).await.unwrap_err();
    assert_eq!(refused, walhouse_connect::Error::NotInCharge);
    assert_eq!((*waiting.seat().borrow(), *first.worker.seat().borrow()), (Seat::Taken, Seat::Held));
    assert!(waiting.stores().configs.connector("on").is_some());
    assert_eq!(records(&format!("{}_statuses", first.name)).await.len(), before, "a task was disturbed");
    first.stop().await;
    in_charge(&waiting).await;
    let running = async {
        while waiting
            .stores()
            .statuses
            .task("on", 0)
            .is_none_or(|status| status.state != walhouse_connect::State::Running)
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), running).await.unwrap();
    waiting.stop().await;
    let offsets = records(&format!("{}_offsets", first.name)).await;
    assert_eq!(offsets.len(), 1, "the second one found the first one's offset");
}

/// A worker answers as soon as it has read what is stored; its group may still be deciding.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_before_the_election_waits_for_it() {
    let first = House::start(Arc::new(Fake), "").await;
    first.stop().await;
    let settings = walhouse_connect::Settings::parse(&first.settings).unwrap();
    let worker = walhouse_connect::Worker::start(settings, "early:1".to_owned(), Arc::new(Fake)).await.unwrap();
    assert_eq!(*worker.seat().borrow(), Seat::Undecided, "decided already: this test shows nothing");
    let config = config(&[("topic.prefix", "early")]).await;
    let config = walhouse_connect::ConfigMap::from_json(config.as_object().unwrap());
    worker.put("early", config).await.unwrap();
    assert!(worker.stores().configs.connector("early").is_some());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_references_in_what_is_stored_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets.properties");
    std::fs::write(&file, "prefix=from-a-file\npassword=hunter2\n").unwrap();
    let house = House::start(Arc::new(Fake), "").await;
    let reference = |key: &str| format!("${{file:{}:{key}}}", file.display());
    let secret = [("database.password", reference("password")), ("topic.prefix", reference("prefix"))];
    let secret: Vec<(&str, &str)> = secret.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let body = json!({ "name": "s", "config": config(&secret).await });
    let answer = house.post("/connectors", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    house.until("/connectors/s/topics", |answer| answer.body.contains("from-a-file.public.orders")).await;
    let shown = [house.get("/connectors/s").await.body, house.get("/connectors/s/tasks").await.body];
    assert!(shown.iter().all(|shown| shown.contains("${file:") && !shown.contains("hunter2")));
    let stored = format!("{:?}", records(&format!("{}_configs", house.name)).await);
    assert!(stored.contains("${file:") && !stored.contains("hunter2"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_own_curl_is_answered_as_connect_answers_a_missing_class() {
    let house = House::start(Arc::new(Fake), "").await;
    let mysql = json!({ "name": "inventory", "config": {
        "connector.class": "io.debezium.connector.mysql.MySqlConnector", "tasks.max": "1", "database.hostname": "mysql",
    }});
    let answer = house.post("/connectors", &mysql).await;
    assert_eq!(answer.status, 500);
    let said = "Failed to find any class that implements Connector and which name matches \
                io.debezium.connector.mysql.MySqlConnector, available connectors are: PluginDesc{klass=class io.debezium.";
    assert!(answer.json()["message"].as_str().unwrap().starts_with(said), "{}", answer.body);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_made_as_the_connector_says_and_exactly_once_stores_the_offset_with_the_records() {
    let house = House::start(Arc::new(Fake), "exactly.once.source.support=enabled\n").await;
    let extra = [
        ("topic.prefix", "eos"),
        ("topic.creation.default.partitions", "3"),
        ("topic.creation.default.replication.factor", "1"),
        ("topic.creation.default.cleanup.policy", "compact"),
        ("exactly.once.support", "required"),
        ("producer.override.linger.ms", "1"),
        ("producer.override.no.such.property", "1"),
    ];
    let body = json!({ "name": "eos", "config": config(&extra).await });
    let answer = house.post("/connectors", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    house.until("/connectors/eos/offsets", |answer| answer.body.contains("518571976")).await;
    let client = Properties::new(&Broker::shared().await.unwrap().bootstrap());
    let admin = walhouse_kafka::client::Admin::new(&client).unwrap();
    assert_eq!(admin.topic("eos.public.orders").await.unwrap().unwrap().partitions, 3);
    let settings = admin.settings("eos.public.orders").await.unwrap();
    assert_eq!(settings["cleanup.policy"].value.as_deref(), Some("compact"));
    let keys: Vec<String> = records(&format!("{}_configs", house.name)).await.into_iter().map(|(key, _)| key).collect();
    assert!(keys.contains(&"tasks-fencing-eos".to_owned()), "{keys:?}");
    let without = json!({ "name": "n", "config": config(&[("exactly.once.support", "required")]).await });
    assert_eq!(house.post("/connectors", &without).await.status, 201);
    house.stop().await;
}
