//! Making and changing the tables over topics.
//!
//! Each object's comment has the digest of its statement, so that a second run sees what is as it
//! should be. Before anything but a table's views changes, the view that reads is dropped, and it is
//! made last: a queue without it reads nothing, so no message passes a half-made way.

mod import;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use walhouse_change::{Result, TableName, TableSchema};

use super::ClickHouse;
use super::inventory::{Found, Inventory};
use super::owner;
use super::tables::{copy_anew, in_the_way};
use crate::ddl;
use crate::error::Error;
use crate::kafka::{Feed, Object, ObjectKind, objects};
use crate::mapping::{TableKind, TablePlan};

pub use import::Import;
pub use state::TopicState;

/// What was done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    Created,
    /// It was made anew, or got columns.
    Changed,
    /// It is no longer wanted.
    Dropped,
}

/// An object that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its name in the database.
    pub name: String,
    /// What was done.
    pub change: Change,
}

/// Roles of passages that a feed may have or not.
const OPTIONAL_ROLES: [&str; 4] = ["whole", "fill", "to_log", "to_truncates"];

impl ClickHouse {
    /// How a table lies on this server.
    ///
    /// # Errors
    /// The server cannot be reached, or the table cannot be mapped.
    pub async fn plan(&self, schema: &Arc<TableSchema>) -> Result<Arc<TablePlan>> {
        self.tables().await?.plan(schema)
    }

    /// What is remembered of the topics, by the table's name in ClickHouse.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn topics(&self) -> Result<BTreeMap<String, TopicState>> {
        Ok(state::read(&self.client, &self.config.database, &self.config.slot).await?)
    }

    /// Remembers a topic of the table with that name in ClickHouse.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn remember_topic(&self, name: &str, topic: &TopicState) -> Result<()> {
        self.create_database().await?;
        Ok(state::write(&self.client, &self.config.database, &self.config.slot, name, topic).await?)
    }

    /// Makes and changes everything of `feed`; says what was done, nothing when all is as it should be.
    ///
    /// # Errors
    /// The server cannot be reached or refuses; a name belongs to somebody else; a table has rows that do not
    /// fit its source any more.
    pub async fn apply(&self, feed: &Feed) -> Result<Vec<Changed>> {
        let table = &feed.plan.schema.name;
        self.create_database().await?;
        self.apply_objects(feed).await.map_err(|error| error.outward(Some(table)))
    }

    /// Whether [`Self::apply`] would find nothing to do.
    ///
    /// # Errors
    /// As of `apply`.
    pub async fn is_applied(&self, feed: &Feed) -> Result<bool> {
        let look = async {
            let wanted = objects(feed);
            let inventory = self.found(feed, &wanted).await?;
            let mut all = true;
            for object in &wanted {
                all &= self.due(feed, object, inventory.get(&object.name))?.is_none();
            }
            Ok(all)
        };
        look.await.map_err(|error: Error| error.outward(Some(&feed.plan.schema.name)))
    }

    async fn found(&self, feed: &Feed, wanted: &[Object]) -> Result<Inventory, Error> {
        let names: BTreeSet<String> = wanted.iter().map(|object| object.name.clone()).chain(optional(feed)).collect();
        let names: Vec<String> = names.into_iter().collect();
        Inventory::read(&self.client, &feed.plan.database, Some(&names)).await
    }

    async fn apply_objects(&self, feed: &Feed) -> Result<Vec<Changed>, Error> {
        let wanted = objects(feed);
        let inventory = self.found(feed, &wanted).await?;
        let mut todo = Vec::new();
        for object in &wanted {
            if let Some(change) = self.due(feed, object, inventory.get(&object.name))? {
                todo.push((object, change));
            }
        }
        let optional: Vec<String> = optional(feed).collect();
        let gone: Vec<&String> = optional
            .iter()
            .filter(|name| wanted.iter().all(|object| object.name != **name))
            .filter(|name| inventory.get(name).is_some_and(|found| self.digest(feed, found).is_some()))
            .collect();
        let mut done = Vec::new();
        let views_only = todo.iter().all(|(object, _)| matches!(object.kind, ObjectKind::View | ObjectKind::Shared));
        if !views_only || !gone.is_empty() {
            self.stop_reading(feed, &wanted, &inventory, &mut todo).await?;
        }
        for name in gone {
            self.drop_object(feed, name).await?;
            done.push(Changed { name: name.clone(), change: Change::Dropped });
        }
        for (object, change) in todo {
            self.make(feed, object, inventory.get(&object.name)).await?;
            done.push(Changed { name: object.name.clone(), change });
        }
        Ok(done)
    }

    /// What must be done about an object.
    fn due(&self, feed: &Feed, object: &Object, found: Option<&Found>) -> Result<Option<Change>, Error> {
        let Some(found) = found else { return Ok(Some(Change::Created)) };
        if object.kind == ObjectKind::Shared {
            return Ok(None);
        }
        let Some(digest) = self.digest(feed, found) else {
            return Err(in_the_way(&feed.plan, &object.name, found));
        };
        match object.kind {
            ObjectKind::Table(kind) => {
                let missing = self.missing_columns(feed, kind, found)?;
                Ok((!missing.is_empty()).then_some(Change::Changed))
            }
            _ => Ok((digest != self::digest(&object.sql)).then_some(Change::Changed)),
        }
    }

    /// The digest in an object's comment, if it is ours.
    fn digest<'a>(&self, feed: &Feed, found: &'a Found) -> Option<&'a str> {
        let own = owner::comment(&self.config.slot, &feed.plan.schema.name);
        found.comment.strip_prefix(&own)?.strip_prefix(" (kafka ")?.strip_suffix(')')
    }

    fn missing_columns(&self, feed: &Feed, kind: TableKind, found: &Found) -> Result<Vec<usize>, Error> {
        let key = feed.plan.sort_key().collect::<Vec<_>>().join(", ");
        let (sorted_by, name) = match kind {
            TableKind::Log => (format!("{key}, record_version, ifNull(db_action, '')"), &feed.plan.name),
            TableKind::Current => (key, &feed.plan.table_name(kind)),
        };
        let difference = found.difference_from(&feed.plan, "ReplacingMergeTree", &sorted_by);
        match difference.conflict {
            Some(conflict) => Err(copy_anew(&feed.plan, name, &conflict)),
            None => Ok(difference.missing),
        }
    }

    /// Drops the view that reads, and has it made again.
    async fn stop_reading<'a>(
        &self,
        feed: &Feed,
        wanted: &'a [Object],
        inventory: &Inventory,
        todo: &mut Vec<(&'a Object, Change)>,
    ) -> Result<(), Error> {
        let Some(reader) = wanted.iter().find(|object| object.kind == ObjectKind::Reader) else { return Ok(()) };
        if inventory.get(&reader.name).is_none() {
            return Ok(());
        }
        self.drop_object(feed, &reader.name).await?;
        if todo.iter().all(|(object, _)| object.name != reader.name) {
            todo.push((reader, Change::Changed));
        }
        Ok(())
    }

    async fn make(&self, feed: &Feed, object: &Object, found: Option<&Found>) -> Result<(), Error> {
        let name = &object.name;
        match (object.kind, found) {
            (ObjectKind::Table(kind), Some(found)) => {
                for index in self.missing_columns(feed, kind, found)? {
                    let sql = ddl::add_column(&feed.plan, name, index)
                        .ok_or_else(|| copy_anew(&feed.plan, name, "it lacks a column of the key"))?;
                    self.client.execute(&format!("add a column to {name}"), &sql).await?;
                }
                return Ok(());
            }
            (ObjectKind::Passage, Some(_)) => self.drop_object(feed, name).await?,
            _ => {}
        }
        let sql = match &object.table {
            None => object.sql.clone(),
            Some(table) => format!("{}\nCOMMENT {}", object.sql, ddl::literal(&self.kafka_comment(table, &object.sql))),
        };
        self.client.execute(&format!("create {name}"), &sql).await
    }

    fn kafka_comment(&self, table: &TableName, sql: &str) -> String {
        format!("{} (kafka {})", owner::comment(&self.config.slot, table), digest(sql))
    }

    async fn drop_object(&self, feed: &Feed, name: &str) -> Result<(), Error> {
        self.client.execute(&format!("drop {name}"), &ddl::drop_table(&feed.plan.database, name)).await
    }
}

/// Names of what a feed may have or not.
fn optional(feed: &Feed) -> impl Iterator<Item = String> {
    OPTIONAL_ROLES.into_iter().map(|role| format!("{}__{role}", feed.plan.name))
}

/// FNV-1a, as 16 hexadecimal digits: tells statements apart, and nothing more is asked of it.
fn digest(sql: &str) -> String {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let hash = sql.bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    format!("{hash:016x}")
}
