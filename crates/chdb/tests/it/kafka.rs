//! Kafka tables: the operator's, and out of every client's reach.

use std::net::TcpListener;
use std::time::Duration;

use walhouse_chdb::testing::TestEngine;

use crate::wire::{ok, operator_sql, request, sql};

/// A table that reads from `broker`.
fn create(broker: &str) -> String {
    format!(
        "CREATE TABLE sales__queue (raw String) ENGINE = Kafka SETTINGS kafka_broker_list = '{broker}', \
         kafka_topic_list = 't', kafka_group_name = 'g', kafka_format = 'RawBLOB'"
    )
}

#[test]
fn a_client_cannot_make_the_engine_connect_anywhere() {
    let engine = TestEngine::with_kafka();
    let address = engine.address();
    let trap = TcpListener::bind("127.0.0.1:0").expect("a port");
    trap.set_nonblocking(true).expect("not blocking");
    let broker = trap.local_addr().expect("its address").to_string();
    let refused = |statement: &str| {
        let answer = sql(&address, statement);
        assert_eq!((answer.status, answer.code()), (403, 497), "{statement}: {}", answer.text());
    };
    let engines = [
        format!("ENGINE = Kafka('{broker}', 't', 'g', 'RawBLOB')"),
        format!("ENGINE Kafka SETTINGS kafka_broker_list = '{broker}'"),
        format!("ENGINE = /* c */ `Kafka` SETTINGS kafka_broker_list = '{broker}', kafka_topic_list = 't'"),
        format!("ENGINE = \"Kafka\"('{broker}', 't', 'g', 'RawBLOB')"),
        format!("ENGINE = `Kaf\\x6ba`('{broker}', 't', 'g', 'RawBLOB')"),
    ];
    for engine in &engines {
        for start in ["CREATE TABLE never (raw String)", "CREATE OR REPLACE TABLE never (raw String)"] {
            refused(&format!("{start} {engine}"));
        }
        refused(&format!("CREATE MATERIALIZED VIEW never (raw String) {engine} AS SELECT 'x' AS raw"));
    }
    // the other sources are closed with Kafka as without
    refused(&format!("SELECT * FROM url('http://{broker}/', 'TSV', 'a Int32')"));
    refused(&format!("SELECT * FROM remote('{broker}', 'system.one')"));
    std::thread::sleep(Duration::from_millis(300));
    assert!(trap.accept().is_err(), "somebody connected");
}

#[test]
fn the_operators_queues_are_not_the_clients() {
    let engine = TestEngine::with_kafka();
    let (address, operator) = (engine.address(), engine.operator().expect("a folder"));
    let trap = TcpListener::bind("127.0.0.1:0").expect("a port");
    let broker = trap.local_addr().expect("its address").to_string();
    let created = operator_sql(&operator, &create(&broker));
    assert_eq!(created.status, 200, "{}", created.text());
    ok(&address, "CREATE TABLE target (raw String) ENGINE = MergeTree ORDER BY raw");
    for statement in [
        "SELECT * FROM sales__queue",
        "SELECT * FROM default.`sales__queue` SETTINGS stream_like_engine_allow_direct_select = 1",
        "SELECT * FROM merge('default', '^sales') SETTINGS stream_like_engine_allow_direct_select = 1",
        "INSERT INTO sales__queue VALUES ('x')",
        "INSERT INTO sales__queue SELECT 'x'",
        "CREATE TABLE mine AS sales__queue",
        "CREATE MATERIALIZED VIEW mine TO target AS SELECT raw FROM sales__queue",
        "CREATE TABLE mine (raw String) ENGINE = Buffer('default', 'sales__queue', 1, 1, 1, 1, 1, 1, 1)",
        "RENAME TABLE sales__queue TO mine",
        "DROP TABLE sales__queue",
        "SET stream_like_engine_allow_direct_select = 1",
    ] {
        let answer = sql(&address, statement);
        assert_eq!((answer.status, answer.code()), (403, 497), "{statement}: {}", answer.text());
    }
    let named = request(&address, "POST", "/?param_t=sales__queue", &[], Some(b"SELECT * FROM {t:Identifier}"));
    assert_eq!(named.code(), 497, "{}", named.text());
    let set = "/?stream_like_engine_allow_direct_select=1";
    assert_eq!(request(&address, "POST", set, &[], Some(b"SELECT 1")).code(), 497);
    // looking is free
    assert!(ok(&address, "SHOW CREATE TABLE sales__queue").contains("Kafka"));
    assert_eq!(ok(&address, "SELECT engine FROM system.tables WHERE name = 'sales__queue'"), "Kafka\n");
    // it is remembered over a restart, and the socket is there again
    engine.restart();
    assert_eq!(sql(&address, "SELECT * FROM sales__queue").code(), 497);
    let dropped = operator_sql(&operator, "DROP TABLE sales__queue SYNC");
    assert_eq!(dropped.status, 200, "{}", dropped.text());
    ok(&address, "CREATE TABLE sales__queue (a String) ENGINE = MergeTree ORDER BY a");
}

#[test]
fn without_kafka_there_is_no_operator() {
    let engine = TestEngine::with_password("s3cret");
    assert!(!engine.operator().is_some_and(|socket| socket.exists()));
}
