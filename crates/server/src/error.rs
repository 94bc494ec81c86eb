//! What can go wrong at the edge.

use std::net::SocketAddr;

/// Each message is one line that says what was attempted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not ours to listen on.
    #[error("cannot listen on {address} ([console] listen): {source}{}", hint(source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The server stopped by itself.
    #[error("the console stopped serving")]
    Serve(#[source] std::io::Error),
    /// Another metrics recorder is there already.
    #[error("cannot install the metrics recorder: {0}")]
    Recorder(String),
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "; another process has it, choose another port or stop that process",
        _ => "",
    }
}
