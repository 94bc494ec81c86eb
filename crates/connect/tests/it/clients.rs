//! Other people's clients of Connect's REST API, unchanged.

use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use walhouse_connect::PostgresRunner;
use walhouse_lab::postgres::{Server, connect};

use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn kafka_connect_py_drives_the_worker() {
    let python = walhouse_lab::python(&["kafka-connect-py==1.0.0"]).await.unwrap();
    let server = Server::shared().await.unwrap();
    let source = connect(&server.create_database("python_client").await.unwrap()).await.unwrap();
    source.batch_execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await.unwrap();
    let config = json!({
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "plugin.name": "pgoutput",
        "database.hostname": "127.0.0.1",
        "database.port": server.port().to_string(),
        "database.user": "postgres",
        "database.password": "pw",
        "database.dbname": "python_client",
        "topic.prefix": "python",
        "slot.name": "python_client",
        "slot.retry.delay.ms": "200",
    });
    let house = House::start(Arc::new(PostgresRunner), "").await;
    let mut client = Command::new(&python);
    client.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/kafka_connect_py.py"));
    client.arg(format!("http://{}", house.address)).arg(python.with_file_name("kc")).arg(config.to_string());
    let output = tokio::task::spawn_blocking(move || client.output()).await.unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(text(&output.stdout).trim(), "all good", "{}", text(&output.stderr));
    house.stop().await;
}
