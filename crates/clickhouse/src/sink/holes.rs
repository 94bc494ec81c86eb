//! Values that an update left out.
//!
//! Under REPLICA IDENTITY DEFAULT Postgres does not send a large (TOASTed) value that an UPDATE
//! did not touch. It is what the row had before: in this batch, if the row was written in it, else
//! in the current state. So everything before is made durable, the rows' stored values are read
//! back by their key before the update, and the changes are gone through in order with an overlay
//! of what each key has last. A value that is in neither place stops the table; it is never guessed.
//!
//! Only a group of rows is read back at a time, since values that are left out are large ones.

use std::collections::{BTreeSet, HashMap};

use walhouse_change::{Change, ChangeBatch, Image, OldImage, Op, Result, Row};
use walhouse_value::Wire;

use super::gather::stored;
use super::table::Table;
use crate::block::{CellError, Fill, Filled, KeyBytes, StoredRow, StoredRows};
use crate::ddl;
use crate::error::Error;
use crate::metrics;

/// Rows of the first group: values may be of many MiB, which is known only when they are there.
const FIRST_GROUP: usize = 16;
/// Rows of a group at most: the statement holds their keys.
const LARGEST_GROUP: usize = 2048;
/// Bytes of their keys at most: they stand in the statement as hexadecimal, and a statement ends at
/// 256 KiB by default.
const KEY_BYTES: usize = 64 << 10;
/// What a group's values should come to.
const GROUP_BYTES: usize = 8 << 20;

/// How many rows are read back at a time, by what they came to so far.
#[derive(Debug)]
pub(super) struct ReadBack {
    group: usize,
}

impl Default for ReadBack {
    fn default() -> Self {
        Self { group: FIRST_GROUP }
    }
}

impl ReadBack {
    /// Learns from a group of `rows` that came to `bytes`.
    fn learn(&mut self, rows: usize, bytes: usize) {
        let each = (bytes / rows.max(1)).max(1);
        self.group = (GROUP_BYTES / each).clamp(1, (self.group * 2).min(LARGEST_GROUP));
    }
}

/// Where the last value of a column lies.
#[derive(Clone, Copy)]
enum Source<'a> {
    Sent(Image<'a>),
    Stored(&'a StoredRow),
}

/// What a key has last, for the columns that are needed.
#[derive(Default)]
struct Latest<'a>(Vec<(usize, Source<'a>)>);

impl Fill for Latest<'_> {
    fn value(&self, index: usize) -> Option<Filled<'_>> {
        let (_, source) = self.0.iter().find(|(column, _)| *column == index)?;
        match source {
            Source::Sent(image) => Some(Filled::Sent(*image)),
            Source::Stored(row) => row.value(index),
        }
    }
}

/// Rows that are gone through together.
struct Group {
    /// One past the last change.
    end: usize,
    /// Keys to read back.
    keys: Vec<KeyBytes>,
    /// Columns that some row lacks.
    columns: Vec<usize>,
}

impl Table {
    /// Gathers changes from `at` on, filling what they lack; returns where to go on.
    pub(super) async fn fill_from(&mut self, batch: &ChangeBatch, changes: &[u32], at: usize) -> Result<usize> {
        self.flush().await?;
        let group = stored(&self.plan, self.group(batch, changes, at))?;
        let rows = self.read(&group).await?;
        let mut overlay: HashMap<KeyBytes, Option<Latest<'_>>> = HashMap::new();
        for row in group_rows(batch, changes, at, group.end) {
            if self.is_known(&row) {
                continue;
            }
            let to_log = self.goes_to_log(&row);
            if !self.gather.has_room(to_log) {
                self.make_room().await?;
            }
            let step = self.step(&row, to_log, &group, &rows, &mut overlay);
            stored(&self.plan, step)?;
        }
        Ok(group.end)
    }

    /// Gathers one row and notes what its key has from then on.
    fn step<'a>(
        &mut self,
        row: &Row<'a>,
        to_log: bool,
        group: &Group,
        rows: &'a StoredRows,
        overlay: &mut HashMap<KeyBytes, Option<Latest<'a>>>,
    ) -> Result<(), CellError> {
        let before = match row.change.op {
            Op::Update => Some(self.key_before(row)?),
            _ => None,
        };
        let known = |key: &KeyBytes| match overlay.get(key) {
            Some(latest) => latest.as_ref().map(|latest| Latest(latest.0.clone())),
            None => rows.get(key.as_bytes()).map(|stored| stored_columns(stored, &group.columns)),
        };
        let base = before.as_ref().and_then(known);
        self.gather.push(row, to_log, base.as_ref().map(|latest| latest as &dyn Fill))?;
        let Some(image) = row.new_image() else {
            if let Some((_, old)) = row.old_image() {
                overlay.insert(self.gather.keys().key(old, None)?, None);
            }
            return Ok(());
        };
        let key = self.gather.keys().key(image, row.old_image())?;
        if let Some(before) = before.filter(|before| *before != key) {
            overlay.insert(before, None);
        }
        overlay.insert(key, Some(latest(row, image, base.as_ref(), &group.columns)));
        Ok(())
    }

    /// The key that an update's row had before.
    fn key_before(&self, row: &Row<'_>) -> Result<KeyBytes, CellError> {
        match (row.old_image(), row.new_image()) {
            (Some((_, old)), _) => self.gather.keys().key(old, None),
            (None, Some(image)) => self.gather.keys().key(image, None),
            (None, None) => Err(CellError::NullKey { column: String::new() }),
        }
    }

    /// From `at` to the next barrier or the group's limit.
    fn group(&self, batch: &ChangeBatch, changes: &[u32], at: usize) -> Result<Group, CellError> {
        let (mut keys, mut columns, mut end) = (Vec::new(), BTreeSet::new(), at);
        let mut key_bytes = 0;
        while let Some(change) = changes.get(end).and_then(|&index| batch.changes().get(index as usize)) {
            let Change::Row(change) = change else { break };
            let row = batch.row(change);
            if !std::sync::Arc::ptr_eq(row.schema(), &self.plan.schema) && !self.is_known(&row) {
                break;
            }
            if !self.is_known(&row) && self.has_holes(change, &row) {
                let key = self.key_before(&row)?;
                key_bytes += key.as_bytes().len();
                if !keys.is_empty() && (keys.len() >= self.read_back.group || key_bytes > KEY_BYTES) {
                    break;
                }
                keys.push(key);
                columns.extend(holes(&row));
            }
            end += 1;
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(Group { end, keys, columns: columns.into_iter().collect() })
    }

    async fn read(&mut self, group: &Group) -> Result<StoredRows> {
        let table = &self.plan.schema.name;
        let action = format!("read back unchanged values of {}", self.plan.name);
        let sql = ddl::read_back(&self.plan, &group.columns, &group.keys);
        // the statement holds keys, so the server's words stay out
        let answer = self.client.bytes(&action, &sql, "RowBinary").await;
        let answer = answer.map_err(|error| error.without_detail().outward(Some(table)))?;
        self.read_back.learn(group.keys.len(), answer.len());
        metrics::read_back(&self.plan.name, group.keys.len());
        StoredRows::parse(&self.plan, &group.columns, answer)
            .map_err(|error| Error::Answer { action, detail: error.to_string() }.outward(Some(table)))
    }
}

fn group_rows<'a>(batch: &'a ChangeBatch, changes: &'a [u32], from: usize, to: usize) -> impl Iterator<Item = Row<'a>> {
    changes.get(from..to).unwrap_or_default().iter().filter_map(|&index| match batch.changes().get(index as usize) {
        Some(Change::Row(change)) => Some(batch.row(change)),
        _ => None,
    })
}

/// Columns that were not sent and that a whole old image does not have.
fn holes(row: &Row<'_>) -> Vec<usize> {
    let whole = matches!(row.old_image(), Some((OldImage::Full, _)));
    let Some(image) = row.new_image().filter(|_| !whole) else { return Vec::new() };
    let missing = |index: &usize| matches!(image.value(*index), Wire::Unchanged) && !row.schema().is_key(*index);
    (0..image.len()).filter(missing).collect()
}

fn stored_columns<'a>(row: &'a StoredRow, columns: &[usize]) -> Latest<'a> {
    Latest(columns.iter().map(|&column| (column, Source::Stored(row))).collect())
}

/// What the row's key has from now on: what was sent, else what the old image has, else what it
/// had.
fn latest<'a>(row: &Row<'a>, image: Image<'a>, base: Option<&Latest<'a>>, columns: &[usize]) -> Latest<'a> {
    let sent = |image: Image<'a>, index| !matches!(image.value(index), Wire::Unchanged);
    let source = |&index: &usize| {
        if sent(image, index) {
            return Some((index, Source::Sent(image)));
        }
        match row.old_image() {
            Some((OldImage::Full, old)) if sent(old, index) => Some((index, Source::Sent(old))),
            _ => base?.0.iter().find(|(column, _)| *column == index).copied(),
        }
    };
    Latest(columns.iter().filter_map(source).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_grow_slowly_and_shrink_at_once() {
        let mut read_back = ReadBack::default();
        read_back.learn(16, 16 * 2_000);
        assert_eq!(read_back.group, 32);
        for _ in 0..20 {
            read_back.learn(read_back.group, read_back.group * 2_000);
        }
        assert_eq!(read_back.group, LARGEST_GROUP);
        read_back.learn(2, 200 << 20);
        assert_eq!(read_back.group, 1);
        read_back.learn(0, 0);
        assert_eq!(read_back.group, 2);
    }
}
