//! The request's body on its way from the socket (async) to the engine (a blocking thread).
//!
//! The end of a body is said explicitly. A channel that closes without it means that the client went away in the
//! middle, and an insert must then leave nothing behind.

use std::io::{Error, ErrorKind, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc::Receiver;

/// A piece of a body.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Some bytes.
    Data(Bytes),
    /// The body is complete.
    End,
}

/// Reads a body; blocks. A truncated body is an error of kind `UnexpectedEof`.
#[derive(Debug)]
pub(crate) struct BodyReader {
    pieces: Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

impl BodyReader {
    pub(crate) fn new(pieces: Receiver<Piece>) -> BodyReader {
        BodyReader { pieces, current: Bytes::new(), ended: false }
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Data(data)) => self.current = data,
                Some(Piece::End) => self.ended = true,
                None => return Err(Error::new(ErrorKind::UnexpectedEof, "the request's body is truncated")),
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
        Ok(count)
    }
}
