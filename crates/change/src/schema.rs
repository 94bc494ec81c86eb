//! What a table looks like at one point of the log.

use std::fmt;

use serde::{Deserialize, Serialize};
use walhouse_value::PgType;

/// A table's qualified name in the source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// Schema (namespace), `public` for most.
    pub schema: String,
    /// The table's own name.
    pub name: String,
}

impl TableName {
    /// `schema.name`.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// Which old values Postgres writes to the log on update and delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaIdentity {
    /// The primary key's old values.
    Default,
    /// None: updates and deletes fail at the source once the table is published.
    Nothing,
    /// All old values.
    Full,
    /// The old values of a chosen unique index.
    Index,
}

impl ReplicaIdentity {
    /// From `pg_class.relreplident` or the byte of pgoutput's Relation message.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'd' => Some(Self::Default),
            b'n' => Some(Self::Nothing),
            b'f' => Some(Self::Full),
            b'i' => Some(Self::Index),
            _ => None,
        }
    }
}

/// One published column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name in the source.
    pub name: String,
    /// Resolved type: domains down to their base, enums and arrays known as such.
    pub ty: PgType,
}

/// A table's shape. Immutable: a changed table is a new value behind a new `Arc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSchema {
    /// `pg_class.oid`; survives a rename, not a drop and create.
    pub relid: u32,
    /// Qualified name.
    pub name: TableName,
    /// What old images updates and deletes carry.
    pub identity: ReplicaIdentity,
    /// Published columns in the order in which their values are sent.
    pub columns: Vec<Column>,
    /// Indexes into `columns` of the row's identity in key order: the primary key, or the
    /// replica identity's index. From the catalog, never from pgoutput's flags (FULL flags every
    /// column, INDEX flags the index). Never empty for a table that is replicated.
    pub key: Vec<usize>,
}

impl TableSchema {
    /// Index of the column named `name`.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// True if column `index` belongs to the key.
    #[must_use]
    pub fn is_key(&self, index: usize) -> bool {
        self.key.contains(&index)
    }
}
