//! What the server's catalog says: tables, their types, and the server itself.
//!
//! Everything here runs on an ordinary thread over a [`Connection`](crate::wire::connection::Connection) whose
//! `search_path` is `pg_catalog` alone.

pub(crate) mod comments;
pub(crate) mod server;
pub(crate) mod tables;
pub(crate) mod types;
