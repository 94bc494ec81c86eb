//! The edge over real sockets.

mod endpoints;
mod http;
mod port;
