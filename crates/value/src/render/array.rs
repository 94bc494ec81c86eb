//! Arrays as `array_out` prints them.

use crate::decode::{self, Array};
use crate::{Invalid, PgType, Wire};

use super::number::signed;

/// A brace per dimension around the elements, the bounds in front where a lower one is not 1.
pub(super) fn array(element: &PgType, wire: Wire<'_>, out: &mut Vec<u8>) -> Result<(), Invalid> {
    let array = decode::array(wire)?;
    if array.is_empty() {
        out.extend_from_slice(b"{}");
        return Ok(());
    }
    bounds(&array, out);
    let mut done = 0usize;
    // binary elements borrow from the value: the scratch stays empty and allocates nothing
    array.for_each(&mut Vec::new(), |item| {
        let braces = braces_at(&array, done);
        if done > 0 {
            out.push(b',');
        }
        out.resize(out.len() + braces, b'{');
        one(element, item, out)?;
        done += 1;
        out.resize(out.len() + braces_at(&array, done), b'}');
        Ok(())
    })
}

fn bounds(array: &Array<'_>, out: &mut Vec<u8>) {
    if array.dimensions().iter().all(|dimension| dimension.lower == 1) {
        return;
    }
    for dimension in array.dimensions() {
        out.push(b'[');
        signed(dimension.lower.into(), out);
        out.push(b':');
        signed(i64::from(dimension.lower) + i64::from(dimension.length) - 1, out);
        out.push(b']');
    }
    out.push(b'=');
}

/// How many dimensions begin (and therefore end) before the element at this index.
fn braces_at(array: &Array<'_>, index: usize) -> usize {
    let mut size = 1usize;
    let inner_first = array.dimensions().iter().rev();
    inner_first
        .take_while(|dimension| {
            size = size.saturating_mul(dimension.length as usize);
            index.is_multiple_of(size)
        })
        .count()
}

fn one(element: &PgType, item: Wire<'_>, out: &mut Vec<u8>) -> Result<(), Invalid> {
    if item.is_null() {
        out.extend_from_slice(b"NULL");
        return Ok(());
    }
    let start = out.len();
    super::text(element, item, out)?;
    let written = out.get(start..).unwrap_or_default();
    if needs_quotes(written) {
        quote(start, out);
    }
    Ok(())
}

/// Empty, the word NULL, or a character that means something to `array_in`.
fn needs_quotes(text: &[u8]) -> bool {
    text.is_empty()
        || text.eq_ignore_ascii_case(b"null")
        || text.iter().any(|byte| matches!(byte, b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t'..=b'\r'))
}

/// Quotes what stands from `start` on, in place, from the back.
fn quote(start: usize, out: &mut Vec<u8>) {
    let written = out.get(start..).unwrap_or_default();
    let escapes = written.iter().filter(|byte| needs_escape(**byte)).count();
    let mut read = out.len();
    out.resize(read + escapes + 2, b'"');
    // the last byte is the closing quote already
    let mut write = out.len() - 1;
    while read > start {
        let byte = out.get(read - 1).copied().unwrap_or_default();
        read -= 1;
        write = put_before(out, write, byte);
        if needs_escape(byte) {
            write = put_before(out, write, b'\\');
        }
    }
    put_before(out, write, b'"');
}

fn put_before(out: &mut [u8], at: usize, byte: u8) -> usize {
    let at = at.saturating_sub(1);
    if let Some(slot) = out.get_mut(at) {
        *slot = byte;
    }
    at
}

fn needs_escape(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_in_place() {
        for (plain, quoted) in [("", r#""""#), (r#"a"b"#, r#""a\"b""#), (r"\\", r#""\\\\""#), ("x y", r#""x y""#)] {
            let mut out = [b"{", plain.as_bytes()].concat();
            assert!(needs_quotes(plain.as_bytes()));
            quote(1, &mut out);
            assert_eq!(out, [b"{", quoted.as_bytes()].concat());
        }
        assert!(needs_quotes(b"NuLL") && needs_quotes(b"\x0b") && !needs_quotes(b"nulls"));
    }
}
