//! Why a row cannot be encoded.

use walhouse_value::Invalid;

/// One cell that stops its row. Names the column, never the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CellError {
    /// Postgres did not send the value, and neither the old image nor the fill has it.
    #[error("column {column} was not sent (unchanged TOAST value) and its stored value was not found")]
    Unfilled {
        /// The column.
        column: String,
    },
    /// A key's column holds NULL.
    #[error("key column {column} is null")]
    NullKey {
        /// The column.
        column: String,
    },
    /// A key's column holds a value that its ClickHouse type cannot.
    #[error("key column {column} holds a value that {ty} cannot: set the column's type to \"String\"")]
    UnrepresentableKey {
        /// The column.
        column: String,
        /// The ClickHouse type.
        ty: String,
    },
    /// The bytes are not what the column's type says.
    #[error("read column {column}")]
    Invalid {
        /// The column.
        column: String,
        /// What is wrong with them.
        #[source]
        source: Invalid,
    },
    /// A stored value has not the form that the column's type says.
    #[error("fill column {column}: the stored value is not a {ty}")]
    ForeignFill {
        /// The column.
        column: String,
        /// The ClickHouse type.
        ty: String,
    },
}
