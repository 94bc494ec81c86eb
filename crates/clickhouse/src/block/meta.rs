//! The metadata columns of a block under construction.

use walhouse_change::Version;
use walhouse_value::{Invalid, PgType, render};

use super::column::{Cell, Strings};
use super::native::{self, Body};
use super::row::Stamp;
use crate::mapping::META_COLUMNS;

/// Bytes of the metadata in a row: fixed columns with their null maps, an action of six letters with
/// its length, the end of a map.
pub(super) const META_SIZE: usize = 8 + (1 + 8) + (1 + 7) + 1 + 8 + 16;

/// Versions of the first and the last row, newest commit time.
type Range = (Version, Version, i64);

#[derive(Debug, Default)]
pub(super) struct Meta {
    range: Option<Range>,
    record_versions: Vec<u8>,
    commit_ms: Vec<u8>,
    actions: Vec<u8>,
    deleted: Vec<u8>,
    texts: Texts,
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
    pub(super) fn rows(&self) -> usize {
        self.deleted.len()
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
        self.record_versions.extend_from_slice(&stamp.record_version.0.to_le_bytes());
        self.commit_ms.extend_from_slice(&stamp.commit_time_us.div_euclid(1000).to_le_bytes());
        native::string(stamp.action.as_str().as_bytes(), &mut self.actions);
        self.deleted.push(u8::from(deleted));
        self.texts.ends.extend_from_slice(&self.texts.entries.to_le_bytes());
        self.versions.extend_from_slice(&stamp.version.0.to_le_bytes());
        self.range = match self.range {
            None => Some((stamp.version, stamp.version, stamp.commit_time_us)),
            Some((first, _, newest)) => Some((first, stamp.version, newest.max(stamp.commit_time_us))),
        };
    }

    /// Moves the columns into the body.
    pub(super) fn finish(&mut self, body: &mut Body) -> Range {
        let rows = self.rows();
        let [record_version, _arrival, source_updated_at, db_action, is_deleted, unrepresentable, version] =
            &META_COLUMNS;
        let header = |body: &mut Body, meta: &crate::mapping::MetaColumn| {
            native::string(meta.name.as_bytes(), body.tail());
            native::string(meta.sql_type.as_bytes(), body.tail());
        };
        // no metadata is ever NULL, whatever the dictionary allows
        let no_nulls = |body: &mut Body| {
            let filled = body.tail().len() + rows;
            body.tail().resize(filled, 0);
        };
        header(body, record_version);
        body.move_in(&mut self.record_versions);
        header(body, source_updated_at);
        no_nulls(body);
        body.move_in(&mut self.commit_ms);
        header(body, db_action);
        no_nulls(body);
        body.move_in(&mut self.actions);
        header(body, is_deleted);
        body.move_in(&mut self.deleted);
        header(body, unrepresentable);
        self.texts.finish(body);
        header(body, version);
        body.move_in(&mut self.versions);
        self.range.take().unwrap_or_default()
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
