//! A stretch of the log, in order, its values as Postgres sent them.
//!
//! One contiguous buffer (the very bytes that came from the socket), one flat list of spans
//! into it, one entry per change. Nothing is decoded here and nothing is allocated per row: a
//! sink compiles an encoder per column and runs from these bytes to its own format in one pass.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use walhouse_value::{Kind, Wire};

use crate::{Lsn, Permit, Position, TableSchema};

/// Where one value lies in the batch's buffer.
#[derive(Clone, Copy)]
pub struct Span {
    /// Byte offset into the buffer; meaningless for null and unchanged values.
    pub offset: u32,
    /// Length in bytes.
    pub len: u32,
    /// How to read the bytes.
    pub kind: Kind,
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}[{}]", self.kind, self.len)
    }
}

/// A committed transaction of the source (a snapshot batch has one that stands for it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Transaction id, 0 for a snapshot.
    pub xid: u32,
    /// LSN at which the commit record starts; a snapshot's consistent point.
    pub commit_lsn: Lsn,
    /// Commit time in microseconds since 1970-01-01 UTC; for a snapshot, when it was taken.
    pub commit_time: i64,
}

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Part of a snapshot.
    Read,
    /// Inserted.
    Insert,
    /// Updated; an old image is there if the key changed or the identity is FULL.
    Update,
    /// Deleted; has an old image only.
    Delete,
}

/// What an old image holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldImage {
    /// Only the identity's columns; a null elsewhere means "not sent".
    Key,
    /// Every column.
    Full,
}

/// One row's change; images are ranges of the batch's spans.
#[derive(Clone, Copy, Debug)]
pub struct RowChange {
    /// What happened.
    pub op: Op,
    /// Index into the batch's schemas.
    pub table: u32,
    /// Index into the batch's transactions.
    pub transaction: u32,
    /// The change's own LSN (`record_version`); orders nothing.
    pub lsn: Lsn,
    /// Index of the message in its transaction, from 1; 0 in a snapshot.
    pub index: u64,
    new: Option<u32>,
    old: Option<(OldImage, u32)>,
}

/// Tables emptied by one TRUNCATE.
#[derive(Clone, Debug)]
pub struct Truncate {
    /// Indexes into the batch's schemas; only tables that are replicated.
    pub tables: Vec<u32>,
    /// Index into the batch's transactions.
    pub transaction: u32,
    /// The change's own LSN.
    pub lsn: Lsn,
    /// Index of the message in its transaction, from 1.
    pub index: u64,
}

/// One change, in log order.
#[derive(Clone, Debug)]
pub enum Change {
    /// A row.
    Row(RowChange),
    /// A truncation.
    Truncate(Truncate),
    /// From here on the table looks as `schemas[table]` says: a barrier for that table.
    Schema {
        /// Index into the batch's schemas.
        table: u32,
    },
    /// A transaction begins. Only where a whole log is followed, empty transactions included.
    Begin {
        /// Index into the batch's transactions.
        transaction: u32,
        /// LSN of its first record.
        lsn: Lsn,
    },
    /// A transaction is whole. Only where a whole log is followed.
    Commit {
        /// Index into the batch's transactions.
        transaction: u32,
        /// End of its commit record.
        end: Lsn,
    },
    /// `pg_logical_emit_message`. Only where a whole log is followed.
    Message(LogMessage),
}

/// A message that somebody wrote into the log.
#[derive(Clone, Copy, Debug)]
pub struct LogMessage {
    /// Index into the batch's transactions; none for one that belongs to no transaction and counts whatever happens
    /// to the one that was under way.
    pub transaction: Option<u32>,
    /// Its own LSN.
    pub lsn: Lsn,
    /// Its prefix, for [`ChangeBatch::bytes`].
    pub prefix: Span,
    /// Its content, for [`ChangeBatch::bytes`].
    pub content: Span,
}

/// One image of a row: a value per column of its schema.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    spans: &'a [Span],
    data: &'a Bytes,
}

impl<'a> Image<'a> {
    /// Value of column `index`; null when the image is shorter than the schema.
    #[inline]
    #[must_use]
    pub fn value(&self, index: usize) -> Wire<'a> {
        self.spans.get(index).map_or(Wire::Null, |span| span.wire(self.data))
    }

    /// The value's bytes as a shared slice of the batch's buffer, for values too large to copy.
    #[must_use]
    pub fn shared(&self, index: usize) -> Option<Bytes> {
        let span = self.spans.get(index)?;
        let (start, end) = (span.offset as usize, span.offset as usize + span.len as usize);
        (matches!(span.kind, Kind::Text | Kind::Binary) && end <= self.data.len()).then(|| self.data.slice(start..end))
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True when the image has no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

impl fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spans.fmt(f)
    }
}

impl Span {
    #[inline]
    fn wire(self, data: &[u8]) -> Wire<'_> {
        let bytes = || data.get(self.offset as usize..self.offset as usize + self.len as usize);
        match self.kind {
            Kind::Null => Wire::Null,
            Kind::Unchanged => Wire::Unchanged,
            Kind::Text => bytes().map_or(Wire::Null, Wire::Text),
            Kind::Binary => bytes().map_or(Wire::Null, Wire::Binary),
        }
    }
}

/// A row's change seen together with its batch.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The change itself.
    pub change: &'a RowChange,
    batch: &'a ChangeBatch,
}

impl<'a> Row<'a> {
    /// The table's shape.
    #[must_use]
    pub fn schema(&self) -> &'a Arc<TableSchema> {
        &self.batch.schemas[self.change.table as usize]
    }

    /// The transaction.
    #[must_use]
    pub fn transaction(&self) -> &'a Transaction {
        &self.batch.transactions[self.change.transaction as usize]
    }

    /// Where the change stands in the log.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { commit_lsn: self.transaction().commit_lsn, index: self.change.index }
    }

    /// The new image; none for a delete.
    #[must_use]
    pub fn new_image(&self) -> Option<Image<'a>> {
        self.change.new.map(|start| self.image(start))
    }

    /// The old image, where one was sent.
    #[must_use]
    pub fn old_image(&self) -> Option<(OldImage, Image<'a>)> {
        self.change.old.map(|(kind, start)| (kind, self.image(start)))
    }

    fn image(&self, start: u32) -> Image<'a> {
        let start = start as usize;
        Image { spans: &self.batch.spans[start..start + self.schema().columns.len()], data: &self.batch.data }
    }
}

/// A stretch of the log. Made by [`BatchBuilder`]; immutable afterwards.
pub struct ChangeBatch {
    data: Bytes,
    spans: Vec<Span>,
    changes: Vec<Change>,
    transactions: Vec<Transaction>,
    schemas: Vec<Arc<TableSchema>>,
    progress: Lsn,
    permit: Permit,
}

impl ChangeBatch {
    /// The changes in log order.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// A row's change with its surroundings. `change` must come from this batch.
    #[must_use]
    pub fn row<'a>(&'a self, change: &'a RowChange) -> Row<'a> {
        Row { change, batch: self }
    }

    /// The bytes of a span of this batch, none for null.
    #[must_use]
    pub fn bytes(&self, span: Span) -> &[u8] {
        span.wire(&self.data).bytes()
    }

    /// Transactions that `RowChange::transaction` and `Truncate::transaction` refer to.
    #[must_use]
    pub fn transactions(&self) -> &[Transaction] {
        &self.transactions
    }

    /// Schemas that changes refer to.
    #[must_use]
    pub fn schemas(&self) -> &[Arc<TableSchema>] {
        &self.schemas
    }

    /// Everything up to here is in this batch or in earlier ones: the end of the last whole
    /// transaction, or a keepalive's position when none was open. It may be acknowledged once
    /// this batch and all before it are durable.
    #[must_use]
    pub fn progress(&self) -> Lsn {
        self.progress
    }

    /// Size of the value buffer in bytes.
    #[must_use]
    pub fn data_len(&self) -> usize {
        self.data.len()
    }

    /// Number of changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// True for a batch that only moves the progress.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Takes the memory charge out, so that a sink can hold it beyond the batch's own life.
    #[must_use]
    pub fn take_permit(&mut self) -> Permit {
        std::mem::take(&mut self.permit)
    }
}

impl fmt::Debug for ChangeBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeBatch")
            .field("changes", &self.changes.len())
            .field("bytes", &self.data.len())
            .field("transactions", &self.transactions.len())
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

/// Collects changes whose values lie in a buffer that is handed over at the end.
///
/// ```
/// # use std::sync::Arc;
/// # use walhouse_change::*;
/// # fn build(schema: Arc<TableSchema>, spans: Vec<Span>, buffer: Vec<u8>) -> ChangeBatch {
/// let mut batch = BatchBuilder::default();
/// batch.begin(Transaction { xid: 7, commit_lsn: Lsn(100), commit_time: 0 });
/// let table = batch.schema(&schema);
/// batch.insert(table, Lsn(90), 1, &spans);
/// batch.progress(Lsn(120));
/// batch.finish(buffer.into(), Permit::default())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct BatchBuilder {
    spans: Vec<Span>,
    changes: Vec<Change>,
    transactions: Vec<Transaction>,
    schemas: Vec<Arc<TableSchema>>,
    progress: Lsn,
}

impl BatchBuilder {
    /// Changes that follow belong to `transaction`. A transaction that is cut by the end of a
    /// batch begins anew in the next one.
    pub fn begin(&mut self, transaction: Transaction) {
        if self.transactions.last() != Some(&transaction) {
            self.transactions.push(transaction);
        }
    }

    /// Index by which changes refer to `schema` in this batch.
    pub fn schema(&mut self, schema: &Arc<TableSchema>) -> u32 {
        let known = self.schemas.iter().rposition(|known| Arc::ptr_eq(known, schema));
        let index = known.unwrap_or_else(|| {
            self.schemas.push(Arc::clone(schema));
            self.schemas.len() - 1
        });
        index as u32
    }

    /// A row of a snapshot.
    pub fn read(&mut self, table: u32, lsn: Lsn, new: &[Span]) {
        self.push(Op::Read, table, lsn, 0, Some(new), None);
    }

    /// An inserted row.
    pub fn insert(&mut self, table: u32, lsn: Lsn, index: u64, new: &[Span]) {
        self.push(Op::Insert, table, lsn, index, Some(new), None);
    }

    /// An updated row.
    pub fn update(&mut self, table: u32, lsn: Lsn, index: u64, new: &[Span], old: Option<(OldImage, &[Span])>) {
        self.push(Op::Update, table, lsn, index, Some(new), old);
    }

    /// A deleted row.
    pub fn delete(&mut self, table: u32, lsn: Lsn, index: u64, old: (OldImage, &[Span])) {
        self.push(Op::Delete, table, lsn, index, None, Some(old));
    }

    /// A truncation of `tables` (indexes given by [`Self::schema`]).
    pub fn truncate(&mut self, tables: Vec<u32>, lsn: Lsn, index: u64) {
        let transaction = self.current_transaction();
        self.changes.push(Change::Truncate(Truncate { tables, transaction, lsn, index }));
    }

    /// The table changed its shape: following rows refer to the new schema.
    pub fn schema_changed(&mut self, schema: &Arc<TableSchema>) {
        let table = self.schema(schema);
        self.changes.push(Change::Schema { table });
    }

    /// The beginning of a transaction whose first record is at `lsn`.
    pub fn begin_at(&mut self, transaction: Transaction, lsn: Lsn) {
        self.begin(transaction);
        let transaction = self.current_transaction();
        self.changes.push(Change::Begin { transaction, lsn });
    }

    /// The end of the current transaction, whose commit record ends at `end`.
    pub fn commit_at(&mut self, end: Lsn) {
        let transaction = self.current_transaction();
        self.changes.push(Change::Commit { transaction, end });
    }

    /// A logical message, of the current transaction or of none.
    pub fn message(&mut self, transactional: bool, lsn: Lsn, prefix: Span, content: Span) {
        let transaction = transactional.then(|| self.current_transaction());
        self.changes.push(Change::Message(LogMessage { transaction, lsn, prefix, content }));
    }

    /// Raises the progress of the batch.
    pub fn progress(&mut self, upto: Lsn) {
        self.progress = self.progress.max(upto);
    }

    /// Number of changes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// True when nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The progress so far.
    #[must_use]
    pub fn progress_so_far(&self) -> Lsn {
        self.progress
    }

    /// Closes the batch over `data`, into which every span points.
    #[must_use]
    pub fn finish(self, data: Bytes, permit: Permit) -> ChangeBatch {
        let Self { spans, changes, transactions, schemas, progress } = self;
        ChangeBatch { data, spans, changes, transactions, schemas, progress, permit }
    }

    fn push(
        &mut self,
        op: Op,
        table: u32,
        lsn: Lsn,
        index: u64,
        new: Option<&[Span]>,
        old: Option<(OldImage, &[Span])>,
    ) {
        let transaction = self.current_transaction();
        let new = new.map(|spans| self.image(table, spans));
        let old = old.map(|(kind, spans)| (kind, self.image(table, spans)));
        self.changes.push(Change::Row(RowChange { op, table, transaction, lsn, index, new, old }));
    }

    /// Stores an image, made as long as its schema: a missing value is null.
    fn image(&mut self, table: u32, spans: &[Span]) -> u32 {
        const NULL: Span = Span { offset: 0, len: 0, kind: Kind::Null };
        let start = self.spans.len();
        self.spans.extend_from_slice(spans);
        let width = self.schemas.get(table as usize).map_or(spans.len(), |schema| schema.columns.len());
        self.spans.resize(start + width, NULL);
        start as u32
    }

    fn current_transaction(&self) -> u32 {
        self.transactions.len().saturating_sub(1) as u32
    }
}
