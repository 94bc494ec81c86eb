//! Rows of a snapshot.

use std::ops::Range;

use walhouse_change::{Change, ChangeBatch, Lsn};

use super::{Encoder, Event};
use crate::error::Result;
use crate::offset::Position;
use crate::record::Record;
use crate::table::Images;
use crate::value::Value;

/// Where a batch of a snapshot stands among all the snapshot's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotPart {
    /// `txid_current()` of the snapshot.
    pub xid: u32,
    /// The table is the first one.
    pub first_table: bool,
    /// The table is the last one that has rows.
    pub last_table: bool,
    /// The batch holds the table's first row.
    pub starts: bool,
    /// The batch holds the table's last row.
    pub ends: bool,
    /// The stream stands still meanwhile, and its offset with it.
    pub blocking: bool,
}

impl Encoder {
    /// Records of a snapshot's batch, all of one table.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn snapshot(&mut self, batch: &ChangeBatch, part: SnapshotPart, out: &mut Vec<Record>) -> Result<()> {
        self.snapshot_rows(batch, 0..batch.len(), part, out)
    }

    /// The records of some of its rows.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn snapshot_rows(
        &mut self,
        batch: &ChangeBatch,
        rows: Range<usize>,
        part: SnapshotPart,
        out: &mut Vec<Record>,
    ) -> Result<()> {
        let count = batch.len();
        for (index, change) in batch.changes().iter().enumerate().take(rows.end).skip(rows.start) {
            let Change::Row(change) = change else { continue };
            let first = part.starts && index == 0;
            let last = part.ends && index + 1 == count;
            let marker = match (first, last) {
                (_, true) if part.last_table => "last",
                (true, _) if part.first_table => "first",
                (_, true) => "last_in_data_collection",
                (true, _) => "first_in_data_collection",
                _ => "true",
            };
            let row = batch.row(change);
            let plan = self.plan(row.schema(), true);
            let Some(image) = row.new_image().filter(|_| plan.captured) else { continue };
            if let Some(fatal) = &plan.fatal {
                return Err(fatal.clone());
            }
            let images = Images { image, old: None };
            let after = self.values(&plan.row, &plan, &images)?;
            let key = self.key(&plan, &images)?;
            let transaction = row.transaction();
            if !part.blocking {
                self.in_snapshot = Some(marker == "last");
                self.position = Position {
                    lsn: Some(transaction.commit_lsn.0),
                    xid: Some(part.xid),
                    time: Some(transaction.commit_time),
                    ..Position::default()
                };
            }
            let snapshot = Some((marker, Some(part.xid), transaction.commit_time.div_euclid(1000)));
            let lsn = transaction.commit_lsn.0;
            let event = Event { plan: &plan, op: "r", before: Value::Null, after, lsn, snapshot };
            self.emit(event, key, &mut Vec::new(), out)?;
        }
        Ok(())
    }

    /// The snapshot is over, and the stream goes on from `at`.
    pub fn snapshot_ended(&mut self, at: Lsn, xid: u32, time: i64) {
        self.in_snapshot = None;
        self.position = Position { lsn: Some(at.0), xid: Some(xid), time: Some(time), ..Position::default() };
    }
}
