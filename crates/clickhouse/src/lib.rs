//! ClickHouse as a target: a server or the embedded engine, over its HTTP interface.
//!
//! Reading order: [`mapping`] says how a source table lies in ClickHouse, [`ddl`] writes it as SQL,
//! [`block`] encodes rows; these are pure. `client` talks to the server, [`ClickHouse`] is the
//! target (state, tables, copies, where the stream goes on), `sink` writes the stream.
//!
//! Architecture invariant: an insert is one block, and a block is all or nothing; the inserts of a
//! table are in order. So a table holds everything up to its highest version and nothing above it.

pub mod block;
mod client;
mod config;
pub mod ddl;
mod error;
pub mod kafka;
pub mod mapping;
pub mod metrics;
mod sink;
mod target;

pub use config::{Config, DEFAULT_PARALLEL_INSERTS, Secret};
pub use error::Error;
pub use target::{Change, Changed, ClickHouse, Import, MissingRight, TopicState};
