//! The rows that were there before the connector, copied straight from the source.
//!
//! They are older than every message: their version is their epoch and nothing else. So whatever
//! happened between the connector's slot and this copy's snapshot is in the topics with a higher
//! version, and it does not matter which of the two arrives first.
//!
//! A table's rows are gathered in `<t>__copy`. When all are there they are added to the current
//! state, and the parts themselves become the log's, in one step. Then the values are mended that a
//! message did not have and nobody knew. Everything can be done again after a crash anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use walhouse_change::{
    BoxFuture, Checkpoint, Domain, Observer, Opening, Result, Retry, Sink, State, TableName, TableSchema, TableState,
    Target, Version,
};

use super::super::{ClickHouse, KILL_PATIENCE, copy_prefix};
use crate::ddl;
use crate::error::Error;
use crate::kafka::{Feed, Staging, import_statements};
use crate::sink::{CopySink, Inserter};

/// Messages that are on their way while values are mended may carry the same hole on: looked for until
/// none was seen twice in a row, this far apart.
const LOOK_AGAIN: Duration = Duration::from_millis(700);

/// So many looks; a consumer that never comes to rest is mended by the next import.
const MAX_LOOKS: usize = 20;

/// A target that takes copies of tables that are fed by Kafka. Its state is the topics' own.
#[derive(Debug)]
pub struct Import {
    target: Arc<ClickHouse>,
    feeds: BTreeMap<TableName, Arc<Feed>>,
}

impl Import {
    /// Takes copies of these tables.
    #[must_use]
    pub fn new(target: Arc<ClickHouse>, feeds: impl IntoIterator<Item = Feed>) -> Self {
        let feeds = feeds.into_iter().map(|feed| (feed.plan.schema.name.clone(), Arc::new(feed))).collect();
        Self { target, feeds }
    }

    fn feed(&self, table: &TableSchema) -> Result<Arc<Feed>, Error> {
        self.feeds.get(&table.name).cloned().ok_or_else(|| Error::Misuse(format!("{} is not imported", table.name)))
    }

    async fn begin(&self, feed: &Feed) -> Result<(), Error> {
        let (client, plan) = (&self.target.client, &feed.plan);
        client.end_queries(&copy_prefix(&self.target.config.slot, &plan.database, &plan.name), KILL_PATIENCE).await?;
        let staging = Staging::of(feed);
        client
            .execute(&format!("drop table {}", staging.name), &ddl::drop_table(&plan.database, &staging.name))
            .await?;
        let comment = self.target.kafka_comment(&plan.schema.name, &staging.create);
        let create = format!("{}\nCOMMENT {}", staging.create, ddl::literal(&comment));
        client.execute(&format!("create table {}", staging.name), &create).await?;
        // rows of an import that did not come to its end, or of one that is done again
        let mine = import_statements(feed);
        if plan.history && self.any(&mine.imported).await? {
            client.execute("remove the rows of an earlier import", &mine.forget).await?;
        }
        Ok(())
    }

    async fn finish(&self, feed: &Feed) -> Result<(), Error> {
        let (client, plan) = (&self.target.client, &feed.plan);
        let staging = Staging::of(feed);
        let statements = import_statements(feed);
        client.execute("add imported rows to the current state", &statements.to_current).await?;
        if plan.history && self.any(&staging.any).await? {
            client.execute("add imported rows to the history", &statements.to_log).await?;
        }
        for sql in &statements.bury {
            client.execute("delete what is gone from the source", sql).await?;
        }
        self.mend(feed).await?;
        client.execute(&format!("drop table {}", staging.name), &ddl::drop_table(&plan.database, &staging.name)).await
    }

    /// Gives values to rows whose message did not have them.
    async fn mend(&self, feed: &Feed) -> Result<(), Error> {
        let statements = import_statements(feed);
        let mut clean = 0;
        for _ in 0..MAX_LOOKS {
            if statements.mend.is_empty() {
                return Ok(());
            }
            if self.any(&statements.holes).await? {
                clean = 0;
                for sql in &statements.mend {
                    self.target.client.execute("fill in values that did not change", sql).await?;
                }
            } else if clean == 1 {
                return Ok(());
            } else {
                clean = 1;
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        tracing::warn!(table = %feed.plan.schema.name, "some unchanged values are still unknown: import again");
        Ok(())
    }

    async fn any(&self, sql: &str) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Row {
            any: u8,
        }
        let rows: Vec<Row> = self.target.client.rows("look at imported rows", sql).await?;
        Ok(rows.first().is_some_and(|row| row.any == 1))
    }

    /// Puts a table's import on record.
    async fn note(&self, feed: &Feed) -> Result<()> {
        let mut topics = self.target.topics().await?;
        let mut topic = topics.remove(&feed.plan.name).unwrap_or_default();
        topic.imported = Some(feed.epochs.newest());
        self.target.remember_topic(&feed.plan.name, &topic).await
    }

    fn open(&self, feed: &Feed) -> Box<dyn Sink> {
        let inserter = Inserter {
            client: self.target.client.clone(),
            permits: Arc::clone(&self.target.copy_permits),
            numbers: Arc::clone(&self.target.numbers),
            prefix: copy_prefix(&self.target.config.slot, &feed.plan.database, &feed.plan.name).into(),
            slot: self.target.config.slot.as_str().into(),
        };
        let version = Version::snapshot(feed.epochs.newest(), walhouse_change::Lsn(0));
        Box::new(CopySink::imported(Arc::clone(&feed.plan), inserter, version))
    }
}

fn not_here() -> walhouse_change::Error {
    walhouse_change::Error::new(Domain::Internal, Retry::Never, "an import has no stream")
}

impl Target for Import {
    fn load(&self) -> BoxFuture<'_, Result<State>> {
        Box::pin(async { Err(not_here()) })
    }

    fn save_checkpoint<'a>(&'a self, _: &'a Checkpoint) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Err(not_here()) })
    }

    /// Nothing: a table's import is on record once it is done.
    fn save_table<'a>(&'a self, _: &'a TableState) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn begin_copy<'a>(&'a self, table: &'a Arc<TableSchema>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let feed = self.feed(table)?;
            self.begin(&feed).await.map_err(|error| error.outward(Some(&table.name)))
        })
    }

    fn copy_sink<'a>(&'a self, table: &'a Arc<TableSchema>, _: u16) -> BoxFuture<'a, Result<Box<dyn Sink>>> {
        Box::pin(async move { Ok(self.open(&*self.feed(table)?)) })
    }

    fn finish_copy<'a>(&'a self, table: &'a Arc<TableSchema>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let feed = self.feed(table)?;
            self.finish(&feed).await.map_err(|error| error.outward(Some(&table.name)))?;
            self.note(&feed).await
        })
    }

    fn open<'a>(&'a self, _: &'a [Opening], _: u16, _: Arc<dyn Observer>) -> BoxFuture<'a, Result<Box<dyn Sink>>> {
        Box::pin(async { Err(not_here()) })
    }
}
