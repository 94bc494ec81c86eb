//! `COPY .. TO STDOUT (FORMAT binary)`: from CopyData bodies to rows. Pure; no panic on any bytes.
//!
//! Postgres sends one row per CopyData message, the file header before the first one and a trailer of its own.

use walhouse_change::Span;
use walhouse_value::Kind;

use super::Malformed;
use super::cursor::Cursor;

/// First bytes of the file header; flags and an extension follow.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Field count that marks the end.
const TRAILER: i16 = -1;
/// Flag of a format that ours is not: rows with oids, gone since Postgres 12.
const CRITICAL_FLAGS: u32 = 0xffff_0000;

/// Reads one COPY's messages in order.
pub(crate) struct CopyReader {
    /// Kind of each column's values: text where the column was cast.
    kinds: Vec<Kind>,
    past_header: bool,
}

impl CopyReader {
    pub(crate) const fn new(kinds: Vec<Kind>) -> Self {
        Self { kinds, past_header: false }
    }

    /// Reads a CopyData body that lies at `base` in the batch's buffer. Spans of its row replace those in `spans`;
    /// false when it holds no row.
    #[inline]
    pub(crate) fn row(&mut self, body: &[u8], base: usize, spans: &mut Vec<Span>) -> Result<bool, Malformed> {
        spans.clear();
        let mut cursor = Cursor::new(body, "row of a binary copy");
        if !self.past_header {
            header(&mut cursor)?;
            self.past_header = true;
            if cursor.is_at_end() {
                return Ok(false);
            }
        }
        let count = cursor.i16()?;
        if count == TRAILER && cursor.is_at_end() {
            return Ok(false);
        }
        if usize::try_from(count) != Ok(self.kinds.len()) {
            return Err(cursor.malformed());
        }
        for &kind in &self.kinds {
            spans.push(value(&mut cursor, base, kind)?);
        }
        if cursor.is_at_end() { Ok(true) } else { Err(cursor.malformed()) }
    }
}

#[inline]
fn value(cursor: &mut Cursor<'_>, base: usize, kind: Kind) -> Result<Span, Malformed> {
    let len = cursor.i32()?;
    let Ok(len) = u32::try_from(len) else {
        return if len == -1 { Ok(Span { offset: 0, len: 0, kind: Kind::Null }) } else { Err(cursor.malformed()) };
    };
    let offset = u32::try_from(base + cursor.at()).map_err(|_| cursor.malformed())?;
    cursor.take(len as usize)?;
    Ok(Span { offset, len, kind })
}

fn header(cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
    let header = Malformed("header of a binary copy");
    if cursor.take(SIGNATURE.len())? != SIGNATURE || cursor.u32()? & CRITICAL_FLAGS != 0 {
        return Err(header);
    }
    let extension = cursor.u32()?;
    cursor.take(extension as usize)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn first_row() -> Vec<u8> {
        let mut body = SIGNATURE.to_vec();
        body.extend([0; 8]);
        body.extend([0, 3, 0, 0, 0, 2, 0xab, 0xcd, 255, 255, 255, 255, 0, 0, 0, 0]);
        body
    }

    fn reader() -> CopyReader {
        CopyReader::new(vec![Kind::Binary, Kind::Binary, Kind::Text])
    }

    #[test]
    fn reads_header_rows_and_trailer() {
        let (mut reader, mut spans) = (reader(), Vec::new());
        assert_eq!(reader.row(&first_row(), 5, &mut spans), Ok(true));
        assert_eq!((spans[0].offset, spans[0].len, spans[0].kind), (30, 2, Kind::Binary));
        assert_eq!((spans[1].kind, spans[2].kind, spans[2].len), (Kind::Null, Kind::Text, 0));
        assert_eq!(reader.row(&first_row()[19..], 0, &mut spans), Ok(true));
        assert_eq!(reader.row(&[255, 255], 0, &mut spans), Ok(false));
        assert!(reader.row(&[0, 2], 0, &mut spans).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, past_header: bool) {
            let mut reader = CopyReader { past_header, ..reader() };
            let mut spans = Vec::new();
            if reader.row(&bytes, 0, &mut spans) == Ok(true) {
                for span in spans {
                    prop_assert!(bytes.get(span.offset as usize..(span.offset + span.len) as usize).is_some());
                }
            }
        }

        #[test]
        fn mutated_rows_are_read_without_panic(at in 0usize..35, byte: u8, cut in 0usize..36) {
            let mut body = first_row();
            body[at] = byte;
            body.truncate(cut);
            let _ = reader().row(&body, 0, &mut Vec::new());
        }
    }
}
