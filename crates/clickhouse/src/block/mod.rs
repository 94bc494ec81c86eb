//! From wire bytes to ClickHouse's columns, in one pass.
//!
//! A [`BlockBuilder`] takes rows of one table and appends each value to its column in the form that
//! ClickHouse's Native format has on the wire, by an encoder that was chosen when the plan was made.
//! [`BlockBuilder::finish`] puts the headers between the columns and hands over a [`Block`]: the body
//! of one insert. No value is decoded into a tree, none is allocated for, and values of a MiB and more
//! are not even copied.
//!
//! A row goes in whole or not at all. What cannot be encoded is a [`CellError`]; a value that its
//! column cannot hold exactly is NULL with its text in `_unrepresentable`; a value that Postgres did
//! not send is filled from the old image or a [`Fill`], never guessed.

mod builder;
mod codec;
mod column;
mod dictionary;
mod error;
mod key;
mod meta;
mod native;
mod row;
mod stored;

pub use builder::{Block, BlockBuilder};
pub use error::CellError;
pub use key::{KeyBytes, KeyEncoder};
pub use row::{Action, Fill, Filled, RowInput, Stamp};
pub use stored::{MalformedAnswer, StoredRow, StoredRows};

#[cfg(test)]
mod tests;
