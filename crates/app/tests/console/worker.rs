//! The console of a Connect worker: its connectors, and the topics of a real broker.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use walhouse_kafka::Record;
use walhouse_kafka::client::{Admin, NewTopic, Producer, Properties};
use walhouse_lab::kafka::Broker;
use walhouse_lab::postgres::Server;

use crate::browser::browse;
use crate::home::READY;
use crate::registry::{self, Registry};

/// How often a state that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Plain topics beside those of the connector: more than a window shows.
const MORE_TOPICS: usize = 40;

/// A Connect worker with a connector that follows a table, and a console beside it.
pub(crate) struct WorkerHome {
    pub(crate) server: Server,
    pub(crate) broker: &'static Broker,
    pub(crate) console: SocketAddr,
    pub(crate) registry: Registry,
    rest: SocketAddr,
    folder: tempfile::TempDir,
    child: Child,
}

impl WorkerHome {
    pub(crate) async fn start() -> Self {
        let (server, broker) = tokio::join!(Server::builder().start(), Broker::shared());
        let (server, broker) = (server.unwrap(), broker.unwrap());
        let client = server.connect().await.unwrap();
        client.batch_execute(TABLE).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (console, rest) = (free(), free());
        let registry = Registry::start().await;
        let child = start(folder.path(), broker, console, rest, &registry);
        let home = Self { server, broker, console, registry, rest, folder, child };
        home.until("the console", async || home.get("/health").await.is_some_and(|(code, _)| code == 200)).await;
        home.fill().await;
        registry::fill(home.broker).await;
        home
    }

    /// The connector, its changes, and topics of others.
    async fn fill(&self) {
        // A worker that is not yet in charge of its group refuses changes.
        self.until("the worker's charge", async || self.post("/connectors", &self.connector()).await.0 == 201).await;
        self.until("the connector", async || {
            let status = self.get("/api/connectors/shop").await;
            status.is_some_and(|(_, body)| body.matches("RUNNING").count() == 2)
        })
        .await;
        self.until("the snapshot", async || {
            let topic = self.get("/kafdrop/topic/shop.public.orders").await;
            topic.is_some_and(|(_, body)| body.contains("\"availableSize\":20,"))
        })
        .await;
        let client = self.server.connect().await.unwrap();
        client.batch_execute(CHANGES).await.unwrap();
        let properties = Properties::new(&self.broker.bootstrap());
        let admin = Admin::new(&properties).unwrap();
        for number in 0..MORE_TOPICS {
            let settings = [("retention.ms".to_owned(), "3600000".to_owned())].into();
            let topic = NewTopic { name: format!("plain-{number:02}"), partitions: 3, replication: 1, settings };
            admin.create(&topic).await.unwrap();
        }
        let producer = Producer::new(&properties).unwrap();
        let record = |number: i64| Record {
            topic: "plain-00".into(),
            partition: None,
            key: Some(format!("key-{number}").into()),
            value: Some(format!("value {number}").into()),
            headers: Vec::new(),
        };
        let records: Vec<Record> = (0..500).map(record).collect();
        producer.send(&records).await.unwrap().await.unwrap();
    }

    fn connector(&self) -> Value {
        let url: tokio_postgres::Config = self.server.url().parse().unwrap();
        json!({ "name": "shop", "config": {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "database.hostname": "127.0.0.1",
            "database.port": url.get_ports().first().unwrap().to_string(),
            "database.user": url.get_user().unwrap(),
            "database.password": "secret",
            "database.dbname": url.get_dbname().unwrap(),
            "plugin.name": "pgoutput",
            "slot.name": "shop",
            "publication.autocreate.mode": "filtered",
            "table.include.list": "public.orders",
            "topic.prefix": "shop",
            "key.converter.schemas.enable": "false",
            "value.converter.schemas.enable": "false",
        }})
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.console)
    }

    /// Changes that a page shall see as they come.
    pub(crate) async fn change(&self) {
        let client = self.server.connect().await.unwrap();
        client.batch_execute("UPDATE orders SET state = 'sent now' WHERE id = 2").await.unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> Option<(u16, String)> {
        ask(self.console, "GET", path, "").await
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, String) {
        ask(self.rest, "POST", path, &body.to_string()).await.unwrap()
    }

    async fn until(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + READY;
        while !is_so().await {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{what} is not there: {}", log());
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for WorkerHome {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `before` of an update is there because all columns identify a row.
const TABLE: &str = "CREATE TABLE orders (id int PRIMARY KEY, state text, amount numeric, note text);
                     ALTER TABLE orders REPLICA IDENTITY FULL;
                     INSERT INTO orders SELECT i, 'new', i * 1.5, 'note ' || i FROM generate_series(1, 20) i";
const CHANGES: &str = "UPDATE orders SET state = 'paid', amount = 99.5 WHERE id = 1;
                       DELETE FROM orders WHERE id = 20; INSERT INTO orders VALUES (21, 'new', 7, NULL)";

fn start(folder: &Path, broker: &Broker, console: SocketAddr, rest: SocketAddr, registry: &Registry) -> Child {
    let mut text = format!("bootstrap.servers={}\ngroup.id=console\n", broker.bootstrap());
    text.push_str("offset.storage.partitions=1\nstatus.storage.partitions=1\n");
    text.push_str("walhouse.console.allow=topics.create,topics.delete\n");
    let password = folder.join("registry.password");
    std::fs::write(&password, registry::PASSWORD).unwrap();
    text.push_str(&format!("walhouse.console.registry=http://{}\n", registry.address));
    text.push_str(&format!("walhouse.console.registry.user={}\n", registry::USER));
    text.push_str(&format!("walhouse.console.registry.password.file={}\n", password.display()));
    std::fs::write(folder.join("worker.properties"), text).unwrap();
    let log = File::create(folder.join("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_walhouse"));
    command.arg("connect").arg("--config").arg(folder.join("worker.properties"));
    command.args(["--listen", &rest.to_string(), "--console", &console.to_string()]);
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().unwrap()
}

/// An address that nobody has. The worker that takes it is started at once.
fn free() -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// None while nobody answers.
pub(crate) async fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn connectors_and_topics_of_a_worker_are_seen_and_managed() {
    let home = WorkerHome::start().await;
    answers_as_kafdrop_does(&home).await;
    registry::is_read(&home, &home.registry).await;
    browse("worker", &home.url(), async |verb: &str| match verb {
        "change" => home.change().await,
        other => panic!("{other} is not known"),
    })
    .await;
}

async fn answers_as_kafdrop_does(home: &WorkerHome) {
    let json = async |path: &str| -> Value {
        let (code, body) = home.get(path).await.unwrap();
        assert_eq!(code, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    };
    let all = json("/kafdrop").await;
    assert!(all["summary"]["topicCount"].as_u64().unwrap() > MORE_TOPICS as u64, "{all}");
    assert_eq!(
        (&all["summary"]["underReplicatedCount"], &all["summary"]["preferredReplicaPercent"]),
        (&json!(0), &json!(1.0))
    );
    assert_eq!(json("/kafdrop/broker").await, all["brokers"]);
    let topic = json("/kafdrop/topic/plain-00").await;
    assert_eq!((&topic["totalSize"], &topic["availableSize"]), (&json!(500), &json!(500)));
    assert_eq!(topic["config"], json!({ "retention.ms": "3600000" }));
    assert_eq!(topic["partitions"][2]["leader"], json!({ "id": 1, "inSync": true, "leader": true, "offline": false }));
    let first = json("/kafdrop/topic/plain-00/messages").await;
    assert_eq!((first.as_array().unwrap().len(), &first[1]["firstOffset"]), (3, &json!(0)));
    let page = json("/kafdrop/topic/plain-00/messages?partition=1&offset=3&count=2&isAnyProto=false").await;
    assert_eq!((page.as_array().unwrap().len(), &page[0]["offset"], &page[1]["partition"]), (2, &json!(3), &json!(1)));
    assert!(
        page[0]["message"].as_str().unwrap().starts_with("value ")
            && page[0]["timestamp"].as_str().unwrap().ends_with('Z')
    );
    let every = json("/kafdrop/topic/plain-00/allmessages?count=10").await;
    assert_eq!(every.as_array().unwrap().len(), 30);
    let search = json!({ "searchText": "VALUE 49", "maximumCount": 100, "partition": -1 }).to_string();
    let (code, found) = ask(home.console, "POST", "/kafdrop/topic/plain-00/search-messages", &search).await.unwrap();
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!((code, found["messages"].as_array().unwrap().len()), (200, 11), "{found}");
    assert_eq!(home.get("/kafdrop/topic/nothing").await.unwrap().0, 404);
    assert_eq!(home.get("/kafdrop/health_check").await.unwrap().0, 200);
    let (code, _) = ask(home.console, "POST", "/kafdrop/topic/plain-00/delete", "").await.unwrap();
    assert_eq!(code, 403, "a change needs the console's token");
}
