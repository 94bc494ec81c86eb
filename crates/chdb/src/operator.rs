//! The operator's way in: a Unix socket inside the data folder.
//!
//! Some statements reach beyond the engine: those that make it read from Kafka. Grants cannot tell who asks, since the
//! engine has one user, and no client may have them. The folder is its owner's alone (mode 0700), no statement opens a
//! Unix socket, and so whoever comes in this way owns the data. No secret is kept anywhere.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::config::Layout;
use crate::error::Error;

/// Name of the socket in the data folder; there while an engine with Kafka tables runs.
pub const OPERATOR_SOCKET: &str = "operator.socket";

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Anybody who reached the port.
    Client,
    /// The owner of the data.
    Operator,
}

/// Opens the socket, in place of one that a killed engine left. The folder's lock must be held.
pub(crate) fn listen(layout: &Layout) -> Result<UnixListener, Error> {
    let doing = || format!("open {OPERATOR_SOCKET} in {}", layout.root.display());
    let path = layout.root.join(OPERATOR_SOCKET);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(doing())(error)),
        _ => {}
    }
    let folder = File::open(&layout.root).map_err(Error::io(doing()))?;
    // an address holds 108 bytes, a folder's path may be longer
    let short = format!("/proc/self/fd/{}/{OPERATOR_SOCKET}", folder.as_raw_fd());
    let listener = UnixListener::bind(Path::new(&short)).map_err(Error::io(doing()))?;
    listener.set_nonblocking(true).map_err(Error::io(doing()))?;
    Ok(listener)
}
