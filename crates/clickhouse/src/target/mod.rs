//! The target: everything that is asked of ClickHouse beside the stream of batches.
//!
//! [`ClickHouse`] implements [`walhouse_change::Target`]. `service` keeps the state, `inventory`
//! reads what there is, `owner` tells ours from others', `tables` and `copy` make and change
//! tables, `open` finds out where the stream goes on, `admin` answers `status`, `check` and
//! `teardown`.

mod admin;
mod copy;
mod inventory;
mod kafka;
mod open;
mod owner;
mod service;
mod tables;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{OnceCell, Semaphore};
use walhouse_change::{BoxFuture, Checkpoint, Observer, Opening, Result, Sink, State, TableSchema, TableState, Target};

use crate::client::Client;
use crate::config::Config;
use crate::ddl;
use crate::error::Error;
use crate::mapping::{Dates, Layout};
use crate::sink::{CopySink, Inserter};
pub(crate) use open::delete_up_to;
use service::Service;
pub(crate) use tables::Tables;

pub use admin::MissingRight;
pub use kafka::{Change, Changed, Import, TopicState};

/// For the queries of a former process to end once they were killed. A block that is being written
/// to disk is not interrupted, and takes seconds on a slow one.
const KILL_PATIENCE: Duration = Duration::from_secs(15);

/// Servers from here on have calendar types of four-digit years.
const WIDE_DATES_SINCE: u32 = 26;

/// With what the query ids of a deployment's inserts begin. Several may write to one server for slots of the same
/// name, each to a database of its own; whoever starts ends the queries of this deployment only.
fn query_prefix(slot: &str, database: &str) -> String {
    format!("walhouse-{}-{}-", id_part(slot), id_part(database))
}

/// With what the query ids of the stream's inserts begin.
fn stream_prefix(slot: &str, database: &str) -> String {
    format!("{}stream-", query_prefix(slot, database))
}

/// With what the query ids of the inserts into a table's copy begin.
fn copy_prefix(slot: &str, database: &str, table: &str) -> String {
    format!("{}copy-{}-", query_prefix(slot, database), id_part(table))
}

/// A name within a query id, without the hyphen that ends it: no id of `a` begins as one of `a-b`.
fn id_part(name: &str) -> String {
    name.replace('%', "%25").replace('-', "%2d")
}

/// A ClickHouse server, or the embedded engine, as the place where one slot's tables live.
///
/// What a second copy of a table means for its history: for now the history begins anew with the
/// copy. Rows of a column that Postgres gained later are NULL until they change, whatever its
/// default says.
#[derive(Debug)]
pub struct ClickHouse {
    config: Config,
    client: Client,
    service: Service,
    tables: OnceCell<Tables>,
    /// Bounds inserts of the stream and of copies, each on its own: a copy must not keep the
    /// stream waiting.
    stream_permits: Arc<Semaphore>,
    copy_permits: Arc<Semaphore>,
    /// Numbers the inserts of this process.
    numbers: Arc<AtomicU64>,
}

impl ClickHouse {
    /// Checks the configuration; nothing is connected yet.
    ///
    /// # Errors
    /// The URL or the file of certificates cannot be used.
    pub fn new(config: Config) -> Result<Self> {
        let client = Client::new(&config)?;
        let service = Service::new(client.clone(), &config.database, &config.slot);
        let permits = || Arc::new(Semaphore::new(config.parallel_inserts.max(1)));
        Ok(Self {
            service,
            client,
            tables: OnceCell::new(),
            stream_permits: permits(),
            copy_permits: permits(),
            numbers: Arc::new(AtomicU64::new(1)),
            config,
        })
    }

    /// The client that all of this goes through, for looks beside the pipeline. It names no database.
    #[must_use]
    pub fn http_client(&self) -> clickhouse::Client {
        self.client.http()
    }

    /// What depends on the server's version, looked up once.
    async fn tables(&self) -> Result<&Tables> {
        self.tables
            .get_or_try_init(|| async {
                let version = self.client.version().await?;
                let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
                let wide = major.is_some_and(|major| major >= WIDE_DATES_SINCE);
                Ok(Tables {
                    client: self.client.clone(),
                    slot: self.config.slot.as_str().into(),
                    layout: Layout {
                        database: self.config.database.clone(),
                        history: self.config.history,
                        retention: self.config.retention,
                        dates: if wide { Dates::Wide } else { Dates::Narrow },
                    },
                    overrides: Arc::new(self.config.tables.clone()),
                    copied: Arc::default(),
                })
            })
            .await
    }

    async fn load_state(&self) -> Result<State> {
        // another server may answer now than when the process started
        self.client.version().await?;
        let prefix = query_prefix(&self.config.slot, &self.config.database);
        tokio::try_join!(self.client.end_queries(&prefix, KILL_PATIENCE), self.create_database())?;
        self.service.create().await?;
        Ok(self.service.read(false).await?)
    }

    /// Creates the database only when it is missing: a user may lack the right to.
    async fn create_database(&self) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Row {
            #[serde(rename = "engine")]
            _engine: String,
        }
        let sql = format!("SELECT engine FROM system.databases WHERE name = {}", ddl::literal(&self.config.database));
        let found: Vec<Row> = self.client.rows("look for the database", &sql).await?;
        if found.is_empty() {
            let action = format!("create database {}", self.config.database);
            self.client.execute(&action, &ddl::create_database(&self.config.database)).await?;
        }
        Ok(())
    }

    async fn open_copy(&self, schema: &Arc<TableSchema>, epoch: u16) -> Result<Box<dyn Sink>> {
        let plan = self.tables().await?.plan(schema)?;
        let inserter = Inserter {
            client: self.client.clone(),
            permits: Arc::clone(&self.copy_permits),
            numbers: Arc::clone(&self.numbers),
            prefix: copy_prefix(&self.config.slot, &self.config.database, &plan.name).into(),
            slot: self.config.slot.as_str().into(),
        };
        Ok(Box::new(CopySink::new(plan, inserter, epoch)))
    }
}

impl Target for ClickHouse {
    fn ping(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { Ok(self.client.ping().await?) })
    }

    fn load(&self) -> BoxFuture<'_, Result<State>> {
        Box::pin(self.load_state())
    }

    fn save_checkpoint<'a>(&'a self, checkpoint: &'a Checkpoint) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { Ok(self.service.save_checkpoint(checkpoint).await?) })
    }

    fn save_table<'a>(&'a self, table: &'a TableState) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { Ok(self.service.save_table(table).await?) })
    }

    fn begin_copy<'a>(&'a self, table: &'a Arc<TableSchema>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.tables().await?.begin_copy(table).await })
    }

    fn copy_sink<'a>(&'a self, table: &'a Arc<TableSchema>, epoch: u16) -> BoxFuture<'a, Result<Box<dyn Sink>>> {
        Box::pin(self.open_copy(table, epoch))
    }

    fn finish_copy<'a>(&'a self, table: &'a Arc<TableSchema>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.tables().await?.finish_copy(table).await })
    }

    fn open<'a>(
        &'a self,
        tables: &'a [Opening],
        epoch: u16,
        observer: Arc<dyn Observer>,
    ) -> BoxFuture<'a, Result<Box<dyn Sink>>> {
        Box::pin(self.open_stream(tables, epoch, observer))
    }
}
