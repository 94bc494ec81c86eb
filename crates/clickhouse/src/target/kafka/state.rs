//! What is remembered of a topic: its group, how its offsets count, what was imported.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::ddl::{self, literal};
use crate::error::{Error, Result};
use crate::kafka::{Epochs, Mark};

const TABLE: &str = "walhouse_kafka";

/// One table's topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicState {
    /// The topic's name.
    pub topic: String,
    /// The consumer group that reads it.
    pub group: String,
    /// How many partitions it had when it was last looked at.
    pub partitions: usize,
    /// How its offsets count.
    pub epochs: Epochs,
    /// By partition a message that was there.
    pub marks: BTreeMap<i32, Mark>,
    /// The epoch for which the rows that were there before have been imported.
    pub imported: Option<u16>,
}

#[derive(Serialize)]
struct Row<'a> {
    slot: &'a str,
    name: &'a str,
    state: &'a str,
    seq: u64,
}

#[derive(Deserialize)]
struct Stored {
    name: String,
    state: String,
}

#[derive(Deserialize)]
struct Highest {
    seq: String,
}

/// Reads all of a slot's, by the table's name in ClickHouse. Empty where nothing was ever stored.
pub(super) async fn read(client: &Client, database: &str, slot: &str) -> Result<BTreeMap<String, TopicState>> {
    if !exists(client, database).await? {
        return Ok(BTreeMap::new());
    }
    let sql = format!(
        "SELECT name, argMax(state, seq) AS state FROM {} WHERE slot = {} GROUP BY name",
        ddl::qualified(database, TABLE),
        literal(slot)
    );
    let rows: Vec<Stored> = client.rows("read what is known of the topics", &sql).await?;
    let parsed = rows.into_iter().map(|row| match serde_json::from_str(&row.state) {
        Ok(state) => Ok((row.name, state)),
        Err(error) => Err(Error::Answer {
            action: format!("read what is known of the topic of {}", row.name),
            detail: format!("{TABLE} holds another form ({:?} error)", error.classify()),
        }),
    });
    parsed.collect()
}

/// Stores one.
pub(super) async fn write(client: &Client, database: &str, slot: &str, name: &str, state: &TopicState) -> Result<()> {
    let table = ddl::qualified(database, TABLE);
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {table}\n(\n    `slot` String,\n    `name` String,\n    `state` String,\n    `seq` UInt64\n)\n\
         ENGINE = ReplacingMergeTree(`seq`)\nORDER BY (`slot`, `name`)"
    );
    client.execute(&format!("create table {TABLE}"), &create).await?;
    let sql = format!("SELECT toString(max(seq)) AS seq FROM {table}");
    let highest: Vec<Highest> = client.rows("read what is known of the topics", &sql).await?;
    let seq = highest.first().and_then(|row| row.seq.parse::<u64>().ok()).unwrap_or(0) + 1;
    let text = serde_json::to_string(state).map_err(|error| Error::Misuse(error.to_string()))?;
    let row = Row { slot, name, state: &text, seq };
    client.insert_row(&format!("remember the topic of {name}"), &table, &row).await
}

async fn exists(client: &Client, database: &str) -> Result<bool> {
    #[derive(Deserialize)]
    struct Found {
        #[serde(rename = "name")]
        _name: String,
    }
    let sql =
        format!("SELECT name FROM system.tables WHERE database = {} AND name = {}", literal(database), literal(TABLE));
    let found: Vec<Found> = client.rows("look for what is known of the topics", &sql).await?;
    Ok(!found.is_empty())
}
