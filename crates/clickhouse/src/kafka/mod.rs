//! ClickHouse fed by Kafka: tables over a connector's topics.
//!
//! Per source table a queue (Kafka engine) reads the topic as raw bytes, and materialized views do
//! the rest, so that no message can stop the reader: a value that cannot be read goes to the dead
//! letters, and nothing is thrown anywhere.
//!
//! ```text
//! t__queue --t__read--> t__stage (Null) [--t__fill--> t__whole (Null)] --+--t__to_log------> t
//!  (Kafka)   JSON to        typed rows      unchanged values, only        +--t__to_current--> t__current
//!            columns                        where there can be some       +--t__to_dead-----> walhouse_dead_letters
//! ```
//!
//! Tables and views are those of the direct way. A row's `_version` is its epoch, offset and
//! partition: a key lives in one partition, whose offsets are the order of its changes. Kafka and the
//! connector both deliver again after a crash. The current state does not mind, versions win; the log
//! leaves out what it has already, by key, position in the source's log and operation.
//!
//! `wire` knows how Connect writes each type, `value` reads it back as SQL, `feed` is all that is
//! known of one table's messages, `read`, `fill` and `statements` write the SQL; these are pure.
//! `epochs` decides whether offsets still count as before, [`state`](self) remembers it.

mod epochs;
mod feed;
mod fill;
mod import;
mod read;
mod statements;
mod value;
mod views;
mod wire;

pub use epochs::{Epochs, Found, Mark, Verdict, decide};
pub use feed::{Around, Feed, FeedColumn, FeedError, Queue, Source, check};
pub(crate) use import::{Staging, import_statements};
pub use statements::{Object, ObjectKind, objects};
pub use wire::{Binary, Unit, Wire};

/// Messages that could not be read, of all tables.
pub const DEAD_LETTERS: &str = "walhouse_dead_letters";

#[cfg(test)]
mod tests;
