//! A connector as small as can be: the log of a slot through the encoder into topics. What the worker does beyond
//! (offsets, snapshots, REST) has tests of its own; here it is the messages that matter.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use walhouse_change::{Budget, Lsn, SlotKind};
use walhouse_kafka::client::{Producer, Properties};
use walhouse_kafka::{ColumnFacts, Encoder, Options, TableFacts};
use walhouse_postgres::{Config, Database, Log, Secret};

/// Sends until it is dropped.
pub(crate) struct Connector(JoinHandle<()>);

impl Drop for Connector {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Where it reads and writes.
#[derive(Clone)]
pub(crate) struct Ends {
    pub(crate) url: String,
    pub(crate) bootstrap: String,
    pub(crate) config: BTreeMap<String, String>,
}

impl Ends {
    fn option(&self, key: &str) -> String {
        self.config.get(key).cloned().unwrap_or_default()
    }

    fn database(&self) -> Database {
        let config = Config { url: Some(Secret::new(self.url.clone())), ..Config::default() };
        Database::new(&config, Budget::new(16 << 20)).unwrap()
    }

    /// Creates publication and slot, as a connector's first start does.
    pub(crate) async fn prepare(&self) {
        let ends = self.clone();
        let prepared = tokio::task::spawn_blocking(move || {
            let mut session = ends.database().session().unwrap();
            let publication = walhouse_postgres::identifier(&ends.option("publication.name"));
            session.rows("publish", &format!("CREATE PUBLICATION {publication} FOR ALL TABLES")).unwrap();
            session.close();
            let slot = ends.option("slot.name");
            ends.database().create_slot(&slot, SlotKind::Lasting, Duration::from_secs(30), &|| false).unwrap();
        });
        prepared.await.unwrap();
    }

    /// Sends what is in the log from `from` on, and what comes.
    pub(crate) async fn start(&self, from: Lsn) -> Connector {
        let ends = self.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let database = ends.database();
            let mut session = database.session().unwrap();
            let tables = session.tables(None).unwrap();
            session.close();
            let options = Options::parse(&ends.config, &BTreeMap::new()).unwrap();
            let facts = tables.into_iter().map(|table| TableFacts {
                relid: table.relid,
                columns: table
                    .columns
                    .into_iter()
                    .map(|it| ColumnFacts { name: it.name, not_null: it.not_null, default: it.default })
                    .collect(),
                primary_key: table.primary_key,
                unique_indexes: Vec::new(),
            });
            let encoder = Encoder::new(options, facts);
            let log = || Log {
                slot: ends.option("slot.name"),
                publication: ends.option("publication.name"),
                from,
                options: Vec::new(),
                wanted: std::sync::Arc::new(|_| true),
            };
            // the one before may still hold the slot
            let deadline = Instant::now() + Duration::from_secs(30);
            let source = loop {
                match database.follow(log()) {
                    Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(100)),
                    source => break source.unwrap(),
                }
            };
            let producer = Producer::new(&Properties::new(&ends.bootstrap)).unwrap();
            (source, encoder, producer)
        });
        let (mut source, mut encoder, producer) = opened.await.unwrap();
        Connector(tokio::spawn(async move {
            // nothing is confirmed: a second one sends everything again
            while let Ok(Some(batch)) = source.next().await {
                let mut records = Vec::new();
                encoder.encode(&batch, &mut records).unwrap();
                producer.send(&records).await.unwrap().await.unwrap();
            }
        }))
    }
}
