//! Avro, Protobuf and JSON of a schema registry, and MessagePack without one, in topics of a real broker.
//!
//! The registry is one of our own that answers as Confluent's documentation says, since that product is on no package
//! registry: what is shown is the way to it, its login, and that its schemas are asked for once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use walhouse_kafka::Record;
use walhouse_kafka::client::{Admin, NewTopic, Producer, Properties};
use walhouse_lab::kafka::Broker;

use crate::worker::WorkerHome;

pub(crate) const USER: &str = "walhouse";
pub(crate) const PASSWORD: &str = "open sesame";
/// `walhouse:open sesame`.
const LOGIN: &str = "authorization: Basic d2FsaG91c2U6b3BlbiBzZXNhbWU=";
const TOPIC: &str = "formats";

const AVRO: u32 = 7;
const PROTOBUF: u32 = 8;
const JSON: u32 = 9;

/// A registry, ended with the test.
pub(crate) struct Registry {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Registry {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
        let counts = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counts = Arc::clone(&counts);
                tokio::spawn(async move { answer(stream, &counts).await });
            }
        });
        Self { address, asked }
    }
}

/// One request a connection.
async fn answer(stream: tokio::net::TcpStream, counts: &Mutex<BTreeMap<String, usize>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let (mut path, mut login) = (String::new(), false);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        match line.trim_end() {
            "" => break,
            LOGIN => login = true,
            line if path.is_empty() => line.split(' ').nth(1)?.clone_into(&mut path),
            _ => {}
        }
    }
    *counts.lock().unwrap().entry(path.clone()).or_default() += 1;
    let schema = path.strip_prefix("/schemas/ids/").and_then(|id| schema(id.parse().ok()?));
    let (code, body) = match schema {
        _ if !login => (401, json!({"error_code": 401})),
        Some(schema) => (200, schema),
        None => (404, json!({"error_code": 40403, "message": "Schema not found"})),
    };
    let body = body.to_string();
    let head =
        format!("HTTP/1.1 {code} x\r\nContent-Type: application/vnd.schemaregistry.v1+json\r\nConnection: close\r\n");
    let reply = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.get_mut().write_all(reply.as_bytes()).await.ok()
}

fn schema(id: u32) -> Option<Value> {
    let record = json!({"type": "record", "name": "Order", "fields": [
        {"name": "id", "type": "long"}, {"name": "state", "type": ["null", "string"]}]});
    match id {
        // Registries leave the kind out where it is Avro.
        AVRO => Some(json!({ "schema": record.to_string() })),
        PROTOBUF => Some(json!({
            "schemaType": "PROTOBUF",
            "schema": "syntax = \"proto3\"; message Order { int64 id = 1; string state = 2; }",
        })),
        JSON => Some(json!({ "schemaType": "JSON", "schema": "{\"type\": \"object\"}" })),
        _ => None,
    }
}

/// A zero byte, the schema's id, the value.
fn framed(id: u32, value: &[u8]) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], value].concat()
}

fn values() -> Vec<Vec<u8>> {
    vec![
        framed(AVRO, &[0x54, 0x02, 0x08, b'p', b'a', b'i', b'd']),
        framed(AVRO, &[0x56, 0x00]),
        framed(PROTOBUF, &[0x00, 0x08, 42, 0x12, 4, b's', b'e', b'n', b't']),
        framed(JSON, br#"{"id": 44}"#),
        framed(404, &[1]),
        vec![0x81, 0xa2, b'i', b'd', 45],
    ]
}

/// Writes the topic.
pub(crate) async fn fill(broker: &Broker) {
    let properties = Properties::new(&broker.bootstrap());
    let topic = NewTopic { name: TOPIC.to_owned(), partitions: 1, replication: 1, settings: [].into() };
    Admin::new(&properties).unwrap().create(&topic).await.unwrap();
    let record = |value: Vec<u8>| Record {
        topic: TOPIC.into(),
        partition: Some(0),
        key: None,
        value: Some(value.into()),
        headers: Vec::new(),
    };
    let records: Vec<Record> = values().into_iter().map(record).collect();
    Producer::new(&properties).unwrap().send(&records).await.unwrap().await.unwrap();
}

/// What the console says of it, twice.
pub(crate) async fn is_read(home: &WorkerHome, registry: &Registry) {
    for _ in 0..2 {
        let page = page(home, "offset=0&partition=0").await;
        let shown: Vec<_> =
            page.iter().map(|one| (one["value"]["format"].clone(), one["value"]["json"].clone())).collect();
        assert_eq!(
            shown.get(..4).unwrap(),
            [
                (json!("avro"), json!({"id": 42, "state": "paid"})),
                (json!("avro"), json!({"id": 43, "state": null})),
                (json!("protobuf"), json!({"id": 42, "state": "sent"})),
                (json!("json"), json!({"id": 44})),
            ]
        );
        assert_eq!(shown.get(4).unwrap().0, json!("hex"), "its schema is nowhere");
    }
    let wanted = page(home, "offset=4&partition=0&format=avro").await;
    let error = wanted.first().unwrap()["value"]["error"].as_str().unwrap().to_owned();
    assert!(error.contains("schema 404"), "{error}");
    let msgpack = page(home, "offset=5&partition=0&format=msgpack").await;
    assert_eq!(msgpack.first().unwrap()["value"]["json"], json!({"id": 45}));
    let kafdrop = home.get("/kafdrop/topic/formats/messages?partition=0&offset=0&count=1&format=AVRO").await.unwrap();
    assert!(kafdrop.1.contains("paid"), "{}", kafdrop.1);
    let asked = registry.asked.lock().unwrap().clone();
    for id in [AVRO, PROTOBUF, JSON] {
        assert_eq!(asked.get(&format!("/schemas/ids/{id}")), Some(&1), "a schema is asked for once: {asked:?}");
    }
}

async fn page(home: &WorkerHome, query: &str) -> Vec<Value> {
    let (code, body) = home.get(&format!("/api/topics/{TOPIC}/messages?{query}")).await.unwrap();
    assert_eq!(code, 200, "{body}");
    let mut reply: Value = serde_json::from_str(&body).unwrap();
    let Value::Array(messages) = reply["messages"].take() else { panic!("{body}") };
    messages
}
