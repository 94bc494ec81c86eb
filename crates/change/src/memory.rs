//! Both ends in memory, for tests: a [`Server`] that keeps a log and slots the way Postgres
//! does, a [`Store`] that tells accepted from durable, and the contracts over them.
//!
//! Every table has the same shape, `(id bigint primary key, v text)`. What a process would lose
//! in a crash lives in [`MemoryOrigin`], [`MemoryTarget`] and what they open; what survives lives
//! in the server and the store.

mod origin;
mod random;
mod server;
mod store;
mod target;

use std::sync::Arc;

use walhouse_value::{Kind, PgType, Wire};

use crate::{
    BatchBuilder, Change, ChangeBatch, Column, Image, Permit, Position, ReplicaIdentity, Span, TableName, TableSchema,
};

pub use origin::MemoryOrigin;
pub use random::Random;
pub use server::{Event, Logged, Server, Write, Xid};
pub use store::{Store, Stored, StoredRow};
pub use target::MemoryTarget;

/// The shape of every table here: `(id bigint primary key, v text)`.
#[must_use]
pub fn table_schema(relid: u32, name: TableName) -> Arc<TableSchema> {
    const INT8: u32 = 20;
    const TEXT: u32 = 25;
    let column = |name: &str, oid| PgType::builtin(oid, -1).map(|ty| Column { name: name.to_owned(), ty });
    let columns = [column("id", INT8), column("v", TEXT)].into_iter().flatten().collect();
    Arc::new(TableSchema { relid, name, identity: ReplicaIdentity::Default, columns, key: vec![0] })
}

/// Builds batches of such rows.
#[derive(Debug, Default)]
pub struct RowBatch {
    /// For what has no value: transactions, schemas, progress.
    pub builder: BatchBuilder,
    data: Vec<u8>,
}

impl RowBatch {
    /// The two spans of a row; without a value they are those of an old key.
    pub fn row(&mut self, id: i64, value: Option<&str>) -> [Span; 2] {
        let id = self.text(&id.to_string());
        let value = value.map_or(Span { offset: 0, len: 0, kind: Kind::Null }, |value| self.text(value));
        [id, value]
    }

    /// Closes the batch.
    #[must_use]
    pub fn finish(self, permit: Permit) -> ChangeBatch {
        self.builder.finish(self.data.into(), permit)
    }

    fn text(&mut self, text: &str) -> Span {
        let offset = self.data.len() as u32;
        self.data.extend_from_slice(text.as_bytes());
        Span { offset, len: text.len() as u32, kind: Kind::Text }
    }
}

/// A change of a batch, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A row is there.
    Put {
        /// Its table.
        table: TableName,
        /// The key it had before, when that was another one.
        old: Option<i64>,
        /// Its key.
        id: i64,
        /// Its value.
        value: Option<String>,
        /// Where it stands.
        at: Position,
    },
    /// A row was deleted.
    Gone {
        /// Its table.
        table: TableName,
        /// Its key.
        id: i64,
        /// Where that stands.
        at: Position,
    },
    /// Tables were truncated.
    Emptied {
        /// Which.
        tables: Vec<TableName>,
        /// Where that stands.
        at: Position,
    },
}

/// Reads the changes of a batch of such rows, text or binary; schema changes are left out.
///
/// # Panics
/// When a batch does not hold such rows: this is for tests.
#[must_use]
pub fn read(batch: &ChangeBatch) -> Vec<Seen> {
    batch.changes().iter().filter_map(|change| read_change(batch, change)).collect()
}

fn read_change(batch: &ChangeBatch, change: &Change) -> Option<Seen> {
    match change {
        Change::Row(change) => {
            let row = batch.row(change);
            let table = row.schema().name.clone();
            let old = row.old_image().map(|(_, image)| id(image));
            let at = row.position();
            Some(match row.new_image() {
                Some(image) => {
                    let id = id(image);
                    Seen::Put { table, old: old.filter(|old| *old != id), id, value: text(image.value(1)), at }
                }
                None => Seen::Gone { table, id: old.expect("a delete has an old image"), at },
            })
        }
        Change::Truncate(truncate) => {
            let name = |index: &u32| batch.schemas()[*index as usize].name.clone();
            let commit_lsn = batch.transactions()[truncate.transaction as usize].commit_lsn;
            let at = Position { commit_lsn, index: truncate.index };
            Some(Seen::Emptied { tables: truncate.tables.iter().map(name).collect(), at })
        }
        _ => None,
    }
}

fn id(image: Image<'_>) -> i64 {
    match image.value(0) {
        Wire::Text(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).expect("a bigint's text"),
        Wire::Binary(bytes) => i64::from_be_bytes(bytes.try_into().expect("a bigint's eight bytes")),
        Wire::Null | Wire::Unchanged => panic!("a key without a value"),
    }
}

fn text(value: Wire<'_>) -> Option<String> {
    match value {
        Wire::Text(bytes) | Wire::Binary(bytes) => Some(String::from_utf8(bytes.to_vec()).expect("utf-8")),
        Wire::Null => None,
        Wire::Unchanged => panic!("an unchanged value in a test without large values"),
    }
}
