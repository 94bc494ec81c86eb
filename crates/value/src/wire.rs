//! One transmitted value, borrowed from the buffer it arrived in.
//!
//! Postgres chooses the form per value, not per stream: a type without a send function comes as
//! text even when binary was asked for. So the kind byte travels with the value, and every decoder
//! dispatches on it.

use std::fmt;

/// The kind of one transmitted value; the byte is pgoutput's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// SQL NULL.
    Null = b'n',
    /// A TOASTed value that the UPDATE did not touch: not transmitted at all.
    Unchanged = b'u',
    /// The type's output function, in the client encoding.
    Text = b't',
    /// The type's send function.
    Binary = b'b',
}

impl Kind {
    /// The kind of a pgoutput tuple byte; `None` for a byte that names no kind.
    #[inline]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'n' => Some(Self::Null),
            b'u' => Some(Self::Unchanged),
            b't' => Some(Self::Text),
            b'b' => Some(Self::Binary),
            _ => None,
        }
    }

    /// The pgoutput tuple byte.
    #[inline]
    pub const fn as_byte(self) -> u8 {
        self as u8
    }
}

/// One transmitted value, borrowed from a batch.
///
/// `Debug` prints the kind and the length, never the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wire<'a> {
    /// SQL NULL.
    Null,
    /// An unchanged TOAST value: not transmitted.
    Unchanged,
    /// The type's text output.
    Text(&'a [u8]),
    /// The type's binary output.
    Binary(&'a [u8]),
}

impl<'a> Wire<'a> {
    /// Joins a kind and its bytes; the bytes of `Null` and `Unchanged` are ignored.
    #[inline]
    pub const fn new(kind: Kind, bytes: &'a [u8]) -> Self {
        match kind {
            Kind::Null => Self::Null,
            Kind::Unchanged => Self::Unchanged,
            Kind::Text => Self::Text(bytes),
            Kind::Binary => Self::Binary(bytes),
        }
    }

    /// The kind without the bytes.
    #[inline]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Unchanged => Kind::Unchanged,
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The transmitted bytes; empty for `Null` and `Unchanged`.
    #[inline]
    pub const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Null | Self::Unchanged => &[],
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }

    /// Whether this is SQL NULL.
    #[inline]
    pub const fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }
}

impl fmt::Debug for Wire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Unchanged => f.write_str("Unchanged"),
            Self::Text(bytes) => write!(f, "Text({} bytes)", bytes.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_value() {
        let shown = format!("{:?} {:?}", Wire::Text(b"secret"), Wire::Binary(b"hidden!"));
        assert_eq!(shown, "Text(6 bytes) Binary(7 bytes)");
    }

    #[test]
    fn kinds_keep_their_bytes() {
        for byte in 0..=u8::MAX {
            if let Some(kind) = Kind::from_byte(byte) {
                assert_eq!(kind.as_byte(), byte);
                assert_eq!(Wire::new(kind, b"x").kind(), kind);
            }
        }
    }
}
