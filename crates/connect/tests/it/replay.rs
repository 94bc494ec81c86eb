//! The REST transcript of a real worker (Connect 3.5.1 with Debezium 2.4.2), call by call.

use std::sync::Arc;

use serde_json::Value as Json;
use walhouse_lab::postgres::Server;

use crate::fake::Fake;
use crate::house::{Answer, House};

/// Status, headers and bodies of 153 calls.
const TRANSCRIPT: &str = include_str!("../golden/rest-transcript.jsonl");

/// Calls whose answers cannot be the recorded ones, with the reason.
const DIFFERENT: [(&str, &str); 2] = [
    ("status at once", "here a connector has a status sooner after it was made"),
    ("offsets", "offsets are stored as soon as their records are acknowledged, not once a minute"),
];

/// Headers that are compared; the others name the time and the server.
const HEADERS: [&str; 3] = ["content-type", "location", "allow"];

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_transcript_is_answered_alike() {
    let postgres = Server::shared().await.unwrap();
    let client = postgres.connect().await.unwrap();
    client.batch_execute("CREATE DATABASE rest_visible").await.unwrap();
    let database = walhouse_lab::postgres::connect(&postgres.url_of("rest_visible")).await.unwrap();
    database
        .batch_execute("CREATE TABLE orders (id int PRIMARY KEY, v text); INSERT INTO orders VALUES (1, 'a')")
        .await
        .unwrap();
    let house = House::start(Arc::new(Fake), "").await;
    let port = postgres.port().to_string();
    let ours = |text: &str| text.replace("21032", &port).replace("127.0.0.1:21083", &house.address);

    let mut faults = Vec::new();
    let mut calls = 0;
    for line in TRANSCRIPT.lines() {
        let call: Json = serde_json::from_str(line).unwrap();
        let text = |key: &str| call[key].as_str().unwrap();
        let label = text("label");
        settle(&house).await;
        let expected = Answer {
            status: u16::try_from(call["status"].as_u64().unwrap()).unwrap(),
            headers: call["headers"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.to_lowercase(), ours(value.as_str().unwrap())))
                .collect(),
            body: ours(text("body")),
        };
        let body = call["request_body"].as_str().map(ours);
        let answer = answer(&house, &call, body.as_deref(), &expected).await;
        calls += 1;
        if label == "topic.creation half" {
            // The recorder removed this one on the side.
            house.call("DELETE", "/connectors/x", None, &[]).await;
        }
        let known = DIFFERENT.iter().any(|(name, _)| *name == label);
        if !known && let Some(fault) = difference(&expected, &answer) {
            faults.push(format!("{label}: {} {}\n  {fault}", text("method"), text("path")));
        }
    }
    house.stop().await;
    assert!(faults.is_empty(), "{} of {calls} calls differ:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(calls, 153);
}

/// Makes a call as it was made; one that looks is repeated for a while, since what was asked for before comes about
/// by and by.
async fn answer(house: &House, call: &Json, body: Option<&str>, expected: &Answer) -> Answer {
    let (method, path) = (call["method"].as_str().unwrap(), call["path"].as_str().unwrap());
    let mut headers: Vec<(&str, &str)> = Vec::new();
    match call["request_headers"].as_object() {
        Some(sent) => headers.extend(sent.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()))),
        None => {
            headers.push(("Accept", "application/json"));
            if body.is_some() {
                headers.push(("Content-Type", "application/json"));
            }
        }
    }
    let mut answer = house.call(method, path, body, &headers).await;
    if method == "GET" {
        for _ in 0..400 {
            if difference(expected, &answer).is_none() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            answer = house.call(method, path, body, &headers).await;
        }
    }
    answer
}

/// Waits until no connector is on its way from one state to another.
async fn settle(house: &House) {
    house
        .until("/connectors?expand=status", |answer| {
            let on_its_way = ["UNASSIGNED", "RESTARTING"];
            let rests = |name: &String, both: &Json| {
                let status = &both["status"];
                let tasks = status["tasks"].as_array().map_or(0, Vec::len);
                let stopped = status["connector"]["state"] == "STOPPED";
                let settled = !on_its_way.iter().any(|state| status.to_string().contains(state));
                settled && (stopped || tasks == 1) && !name.is_empty()
            };
            let all = answer.json();
            all.as_object().is_some_and(|all| all.iter().all(|(name, both)| rests(name, both)))
        })
        .await;
}

fn difference(expected: &Answer, answer: &Answer) -> Option<String> {
    if expected.status != answer.status {
        return Some(format!("expected {}, got {}: {}", expected.status, answer.status, cut(&answer.body)));
    }
    for name in HEADERS {
        if expected.header(name) != answer.header(name) {
            return Some(format!("{name}: expected {:?}, got {:?}", expected.header(name), answer.header(name)));
        }
    }
    let (one, other) = (masked(&expected.body), masked(&answer.body));
    (one != other).then(|| {
        let at = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
        let from = (0..=at.saturating_sub(60)).rev().find(|at| one.is_char_boundary(*at)).unwrap_or(0);
        format!(
            "from byte {from}\n    expected {}\n         got {}",
            cut(one.get(from..).unwrap_or_default()),
            cut(other.get(from..).unwrap_or_default())
        )
    })
}

fn cut(text: &str) -> String {
    text.chars().take(400).collect()
}

/// What differs from run to run, or from one JVM to none: the cluster's id, positions and times, where a plug-in lies,
/// and the places in Java's code of a trace.
fn masked(body: &str) -> String {
    let patterns = [
        (r#""kafka_cluster_id":"[^"]*""#, r#""kafka_cluster_id":"…""#),
        (r#""(lsn|txId|ts_usec)":\d+"#, r#""$1":0"#),
        (r"location='file:[^']*'", "location='…'"),
        (r#"("trace":"[^"\\]*)(\\n[^"]*)?""#, r#"$1""#),
    ];
    patterns.iter().fold(body.to_owned(), |text, (pattern, with)| {
        regex::Regex::new(pattern).unwrap().replace_all(&text, *with).into_owned()
    })
}
