//! What can go wrong at the edge.

use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// The address would let anybody in.
    #[error(
        "[console] listen {address} is not loopback: that needs {missing}, or, if it is meant, insecure = true or \
         --insecure"
    )]
    Exposed {
        /// The address.
        address: SocketAddr,
        /// Keys of the configuration.
        missing: String,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot use {} for TLS of the console: {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never its content.
        reason: String,
    },
    /// The file of state changes cannot be written.
    #[error("cannot open the audit file {} ([console] audit_file): {source}", path.display())]
    AuditFile {
        /// The file.
        path: PathBuf,
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
