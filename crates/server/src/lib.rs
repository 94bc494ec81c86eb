//! The HTTP edge: `[console]` of the configuration, where operators and their tools look.
//!
//! - `GET /`: the console's page, and the files it is made of;
//! - `GET /health`: 200 while the process lives;
//! - `GET /ready`: 200 when both ends are connected and every table is live or stopped by an
//!   error of its own, else 503; a JSON body with the reasons either way. Of a Connect worker: 200
//!   from its group's first election on;
//! - `GET /status`: what the [`StatusBoard`](walhouse_pipeline::StatusBoard) shows, as JSON;
//! - `GET /metrics`: Prometheus' text format.
//!
//! The edge only reads: everything comes from the status board and the metrics recorder. On a
//! loopback address it answers only requests whose `Host` is a loopback name, so that a web page
//! in an operator's browser cannot read it by pointing a name of its own at 127.0.0.1.
//!
//! Architecture invariant: a reply holds table names, counts and errors, never a row's value or
//! a secret (held by `tests/it/endpoints.rs`).

pub mod api;
mod console;
mod error;
mod gate;
mod kafdrop;
mod listen;
mod live;
mod page;
pub mod ports;
mod recorder;
mod router;
mod security;
mod topics;
mod verify;

pub use console::Console;
pub use error::Error;
pub use listen::{Listener, PORT_PATIENCE, Server};
pub use recorder::Recorder;
pub use security::{Access, Allow, Credential, TlsFiles};
