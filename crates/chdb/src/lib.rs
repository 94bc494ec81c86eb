//! The embedded ClickHouse engine: libchdb in a process of its own, behind ClickHouse's own HTTP interface.
//!
//! - [`Library`] finds libchdb, or fetches it once.
//! - [`serve`] turns the calling process into an engine that any ClickHouse client can use.
//! - [`Engine`] is the parent's side: starts such a process, restarts it after a crash, ends it.
//! - [`testing`] gives any test binary an engine.
//!
//! How a statement travels: `http` takes the request, `execute` reads its text and runs it on a blocking thread over a
//! `connection` of its own; rows come back through a pipe (`select`), data goes in through the engine's insert stream
//! (`insert`). What clients must not reach is closed three times: the engine's grants (`config`), the kernel's
//! Landlock (`confine`), and a look at the statement's words (`sql`).
//!
//! This is the only crate with `unsafe`: in `ffi` and `connection` around the C library, and for some system calls.

mod config;
mod confine;
mod connection;
mod error;
mod execute;
mod failure;
mod ffi;
mod http;
mod insert;
mod kill;
mod lease;
mod library;
mod operator;
mod options;
mod queues;
mod reader;
mod select;
mod serve;
mod session;
mod sql;
mod supervisor;
#[doc(hidden)]
pub mod testing;

pub use error::Error;
pub use library::{LIBRARY_VERSION, Library, Progress};
pub use operator::OPERATOR_SOCKET;
pub use options::{Access, Options, User};
pub use serve::serve;
pub use supervisor::{Engine, Spawn};
