//! Free ports on this machine.

use std::net::{Ipv4Addr, TcpListener};

use crate::error::{Attempt, Result};

/// A free port of 127.0.0.1. Somebody else may take it before a server does: the start tries again then.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).attempt("finding a free port")?;
    Ok(listener.local_addr().attempt("finding a free port")?.port())
}
