//! State beside the data: the checkpoint, the tables' states and the TRUNCATE markers.
//!
//! Every change is a new row with a higher `seq`; the newest row of a key counts. Inserts are
//! synchronous: when one returns, the row is as durable as the tables' own rows.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use walhouse_change::{Checkpoint, Lsn, Phase, SlotPhase, State, TableName, TableState};

use crate::client::Client;
use crate::ddl::{self, literal};
use crate::error::{Error, Result};

const CHECKPOINT: &str = "walhouse_checkpoint";
const TABLES: &str = "walhouse_tables";

/// Reads and writes one slot's state.
#[derive(Debug)]
pub(super) struct Service {
    client: Client,
    database: String,
    slot: String,
    /// Number of the next row.
    seq: AtomicU64,
    /// The highest checkpoint that was read or written.
    highest: Mutex<Option<Checkpoint>>,
}

#[derive(Serialize)]
struct CheckpointRow<'a> {
    slot: &'a str,
    phase: SlotPhase,
    epoch: u16,
    lsn: u64,
    system_identifier: u64,
    timeline: u32,
    seq: u64,
}

#[derive(Serialize)]
struct TableRow<'a> {
    slot: &'a str,
    schema: &'a str,
    name: &'a str,
    relid: u32,
    phase: &'a Phase,
    consistent_point: u64,
    rows_copied: u64,
    error: Option<&'a str>,
    seq: u64,
}

// 64-bit numbers come as text: servers differ in whether JSON quotes them.
#[derive(Deserialize)]
struct StoredCheckpoint {
    phase: SlotPhase,
    epoch: u16,
    lsn_text: String,
    system_text: String,
    timeline: u32,
    seq_text: String,
}

#[derive(Deserialize)]
struct StoredTable {
    schema: String,
    name: String,
    relid: u32,
    phase: Phase,
    point_text: String,
    rows_text: String,
    error: Option<String>,
    seq_text: String,
}

impl Service {
    pub(super) fn new(client: Client, database: &str, slot: &str) -> Self {
        Self {
            client,
            database: database.to_owned(),
            slot: slot.to_owned(),
            seq: AtomicU64::new(1),
            highest: Mutex::new(None),
        }
    }

    /// Creates what is missing.
    pub(super) async fn create(&self) -> Result<()> {
        let checkpoint = format!(
            "CREATE TABLE IF NOT EXISTS {} (slot String, phase LowCardinality(String), epoch UInt16, lsn UInt64, \
             system_identifier UInt64, timeline UInt32, written_at DateTime64(6, 'UTC') DEFAULT now64(6), seq UInt64) \
             ENGINE = ReplacingMergeTree(seq) ORDER BY slot",
            self.table(CHECKPOINT)
        );
        let tables = format!(
            "CREATE TABLE IF NOT EXISTS {} (slot String, schema String, name String, relid UInt32, \
             phase LowCardinality(String), consistent_point UInt64, rows_copied UInt64, error Nullable(String), \
             written_at DateTime64(6, 'UTC') DEFAULT now64(6), seq UInt64) \
             ENGINE = ReplacingMergeTree(seq) ORDER BY (slot, schema, name)",
            self.table(TABLES)
        );
        let statements = [checkpoint, tables, ddl::create_truncates(&self.database)];
        let created = statements.iter().map(|sql| self.client.execute("create walhouse's own tables", sql));
        try_join_all(created).await.map(drop)
    }

    /// Reads the slot's state. With `missing_is_empty`, tables that do not exist hold nothing.
    pub(super) async fn read(&self, missing_is_empty: bool) -> Result<State> {
        if missing_is_empty && !self.exists().await? {
            return Ok(State::default());
        }
        let sql = format!(
            "SELECT phase, epoch, toString(lsn) AS lsn_text, toString(system_identifier) AS system_text, timeline, \
             toString(seq) AS seq_text FROM {} WHERE slot = {} ORDER BY seq DESC LIMIT 1",
            self.table(CHECKPOINT),
            literal(&self.slot)
        );
        let checkpoints = self.client.rows::<StoredCheckpoint>("read the checkpoint", &sql);
        let sql = format!(
            "SELECT schema, name, relid, phase, toString(consistent_point) AS point_text, \
             toString(rows_copied) AS rows_text, error, toString(seq) AS seq_text FROM {} WHERE slot = {} \
             ORDER BY schema, name, seq DESC LIMIT 1 BY schema, name",
            self.table(TABLES),
            literal(&self.slot)
        );
        let tables = self.client.rows::<StoredTable>("read the tables' states", &sql);
        let (checkpoints, tables) = tokio::try_join!(checkpoints, tables)?;
        let written = checkpoints.iter().map(|row| &row.seq_text).chain(tables.iter().map(|row| &row.seq_text));
        let last = written.filter_map(|seq| seq.parse::<u64>().ok()).max().unwrap_or(0);
        self.seq.fetch_max(last + 1, Ordering::Relaxed);
        let checkpoint = checkpoints.into_iter().next().map(StoredCheckpoint::read).transpose()?;
        *self.highest.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = checkpoint.clone();
        let tables = tables.into_iter().map(StoredTable::read).collect::<Result<_>>()?;
        Ok(State { checkpoint, tables })
    }

    /// Stores a checkpoint. One that moves backward is refused: it would promise what is not there.
    pub(super) async fn save_checkpoint(&self, checkpoint: &Checkpoint) -> Result<()> {
        self.forward(checkpoint)?;
        let row = CheckpointRow {
            slot: &self.slot,
            phase: checkpoint.phase,
            epoch: checkpoint.epoch,
            lsn: checkpoint.lsn.0,
            system_identifier: checkpoint.system_identifier,
            timeline: checkpoint.timeline,
            seq: self.next(),
        };
        self.client.insert_row("store the checkpoint", &self.table(CHECKPOINT), &row).await
    }

    fn forward(&self, checkpoint: &Checkpoint) -> Result<()> {
        let mut highest = self.highest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(highest) = highest.as_ref() {
            // while its slot is being created a checkpoint promises nothing yet
            let promises = checkpoint.phase == SlotPhase::Ready && highest.phase == SlotPhase::Ready;
            let backward = checkpoint.epoch < highest.epoch
                || (promises && checkpoint.epoch == highest.epoch && checkpoint.lsn < highest.lsn);
            if backward {
                return Err(Error::Misuse(format!(
                    "refused to move the checkpoint back from {}:{} to {}:{}",
                    highest.epoch, highest.lsn, checkpoint.epoch, checkpoint.lsn
                )));
            }
        }
        *highest = Some(checkpoint.clone());
        Ok(())
    }

    pub(super) async fn save_table(&self, table: &TableState) -> Result<()> {
        let row = TableRow {
            slot: &self.slot,
            schema: &table.name.schema,
            name: &table.name.name,
            relid: table.relid,
            phase: &table.phase,
            consistent_point: table.consistent_point.0,
            rows_copied: table.rows_copied,
            error: table.error.as_deref(),
            seq: self.next(),
        };
        self.client.insert_row("store a table's state", &self.table(TABLES), &row).await
    }

    /// Forgets the slot.
    pub(super) async fn forget(&self) -> Result<()> {
        if !self.exists().await? {
            return Ok(());
        }
        for table in [CHECKPOINT, TABLES] {
            let sql = format!(
                "ALTER TABLE {} DELETE WHERE slot = {} SETTINGS mutations_sync = 1",
                self.table(table),
                literal(&self.slot)
            );
            self.client.execute("remove the checkpoint", &sql).await?;
        }
        *self.highest.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
        Ok(())
    }

    async fn exists(&self) -> Result<bool> {
        #[derive(Deserialize)]
        struct Row {
            found: u8,
        }
        let sql = format!(
            "SELECT toUInt8(count() = 2) AS found FROM system.tables WHERE database = {} AND name IN ({}, {})",
            literal(&self.database),
            literal(CHECKPOINT),
            literal(TABLES)
        );
        let rows: Vec<Row> = self.client.rows("look for walhouse's own tables", &sql).await?;
        Ok(rows.first().is_some_and(|row| row.found == 1))
    }

    fn table(&self, name: &str) -> String {
        ddl::qualified(&self.database, name)
    }

    fn next(&self) -> u64 {
        self.seq.fetch_add(1, Ordering::Relaxed)
    }
}

impl StoredCheckpoint {
    fn read(self) -> Result<Checkpoint> {
        Ok(Checkpoint {
            phase: self.phase,
            epoch: self.epoch,
            lsn: Lsn(number(&self.lsn_text)?),
            system_identifier: number(&self.system_text)?,
            timeline: self.timeline,
        })
    }
}

impl StoredTable {
    fn read(self) -> Result<TableState> {
        Ok(TableState {
            name: TableName::new(self.schema, self.name),
            relid: self.relid,
            phase: self.phase,
            consistent_point: Lsn(number(&self.point_text)?),
            rows_copied: number(&self.rows_text)?,
            error: self.error,
        })
    }
}

fn number(text: &str) -> Result<u64> {
    text.parse().map_err(|_| Error::Answer {
        action: "read walhouse's own tables".to_owned(),
        detail: "a number is not one".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn at(phase: SlotPhase, epoch: u16, lsn: u64) -> Checkpoint {
        Checkpoint { phase, epoch, lsn: Lsn(lsn), system_identifier: 1, timeline: 1 }
    }

    #[test]
    fn a_checkpoint_never_moves_backward() {
        let client = Client::new(&Config::new("http://127.0.0.1:1", "walhouse")).unwrap();
        let service = Service::new(client, "default", "walhouse");
        for (phase, epoch, lsn, allowed) in [
            (SlotPhase::Creating, 0, 0, true),
            (SlotPhase::Ready, 0, 100, true),
            (SlotPhase::Ready, 0, 100, true),
            (SlotPhase::Ready, 0, 99, false),
            (SlotPhase::Ready, 1, 5, true),
            (SlotPhase::Ready, 0, 1000, false),
        ] {
            assert_eq!(service.forward(&at(phase, epoch, lsn)).is_ok(), allowed, "{epoch}:{lsn}");
        }
    }
}
