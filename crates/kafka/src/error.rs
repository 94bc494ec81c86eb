//! What can go wrong while options are read or changes are encoded.

/// An option that cannot be used, or a change that Debezium 2.4.2 would stop the task for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An option's value is not acceptable; the text is Connect's.
    #[error("the '{key}' value is invalid: {problem}")]
    Option {
        /// Name of the option.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A transformation, predicate or converter class that is not there.
    #[error("finding class {class} for {key}")]
    UnknownClass {
        /// Name of the option.
        key: String,
        /// The class it names.
        class: String,
    },
    /// A column that may not be null has no value (only with `walhouse.oddities`).
    #[error("encoding {table}: null used for required field {column}")]
    RequiredField {
        /// `schema.table`.
        table: String,
        /// Column's name.
        column: String,
    },
    /// A numeric default has more decimals than its column (only with `walhouse.oddities`).
    #[error("encoding {table}: decimal value has mismatching scale for given decimal schema")]
    DefaultScale {
        /// `schema.table`.
        table: String,
    },
    /// Two columns differ by case only (only with `walhouse.oddities`).
    #[error("reading {table}: columns differ only by case")]
    ColumnsDifferByCase {
        /// `schema.table`.
        table: String,
    },
    /// A key's column is beyond the columns that a snapshot takes (only with `walhouse.oddities`).
    #[error("reading {table}: data row is smaller than a column index")]
    SnapshotKey {
        /// `schema.table`.
        table: String,
    },
    /// A stored offset that is none.
    #[error("reading a stored offset: {problem}")]
    Offset {
        /// What is wrong with it.
        problem: String,
    },
    /// A transformation cannot be applied to this record.
    #[error("transforming with {name}: {problem}")]
    Transform {
        /// Its alias in `transforms`.
        name: String,
        /// What it met.
        problem: String,
    },
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
