//! A connector's task for tests of the worker alone: one record, one offset, and failures on demand.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use walhouse_connect::task::{Chunk, StoredOffset, TaskContext, TaskEvent, TaskFailure};
use walhouse_connect::{Fault, PostgresRunner, Runner};
use walhouse_kafka::Record;

/// Checks as the real one, and runs as little as can be.
#[derive(Debug)]
pub(crate) struct Fake;

impl Runner for Fake {
    fn check<'a>(&'a self, config: &'a BTreeMap<String, String>) -> BoxFuture<'a, Vec<Fault>> {
        PostgresRunner.check(config)
    }

    fn run(&self, context: TaskContext) -> BoxFuture<'static, Result<(), TaskFailure>> {
        Box::pin(run(context))
    }
}

async fn run(context: TaskContext) -> Result<(), TaskFailure> {
    let get = |key: &str| context.config.get(key).cloned().unwrap_or_default();
    if get("publication.autocreate.mode") == "disabled" {
        let message = "Publication autocreation is disabled, please create one and restart the connector.";
        let trace = format!("org.apache.kafka.connect.errors.ConnectException: {message}\n");
        return Err(TaskFailure { trace, retriable: false });
    }
    (context.observer)(TaskEvent::Running);
    let prefix = get("topic.prefix");
    let key = format!(r#"["{}",{{"server":"{prefix}"}}]"#, context.connector);
    if context.offsets.load(&key).await?.is_none() {
        let topic = format!("{prefix}.{}", get("table.include.list"));
        let value =
            r#"{"last_snapshot_record":true,"lsn":518571976,"txId":3885,"ts_usec":1795503346687779,"snapshot":true}"#;
        let offset = StoredOffset { key, value: value.to_owned() };
        let record = Record {
            topic: topic.into(),
            partition: None,
            key: Some("1".into()),
            value: Some("a".into()),
            headers: Vec::new(),
        };
        let chunk = Chunk { records: vec![record], offset: Some(offset.clone()) };
        context.output.send(chunk).await?.await?;
        if !context.output.stores_offsets() {
            context.offsets.save(&offset).await?;
        }
    }
    context.stop.cancelled().await;
    Ok(())
}
