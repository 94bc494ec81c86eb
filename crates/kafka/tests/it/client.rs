//! The client half against a real broker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::time::timeout;
use walhouse_kafka::client::{Admin, ConsumedRecord, Consumer, Error, Log, NewTopic, Producer, Properties, Start};
use walhouse_kafka::{Record, RecordHeader, partition};
use walhouse_lab::kafka::Broker;

/// A machine with other work may take its time.
const PATIENCE: Duration = Duration::from_secs(120);

async fn properties() -> Properties {
    Properties::new(&Broker::shared().await.unwrap().bootstrap())
}

fn record(topic: &str, key: Option<&str>, value: Option<&str>) -> Record {
    let bytes = |text: &str| Bytes::from(text.to_owned());
    Record { topic: topic.into(), partition: None, key: key.map(bytes), value: value.map(bytes), headers: Vec::new() }
}

fn topic(name: &str, partitions: i32) -> NewTopic {
    NewTopic { name: name.to_owned(), partitions, replication: 1, settings: BTreeMap::new() }
}

async fn next(consumer: &Consumer) -> walhouse_kafka::client::ConsumedRecord {
    timeout(PATIENCE, consumer.next()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_lie_in_order_where_java_puts_them() {
    let properties = properties().await;
    Admin::new(&properties).unwrap().create(&topic("order", 4)).await.unwrap();
    let producer = Producer::new(&properties).unwrap();
    let keys: Vec<String> = (0..97).map(|key| format!("Struct{{id={key}}}")).chain([String::new()]).collect();
    let total = 20_000;
    let mut deliveries = Vec::new();
    for chunk in (0..total).collect::<Vec<usize>>().chunks(1000) {
        let records: Vec<Record> = chunk
            .iter()
            .map(|number| {
                let mut record = record("order", Some(&keys[number % keys.len()]), Some(&number.to_string()));
                let value = (number % 2 == 0).then(|| Bytes::from_static(b"x"));
                record.headers = vec![RecordHeader { name: "h".into(), value }];
                record
            })
            .collect();
        deliveries.push(producer.send(&records).await.unwrap());
    }
    for delivery in deliveries {
        timeout(PATIENCE, delivery.into_future()).await.unwrap().unwrap();
    }
    assert_eq!(producer.pending(), 0);

    let consumer = Consumer::new(&properties).unwrap();
    let places: Vec<_> = (0..4).map(|partition| ("order".to_owned(), partition, Start::Beginning)).collect();
    consumer.assign(&places).await.unwrap();
    let mut latest: BTreeMap<Bytes, usize> = BTreeMap::new();
    for _ in 0..total {
        let read = next(&consumer).await;
        let key = read.key.unwrap();
        assert_eq!(i64::from(partition(&key, 4)), i64::from(read.partition), "{key:?}");
        let number: usize = std::str::from_utf8(&read.value.unwrap()).unwrap().parse().unwrap();
        assert_eq!(read.headers[0].value.is_some(), number.is_multiple_of(2));
        let former = latest.insert(key, number);
        assert!(former.is_none_or(|former| former + keys.len() == number), "{former:?} then {number}");
    }
    assert_eq!(latest.len(), keys.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_read_to_its_end_and_followed() {
    let properties = properties().await;
    let admin = Admin::new(&properties).unwrap();
    assert!(admin.create(&NewTopic::compacted("log", 5, 1)).await.unwrap());
    assert!(!admin.create(&NewTopic::compacted("log", 5, 1)).await.unwrap());
    let settings = admin.settings("log").await.unwrap();
    assert_eq!(settings["cleanup.policy"].value.as_deref(), Some("compact"));
    assert!(settings["cleanup.policy"].is_own && !settings["retention.ms"].is_own);

    let mut log = Log::open(&properties, "log").await.unwrap();
    assert!(timeout(PATIENCE, log.read_to_end()).await.unwrap().unwrap().is_empty());
    let producer = Producer::new(&properties).unwrap();
    for number in 0..20 {
        let value = (number % 3 > 0).then_some("v");
        let placed = producer.put(&record("log", Some(&format!("k{number}")), value)).await.unwrap();
        assert_eq!(placed.partition as u32, partition(format!("k{number}").as_bytes(), 5));
    }
    for _ in 0..12 {
        assert!(timeout(PATIENCE, log.next()).await.unwrap().unwrap().timestamp.is_some());
    }
    assert_eq!(timeout(PATIENCE, log.read_to_end()).await.unwrap().unwrap().len(), 8);
    assert!(timeout(PATIENCE, log.read_to_end()).await.unwrap().unwrap().is_empty());
    let mut again = Log::open(&properties, "log").await.unwrap();
    assert_eq!(timeout(PATIENCE, again.read_to_end()).await.unwrap().unwrap().len(), 20);
    let missing = Log::open(&properties, "no-log").await.unwrap_err().to_string();
    assert_eq!(missing, "reading topic no-log: it is not there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_never_rests_has_an_end() {
    let properties = properties().await;
    Admin::new(&properties).unwrap().create(&NewTopic::compacted("restless", 3, 1)).await.unwrap();
    let producer = Producer::new(&properties.clone().with("linger.ms", "0")).unwrap();
    let (writer, written) = (producer.clone(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&written);
    let writing = tokio::spawn(async move {
        for number in 0.. {
            drop(writer.send(&[record("restless", Some(&format!("k{number}")), Some("v"))]).await.unwrap());
            count.fetch_add(1, Ordering::AcqRel);
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    });
    // Enough lie there for a loss to show.
    let before = loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        match written.load(Ordering::Acquire).saturating_sub(producer.pending()) {
            lie_there if lie_there > 500 => break lie_there,
            _ => {}
        }
    };
    let mut log = Log::open(&properties, "restless").await.unwrap();
    let read = timeout(Duration::from_secs(20), log.read_to_end()).await.expect("it reads on and on").unwrap();
    assert!(read.len() >= before, "{} of {before}", read.len());
    let more = timeout(Duration::from_secs(20), log.read_to_end()).await.expect("it reads on and on").unwrap();
    writing.abort();
    assert!(more.iter().all(|record| !read.contains(record)), "read twice");
}

/// The broker is the library's own imitation: a real one refuses a request only while it is about to lead a partition.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_refused_is_not_taken_for_delivered_when_a_later_one_succeeds() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("gap", 1, 1).unwrap();
    let properties = Properties::new(&cluster.bootstrap_servers());
    let eager = [("linger.ms", "0"), ("batch.num.messages", "1"), ("max.in.flight.requests.per.connection", "5")];
    let producer = Producer::new(&properties.clone().with_all(eager)).unwrap();
    // The requests lie on the way side by side when the first one is refused.
    cluster.broker_round_trip_time(1, Duration::from_millis(50)).unwrap();
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    cluster.request_errors(RDKafkaApiKey::Produce, &[refusal]);
    let wanted: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let records: Vec<Record> = wanted.iter().map(|value| record("gap", Some("key"), Some(value))).collect();
    timeout(PATIENCE, producer.send(&records).await.unwrap().into_future()).await.unwrap().unwrap();
    let mut log = Log::open(&properties, "gap").await.unwrap();
    let lies = timeout(PATIENCE, log.read_to_end()).await.unwrap().unwrap();
    let text = |read: ConsumedRecord| String::from_utf8(read.value.unwrap().to_vec()).unwrap();
    assert_eq!(lies.into_iter().map(text).collect::<Vec<_>>(), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_seen_whole_or_not_at_all() {
    let properties = properties().await;
    let admin = Admin::new(&properties).unwrap();
    admin.create(&topic("tx", 1)).await.unwrap();
    let first = Producer::transactional(&properties, "task-0").await.unwrap();
    let consumer = Consumer::new(&properties).unwrap();
    consumer.assign(&[("tx".to_owned(), 0, Start::Beginning)]).await.unwrap();

    first.begin().unwrap();
    first.send(&[record("tx", Some("a"), Some("lost"))]).await.unwrap().await.unwrap();
    first.abort().await.unwrap();
    first.begin().unwrap();
    let _ = first.send(&[record("tx", Some("a"), Some("1")), record("tx", Some("a"), Some("2"))]).await.unwrap();
    assert!(timeout(Duration::from_millis(300), consumer.next()).await.is_err(), "seen before the commit");
    first.commit().await.unwrap();
    assert_eq!(next(&consumer).await.value.unwrap(), "1");
    assert_eq!(next(&consumer).await.value.unwrap(), "2");

    // Left open by one that hangs; its successor ends that.
    first.begin().unwrap();
    first.send(&[record("tx", Some("a"), Some("of the former"))]).await.unwrap().await.unwrap();
    let second = Producer::transactional(&properties, "task-0").await.unwrap();
    second.begin().unwrap();
    let _ = second.send(&[record("tx", Some("a"), Some("3"))]).await.unwrap();
    second.commit().await.unwrap();
    assert_eq!(next(&consumer).await.value.unwrap(), "3");
    let fenced = first.commit().await.unwrap_err();
    assert!(matches!(fenced, Error::Fenced { .. }), "{fenced}");
    let log = timeout(PATIENCE, Log::open(&properties, "tx").await.unwrap().read_to_end()).await.unwrap().unwrap();
    assert_eq!(log.len(), 3, "an end behind markers is an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_begins_where_it_is_told() {
    let properties = properties().await;
    let admin = Admin::new(&properties).unwrap();
    admin.create(&topic("places", 1)).await.unwrap();
    let producer = Producer::new(&properties).unwrap();
    for number in 0..10 {
        producer.put(&record("places", None, Some(&number.to_string()))).await.unwrap();
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    assert_eq!(admin.watermarks("places", 0).await.unwrap(), (0, 10));
    let consumer = Consumer::new(&properties).unwrap();
    let read = async |start| {
        consumer.assign(&[("places".to_owned(), 0, start)]).await.unwrap();
        next(&consumer).await
    };
    let seventh = read(Start::Offset(7)).await;
    assert_eq!(seventh.value.unwrap(), "7");
    assert_eq!(read(Start::Beginning).await.value.unwrap(), "0");
    assert_eq!(read(Start::Tail(2)).await.value.unwrap(), "8");
    assert_eq!(read(Start::Time(seventh.timestamp.unwrap())).await.value.unwrap(), "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_said_and_nothing_overtakes_it() {
    let properties = properties().await;
    let producer = Producer::new(&properties).unwrap();
    let large = "x".repeat(1_100_000);
    let error = producer.send(&[record("large", Some("a"), Some(&large))]).await.unwrap_err().to_string();
    assert!(error.starts_with("sending a record of 1100001 bytes to large: it is too large; raise"), "{error}");
    // The producer takes it and the broker does not.
    let generous = Producer::new(&properties.clone().with("max.request.size", "3000000")).unwrap();
    let error = generous.put(&record("large", Some("a"), Some(&large))).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    let after = generous.put(&record("large", Some("a"), Some("small"))).await.unwrap_err();
    assert!(matches!(after, Error::Failed { .. }), "{after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_says_what_is_there() {
    let properties = properties().await;
    let admin = Admin::new(&properties).unwrap();
    assert!(!admin.cluster_id().await.unwrap().is_empty());
    assert_eq!(admin.brokers().await.unwrap()[0].address, properties.bootstrap());
    assert_eq!(admin.topic("never-made").await.unwrap(), None);
    assert_eq!(admin.topic("never-made").await.unwrap(), None, "asking made it");
    admin.create(&topic("there", 2)).await.unwrap();
    admin.set_partitions("there", 3).await.unwrap();
    // Brokers tell each other of a new topic after they have answered.
    let deadline = Instant::now() + Duration::from_secs(10);
    let there = loop {
        match admin.topic("there").await.unwrap() {
            Some(found) if found.partitions == 3 => break found,
            found => assert!(Instant::now() < deadline, "{found:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((there.partitions, there.replicas, there.in_sync, there.leaderless), (3, 1, 1, 0));
    assert!(admin.topics().await.unwrap().contains(&there));
    admin.groups().await.unwrap();
    assert!(admin.committed("no-group", "there", 3).await.unwrap().is_empty());
    assert!(admin.delete("there").await.unwrap());
    assert!(!admin.delete("there").await.unwrap());
    let nobody = Admin::new(&Properties::new("127.0.0.1:1")).unwrap();
    let error = nobody.create(&topic("x", 99)).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}
