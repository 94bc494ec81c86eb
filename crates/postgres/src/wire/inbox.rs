//! The buffer between socket and batch.
//!
//! The socket reads into it, frames are found in it, values are spans into it, and at the hand-over it becomes the
//! batch's buffer: no value is copied on its way. A frame lies in one piece; one that does not fit gets a buffer of
//! its very size, so a value of 100 MB costs 100 MB and its bytes are moved by the socket alone.

use std::io::{self, Read};

use bytes::Bytes;

use super::Malformed;

/// Tag byte and length word.
const HEADER: usize = 5;
/// Up to here a batch's bytes are copied out and the buffer stays: cheaper than a fresh buffer, whose pages the
/// kernel has to clear, and honest about the memory that a small batch holds.
const COPY_OUT: usize = 1 << 20;
/// The longest frame: spans count in 32 bits, and Postgres itself makes none above 1 GiB.
const MAX_FRAME: usize = 0x7fff_ffff;

/// A message: its tag and where its body lies in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) tag: u8,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Bytes received, of which the first `parsed` were given out as frames.
pub(crate) struct Inbox {
    buffer: Vec<u8>,
    filled: usize,
    parsed: usize,
    /// Where the frame given out last begins.
    last: usize,
    size: usize,
}

impl Inbox {
    /// An inbox whose buffer has `size` bytes unless a frame needs more.
    pub(crate) fn new(size: usize) -> Self {
        Self { buffer: vec![0; size], filled: 0, parsed: 0, last: 0, size }
    }

    /// Changes the usual size, from the next buffer on.
    pub(crate) fn resize(&mut self, size: usize) {
        self.size = size;
        if self.parsed == self.filled {
            *self = Self::new(size);
        }
    }

    /// Reads once into the free part; 0 at the end of the stream. There must be room.
    pub(crate) fn fill(&mut self, from: &mut impl Read) -> io::Result<usize> {
        let free = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let count = from.read(free)?;
        self.filled += count;
        Ok(count)
    }

    /// The next whole frame.
    #[inline]
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, Malformed> {
        let Some(len) = self.frame_len()? else { return Ok(None) };
        if self.filled - self.parsed < len {
            return Ok(None);
        }
        let tag = self.buffer.get(self.parsed).copied().unwrap_or_default();
        let frame = Frame { tag, start: self.parsed + HEADER, end: self.parsed + len };
        self.last = self.parsed;
        self.parsed = frame.end;
        Ok(Some(frame))
    }

    /// Puts the frame given out last back.
    pub(crate) const fn unread(&mut self) {
        self.parsed = self.last;
    }

    /// A frame's body.
    #[inline]
    pub(crate) fn body(&self, frame: Frame) -> &[u8] {
        self.buffer.get(frame.start..frame.end).unwrap_or_default()
    }

    /// Bytes that the buffer holds at present.
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// Memory that [`Self::take`] hands out.
    pub(crate) fn take_cost(&self) -> usize {
        if self.copies_out() { self.parsed } else { self.buffer.len() }
    }

    /// Whether a whole frame waits.
    pub(crate) fn has_frame(&self) -> bool {
        self.frame_len().is_ok_and(|len| len.is_some_and(|len| self.filled - self.parsed >= len))
    }

    /// Whether the frame under way fits behind what was parsed.
    pub(crate) fn has_room(&self) -> bool {
        self.parsed + self.needed() <= self.buffer.len()
    }

    /// Takes the parsed bytes out, with every span into them still right.
    pub(crate) fn take(&mut self) -> Bytes {
        let (start, end) = (self.parsed, self.filled);
        if self.copies_out() {
            let taken = Bytes::copy_from_slice(self.buffer.get(..start).unwrap_or_default());
            self.forget();
            return taken;
        }
        let mut next = vec![0; self.size.max(self.needed())];
        let rest = self.buffer.get(start..end).unwrap_or_default();
        if let Some(head) = next.get_mut(..rest.len()) {
            head.copy_from_slice(rest);
        }
        let mut taken = std::mem::replace(&mut self.buffer, next);
        taken.truncate(start);
        (self.filled, self.parsed, self.last) = (end - start, 0, 0);
        Bytes::from(taken)
    }

    /// Drops the parsed bytes and makes room for the frame under way. Spans into them are void.
    pub(crate) fn forget(&mut self) {
        let (start, end) = (self.parsed, self.filled);
        let needed = self.size.max(self.needed());
        if self.buffer.len() == needed {
            if start > 0 {
                self.buffer.copy_within(start..end, 0);
            }
        } else {
            let mut next = vec![0; needed];
            let rest = self.buffer.get(start..end).unwrap_or_default();
            if let Some(head) = next.get_mut(..rest.len()) {
                head.copy_from_slice(rest);
            }
            self.buffer = next;
        }
        (self.filled, self.parsed, self.last) = (end - start, 0, 0);
    }

    fn copies_out(&self) -> bool {
        self.parsed <= COPY_OUT && self.buffer.len() == self.size && self.needed() <= self.size
    }

    /// Bytes of the frame under way, as far as known.
    fn needed(&self) -> usize {
        self.frame_len().ok().flatten().unwrap_or(HEADER).max(self.filled - self.parsed)
    }

    /// Whole length of the frame under way; none while its header is incomplete.
    #[inline]
    fn frame_len(&self) -> Result<Option<usize>, Malformed> {
        let header = self.buffer.get(self.parsed..self.filled).and_then(|rest| rest.get(1..HEADER));
        let Some(header) = header else { return Ok(None) };
        let len = header.try_into().map_or(0, u32::from_be_bytes) as usize;
        if !(4..MAX_FRAME).contains(&len) {
            return Err(Malformed("message length"));
        }
        Ok(Some(len + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives at most `step` bytes per read.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(out.len());
            let (head, tail) = self.0.split_at(count);
            out[..count].copy_from_slice(head);
            self.0 = tail;
            Ok(count)
        }
    }

    fn frames(bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for body in bodies {
            out.push(b'd');
            out.extend((body.len() as u32 + 4).to_be_bytes());
            out.extend(body);
        }
        out
    }

    proptest! {
        #[test]
        fn every_frame_comes_once_and_whole(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..40),
            step in 1usize..50,
            size in 5usize..64,
            take_every in 1usize..5,
        ) {
            let wire = frames(&bodies);
            let mut from = Trickle(&wire, step);
            let mut inbox = Inbox::new(size);
            let (mut seen, mut pending) = (Vec::new(), Vec::new());
            loop {
                while let Some(frame) = inbox.next_frame().unwrap() {
                    pending.push(frame);
                    seen.push(inbox.body(frame).to_vec());
                }
                if pending.len() >= take_every || !inbox.has_room() {
                    let first = seen.len() - pending.len();
                    let bytes = inbox.take();
                    for (frame, body) in pending.drain(..).zip(&seen[first..]) {
                        prop_assert_eq!(&bytes[frame.start..frame.end], &body[..]);
                    }
                }
                prop_assert!(inbox.has_room());
                if inbox.fill(&mut from).unwrap() == 0 {
                    break;
                }
            }
            prop_assert_eq!(seen, bodies);
        }

        #[test]
        fn any_bytes_are_read_without_panic(wire: Vec<u8>) {
            let mut inbox = Inbox::new(16);
            let mut from = Trickle(&wire, 7);
            loop {
                match inbox.next_frame() {
                    Err(_) => break,
                    Ok(Some(_)) => continue,
                    Ok(None) => inbox.forget(),
                }
                if inbox.fill(&mut from).unwrap() == 0 {
                    break;
                }
            }
        }
    }

    #[test]
    fn a_large_frame_gets_a_buffer_of_its_size() {
        let wire = frames(&[vec![1; 10], vec![7; 100_000]]);
        let mut from = Trickle(&wire, 40);
        let mut inbox = Inbox::new(64);
        inbox.fill(&mut from).unwrap();
        inbox.next_frame().unwrap().unwrap();
        assert!(!inbox.has_room());
        assert_eq!(inbox.take().len(), 15);
        assert_eq!(inbox.capacity(), 100_005);
        while inbox.next_frame().unwrap().is_none() {
            inbox.fill(&mut from).unwrap();
        }
        assert_eq!(inbox.take().len(), 100_005);
        assert_eq!(inbox.capacity(), 64);
    }
}
