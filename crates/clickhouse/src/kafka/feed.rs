//! All that is known of one table's messages, and where they come from.

use std::collections::BTreeMap;
use std::sync::Arc;

use walhouse_change::{ReplicaIdentity, TableName};

use super::epochs::Epochs;
use super::wire::Wire;
use crate::mapping::TablePlan;

/// Where a value stands in a message without an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A field beside the row's own.
    Field(String),
    /// A header.
    Header(String),
}

/// What is around a row in its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Around {
    /// Debezium's envelope.
    Envelope,
    /// Nothing but some added fields, and `__deleted`.
    Row {
        /// The operation's letter.
        op: Option<Source>,
        /// The change's position in the source's log.
        lsn: Option<Source>,
        /// When it was committed, in milliseconds since 1970.
        committed: Option<Source>,
        /// Names of all fields beside the row's own and `__deleted`.
        added: Vec<String>,
    },
}

/// A column in the messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedColumn {
    /// The field's name.
    pub field: String,
    /// How its values are written.
    pub wire: Wire,
    /// What stands there for a value that did not change and was not sent: as JSON has it, a
    /// string's own text.
    pub placeholder: Option<String>,
}

/// The Kafka engine's side of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// `host:port`, with commas.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// Consumer group, for this table alone.
    pub group: String,
    /// Further settings of the engine (`kafka_security_protocol` and such) by name.
    pub settings: BTreeMap<String, String>,
}

/// One table's messages.
#[derive(Clone, Debug)]
pub struct Feed {
    /// How the table lies in ClickHouse. Its columns are those that the messages have.
    pub plan: Arc<TablePlan>,
    /// Where they come from.
    pub queue: Queue,
    /// Whether a schema stands in front of the payload.
    pub schemas: bool,
    /// Whether decimals are JSON numbers.
    pub numbers: bool,
    /// What is around the row.
    pub around: Around,
    /// By index in the plan's columns.
    pub columns: Vec<FeedColumn>,
    /// Whether a TRUNCATE is told.
    pub truncates: bool,
    /// How offsets count.
    pub epochs: Epochs,
}

/// Why there cannot be such tables.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// A column of the source has a name that the tables need.
    #[error("column {column} of table {table} has a name that begins with _kafka_: rename it in Postgres")]
    ReservedColumn {
        /// The source table.
        table: TableName,
        /// The column.
        column: String,
    },
    /// Two tables in one topic could not be told apart.
    #[error("tables {first} and {second} are both in topic {topic}: give each a topic of its own")]
    SharedTopic {
        /// The first table.
        first: TableName,
        /// The second one.
        second: TableName,
        /// Their topic.
        topic: String,
    },
    /// Two tables would create one object.
    #[error("tables {first} and {second} would both create {name:?} in ClickHouse: set the name of one of them")]
    Collision {
        /// The first table.
        first: TableName,
        /// The second one; the first again when its own names collide.
        second: TableName,
        /// The name in ClickHouse.
        name: String,
    },
}

impl Feed {
    /// Whether a value may be missing from a message because it did not change.
    pub(super) fn may_lack_values(&self) -> bool {
        self.columns.iter().any(|column| column.placeholder.is_some())
    }

    /// Whether a delete tells more than the row's key. What it tells of other columns otherwise are stand-ins.
    pub(super) fn deletes_are_whole(&self) -> bool {
        self.plan.schema.identity == ReplicaIdentity::Full
    }

    /// A name beside the table's own.
    pub(super) fn named(&self, role: &str) -> String {
        format!("{}__{role}", self.plan.name)
    }
}

/// Refuses feeds that cannot be, alone or together.
///
/// # Errors
/// The first that is found.
pub fn check(feeds: &[Feed]) -> Result<(), FeedError> {
    let mut topics: BTreeMap<&str, &TableName> = BTreeMap::new();
    let mut names: BTreeMap<String, &TableName> = BTreeMap::new();
    for feed in feeds {
        let table = &feed.plan.schema.name;
        if let Some(column) = feed.plan.columns.iter().find(|column| column.name.starts_with("_kafka_")) {
            return Err(FeedError::ReservedColumn { table: table.clone(), column: column.name.clone() });
        }
        if let Some(first) = topics.insert(&feed.queue.topic, table) {
            let (first, second) = (first.clone(), table.clone());
            return Err(FeedError::SharedTopic { first, second, topic: feed.queue.topic.clone() });
        }
        let own = super::objects(feed).into_iter().filter(|object| object.table.is_some()).map(|object| object.name);
        for name in own.chain([feed.plan.staging_name(crate::mapping::TableKind::Log)]) {
            if let Some(first) = names.insert(name.clone(), table) {
                return Err(FeedError::Collision { first: first.clone(), second: table.clone(), name });
            }
        }
    }
    Ok(())
}
