//! Byte strings: text and its kin, `"char"`, json, bytea, bit strings.

use super::scalar::hex_digit;
use super::scan::{BAD_TEXT, Form, WRONG_LENGTH, form, take};
use crate::{Invalid, Wire};

/// The only version of the binary form of jsonb there has been.
const JSONB_VERSION: u8 = 1;

/// The bytes of a type whose binary form is its text: the classes Text, Bpchar (padding included),
/// Enum and Json. Borrowed, in the client encoding.
#[inline]
pub fn text_bytes(wire: Wire<'_>) -> Result<&[u8], Invalid> {
    match form(wire, "text")? {
        Form::Binary(bytes) | Form::Text(bytes) => Ok(bytes),
    }
}

/// The text of a `jsonb` value, without the version byte of its binary form. (`json` is [`text_bytes`].)
///
/// # Errors
/// A binary value that starts with an unknown version byte.
#[inline]
pub fn jsonb_bytes(wire: Wire<'_>) -> Result<&[u8], Invalid> {
    const NAME: &str = "jsonb";
    match form(wire, NAME)? {
        Form::Text(text) => Ok(text),
        Form::Binary([JSONB_VERSION, text @ ..]) => Ok(text),
        Form::Binary(_) => Err(Invalid::new(NAME, "unknown version of the binary form")),
    }
}

/// `"char"`: one byte; the zero byte prints as empty text, a high byte as `\ooo` from Postgres 16 on.
#[inline]
pub fn char(wire: Wire<'_>) -> Result<u8, Invalid> {
    const NAME: &str = "\"char\"";
    match form(wire, NAME)? {
        Form::Binary([byte]) | Form::Text([byte]) => Ok(*byte),
        Form::Text([]) => Ok(0),
        Form::Text([b'\\', octal @ ..]) => octal_byte(octal).ok_or(Invalid::new(NAME, BAD_TEXT)),
        Form::Binary(_) => Err(Invalid::new(NAME, WRONG_LENGTH)),
        Form::Text(_) => Err(Invalid::new(NAME, BAD_TEXT)),
    }
}

/// Three octal digits.
fn octal_byte(digits: &[u8]) -> Option<u8> {
    match digits {
        [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7'] => Some(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0')),
        _ => None,
    }
}

/// Appends the raw bytes of a `bytea`; text is read in both `bytea_output` styles.
///
/// # Errors
/// Malformed text; `out` may then hold a part of the value.
#[inline]
pub fn bytea(wire: Wire<'_>, out: &mut Vec<u8>) -> Result<(), Invalid> {
    const NAME: &str = "bytea";
    match form(wire, NAME)? {
        Form::Binary(bytes) => {
            out.extend_from_slice(bytes);
            Ok(())
        }
        Form::Text(text) => {
            let done = match text.strip_prefix(b"\\x") {
                Some(hex) => unhex(hex, out),
                None => unescape(text, out),
            };
            done.ok_or(Invalid::new(NAME, BAD_TEXT))
        }
    }
}

fn unhex(hex: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (pairs, rest) = hex.as_chunks::<2>();
    out.reserve(pairs.len());
    for [high, low] in pairs {
        out.push((hex_digit(*high)? << 4) | hex_digit(*low)?);
    }
    rest.is_empty().then_some(())
}

/// `bytea_output=escape`: `\\` for a backslash, `\ooo` for what is not printable.
fn unescape(mut text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    while let Some((byte, rest)) = text.split_first() {
        text = rest;
        if *byte != b'\\' {
            out.push(*byte);
        } else if let Some(rest) = text.strip_prefix(b"\\") {
            out.push(b'\\');
            text = rest;
        } else {
            out.push(octal_byte(&take::<3>(&mut text)?)?);
        }
    }
    Some(())
}

/// Appends a `bit` or `varbit` as ASCII `0` and `1`.
///
/// # Errors
/// Foreign characters in the text, or a binary length that does not fit its bytes.
#[inline]
pub fn bit_string(wire: Wire<'_>, out: &mut Vec<u8>) -> Result<(), Invalid> {
    const NAME: &str = "bit";
    match form(wire, NAME)? {
        Form::Text(text) if text.iter().all(|byte| matches!(byte, b'0' | b'1')) => {
            out.extend_from_slice(text);
            Ok(())
        }
        Form::Text(_) => Err(Invalid::new(NAME, BAD_TEXT)),
        Form::Binary(mut bytes) => {
            let length = take::<4>(&mut bytes).map(u32::from_be_bytes);
            match length.and_then(|length| usize::try_from(length).ok()) {
                Some(length) if length.div_ceil(8) == bytes.len() => {
                    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at));
                    out.extend(bits.take(length).map(|bit| b'0' + (bit & 1)));
                    Ok(())
                }
                _ => Err(Invalid::new(NAME, WRONG_LENGTH)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytea_in_both_styles() {
        for text in [b"\\x00ff5c".as_slice(), b"\\000\\377\\\\"] {
            let mut out = Vec::new();
            bytea(Wire::Text(text), &mut out).unwrap();
            assert_eq!(out, [0, 0xff, 0x5c]);
        }
        for text in [b"\\x0".as_slice(), b"\\x0g", b"\\", b"\\40", b"\\400"] {
            assert!(bytea(Wire::Text(text), &mut Vec::new()).is_err());
        }
    }

    #[test]
    fn unknown_jsonb_version_is_refused() {
        assert_eq!(jsonb_bytes(Wire::Binary(b"\x01{}")), Ok(b"{}".as_slice()));
        for binary in [b"\x02{}".as_slice(), b" {}", b""] {
            assert!(jsonb_bytes(Wire::Binary(binary)).is_err());
        }
    }
}
