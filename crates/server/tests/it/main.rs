//! The edge over real sockets.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere; clippy knows only test functions")]

mod endpoints;
mod http;
mod openapi;
mod page;
mod port;
mod security;
