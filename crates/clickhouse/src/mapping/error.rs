//! Why a table cannot be laid out.

use walhouse_change::{Domain, Error, Retry, TableName};

/// A table that cannot be mapped as it is; each message says how out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// The schema names no key.
    #[error("table {table} has no key: give it a primary key or a replica identity index")]
    NoKey {
        /// The source table.
        table: TableName,
    },
    /// -0, 0 and NaN are not told apart where a sort key merges rows.
    #[error(
        "column {column} of table {table} is a floating-point key, which ClickHouse cannot keep apart (-0, NaN): \
         use a replica identity index on other columns, or tables.\"{table}\".columns.{column} = \"String\""
    )]
    FloatKey {
        /// The source table.
        table: TableName,
        /// The key's column.
        column: String,
    },
    /// A source column is named as one of ours.
    #[error(
        "column {column} of table {table} has the name of a metadata column: rename it in Postgres, \
         or leave the table out"
    )]
    ReservedColumn {
        /// The source table.
        table: TableName,
        /// The column.
        column: String,
    },
    /// An override names a column that the table does not have.
    #[error("tables.\"{table}\".{setting} names column {column:?}, which the table does not have")]
    UnknownColumn {
        /// The source table.
        table: TableName,
        /// `columns` or `order_by`.
        setting: &'static str,
        /// The name.
        column: String,
    },
    /// An override asks for a type that cannot hold the column exactly.
    #[error(transparent)]
    UnsupportedType(Box<UnsupportedType>),
    /// A sort key that is not made of the key's columns would keep old versions apart.
    #[error(
        "tables.\"{table}\".order_by must hold the key's columns ({key}) in any order and no others: \
         versions of a row are merged by the sort key"
    )]
    OrderBy {
        /// The source table.
        table: TableName,
        /// The key's columns.
        key: String,
    },
    /// A target name is unusable.
    #[error("table {table} would be named {name:?} in ClickHouse, which {problem}: set tables.\"{table}\".name")]
    BadName {
        /// The source table.
        table: TableName,
        /// The name in ClickHouse.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Two source tables would create the same table or view.
    #[error("tables {first} and {second} would both create {name:?} in ClickHouse: set name or view of one of them")]
    Collision {
        /// The first source table.
        first: TableName,
        /// The second source table; the first again when its own names collide.
        second: TableName,
        /// The name in ClickHouse.
        name: String,
    },
}

/// An override asks for a type that cannot hold the column exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "tables.\"{table}\".columns.{column} = {wanted:?} is not possible for {source_type}: \
     the default is {default}, \"String\" holds everything"
)]
pub struct UnsupportedType {
    /// The source table.
    pub table: TableName,
    /// The column.
    pub column: String,
    /// Its type in Postgres.
    pub source_type: String,
    /// What was asked for.
    pub wanted: String,
    /// What the column gets without an override.
    pub default: String,
}

impl MappingError {
    /// True for a wrong configuration, which is refused at start; false for a table that cannot be
    /// replicated as it is, which stops alone.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        !matches!(self, Self::NoKey { .. } | Self::FloatKey { .. } | Self::ReservedColumn { .. })
    }

    /// The (first) source table.
    #[must_use]
    pub fn table(&self) -> &TableName {
        match self {
            Self::UnsupportedType(unsupported) => &unsupported.table,
            Self::NoKey { table }
            | Self::FloatKey { table, .. }
            | Self::ReservedColumn { table, .. }
            | Self::UnknownColumn { table, .. }
            | Self::OrderBy { table, .. }
            | Self::BadName { table, .. }
            | Self::Collision { first: table, .. } => table,
        }
    }
}

impl From<MappingError> for Error {
    fn from(error: MappingError) -> Self {
        let retry = match error.is_configuration() {
            true => Retry::Never,
            false => Retry::StopTable(error.table().clone()),
        };
        Self::new(Domain::Target, retry, error.to_string())
    }
}
