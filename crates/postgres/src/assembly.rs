//! The batch under way: what was parsed so far of the bytes that still lie in the inbox.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use walhouse_change::{BatchBuilder, ChangeBatch, Lsn, OldImage, Permit, Span, TableSchema, Transaction};

use crate::wire::Malformed;
use crate::wire::pgoutput::{Images, RowKind};

/// Changes in a batch, at most: a table's rows of one insert, and a bound on the memory beside the values.
pub(crate) const MAX_CHANGES: usize = 1 << 16;
/// Values in a batch, at most: 12 MB of spans, so that very wide tables stay within the same bound.
const MAX_SPANS: usize = 1 << 20;
/// Memory of a change beside its values.
const CHANGE_BYTES: usize = size_of::<walhouse_change::Change>();

/// A table's place in the batches: its index in the present one is looked up once per batch.
pub(crate) struct TableSlot {
    pub(crate) schema: Arc<TableSchema>,
    index: Option<(u64, u32)>,
}

impl TableSlot {
    pub(crate) const fn new(schema: Arc<TableSchema>) -> Self {
        Self { schema, index: None }
    }
}

/// A batch under way.
#[derive(Default)]
pub(crate) struct Assembly {
    builder: BatchBuilder,
    spans: usize,
    /// Number of the batch, by which table indexes are known to be stale.
    number: u64,
    begun: bool,
}

impl Assembly {
    pub(crate) fn is_empty(&self) -> bool {
        self.builder.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.builder.len() >= MAX_CHANGES || self.spans >= MAX_SPANS
    }

    /// Memory beside the buffer.
    pub(crate) fn overhead(&self) -> usize {
        self.spans * size_of::<Span>() + self.builder.len() * CHANGE_BYTES
    }

    /// The transaction under way changed.
    pub(crate) const fn transaction_changed(&mut self) {
        self.begun = false;
    }

    #[inline]
    fn begin(&mut self, transaction: &Transaction) {
        if !self.begun {
            self.builder.begin(*transaction);
            self.begun = true;
        }
    }

    #[inline]
    fn table(&mut self, table: &mut TableSlot) -> u32 {
        match table.index {
            Some((number, index)) if number == self.number => index,
            _ => {
                let index = self.builder.schema(&table.schema);
                table.index = Some((self.number, index));
                index
            }
        }
    }

    /// Adds a row of a snapshot.
    #[inline]
    pub(crate) fn read(&mut self, snapshot: &Transaction, table: &mut TableSlot, values: &[Span]) {
        self.begin(snapshot);
        let index = self.table(table);
        self.builder.read(index, snapshot.commit_lsn, values);
        self.spans += values.len();
    }

    /// Adds a row message.
    pub(crate) fn row(
        &mut self,
        transaction: &Transaction,
        table: &mut TableSlot,
        (kind, lsn, index): (RowKind, Lsn, u64),
        images: &Images,
        spans: &[Span],
    ) -> Result<(), Malformed> {
        self.begin(transaction);
        let width = table.schema.columns.len();
        let at = self.table(table);
        let image = |range: &Range<usize>| {
            spans
                .get(range.clone())
                .filter(|image| image.len() == width)
                .ok_or(Malformed("row: not the relation's width"))
        };
        let new = images.new.as_ref().map(image).transpose()?;
        let old: Option<(OldImage, &[Span])> = match &images.old {
            Some((kind, range)) => Some((*kind, image(range)?)),
            None => None,
        };
        match (kind, new, old) {
            (RowKind::Insert, Some(new), None) => self.builder.insert(at, lsn, index, new),
            (RowKind::Update, Some(new), old) => self.builder.update(at, lsn, index, new, old),
            (RowKind::Delete, None, Some(old)) => self.builder.delete(at, lsn, index, old),
            _ => return Err(Malformed("row: images that do not fit the operation")),
        }
        self.spans += spans.len();
        Ok(())
    }

    /// A table's index in the batch under way.
    pub(crate) fn index(&mut self, table: &mut TableSlot) -> u32 {
        self.table(table)
    }

    /// Adds a truncation of the tables with these indexes, of which there is at least one.
    pub(crate) fn truncate(&mut self, transaction: &Transaction, tables: Vec<u32>, lsn: Lsn, index: u64) {
        self.begin(transaction);
        self.builder.truncate(tables, lsn, index);
    }

    /// Adds a transaction's beginning.
    pub(crate) fn edge_begin(&mut self, transaction: &Transaction, lsn: Lsn) {
        self.builder.begin_at(*transaction, lsn);
        self.begun = true;
    }

    /// Adds a transaction's end.
    pub(crate) fn edge_commit(&mut self, transaction: &Transaction, end: Lsn) {
        self.begin(transaction);
        self.builder.commit_at(end);
    }

    /// Adds a logical message, of `transaction` or of none.
    pub(crate) fn message(&mut self, transaction: Option<&Transaction>, lsn: Lsn, prefix: Span, content: Span) {
        if let Some(transaction) = transaction {
            self.begin(transaction);
        }
        self.builder.message(transaction.is_some(), lsn, prefix, content);
    }

    /// Adds a table's new shape.
    pub(crate) fn schema_changed(&mut self, schema: &Arc<TableSchema>) {
        self.builder.schema_changed(schema);
    }

    /// Closes the batch and begins the next one.
    pub(crate) fn finish(&mut self, progress: Lsn, data: Bytes, permit: Permit) -> ChangeBatch {
        let mut builder = std::mem::take(&mut self.builder);
        (self.spans, self.begun) = (0, false);
        self.number += 1;
        builder.progress(progress);
        builder.finish(data, permit)
    }
}
