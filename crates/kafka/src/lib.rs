//! Debezium 2.4.2's messages, byte for byte, from changes as Postgres sent them.
//!
//! Reading order: [`Options`] is a connector's configuration; [`Encoder`] turns a
//! [`walhouse_change::ChangeBatch`] into [`Record`]s. On the way a value is read from Postgres'
//! text into a Connect value (`types`), put into an envelope (`source`, `table`, `encoder`), sent
//! through the transformations (`smt`) and written by a converter (`json`, `text`). `java` holds
//! what Java prints, hashes and digests in its own way.
//!
//! With `walhouse.oddities` the output is 2.4.2's in every byte; without it, what 2.4.2 garbles,
//! nulls or fails on is right. `docs/debezium.md` lists the differences.
//!
//! [`client`] talks to a cluster; apart from it, no I/O happens here. Architecture invariant: what was
//! recorded from a real Debezium comes out of this crate in the same bytes.

pub mod client;

mod catalog;
mod convert;
mod encoder;
mod error;
mod java;
mod json;
mod names;
mod offset;
mod options;
mod reading;
mod record;
mod schema;
mod smt;
mod source;
mod table;
mod text;
mod transaction;
mod types;
mod value;

pub use catalog::{ColumnFacts, TableFacts, UniqueIndex};
pub use encoder::{Encoder, SnapshotPart};
pub use error::{Error, Result};
pub use java::hash::{copied_map_order, hash_map_order, partition};
pub use offset::{Collection, Incremental, KeyPart, MessageKind, Offset, Position, TransactionMark};
pub use options::{Options, Patterns};
pub use reading::{Place, ReadColumn, Reading, Shape, Unreadable};
pub use record::{Record, RecordHeader};
