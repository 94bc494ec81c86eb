//! Rows read back from ClickHouse, to fill values that Postgres did not send.

use std::collections::HashMap;

use bytes::Bytes;

use super::key::KeyBytes;
use super::native::{take, take_string, take_varint};
use super::row::{Fill, Filled};
use crate::mapping::{ClickHouseType, ColumnPlan, TablePlan};

/// The answer of [`crate::ddl::read_back`], by key. Values share the answer's buffer.
#[derive(Debug, Default)]
pub struct StoredRows {
    rows: HashMap<KeyBytes, StoredRow>,
}

/// One stored row's values.
#[derive(Debug, Default)]
pub struct StoredRow {
    cells: Vec<(usize, StoredCell)>,
}

enum StoredCell {
    Null,
    Value(Bytes),
    Unrepresentable(Bytes),
}

impl std::fmt::Debug for StoredCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredCell")
    }
}

/// The answer is not the RowBinary that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read stored rows: the server's answer is cut short or of another form")]
pub struct MalformedAnswer;

impl StoredRows {
    /// Reads an answer; `columns` as they were given to [`crate::ddl::read_back`].
    ///
    /// # Errors
    /// The answer does not have the plan's form.
    pub fn parse(plan: &TablePlan, columns: &[usize], mut answer: Bytes) -> Result<Self, MalformedAnswer> {
        let mut rows = HashMap::new();
        while !answer.is_empty() {
            let (key, row) = row(plan, columns, &mut answer).ok_or(MalformedAnswer)?;
            rows.insert(key, row);
        }
        Ok(Self { rows })
    }

    /// The row of a key, given as [`KeyBytes`] or as the bytes that
    /// [`KeyEncoder::write`](super::KeyEncoder::write) made.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&StoredRow> {
        self.rows.get(key)
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when no key was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Fill for StoredRow {
    fn value(&self, index: usize) -> Option<Filled<'_>> {
        let (_, cell) = self.cells.iter().find(|(column, _)| *column == index)?;
        Some(match cell {
            StoredCell::Null => Filled::Null,
            StoredCell::Value(bytes) => Filled::Stored(bytes),
            StoredCell::Unrepresentable(text) => Filled::Unrepresentable(text),
        })
    }
}

fn row(plan: &TablePlan, columns: &[usize], answer: &mut Bytes) -> Option<(KeyBytes, StoredRow)> {
    let whole = answer.clone();
    for &index in &plan.order_by {
        value(plan.columns.get(index)?, answer)?;
    }
    let key = KeyBytes(whole.get(..whole.len() - answer.len())?.into());
    let mut cells = Vec::with_capacity(columns.len());
    for &index in columns {
        cells.push((index, cell(plan.columns.get(index)?, answer)?));
    }
    for _ in 0..take_varint(answer)? {
        let (name, text) = (take_string(answer)?, take_string(answer)?);
        let named = |index: usize| plan.columns.get(index).is_some_and(|column| column.name.as_bytes() == name);
        if let Some((_, cell)) = cells.iter_mut().find(|(index, _)| named(*index)) {
            *cell = StoredCell::Unrepresentable(text);
        }
    }
    Some((key, StoredRow { cells }))
}

fn cell(column: &ColumnPlan, answer: &mut Bytes) -> Option<StoredCell> {
    if !column.key && take(answer, 1)?.first() != Some(&0) {
        return Some(StoredCell::Null);
    }
    value(column, answer).map(StoredCell::Value)
}

fn value(column: &ColumnPlan, answer: &mut Bytes) -> Option<Bytes> {
    match column.ty.width() {
        Some(width) => take(answer, width),
        None if column.ty == ClickHouseType::StringMap => None,
        None => take_string(answer),
    }
}
