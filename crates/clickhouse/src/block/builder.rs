//! The builder of a block, and the block.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use walhouse_change::{Image, OldImage, Version};
use walhouse_value::{PgType, Wire};

use super::column::{Appended, Cell, Column, Refused};
use super::error::CellError;
use super::meta::{META_SIZE, Meta};
use super::native::{self, Body};
use super::row::{Filled, RowInput, Stamp, from_old};
use crate::mapping::{ColumnPlan, TablePlan};

/// The body of one insert: a Native block with its header.
pub struct Block {
    /// The bytes in order; concatenated they are the block.
    pub chunks: Vec<Bytes>,
    /// Rows in it, at least one.
    pub rows: usize,
    /// Length of the chunks together.
    pub uncompressed_bytes: usize,
    /// Version of the row that was pushed first.
    pub first: Version,
    /// Version of the row that was pushed last.
    pub last: Version,
    /// The newest commit time in microseconds since 1970-01-01 UTC.
    pub newest_commit_us: i64,
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("rows", &self.rows)
            .field("bytes", &self.uncompressed_bytes)
            .field("first", &self.first)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

/// Collects rows of one table, column by column.
pub struct BlockBuilder {
    plan: Arc<TablePlan>,
    columns: Vec<Column>,
    meta: Meta,
    row_size: usize,
    bytes: usize,
}

impl fmt::Debug for BlockBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockBuilder").field("rows", &self.rows()).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl BlockBuilder {
    /// An empty block of the plan's table.
    #[must_use]
    pub fn new(plan: Arc<TablePlan>) -> Self {
        let sources = plan.schema.columns.iter().map(|column| &column.ty);
        let columns: Vec<_> =
            plan.columns.iter().zip(sources).map(|(column, source)| Column::new(column, source, plan.dates)).collect();
        let row_size = columns.iter().map(Column::fixed_size).sum::<usize>() + META_SIZE;
        Self { plan, columns, meta: Meta::default(), row_size, bytes: 0 }
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.meta.rows()
    }

    /// Size of the block so far, to a few bytes a row.
    #[must_use]
    pub fn bytes_so_far(&self) -> usize {
        self.bytes
    }

    /// Adds a row that exists.
    ///
    /// # Errors
    /// A cell cannot be encoded or filled; the block is as before then.
    pub fn push(&mut self, row: &RowInput<'_>) -> Result<(), CellError> {
        self.append(&row.stamp, false, |index, key| match row.image.value(index) {
            Wire::Unchanged => filled(row, index, key),
            _ => Some(Cell::Sent(row.image)),
        })
    }

    /// Adds a row that is gone: the key's columns, and the others where the old image is whole (a
    /// value that was not sent is NULL: the row is hidden).
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_tombstone(&mut self, kind: OldImage, old: Image<'_>, stamp: &Stamp) -> Result<(), CellError> {
        self.append(stamp, true, |index, key| match old.value(index) {
            Wire::Unchanged if key => None,
            Wire::Unchanged => Some(Cell::Null),
            _ if key || kind == OldImage::Full => Some(Cell::Sent(old)),
            _ => Some(Cell::Null),
        })
    }

    /// Ends the block and begins the next one; `None` when it has no row.
    pub fn finish(&mut self) -> Option<Block> {
        let rows = self.rows();
        if rows == 0 {
            return None;
        }
        let mut body = Body::default();
        native::varint(self.plan.sent_columns().count() as u64, body.tail());
        native::varint(rows as u64, body.tail());
        for column in &mut self.columns {
            column.finish(&mut body);
        }
        let (first, last, newest_commit_us) = self.meta.finish(&mut body);
        self.bytes = 0;
        let chunks = body.into_chunks();
        let uncompressed_bytes = chunks.iter().map(Bytes::len).sum();
        Some(Block { chunks, rows, uncompressed_bytes, first, last, newest_commit_us })
    }

    /// Appends one row whose cells `find` names; `None` is a value that was not found.
    #[inline]
    fn append<'a>(
        &mut self,
        stamp: &Stamp,
        deleted: bool,
        find: impl Fn(usize, bool) -> Option<Cell<'a>>,
    ) -> Result<(), CellError> {
        let Self { plan, columns, meta, row_size, bytes } = self;
        let mut size = *row_size;
        let mut failed = None;
        meta.begin();
        let plans = plan.columns.iter().zip(&plan.schema.columns);
        for (index, (column, (column_plan, source))) in columns.iter_mut().zip(plans).enumerate() {
            let Some(cell) = find(index, column_plan.key) else {
                failed = Some((index, CellError::Unfilled { column: column_plan.name.clone() }));
                break;
            };
            match append_cell(column, cell, index, column_plan, &source.ty, meta) {
                Ok(added) => size += added,
                Err(refused) => {
                    failed = Some((index + 1, refused.at(column_plan)));
                    break;
                }
            }
        }
        if let Some((touched, error)) = failed {
            self.roll_back(touched);
            return Err(error);
        }
        meta.push(stamp, deleted);
        *bytes += size;
        Ok(())
    }

    /// Forgets the row under way, which reached the first `touched` columns.
    #[cold]
    fn roll_back(&mut self, touched: usize) {
        let rows = self.rows();
        for column in self.columns.iter_mut().take(touched) {
            column.roll_back(rows);
        }
        self.meta.roll_back();
    }
}

#[inline]
fn append_cell(
    column: &mut Column,
    cell: Cell<'_>,
    index: usize,
    plan: &ColumnPlan,
    source: &PgType,
    meta: &mut Meta,
) -> Result<usize, Refused> {
    match column.append(cell, index, source)? {
        Appended::Done(size) => Ok(size),
        Appended::Unrepresentable => Ok(meta.push_unrepresentable(&plan.name, cell, index, source)?),
    }
}

/// A value that the row's own image has not.
fn filled<'a>(row: &RowInput<'a>, index: usize, key: bool) -> Option<Cell<'a>> {
    if let Some(old) = from_old(row.old, index, key) {
        return Some(Cell::Sent(old));
    }
    match row.fill?.value(index)? {
        Filled::Null => Some(Cell::Null),
        Filled::Stored(bytes) => Some(Cell::Stored(bytes)),
        Filled::Unrepresentable(text) => Some(Cell::Unrepresentable(text)),
        Filled::Sent(image) if matches!(image.value(index), Wire::Unchanged) => None,
        Filled::Sent(image) => Some(Cell::Sent(image)),
    }
}

impl Refused {
    #[cold]
    fn at(self, plan: &ColumnPlan) -> CellError {
        let (column, ty) = (plan.name.clone(), plan.ty.to_string());
        match self {
            Self::Null => CellError::NullKey { column },
            Self::Unrepresentable => CellError::UnrepresentableKey { column, ty },
            Self::Foreign => CellError::ForeignFill { column, ty },
            Self::Invalid(source) => CellError::Invalid { column, source },
        }
    }
}
