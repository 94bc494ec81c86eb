//! What a kill of the worker or of the broker leaves in the topics: nothing is lost, the changes of a key lie in their
//! order, and what comes twice is what was on its way; exactly once, nothing does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use walhouse_kafka::client::{Log, Properties};
use walhouse_lab::kafka::{Broker, Connect, Software};
use walhouse_lab::postgres::{Server, connect};

use crate::harness::PROGRAM;

/// Only a failure takes this long.
const PATIENCE: Duration = Duration::from_secs(120);
const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
/// Keys that are changed over and over.
const KEYS: i64 = 40;
/// Between two transactions.
const PAUSE: Duration = Duration::from_millis(4);

/// A broker, a worker on it, and a connector for one table.
struct Line {
    broker: Broker,
    worker: Connect,
    source: Client,
    url: String,
    name: &'static str,
    /// Per kill, what was on its way.
    on_the_way: Vec<Stretch>,
}

/// Changes of which Postgres had written the last one, and no offset was stored that has the first one behind it.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    stored: u64,
    written: u64,
}

impl Line {
    async fn start(name: &'static str, exactly_once: bool) -> Self {
        let server = Server::shared().await.unwrap();
        let url = server.create_database(name).await.unwrap();
        let source = connect(&url).await.unwrap();
        let table = format!(
            "CREATE TABLE t (id bigint PRIMARY KEY, n bigint); INSERT INTO t SELECT g, 0 FROM generate_series(0, {}) g",
            KEYS - 1
        );
        source.batch_execute(&table).await.unwrap();
        let broker = Broker::builder().start().await.unwrap();
        let support = if exactly_once { "enabled" } else { "disabled" };
        let worker = Connect::builder(broker.bootstrap())
            .software(Software::Walhouse(PROGRAM.into()))
            .setting("exactly.once.source.support", support)
            .start()
            .await
            .unwrap();
        let line = Self { broker, worker, source, url, name, on_the_way: Vec::new() };
        line.post(&server.port().to_string(), exactly_once).await;
        line.until("the connector streams", async || line.streams().await).await;
        line
    }

    async fn post(&self, port: &str, exactly_once: bool) {
        let name = self.name;
        let mut config = json!({
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "database.hostname": "127.0.0.1", "database.port": port, "database.user": "postgres",
            "database.password": "pw", "database.dbname": name, "topic.prefix": name, "slot.name": name,
            "publication.name": name, "publication.autocreate.mode": "filtered", "plugin.name": "pgoutput",
            "table.include.list": "public.t", "snapshot.mode": "never", "slot.retry.delay.ms": "200",
            "retriable.restart.connector.wait.ms": "500",
            "key.converter": JSON, "key.converter.schemas.enable": "false",
            "value.converter": JSON, "value.converter.schemas.enable": "false",
            "topic.creation.default.partitions": "4", "topic.creation.default.replication.factor": "1",
        });
        if exactly_once {
            config["exactly.once.support"] = json!("required");
        }
        let body = json!({ "name": name, "config": config }).to_string();
        let reply = self.worker.request("POST", "/connectors", Some(&body)).await.unwrap();
        assert_eq!(reply.status, 201, "{}", reply.body);
    }

    async fn streams(&self) -> bool {
        let sql = "SELECT active FROM pg_replication_slots WHERE slot_name = $1";
        let slot = self.source.query_opt(sql, &[&self.name]).await.unwrap();
        slot.is_some_and(|slot| slot.get(0))
    }

    /// Whether everything that is committed is delivered, stored and confirmed.
    async fn is_settled(&self, upto: &str) -> bool {
        let sql = format!("SELECT confirmed_flush_lsn >= '{upto}' FROM pg_replication_slots WHERE slot_name = $1");
        self.source.query_one(&sql, &[&self.name]).await.unwrap().get(0)
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds().await {
            assert!(Instant::now() < deadline, "in vain: {what}; worker: {}", self.worker.log_tail());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Kills the worker and starts it again, where it waits for its dead self's seat in the group.
    async fn kill_worker(&mut self) {
        self.worker.kill9().unwrap();
        let stretch = Stretch { written: self.written().await, stored: self.stored().await };
        self.on_the_way.push(stretch);
        self.worker.start().await.unwrap();
        self.until("the connector streams again", async || self.streams().await).await;
    }

    /// How far Postgres' log goes.
    async fn written(&self) -> u64 {
        let row = self.source.query_one("SELECT (pg_current_wal_lsn() - '0/0')::text", &[]).await.unwrap();
        row.get::<_, &str>(0).parse().unwrap()
    }

    /// Where the last stored offset is.
    async fn stored(&self) -> u64 {
        let client = Properties::new(&self.broker.bootstrap());
        let mut log = Log::open(&client, "connect_offsets").await.unwrap();
        let offsets = log.read_to_end().await.unwrap().into_iter().filter_map(|record| record.value);
        let lsn = |value: bytes::Bytes| serde_json::from_slice::<Value>(&value).unwrap()["lsn"].as_u64();
        offsets.filter_map(lsn).max().unwrap()
    }

    async fn kill_broker(&mut self) {
        let stored = self.stored().await;
        self.broker.kill9().unwrap();
        let stretch = Stretch { stored, written: self.written().await };
        self.on_the_way.push(stretch);
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.broker.start().await.unwrap();
    }

    /// Asserts that what came again was on its way when something was killed.
    fn were_on_their_way(&self, repeated: &BTreeSet<u64>) {
        let on_its_way = |lsn: &u64| self.on_the_way.iter().any(|way| way.stored < *lsn && *lsn <= way.written);
        assert!(repeated.iter().all(on_its_way), "{repeated:?} came again, on the way were {:?}", self.on_the_way);
    }

    /// Waits until the last change of each key is in the topic; what is in it then.
    async fn read(&self, expected: &Expected) -> Messages {
        let client = Properties::new(&self.broker.bootstrap());
        let mut log = Log::open(&client, &format!("{}.public.t", self.name)).await.unwrap();
        let mut messages = Messages::default();
        let came = async {
            loop {
                log.read_to_end().await.unwrap().iter().for_each(|record| messages.add(record));
                if expected.iter().all(|(key, numbers)| messages.last(*key) >= numbers.last().copied()) {
                    break;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, came).await.is_err() {
            panic!("messages are missing; worker: {}", self.worker.log_tail());
        }
        messages
    }
}

/// Per key, the numbers of the transactions that changed it, in their order.
type Expected = BTreeMap<i64, Vec<i64>>;

/// Per key, the numbers that came, in their order, and where in the log each change lies.
#[derive(Default)]
struct Messages(BTreeMap<i64, Vec<(i64, u64)>>);

impl Messages {
    fn add(&mut self, record: &walhouse_kafka::client::ConsumedRecord) {
        let read = |bytes: &Option<bytes::Bytes>| -> Value { serde_json::from_slice(bytes.as_ref().unwrap()).unwrap() };
        let (key, value) = (read(&record.key), read(&record.value));
        self.0
            .entry(key["id"].as_i64().unwrap())
            .or_default()
            .push((value["after"]["n"].as_i64().unwrap(), value["source"]["lsn"].as_u64().unwrap()));
    }

    fn last(&self, key: i64) -> Option<i64> {
        self.0.get(&key).and_then(|numbers| numbers.iter().map(|(number, _)| *number).max())
    }

    /// Holds them against what was committed; the changes that came more than once, by where they lie in the log.
    fn compare(&self, expected: &Expected) -> BTreeSet<u64> {
        let mut repeated = BTreeSet::new();
        for (key, numbers) in expected {
            let with_places = self.0.get(key).map_or(&[][..], Vec::as_slice);
            let came: Vec<i64> = with_places.iter().map(|(number, _)| *number).collect();
            let mut seen = BTreeSet::new();
            let first: Vec<i64> = came.iter().copied().filter(|number| seen.insert(*number)).collect();
            assert_eq!(&first, numbers, "changes of key {key} are lost or out of order: {came:?}");
            // What comes again comes in order too, from where it goes back to on to the newest.
            for pair in came.windows(2).filter(|pair| pair[1] > pair[0]) {
                let next = numbers.iter().find(|number| **number > pair[0]);
                assert_eq!(next, Some(&pair[1]), "a change of key {key} is skipped in a repetition");
            }
            let mut seen = BTreeSet::new();
            repeated.extend(with_places.iter().filter(|(number, _)| !seen.insert(*number)).map(|(_, lsn)| *lsn));
        }
        repeated
    }
}

/// Transactions one after the other, until it is stopped.
struct Load {
    stop: Arc<AtomicBool>,
    running: JoinHandle<Expected>,
}

impl Load {
    async fn start(url: &str) -> Self {
        let client = connect(url).await.unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let running = tokio::spawn(run(client, Arc::clone(&stop)));
        Self { stop, running }
    }

    async fn end(self) -> Expected {
        self.stop.store(true, Ordering::Release);
        self.running.await.unwrap()
    }
}

/// Most transactions change three keys, some all of them.
async fn run(client: Client, stop: Arc<AtomicBool>) -> Expected {
    let mut expected = Expected::new();
    let mut number = 0;
    while !stop.load(Ordering::Acquire) {
        number += 1;
        let keys: BTreeSet<i64> = match number % 50 {
            0 => (0..KEYS).collect(),
            _ => [number % KEYS, number * 7 % KEYS, number * 11 % KEYS].into(),
        };
        let list: Vec<String> = keys.iter().map(i64::to_string).collect();
        let sql = format!("UPDATE t SET n = {number} WHERE id IN ({})", list.join(","));
        client.batch_execute(&sql).await.unwrap();
        keys.into_iter().for_each(|key| expected.entry(key).or_default().push(number));
        tokio::time::sleep(PAUSE).await;
    }
    expected
}

/// Changes come while `kills` happen; what is in the topic afterwards is held against what was committed.
async fn under_load(line: Line, kills: impl AsyncFnOnce(Line) -> Line) -> (Line, BTreeSet<u64>) {
    let load = Load::start(&line.url).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let line = kills(line).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let expected = load.end().await;
    let repeated = line.read(&expected).await.compare(&expected);
    let transactions = expected.values().flatten().collect::<BTreeSet<_>>().len();
    eprintln!("{}: {transactions} transactions, {} changes came again", line.name, repeated.len());
    (line, repeated)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_loses_nothing_and_repeats_what_was_on_its_way() {
    const KILLS: usize = 3;
    let line = Line::start("worker_killed", false).await;
    let (mut line, repeated) = under_load(line, async |mut line| {
        for _ in 0..KILLS {
            line.kill_worker().await;
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        line
    })
    .await;
    line.were_on_their_way(&repeated);

    // What is acknowledged, and its offset with it, never comes again.
    let at: String = line.source.query_one("SELECT pg_current_wal_lsn()::text", &[]).await.unwrap().get(0);
    line.until("all is confirmed", async || line.is_settled(&at).await).await;
    let numbers = line.source.query_one("SELECT max(n) FROM t", &[]).await.unwrap().get::<_, i64>(0);
    let before = line.read(&Expected::new()).await;
    line.kill_worker().await;
    line.source.batch_execute(&format!("UPDATE t SET n = {}", numbers + 1)).await.unwrap();
    let last: Expected = (0..KEYS).map(|key| (key, vec![numbers + 1])).collect();
    let after = line.read(&last).await;
    for (key, numbers) in &after.0 {
        let former = before.0.get(key).map_or(0, Vec::len);
        assert_eq!(numbers.len(), former + 1, "changes of key {key} that were acknowledged came again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_loses_nothing_and_repeats_what_was_on_its_way() {
    let line = Line::start("broker_killed", false).await;
    let (line, repeated) = under_load(line, async |mut line| {
        for _ in 0..3 {
            line.kill_broker().await;
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        line
    })
    .await;
    line.were_on_their_way(&repeated);
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_once_each_change_is_seen_once_whatever_is_killed() {
    let line = Line::start("exactly_once", true).await;
    let (_line, repeated) = under_load(line, async |mut line| {
        for _ in 0..2 {
            line.kill_worker().await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            line.kill_broker().await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        line
    })
    .await;
    assert!(repeated.is_empty(), "{} changes came again", repeated.len());
}
