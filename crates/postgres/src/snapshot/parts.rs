//! Cutting tables into pieces that workers copy side by side. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use walhouse_change::{CopyPart, TableSchema};

use crate::catalog::tables::Storage;
use crate::sql;

/// Postgres' block, unless it was built otherwise; then the pieces only get another size.
const BLOCK: u64 = 8192;
/// Smallest piece: below it the range's own cost (no plain COPY, another statement) eats the gain.
const MIN_BLOCKS: u64 = (32 << 20) / BLOCK;
/// Largest piece: what is lost when a copy is interrupted, and the step of a progress bar.
const MAX_BLOCKS: u64 = (128 << 20) / BLOCK;
/// Pieces per worker of a table that is alone, so that a slow piece does not leave the others idle.
const PIECES_PER_WORKER: u64 = 2;

/// The pieces of all tables with their COPY statements, largest first. Every table has at least one.
///
/// `generated`: generated columns are published, which only a SELECT can copy.
pub(super) fn plan(
    schemas: &[Arc<TableSchema>],
    storages: &HashMap<u32, Vec<Storage>>,
    workers: usize,
    generated: bool,
) -> Vec<(CopyPart, String)> {
    let mut planned = Vec::new();
    for schema in schemas {
        let storages = storages.get(&schema.relid).map_or(&[][..], Vec::as_slice);
        planned.extend(plan_table(schema, storages, workers, generated));
    }
    planned.sort_by_key(|(_, _, blocks)| std::cmp::Reverse(*blocks));
    planned.into_iter().map(|(part, statement, _)| (part, statement)).collect()
}

fn plan_table(
    schema: &Arc<TableSchema>,
    storages: &[Storage],
    workers: usize,
    generated: bool,
) -> Vec<(CopyPart, String, u64)> {
    let columns = Columns::of(schema, generated);
    let mut pieces = Vec::new();
    for storage in storages {
        let blocks = storage.bytes.div_ceil(BLOCK);
        for range in ranges(blocks, workers) {
            let covered = range.map_or(blocks, |(start, end)| end.unwrap_or(blocks) - start);
            let rows = storage.estimated_rows * covered / blocks.max(1);
            pieces.push((range, rows, columns.statement(storage, range), covered));
        }
    }
    if pieces.is_empty() {
        // A partitioned table without partitions: its own (empty) self, through the general form.
        let name = sql::table(&schema.name);
        let statement = format!("COPY (SELECT {} FROM {name}) TO STDOUT (FORMAT binary)", columns.list);
        pieces.push((None, 0, statement, 0));
    }
    let of = pieces.len() as u32;
    let part = |(number, (range, estimated_rows, statement, blocks))| {
        let schema = Arc::clone(schema);
        (CopyPart { schema, number, of, estimated_rows, range }, statement, blocks)
    };
    (0u32..).zip(pieces).map(part).collect()
}

/// Ranges of blocks, the last one open: rows may lie behind the size that was read. None for a plain copy.
fn ranges(blocks: u64, workers: usize) -> Vec<Option<(u64, Option<u64>)>> {
    if blocks <= MIN_BLOCKS {
        return vec![None];
    }
    let step = blocks.div_ceil(PIECES_PER_WORKER * workers as u64).clamp(MIN_BLOCKS / 2, MAX_BLOCKS);
    let count = blocks.div_ceil(step);
    (0..count).map(|index| Some((index * step, (index + 1 < count).then_some((index + 1) * step)))).collect()
}

/// The columns of a copy.
struct Columns {
    /// With casts where the binary form is not read.
    list: String,
    /// Only a SELECT gives them.
    computed: bool,
}

impl Columns {
    fn of(schema: &TableSchema, generated: bool) -> Self {
        let mut computed = generated;
        let column = |column: &walhouse_change::Column| {
            let name = sql::identifier(&column.name);
            if column.ty.binary_decodable() {
                return name;
            }
            computed = true;
            format!("{name}::text")
        };
        let list: Vec<String> = schema.columns.iter().map(column).collect();
        Self { list: list.join(", "), computed }
    }

    /// Plain COPY is the fastest, and it never includes a table's children.
    fn statement(&self, storage: &Storage, range: Option<(u64, Option<u64>)>) -> String {
        let (list, table) = (&self.list, sql::table(&storage.name));
        let bounds = match range {
            None if !self.computed => return format!("COPY {table} ({list}) TO STDOUT (FORMAT binary)"),
            None => String::new(),
            Some((start, None)) => format!(" WHERE ctid >= '({start},0)'::tid"),
            Some((start, Some(end))) => {
                format!(" WHERE ctid >= '({start},0)'::tid AND ctid < '({end},0)'::tid")
            }
        };
        format!("COPY (SELECT {list} FROM ONLY {table}{bounds}) TO STDOUT (FORMAT binary)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_small_table_is_copied_plainly() {
        assert_eq!(ranges(0, 2), [None]);
        assert_eq!(ranges(MIN_BLOCKS, 2), [None]);
    }

    proptest! {
        #[test]
        fn ranges_meet_and_the_last_is_open(blocks in MIN_BLOCKS + 1..1 << 32, workers in 1usize..64) {
            let ranges = ranges(blocks, workers);
            let mut expected = Some(0);
            for range in &ranges {
                let (start, end) = range.unwrap();
                prop_assert_eq!(Some(start), expected);
                prop_assert!(end.is_none_or(|end| end > start && end < blocks));
                expected = end;
            }
            prop_assert_eq!(expected, None);
            prop_assert!(ranges.len() >= 2);
        }
    }
}
