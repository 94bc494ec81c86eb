//! A recorded scenario run live: its setup, its connector, its changes, and what came of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value as Json;
use tokio_postgres::Client;
use walhouse_connect::task::TaskEvent;
use walhouse_kafka::Record;
use walhouse_lab::postgres::{Server, connect};

use crate::harness::{Memory, Running, start, until};
use crate::masks::Masks;
use crate::statements::{Part, parse};

/// Silence after which everything has come.
const QUIET: Duration = Duration::from_millis(400);

/// The interval, in milliseconds, at which offsets are flushed within a scenario; the other one, a minute, is never
/// reached.
const EVERY_SECOND: &str = "1000";

pub(crate) struct Scenario {
    name: String,
    pub(crate) meta: Json,
    pub(crate) config: BTreeMap<String, String>,
    connector: String,
    setup: String,
    changes: String,
    pub(crate) messages: Vec<Json>,
}

/// A record as it is compared.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Compared {
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
}

/// Records by topic and partition.
pub(crate) type Lanes = BTreeMap<(String, u64), Vec<Compared>>;

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../kafka/tests/golden")
}

impl Scenario {
    pub(crate) fn load(name: &str) -> Self {
        let read = |file: &str| std::fs::read_to_string(folder().join(name).join(file)).unwrap();
        let json = |file: &str| serde_json::from_str::<Json>(&read(file)).unwrap();
        let connector = json("connector.json");
        let config = connector["config"].as_object().unwrap().iter();
        let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut config: BTreeMap<String, String> = config.map(|(key, value)| (key.clone(), text(value))).collect();
        config.insert("walhouse.oddities".into(), "true".into());
        Self {
            name: name.to_owned(),
            meta: json("meta.json"),
            config,
            connector: connector["name"].as_str().unwrap().to_owned(),
            setup: read("setup.sql"),
            changes: read("changes.sql"),
            messages: read("messages.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        }
    }

    fn database(&self) -> &str {
        self.meta["database"].as_str().unwrap()
    }

    /// Runs it; what was produced, and the failure that ended it.
    pub(crate) async fn run(&mut self, server: &Server) -> (Memory, Option<String>) {
        let url = server.create_database(self.database()).await.unwrap();
        let config: tokio_postgres::Config = url.parse().unwrap();
        let host = match &config.get_hosts()[0] {
            tokio_postgres::config::Host::Tcp(host) => host.clone(),
            tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
        };
        for (key, value) in [
            ("database.hostname", host),
            ("database.port", server.port().to_string()),
            ("database.user", config.get_user().unwrap().to_owned()),
            ("database.password", "pw".to_owned()),
            ("database.dbname", self.database().to_owned()),
            ("retriable.restart.connector.wait.ms", "200".to_owned()),
            ("slot.retry.delay.ms", "200".to_owned()),
        ] {
            self.config.insert(key.to_owned(), value);
        }
        let client = connect(&url).await.unwrap();
        client.batch_execute("SET timezone = 'UTC'; SET client_min_messages = error").await.unwrap();
        for part in parse(&self.setup) {
            if let Part::Sql(sql) = part {
                client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{}: {sql}: {error}", self.name));
            }
        }
        let mut live = Live {
            scenario: self,
            memory: Memory::default(),
            task: None,
            flush: "60000".to_owned(),
            failure: None,
            client,
        };
        live.start().await;
        live.changes().await;
        (live.memory.clone(), live.end().await)
    }

    /// The fields that hold positions or clocks under names of their own.
    fn masked(&self) -> Vec<String> {
        let volatile = ["lsn", "ts_ms", "source.ts_ms", "source.lsn", "txId", "source.txId", "sequence"];
        let mut names = Vec::new();
        for (key, list) in &self.config {
            if !key.ends_with(".add.fields") && !key.ends_with(".add.headers") {
                continue;
            }
            let prefix = self.config.get(&format!("{key}.prefix")).map_or("__", String::as_str);
            for item in list.split(',').map(str::trim) {
                let (source, renamed) = item.split_once(':').unwrap_or((item, item));
                if volatile.contains(&source) {
                    names.push(format!("{prefix}{}", renamed.replace('.', "_")));
                }
            }
        }
        names
    }

    fn partitions(&self, topic: &str) -> u32 {
        self.meta["topics"][topic].as_u64().unwrap_or(1) as u32
    }

    pub(crate) fn expected(&self) -> Lanes {
        let names = self.masked();
        let masks = Masks::new(&names);
        let mut lanes = Lanes::new();
        for message in &self.messages {
            let topic = message["topic"].as_str().unwrap();
            if topic.starts_with("__debezium-heartbeat") {
                continue;
            }
            let text = |value: &Json| value.as_str().map(str::to_owned);
            let headers = message["headers"].as_array().unwrap().iter();
            let headers = headers.map(|pair| (pair[0].as_str().unwrap().to_owned(), text(&pair[1])));
            let compared =
                compared(&masks, &names, text(&message["key_text"]), text(&message["value_text"]), headers.collect());
            let lane = (topic.to_owned(), message["partition"].as_u64().unwrap());
            lanes.entry(lane).or_default().push(compared);
        }
        lanes
    }

    pub(crate) fn produced(&self, records: &[Record]) -> Lanes {
        let names = self.masked();
        let masks = Masks::new(&names);
        let mut lanes = Lanes::new();
        for record in records.iter().filter(|record| !record.topic.starts_with("__debezium-heartbeat")) {
            let text = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map(|it| String::from_utf8(it.to_vec()).unwrap());
            let count = self.partitions(&record.topic);
            let partition = record.key.as_ref().map_or(0, |key| u64::from(walhouse_kafka::partition(key, count)));
            let headers = record.headers.iter().map(|header| (header.name.to_string(), text(&header.value)));
            let compared = compared(&masks, &names, text(&record.key), text(&record.value), headers.collect());
            lanes.entry((record.topic.to_string(), partition)).or_default().push(compared);
        }
        lanes
    }
}

fn compared(
    masks: &Masks,
    names: &[String],
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
) -> Compared {
    let header = |(name, value): (String, Option<String>)| {
        let value = value.map(|value| if names.contains(&name) { String::new() } else { masks.apply(&value) });
        (name, value)
    };
    Compared {
        key: key.map(|key| masks.apply(&key)),
        value: value.map(|value| masks.apply(&value)),
        headers: headers.into_iter().map(header).collect(),
    }
}

/// A scenario under way.
struct Live<'a> {
    scenario: &'a Scenario,
    memory: Memory,
    task: Option<Running>,
    flush: String,
    failure: Option<String>,
    client: Client,
}

impl Live<'_> {
    async fn start(&mut self) {
        // Offsets reach the store when the recorded worker's did: at its first flush or at its end in good order.
        self.memory.away.store(self.flush != EVERY_SECOND, Ordering::Release);
        let worker = [("offset.flush.interval.ms".to_owned(), self.flush.clone())].into();
        let task = start(&self.scenario.connector, &self.scenario.config, &worker, &self.memory);
        let only = self.scenario.config.get("snapshot.mode").is_some_and(|mode| mode == "initial_only");
        let slot = self.scenario.config["slot.name"].clone();
        until(&format!("{} starts", self.scenario.name), async || {
            let sql = format!("SELECT active FROM pg_replication_slots WHERE slot_name = '{slot}'");
            let active = self.client.query_opt(&sql, &[]).await.unwrap().is_some_and(|row| row.get(0));
            task.is_finished() || (task.has_seen(&TaskEvent::Streaming) && active) || (only && self.memory.count() >= 3)
        })
        .await;
        self.task = Some(task);
    }

    async fn quiet(&self) {
        let mut count = usize::MAX;
        let mut since = tokio::time::Instant::now();
        while since.elapsed() < QUIET {
            let now = self.memory.count_but_heartbeats();
            if now != count {
                (count, since) = (now, tokio::time::Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn changes(&mut self) {
        for part in parse(&self.scenario.changes) {
            match part {
                // Some are meant to fail.
                Part::Sql(sql) => drop(self.client.batch_execute(&sql).await),
                Part::Directive(words) => self.directive(&words).await,
            }
        }
    }

    async fn directive(&mut self, words: &str) {
        let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
        match verb {
            "quiet" | "sleep" | "wait-failed" => {
                self.quiet().await;
                if self.flush == EVERY_SECOND {
                    // Until what has come is stored.
                    tokio::time::sleep(Duration::from_millis(1200)).await;
                }
            }
            "kill-worker" => {
                if let Some(task) = self.task.take() {
                    task.kill().await;
                    // The walsender notices.
                    tokio::time::sleep(QUIET).await;
                }
            }
            "term-worker" => self.stop().await,
            "start-worker" => {
                self.flush = rest.to_owned();
                self.start().await;
            }
            "rest" if rest.contains("/restart") => {
                self.stop().await;
                self.start().await;
            }
            "rest" if rest.contains("/pause") => self.pause(true),
            "rest" if rest.contains("/resume") => self.pause(false),
            _ => {}
        }
    }

    fn pause(&self, on: bool) {
        self.task.as_ref().unwrap().paused.send_replace(on);
    }

    async fn stop(&mut self) {
        self.memory.away.store(false, Ordering::Release);
        if let Some(task) = self.task.take() {
            self.failure = task.stop().await.err().map(|failure| failure.trace);
        }
    }

    async fn end(&mut self) -> Option<String> {
        self.quiet().await;
        let enough = self.scenario.expected().values().map(Vec::len).sum();
        for _ in 0..100 {
            let records = self.memory.records.lock().unwrap().clone();
            let have: usize = self.scenario.produced(&records).values().map(Vec::len).sum();
            if have >= enough || self.task.as_ref().is_some_and(Running::is_finished) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.stop().await;
        let slots = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database() AND NOT active";
        self.client.batch_execute(slots).await.ok();
        self.failure.take()
    }
}
