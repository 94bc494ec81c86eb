//! The pieces of ClickHouse's Native format (revision 0) and the chunks of a body.
//!
//! A block is: number of columns, number of rows (varints); per column its name, its type (strings:
//! varint length, bytes) and its data. Data of `Nullable(T)` is a byte per row (1 = NULL), then T's;
//! of `String` length and bytes per row; of `Map` the running ends as u64, then all keys, then all
//! values; of `LowCardinality` see `dictionary.rs`. Numbers are little endian.

use bytes::Bytes;

/// Columns from here on become chunks of their own instead of being copied behind the others: below,
/// handling one more chunk costs more than the copy.
const OWN_CHUNK: usize = 64 << 10;

/// Longest varint of a u64.
pub(super) const MAX_VARINT: usize = 10;

/// Appends an unsigned LEB128 number.
#[inline]
pub(super) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends length and bytes.
#[inline]
pub(super) fn string(bytes: &[u8], out: &mut Vec<u8>) {
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends length and the bytes that `write` appends, whose number is known only afterwards. Leaves
/// `out` as it was when `write` fails.
pub(super) fn string_with<E>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    let start = out.len();
    // nearly every rendered value is shorter than 128 bytes; a longer one is moved up
    out.push(0);
    if let Err(error) = write(out) {
        out.truncate(start);
        return Err(error);
    }
    let len = out.len() - start - 1;
    if len >= 0x80 {
        let mut prefix = Vec::with_capacity(MAX_VARINT);
        varint(len as u64, &mut prefix);
        out.splice(start..=start, prefix);
    } else if let Some(place) = out.get_mut(start) {
        *place = len as u8;
    }
    Ok(())
}

/// Reads an unsigned LEB128 number off the front.
pub(super) fn take_varint(bytes: &mut Bytes) -> Option<u64> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(MAX_VARINT).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * index as u32;
        if bits.leading_zeros() < shift {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            let _ = bytes.split_to(index + 1);
            return Some(value);
        }
    }
    None
}

/// Reads `len` bytes off the front.
pub(super) fn take(bytes: &mut Bytes, len: usize) -> Option<Bytes> {
    (len <= bytes.len()).then(|| bytes.split_to(len))
}

/// Reads a string off the front.
pub(super) fn take_string(bytes: &mut Bytes) -> Option<Bytes> {
    let len = usize::try_from(take_varint(bytes)?).ok()?;
    take(bytes, len)
}

/// Collects a body: small pieces are gathered, large buffers handed over as they are.
#[derive(Debug, Default)]
pub(super) struct Body {
    chunks: Vec<Bytes>,
    tail: Vec<u8>,
}

impl Body {
    /// Where small pieces go.
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Moves a column's buffer in and leaves an empty one of the same size, or of the same allocation.
    pub(super) fn move_in(&mut self, buffer: &mut Vec<u8>) {
        if buffer.len() < OWN_CHUNK {
            self.tail.extend_from_slice(buffer);
            buffer.clear();
            return;
        }
        let next = Vec::with_capacity(buffer.len());
        self.share(Bytes::from(std::mem::replace(buffer, next)));
    }

    /// Adds a chunk that is shared.
    pub(super) fn share(&mut self, chunk: Bytes) {
        if !self.tail.is_empty() {
            self.chunks.push(Bytes::from(std::mem::take(&mut self.tail)));
        }
        if !chunk.is_empty() {
            self.chunks.push(chunk);
        }
    }

    pub(super) fn into_chunks(mut self) -> Vec<Bytes> {
        self.share(Bytes::new());
        self.chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip_and_overlong_ones_are_refused() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            varint(value, &mut out);
            let mut bytes = Bytes::from(out);
            assert_eq!(take_varint(&mut bytes), Some(value));
            assert!(bytes.is_empty());
        }
        for bad in [&[0x80][..], &[0xff; 10], &[0xff; 11], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]] {
            assert_eq!(take_varint(&mut Bytes::from(bad.to_vec())), None);
        }
    }

    #[test]
    fn a_string_written_in_place_gets_its_length() {
        for len in [0, 1, 127, 128, 20_000] {
            let mut expected = b"before".to_vec();
            let mut out = expected.clone();
            string(&vec![7; len], &mut expected);
            string_with::<()>(&mut out, |out| {
                out.resize(out.len() + len, 7);
                Ok(())
            })
            .unwrap();
            assert!(out == expected, "{len}");
        }
    }
}
