//! ClickHouse fed from Kafka: `kafka-tables` and `import` with a real Postgres, a real broker and the real engine.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not take for tests")]

mod connector;
mod delivery;
mod faults;
mod import;
mod run;
mod tables;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use tokio_postgres::Client;
use walhouse_lab::kafka::Broker;
use walhouse_lab::postgres::{Server, connect};
use walhouse_lab::verify::{self, Report, Table};

use crate::harness::{LoneEngine, PROGRAM};
use connector::Ends;

/// Only a failure takes this long; two tests at once leave a busy machine's engine little of it.
const PATIENCE: Duration = Duration::from_secs(150);

/// What every one of these connectors has; the seed's but for the database.
const OPTIONS: [(&str, &str); 3] = [
    ("topic.creation.default.partitions", "4"),
    ("topic.creation.default.replication.factor", "1"),
    ("snapshot.mode", "never"),
];

/// The seed's transformation.
pub(crate) const UNWRAP: [(&str, &str); 5] = [
    ("transforms", "unwrap"),
    ("transforms.unwrap.type", "io.debezium.transforms.ExtractNewRecordState"),
    ("transforms.unwrap.delete.handling.mode", "rewrite"),
    ("transforms.unwrap.drop.tombstones", "false"),
    ("transforms.unwrap.add.fields", "table,op,lsn,source.ts_ms"),
];

/// A database, a broker's topics, an engine, and a configuration that joins them.
pub(crate) struct Place {
    pub(crate) source: Client,
    pub(crate) ends: Ends,
    pub(crate) engine: Option<LoneEngine>,
    pub(crate) folder: tempfile::TempDir,
    port: u16,
}

impl Place {
    /// `name` is the database, the topics' prefix and the slot.
    pub(crate) async fn new(name: &str, sql: &str, options: &[(&str, &str)]) -> Self {
        let broker = Broker::shared().await.unwrap();
        Self::at(&broker.bootstrap(), name, sql, options).await
    }

    pub(crate) async fn at(bootstrap: &str, name: &str, sql: &str, options: &[(&str, &str)]) -> Self {
        let url = Server::shared().await.unwrap().create_database(name).await.unwrap();
        let source = connect(&url).await.unwrap();
        source.batch_execute(sql).await.unwrap();
        let own = [("topic.prefix", name), ("slot.name", name), ("publication.name", name), ("database.dbname", name)];
        let config: BTreeMap<String, String> = OPTIONS
            .iter()
            .chain(&own)
            .chain(options)
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let engine = LoneEngine::with_kafka(&folder.path().join("engine"), "127.0.0.1:0");
        let port = engine.url.rsplit(':').next().unwrap().parse().unwrap();
        let ends = Ends { url, bootstrap: bootstrap.to_owned(), config };
        let place = Self { source, ends, engine: Some(engine), folder, port };
        place.configure("");
        place
    }

    /// Writes connector and configuration, with more lines at its end.
    pub(crate) fn configure(&self, more: &str) {
        let connector = serde_json::json!({"name": "c", "config": self.ends.config});
        std::fs::write(self.path("connector.json"), connector.to_string()).unwrap();
        let text = format!(
            "[postgres]\nurl = {:?}\ntables = [\"*.*\"]\n[engine]\ndata = \"engine\"\nlisten = \"127.0.0.1:{}\"\n[kafka]\n\
             bootstrap = {:?}\nconnector = \"connector.json\"\n{more}\n",
            self.ends.url, self.port, self.ends.bootstrap
        );
        std::fs::write(self.path("walhouse.toml"), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `walhouse COMMAND --config .. MORE`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = std::process::Command::new(PROGRAM);
        let (name, more) = arguments.split_first().unwrap();
        command.arg(name).arg("--config").arg(self.path("walhouse.toml")).args(more);
        command.output().unwrap()
    }

    /// The same, which must succeed; its output.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, which must be refused; its last line.
    pub(crate) fn refused(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        errors.lines().last().unwrap_or_default().to_owned()
    }

    pub(crate) fn clickhouse(&self) -> clickhouse::Client {
        clickhouse::Client::default().with_url(format!("http://127.0.0.1:{}", self.port)).with_database("default")
    }

    pub(crate) async fn ask(&self, sql: &str) -> Result<String, String> {
        let client = self.clickhouse();
        let mut cursor = client.query_raw(sql).fetch_bytes("TabSeparated").map_err(|error| error.to_string())?;
        let bytes = cursor.collect().await.map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    /// Waits until the query's answer is `wanted`.
    pub(crate) async fn until(&self, sql: &str, wanted: &str) {
        let looked = verify::until(sql, PATIENCE, async || match self.ask(sql).await {
            Ok(found) if found == wanted => Ok(()),
            Ok(found) | Err(found) => Err(found),
        });
        if let Err(error) = looked.await {
            panic!("{error}, wanted {wanted:?}");
        }
    }

    /// Waits until tables of `public` are equal on both sides, history included.
    pub(crate) async fn until_equal(&mut self, tables: &[&str]) -> Report {
        let tables: Vec<Table> = tables.iter().map(|name| Table::new("public", *name)).collect();
        let clickhouse = self.clickhouse();
        verify::until_equal(&mut self.source, &clickhouse, &tables, PATIENCE).await.unwrap()
    }

    /// Kills the engine as a crash would, and starts it again.
    pub(crate) fn restart_engine(&mut self) {
        self.engine = None;
        let listen = format!("127.0.0.1:{}", self.port);
        self.engine = Some(LoneEngine::with_kafka(&self.path("engine"), &listen));
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.source.batch_execute(sql).await.unwrap();
    }
}

/// A recorded scenario of the real Debezium.
pub(crate) fn golden(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../kafka/tests/golden").join(name)
}
