//! What survives a restart. It is kept beside the data, in the target.

use serde::{Deserialize, Serialize};

use crate::{Lsn, TableName};

/// How far the slot's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotPhase {
    /// Written before the slot is created: a slot of that name found later is ours to drop.
    Creating,
    /// The slot exists and `lsn` tells how far the target is.
    Ready,
}

/// How far the target is. Names a transaction boundary and never moves backward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Whether the slot was known to exist.
    pub phase: SlotPhase,
    /// Numbering of the log; see [`crate::Version`].
    pub epoch: u16,
    /// Everything up to here is durable in the target.
    pub lsn: Lsn,
    /// `system_identifier` of the cluster that `lsn` belongs to.
    pub system_identifier: u64,
    /// Timeline of that cluster.
    pub timeline: u32,
}

/// Where a table is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Chosen, not yet begun.
    Pending,
    /// Its rows are being copied; a restart begins again.
    Copying,
    /// Copied; follows the stream.
    Live,
    /// Stopped by an error of its own; copied anew once the cause is mended.
    Stopped,
    /// Left out because a user wants it so; copied anew once it is resumed.
    Paused,
}

/// One table's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableState {
    /// Name in the source.
    pub name: TableName,
    /// `pg_class.oid`: a table that was dropped and created again is another one.
    pub relid: u32,
    /// Where it is.
    pub phase: Phase,
    /// Consistent point of the snapshot it was copied under: events with a commit LSN below it
    /// are already in the copy.
    pub consistent_point: Lsn,
    /// Rows that the copy brought.
    pub rows_copied: u64,
    /// Why it is stopped, with what mends it.
    pub error: Option<String>,
}

impl TableState {
    /// A table that was just chosen.
    #[must_use]
    pub fn pending(name: TableName, relid: u32) -> Self {
        Self { name, relid, phase: Phase::Pending, consistent_point: Lsn::ZERO, rows_copied: 0, error: None }
    }
}

/// All that a target remembers of one slot.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// None when this slot was never used with this target.
    pub checkpoint: Option<Checkpoint>,
    /// Tables in name order.
    pub tables: Vec<TableState>,
}
