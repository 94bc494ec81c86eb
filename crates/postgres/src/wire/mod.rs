//! The protocol on the wire, bottom up: frames in a buffer, what is in them, and a blocking connection.
//!
//! [`inbox`], [`pgoutput`] and [`copy`] do no I/O of their own and read any bytes without a panic; what they find is
//! offsets into the very buffer that the socket filled, which later becomes a batch's buffer.

pub(crate) mod connection;
pub(crate) mod copy;
mod cursor;
pub(crate) mod inbox;
mod login;
pub(crate) mod pgoutput;
mod refusal;
mod socket;
pub(crate) mod tls;

/// Bytes that the protocol does not allow. Names what was being read, never the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0}")]
pub struct Malformed(pub &'static str);
