//! Collects rows of one table until they are sent.

use std::sync::Arc;

use walhouse_change::{OldImage, Op, Result, Row, Version};

use crate::block::{Action, Block, BlockBuilder, CellError, Fill, KeyEncoder, RowInput, Stamp};
use crate::mapping::TablePlan;

/// Rows of one insert at most: far below the server's own limit of one block (1,048,449), and
/// enough that the fixed cost of an insert no longer shows.
const MAX_ROWS: usize = 131_072;

/// Bytes of one insert at most, but for a single larger row. With an insert under way and a block
/// gathering, a busy table holds twice as much.
const MAX_BYTES: usize = 32 << 20;

/// The rows gathered so far.
#[derive(Debug)]
pub(super) struct Gather {
    builder: BlockBuilder,
    keys: KeyEncoder,
    epoch: u16,
    /// Of all rows of a copy, where it is not their snapshot's position.
    copied: Option<Version>,
    changes: u64,
    /// Where the gathered rows go: to the log as well, or (seen again after a crash between the
    /// two inserts) to the current state only.
    to_log: bool,
}

/// A block with what has to be told once it is durable.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) block: Block,
    pub(super) changes: u64,
    pub(super) to_log: bool,
}

impl Gather {
    pub(super) fn new(plan: Arc<TablePlan>, epoch: u16) -> Self {
        Self {
            keys: KeyEncoder::new(Arc::clone(&plan)),
            builder: BlockBuilder::new(plan),
            epoch,
            copied: None,
            changes: 0,
            to_log: true,
        }
    }

    /// For rows that all have this version.
    pub(super) fn copied(plan: Arc<TablePlan>, version: Version) -> Self {
        Self { copied: Some(version), ..Self::new(plan, version.epoch()) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.builder.rows() == 0
    }

    pub(super) fn rows(&self) -> usize {
        self.builder.rows()
    }

    pub(super) fn is_full(&self) -> bool {
        self.builder.rows() >= MAX_ROWS || self.builder.bytes_so_far() >= MAX_BYTES
    }

    /// True if a row of that kind can be added.
    pub(super) fn has_room(&self, to_log: bool) -> bool {
        self.is_empty() || (self.to_log == to_log && !self.is_full())
    }

    pub(super) fn keys(&self) -> &KeyEncoder {
        &self.keys
    }

    /// Adds a change: its row, and before it the tombstone of the old key where the key changed.
    pub(super) fn push(
        &mut self,
        row: &Row<'_>,
        to_log: bool,
        fill: Option<&dyn Fill>,
    ) -> std::result::Result<(), CellError> {
        if self.is_empty() {
            self.to_log = to_log;
        }
        let transaction = row.transaction();
        let stamp = Stamp {
            version: self.version(row),
            record_version: row.change.lsn,
            commit_time_us: transaction.commit_time,
            action: Action::from(row.change.op),
        };
        match (row.new_image(), row.old_image()) {
            (Some(image), old) => {
                if let (Op::Update, Some((kind, old_image))) = (row.change.op, old)
                    && self.key_changed(row)?
                {
                    let tombstone = Stamp {
                        version: Version::tombstone(self.epoch, row.position()),
                        action: Action::Delete,
                        ..stamp
                    };
                    self.builder.push_tombstone(kind, old_image, &tombstone)?;
                }
                self.builder.push(&RowInput { image, old, fill, stamp })?;
            }
            (None, Some((kind, old_image))) => self.builder.push_tombstone(kind, old_image, &stamp)?,
            (None, None) => return Ok(()),
        }
        self.changes += 1;
        Ok(())
    }

    /// The version that the row (not its tombstone) has.
    pub(super) fn version(&self, row: &Row<'_>) -> Version {
        match row.change.op {
            Op::Read => self.copied.unwrap_or_else(|| Version::snapshot(self.epoch, row.transaction().commit_lsn)),
            _ => Version::row(self.epoch, row.position()),
        }
    }

    /// True if the row moved to another key, as ClickHouse stores keys.
    pub(super) fn key_changed(&self, row: &Row<'_>) -> std::result::Result<bool, CellError> {
        let (Some(image), Some((kind, old))) = (row.new_image(), row.old_image()) else { return Ok(false) };
        // the usual case, without encoding: the very same bytes
        let key = &row.schema().key;
        if kind == OldImage::Full && key.iter().all(|&index| same(image.value(index), old.value(index))) {
            return Ok(false);
        }
        Ok(self.keys.key(image, Some((kind, old)))? != self.keys.key(old, None)?)
    }

    /// Closes the block.
    pub(super) fn seal(&mut self) -> Option<Sealed> {
        let block = self.builder.finish()?;
        Some(Sealed { block, changes: std::mem::take(&mut self.changes), to_log: self.to_log })
    }
}

fn same(a: walhouse_value::Wire<'_>, b: walhouse_value::Wire<'_>) -> bool {
    use walhouse_value::Wire::{Binary, Text};
    matches!((a, b), (Text(a), Text(b)) | (Binary(a), Binary(b)) if a == b)
}

/// A row that cannot be stored stops its table.
pub(super) fn unstorable(plan: &TablePlan, error: CellError) -> walhouse_change::Error {
    let table = &plan.schema.name;
    let remedy = match &error {
        CellError::Unfilled { .. } => format!(
            "ALTER TABLE {table} REPLICA IDENTITY FULL, so that Postgres sends every old value; then have the table \
             copied anew"
        ),
        CellError::UnrepresentableKey { .. } | CellError::ForeignFill { .. } => {
            format!("set [tables.\"{table}\"] columns to \"String\" for it, then have the table copied anew")
        }
        CellError::NullKey { .. } | CellError::Invalid { .. } => {
            "mend the row in Postgres, then have the table copied anew".to_owned()
        }
    };
    walhouse_change::Error::new(
        walhouse_change::Domain::Target,
        walhouse_change::Retry::StopTable(table.clone()),
        format!("cannot store a row of {table}"),
    )
    .with_source(error)
    .with_remedy(remedy)
}

/// Shorthand of the callers.
pub(super) fn stored<T>(plan: &TablePlan, result: std::result::Result<T, CellError>) -> Result<T> {
    result.map_err(|error| unstorable(plan, error))
}
