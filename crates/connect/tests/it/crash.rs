//! What a stop, a kill and a lost slot leave behind: nothing is lost, and nothing is confirmed too early.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::Client;
use walhouse_connect::task::TaskEvent;
use walhouse_lab::postgres::{Server, connect};

use crate::harness::{Memory, Running, start, until};

/// A database with a connector's configuration for it.
struct Case {
    client: Client,
    config: BTreeMap<String, String>,
    worker: BTreeMap<String, String>,
    memory: Memory,
    name: String,
}

impl Case {
    async fn new(name: &str, setup: &str, options: &[(&str, &str)]) -> Self {
        let server = Server::shared().await.unwrap();
        let url = server.create_database(name).await.unwrap();
        let parsed: tokio_postgres::Config = url.parse().unwrap();
        let host = match &parsed.get_hosts()[0] {
            tokio_postgres::config::Host::Tcp(host) => host.clone(),
            tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
        };
        let port = server.port().to_string();
        let own = [
            ("database.hostname", host.as_str()),
            ("database.port", port.as_str()),
            ("database.user", parsed.get_user().unwrap()),
            ("database.dbname", name),
            ("topic.prefix", name),
            ("slot.name", name),
            ("publication.autocreate.mode", "filtered"),
            ("key.converter", "org.apache.kafka.connect.json.JsonConverter"),
            ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
            ("value.converter.schemas.enable", "false"),
            ("key.converter.schemas.enable", "false"),
            ("retriable.restart.connector.wait.ms", "100"),
            ("slot.retry.delay.ms", "100"),
        ];
        let pairs = own.iter().chain(options).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let client = connect(&url).await.unwrap();
        client.batch_execute(setup).await.unwrap();
        Self {
            client,
            config: pairs.collect(),
            worker: BTreeMap::new(),
            memory: Memory::default(),
            name: name.to_owned(),
        }
    }

    fn start(&self) -> Running {
        start("c", &self.config, &self.worker, &self.memory)
    }

    async fn streaming(&self) -> Running {
        let task = self.start();
        until("the task streams", async || task.has_seen(&TaskEvent::Streaming) || task.is_finished()).await;
        task
    }

    async fn sql(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    /// How often each key came.
    fn keys(&self) -> HashMap<Bytes, usize> {
        let mut keys = HashMap::new();
        for record in self.memory.records.lock().unwrap().iter() {
            *keys.entry(record.key.clone().unwrap()).or_default() += 1;
        }
        keys
    }

    async fn confirmed(&self) -> String {
        let sql = "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1";
        self.client.query_one(sql, &[&self.name]).await.unwrap().get(0)
    }

    /// Writes `count` rows in one COPY, whose rows share positions in the log.
    async fn copy(&self, count: usize) {
        let sink = self.client.copy_in("COPY t FROM STDIN").await.unwrap();
        let mut sink = std::pin::pin!(sink);
        let lines: String = (0..count).map(|id| format!("{id}\tvalue {id}\n")).collect();
        sink.send(Bytes::from(lines)).await.unwrap();
        sink.finish().await.unwrap();
    }
}

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, v text)";

#[tokio::test(flavor = "multi_thread")]
async fn stopped_in_a_copy_it_loses_and_repeats_nothing() {
    let case = Case::new("stopped_in_copy", TABLE, &[("snapshot.mode", "never"), ("max.batch.size", "333")]).await;
    let task = case.streaming().await;
    task.stop().await.unwrap();
    case.copy(30_000).await;
    let mut stops = BTreeSet::new();
    for number in 1.. {
        let before = case.memory.count();
        let task = case.start();
        until("records come", async || case.memory.count() > before || case.memory.count() >= 30_000).await;
        tokio::time::sleep(Duration::from_millis(number % 7)).await;
        task.stop().await.unwrap();
        stops.insert(case.memory.count());
        if case.memory.count() >= 30_000 {
            break;
        }
    }
    println!("stopped at {stops:?}");
    let keys = case.keys();
    assert_eq!(keys.len(), 30_000, "rows are missing");
    assert!(keys.values().all(|count| *count == 1), "rows came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_a_copy_it_loses_nothing() {
    let case = Case::new("killed_in_copy", TABLE, &[("snapshot.mode", "never"), ("max.batch.size", "333")]).await;
    case.streaming().await.stop().await.unwrap();
    case.copy(30_000).await;
    for number in 0..6 {
        let before = case.memory.count();
        // Some are acknowledged and never stored, some are sent and never acknowledged.
        case.memory.silent.store(number % 2 == 1, Ordering::Release);
        let task = case.start();
        // All may be there and stored before the kills are over: then there is nothing left to come.
        until("records come", async || case.memory.count() > before || case.keys().len() == 30_000).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        task.kill().await;
    }
    case.memory.silent.store(false, Ordering::Release);
    let task = case.start();
    until("all rows came", async || case.keys().len() == 30_000).await;
    task.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_snapshot_it_takes_it_again() {
    let setup = format!("{TABLE}; INSERT INTO t SELECT g, 'old' FROM generate_series(1, 20000) g");
    let case = Case::new("killed_in_snapshot", &setup, &[("max.batch.size", "100")]).await;
    case.memory.silent.store(true, Ordering::Release);
    let task = case.start();
    until("the snapshot began", async || case.memory.count() > 1_000).await;
    task.kill().await;
    // What was committed meanwhile is in the next snapshot, or behind it in the log.
    case.sql("UPDATE t SET v = 'new' WHERE id <= 10; INSERT INTO t VALUES (20001, 'new'); DELETE FROM t WHERE id = 20")
        .await;
    case.memory.silent.store(false, Ordering::Release);
    case.memory.records.lock().unwrap().clear();
    let task = case.streaming().await;
    case.sql("INSERT INTO t VALUES (20002, 'last')").await;
    until("the last row came", async || case.keys().contains_key(&br#"{"id":20002}"#[..]) || task.is_finished()).await;
    task.stop().await.unwrap();
    let keys = case.keys();
    assert_eq!(keys.len(), 20_001);
    let latest = |id: u32| {
        let key = format!(r#"{{"id":{id}}}"#);
        let records = case.memory.records.lock().unwrap();
        let last = records.iter().rev().find(|record| record.key.as_deref() == Some(key.as_bytes()));
        String::from_utf8(last.unwrap().value.clone().unwrap().to_vec()).unwrap()
    };
    assert!(latest(10).contains(r#""v":"new""#) && latest(20001).contains(r#""v":"new""#));
    let offset = case.memory.offset().unwrap();
    assert!(offset.contains(r#""messageType":"INSERT""#) && !offset.contains("snapshot"), "{offset}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_confirmed_before_it_is_delivered_and_stored() {
    let case = Case::new("confirms_late", TABLE, &[("snapshot.mode", "never")]).await;
    let task = case.streaming().await;
    case.memory.silent.store(true, Ordering::Release);
    let before = case.confirmed().await;
    for id in 0..5 {
        case.sql(&format!("INSERT INTO t VALUES ({id}, 'v')")).await;
    }
    until("the rows are sent", async || case.memory.count() == 5).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(case.confirmed().await, before);
    assert_eq!(case.memory.offset(), None);
    case.memory.silent.store(false, Ordering::Release);
    until("the slot moves", async || case.confirmed().await != before).await;
    assert!(case.memory.offset().is_some());
    // What nobody captures moves the slot too, once everything is settled.
    let settled = case.confirmed().await;
    case.sql("CREATE TABLE other (id int); INSERT INTO other SELECT generate_series(1, 1000)").await;
    until("the slot follows an idle stream", async || case.confirmed().await != settled).await;
    task.stop().await.unwrap();
}

/// Offsets that cannot be stored are waited for, at most one write is under way, and the newest comes next.
#[tokio::test(flavor = "multi_thread")]
async fn an_offset_is_stored_at_once_and_the_newest_after_a_wait() {
    let case = Case::new("stores_at_once", TABLE, &[("snapshot.mode", "never")]).await;
    let task = case.streaming().await;
    let writes = || case.memory.writes.load(Ordering::Acquire);
    let is_at = |id: usize| {
        let stored = case.memory.offsets.lock().unwrap();
        stored.values().next_back().is_some_and(|offsets| offsets.len() == id)
    };
    case.memory.refusals.store(2, Ordering::Release);
    case.sql("INSERT INTO t VALUES (0, 'v')").await;
    until("the offset is stored", async || is_at(1)).await;
    assert_eq!(writes(), 3, "two were refused");
    case.memory.away.store(true, Ordering::Release);
    for id in 1..=20 {
        case.sql(&format!("INSERT INTO t VALUES ({id}, 'v')")).await;
    }
    until("the rows are delivered", async || case.memory.count() == 21).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(writes() == 4 && is_at(1), "one write is under way");
    let confirmed = case.confirmed().await;
    case.memory.away.store(false, Ordering::Release);
    until("the newest is stored", async || is_at(3)).await;
    assert_eq!(writes(), 5, "what was delivered meanwhile is one write");
    until("the slot moves", async || case.confirmed().await != confirmed).await;
    // Killed now, it has nothing to repeat.
    task.kill().await;
    let task = case.streaming().await;
    case.sql("INSERT INTO t VALUES (21, 'v')").await;
    until("the last row came", async || case.keys().len() == 22).await;
    assert_eq!(case.memory.count(), 22, "something came twice");
    task.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_gone_is_a_failure_and_never_silence() {
    let case = Case::new("slot_gone", TABLE, &[]).await;
    let task = case.streaming().await;
    case.sql("INSERT INTO t VALUES (1, 'v')").await;
    until("an offset is stored", async || case.memory.offset().is_some()).await;
    task.stop().await.unwrap();
    case.sql("SELECT pg_drop_replication_slot('slot_gone')").await;
    let failure = case.start().failure().await;
    assert!(!failure.retriable && failure.trace.contains("Replication slot 'slot_gone' is gone"), "{failure}");
    let mut needed = Case { config: case.config.clone(), ..case };
    needed.config.insert("snapshot.mode".into(), "when_needed".into());
    needed.memory.records.lock().unwrap().clear();
    let task = needed.streaming().await;
    until("the row came again", async || needed.memory.count() == 1).await;
    task.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_task_sends_nothing_and_keeps_its_slot() {
    let case = Case::new("paused", TABLE, &[("snapshot.mode", "never")]).await;
    let task = case.streaming().await;
    task.paused.send_replace(true);
    tokio::time::sleep(Duration::from_millis(100)).await;
    case.sql("INSERT INTO t VALUES (1, 'v')").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(case.memory.count(), 0);
    task.paused.send_replace(false);
    until("the row comes", async || case.memory.count() == 1).await;
    task.stop().await.unwrap();
    let mut drops = Case { config: case.config.clone(), ..case };
    drops.config.insert("slot.drop.on.stop".into(), "true".into());
    drops.streaming().await.stop().await.unwrap();
    let left = drops.client.query("SELECT FROM pg_replication_slots WHERE slot_name = 'paused'", &[]).await.unwrap();
    assert!(left.is_empty());
}
