//! Postgres as a source of changes: catalog, publication, slot, snapshot and stream.
//!
//! [`Postgres`] implements [`walhouse_change::Origin`]. Its work in the order in which a pipeline asks for it:
//! - survey: what are the tables, what can be replicated, where does the slot stand (`catalog`, `slot`);
//! - publish: the publication holds exactly those tables (`publication`);
//! - snapshot: a consistent view, joined to the slot, copied by parallel `COPY BINARY` (`snapshot`);
//! - stream: pgoutput through a replication session of our own (`session`), decoded by pure parsers (`wire`).
//!
//! All I/O is blocking and lives on ordinary threads; what crosses to the async side are whole batches, whose values
//! are spans of the very bytes that came from the socket.
//!
//! Architecture invariant: nothing is confirmed to Postgres that was not acknowledged by the consumer, and nothing
//! can be acknowledged that was not handed over.

mod access;
mod assembly;
mod background;
mod catalog;
mod check;
mod claim;
mod config;
mod database;
mod endpoint;
mod error;
mod handover;
mod origin;
mod publication;
mod secret;
mod session;
mod slot;
mod snapshot;
mod sql;
mod wire;

pub use access::Access;
pub use catalog::comments::{ColumnNotes, TableNotes};
pub use catalog::server::{RoleFacts, ServerFacts};
pub use check::{Finding, Severity};
pub use config::{
    Config, DEFAULT_APPLICATION_NAME, DEFAULT_LOCK_WAIT, DEFAULT_PUBLICATION, DEFAULT_SLOT, DEFAULT_SLOT_WAIT, SslMode,
};
pub use database::{CatalogColumn, CatalogIndex, CatalogTable, Database, Exported, Log, Session};
pub use error::{Error, Refusal, Result};
pub use origin::Postgres;
pub use publication::PublicationFacts;
pub use secret::Secret;
pub use slot::SlotFacts;
pub use sql::{identifier, literal};
pub use wire::Malformed;
pub use wire::connection::Row;
