//! Collects rows of a copy until they are sent.
//!
//! They are all of one snapshot. Where they go to a log, what says so is told to the table once and is in no block:
//! that is a third of a narrow row's bytes.

use std::sync::Arc;

use walhouse_change::{Row, Version};

use super::gather::{MAX_BYTES, MAX_ROWS};
use crate::block::{Action, Block, BlockBuilder, CellError, RowInput, Stamp};
use crate::mapping::TablePlan;

/// The version of a copy's rows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Versions {
    /// Their snapshot's position, in this epoch.
    OfSnapshot {
        /// The epoch.
        epoch: u16,
    },
    /// This one.
    Given(Version),
}

/// The rows gathered so far.
#[derive(Debug)]
pub(super) struct Copied {
    builder: BlockBuilder,
    versions: Versions,
    /// What all rows share; known with the first.
    stamp: Option<Stamp>,
    /// The table is still to be told.
    is_news: bool,
}

impl Copied {
    pub(super) fn new(plan: Arc<TablePlan>, versions: Versions) -> Self {
        let is_news = plan.history;
        let builder = if plan.history { BlockBuilder::of_copy(plan) } else { BlockBuilder::new(plan) };
        Self { builder, versions, stamp: None, is_news }
    }

    pub(super) fn len(&self) -> usize {
        self.builder.rows()
    }

    pub(super) fn is_full(&self) -> bool {
        self.builder.rows() >= MAX_ROWS || self.builder.bytes_so_far() >= MAX_BYTES
    }

    /// Adds a row.
    ///
    /// # Errors
    /// It cannot be stored, or is of another snapshot than those before it.
    pub(super) fn push(&mut self, row: &Row<'_>) -> Result<(), CellError> {
        let Some(image) = row.new_image() else { return Ok(()) };
        let transaction = row.transaction();
        let stamp = Stamp {
            version: match self.versions {
                Versions::OfSnapshot { epoch } => Version::snapshot(epoch, transaction.commit_lsn),
                Versions::Given(version) => version,
            },
            record_version: row.change.lsn,
            commit_time_us: transaction.commit_time,
            action: Action::from(row.change.op),
        };
        if *self.stamp.get_or_insert(stamp) != stamp {
            return Err(CellError::ForeignRow);
        }
        self.builder.push(&RowInput { image, old: None, fill: None, stamp })
    }

    /// Closes the block; with what the table must be told before it comes.
    pub(super) fn seal(&mut self) -> Option<(Block, Option<Stamp>)> {
        let block = self.builder.finish()?;
        Some((block, self.stamp.filter(|_| std::mem::take(&mut self.is_news))))
    }
}
