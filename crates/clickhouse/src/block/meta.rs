//! The metadata columns of a block under construction.

use walhouse_change::Version;
use walhouse_value::{Invalid, PgType, render};

use super::column::{Cell, Strings};
use super::native::{self, Body};
use super::row::Stamp;
use crate::mapping::{Carried, META_COLUMNS, MetaColumn};

/// Bytes of the end of a map.
const END_SIZE: usize = 8;

/// Bytes of the metadata in a row: fixed columns with their null maps, an action of six letters with
/// its length.
const STAMP_SIZE: usize = 8 + (1 + 8) + (1 + 7) + 1 + 16;

/// Versions of the first and the last row, newest commit time.
type Range = (Version, Version, i64);

#[derive(Debug)]
pub(super) struct Meta {
    rows: usize,
    range: Option<Range>,
    /// `None` where the rows share them and the table has them.
    stamps: Option<Stamps>,
    texts: Texts,
}

/// A value per row.
#[derive(Debug, Default)]
struct Stamps {
    record_versions: Vec<u8>,
    commit_ms: Vec<u8>,
    actions: Vec<u8>,
    deleted: Vec<u8>,
    versions: Vec<u8>,
}

/// The `_unrepresentable` maps: per row where its entries end.
#[derive(Debug, Default)]
struct Texts {
    ends: Vec<u8>,
    entries: u64,
    columns: Strings,
    values: Strings,
    /// Number of entries before the row under way.
    mark: u64,
}

impl Meta {
    pub(super) fn of_each_row() -> Self {
        Self { rows: 0, range: None, stamps: Some(Stamps::default()), texts: Texts::default() }
    }

    /// Of rows that share their stamp.
    pub(super) fn shared() -> Self {
        Self { stamps: None, ..Self::of_each_row() }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that each row takes.
    pub(super) fn row_size(&self) -> usize {
        END_SIZE + if self.stamps.is_some() { STAMP_SIZE } else { 0 }
    }

    /// The columns that the block will carry.
    pub(super) fn carried(&self) -> Carried {
        match self.stamps {
            Some(_) => Carried::Every,
            None => Carried::Own { unrepresentable: self.texts.entries > 0 },
        }
    }

    /// A row begins.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.texts.begin();
    }

    /// Notes the text of a value that column `name` cannot hold; returns the bytes it takes.
    #[cold]
    pub(super) fn push_unrepresentable(
        &mut self,
        name: &str,
        cell: Cell<'_>,
        index: usize,
        source: &PgType,
    ) -> Result<usize, Invalid> {
        let texts = &mut self.texts;
        let before = texts.columns.len() + texts.values.len();
        match cell {
            Cell::Unrepresentable(text) => texts.values.push(text),
            Cell::Sent(image) => texts.values.push_with(|out| render::text(source, image.value(index), out))?,
            Cell::Null | Cell::Stored(_) => return Ok(0),
        }
        texts.columns.push(name.as_bytes());
        texts.entries += 1;
        Ok(texts.columns.len() + texts.values.len() - before)
    }

    pub(super) fn roll_back(&mut self) {
        self.texts.roll_back();
    }

    /// The row is whole.
    #[inline]
    pub(super) fn push(&mut self, stamp: &Stamp, deleted: bool) {
        self.rows += 1;
        if let Some(stamps) = &mut self.stamps {
            stamps.push(stamp, deleted);
        }
        self.texts.ends.extend_from_slice(&self.texts.entries.to_le_bytes());
        self.range = match self.range {
            None => Some((stamp.version, stamp.version, stamp.commit_time_us)),
            Some((first, _, newest)) => Some((first, stamp.version, newest.max(stamp.commit_time_us))),
        };
    }

    /// Moves the columns into the body.
    pub(super) fn finish(&mut self, body: &mut Body) -> Range {
        let [record_version, _arrival, source_updated_at, db_action, is_deleted, unrepresentable, version] =
            &META_COLUMNS;
        let rows = std::mem::take(&mut self.rows);
        match &mut self.stamps {
            Some(stamps) => {
                header(record_version, body);
                body.move_in(&mut stamps.record_versions);
                header(source_updated_at, body);
                no_nulls(rows, body);
                body.move_in(&mut stamps.commit_ms);
                header(db_action, body);
                no_nulls(rows, body);
                body.move_in(&mut stamps.actions);
                header(is_deleted, body);
                body.move_in(&mut stamps.deleted);
                header(unrepresentable, body);
                self.texts.finish(body);
                header(version, body);
                body.move_in(&mut stamps.versions);
            }
            None if self.texts.entries > 0 => {
                header(unrepresentable, body);
                self.texts.finish(body);
            }
            None => self.texts.ends.clear(),
        }
        self.range.take().unwrap_or_default()
    }
}

fn header(column: &MetaColumn, body: &mut Body) {
    native::string(column.name.as_bytes(), body.tail());
    native::string(column.sql_type.as_bytes(), body.tail());
}

/// No metadata is ever NULL, whatever the dictionary allows.
fn no_nulls(rows: usize, body: &mut Body) {
    let filled = body.tail().len() + rows;
    body.tail().resize(filled, 0);
}

impl Stamps {
    #[inline]
    fn push(&mut self, stamp: &Stamp, deleted: bool) {
        self.record_versions.extend_from_slice(&stamp.record_version.0.to_le_bytes());
        self.commit_ms.extend_from_slice(&stamp.commit_time_us.div_euclid(1000).to_le_bytes());
        native::string(stamp.action.as_str().as_bytes(), &mut self.actions);
        self.deleted.push(u8::from(deleted));
        self.versions.extend_from_slice(&stamp.version.0.to_le_bytes());
    }
}

impl Texts {
    #[inline]
    fn begin(&mut self) {
        self.mark = self.entries;
        self.columns.begin();
        self.values.begin();
    }

    fn roll_back(&mut self) {
        self.entries = self.mark;
        self.columns.roll_back();
        self.values.roll_back();
    }

    fn finish(&mut self, body: &mut Body) {
        body.move_in(&mut self.ends);
        self.columns.finish(body);
        self.values.finish(body);
        (self.entries, self.mark) = (0, 0);
    }
}
