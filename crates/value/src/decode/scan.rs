//! Small readers shared by the decoders: fixed-size binary and decimal text.

use crate::{Invalid, Wire};

pub(super) const WRONG_LENGTH: &str = "binary value of the wrong length";
pub(super) const NOT_SENT: &str = "null or unchanged value has no decoded form";
pub(super) const BAD_TEXT: &str = "malformed text";
pub(super) const OUT_OF_RANGE: &str = "number out of range";

/// The transmitted form, with NULL and unchanged refused.
pub(super) enum Form<'a> {
    Text(&'a [u8]),
    Binary(&'a [u8]),
}

#[inline]
pub(super) fn form<'a>(wire: Wire<'a>, name: &'static str) -> Result<Form<'a>, Invalid> {
    match wire {
        Wire::Text(bytes) => Ok(Form::Text(bytes)),
        Wire::Binary(bytes) => Ok(Form::Binary(bytes)),
        Wire::Null | Wire::Unchanged => Err(Invalid::new(name, NOT_SENT)),
    }
}

/// The whole value as exactly `N` bytes.
#[inline]
pub(super) fn exact<const N: usize>(bytes: &[u8], name: &'static str) -> Result<[u8; N], Invalid> {
    match <[u8; N]>::try_from(bytes) {
        Ok(array) => Ok(array),
        Err(_) => Err(Invalid::new(name, WRONG_LENGTH)),
    }
}

/// Takes `N` bytes off the front.
#[inline]
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

/// Parses ASCII digits only; `None` when empty, foreign or past u64.
#[inline]
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

/// Parses an optionally signed decimal integer.
#[inline]
pub(super) fn signed(text: &[u8]) -> Option<i64> {
    match text {
        [b'-', rest @ ..] => 0i64.checked_sub_unsigned(digits(rest)?),
        [b'+', rest @ ..] | rest => i64::try_from(digits(rest)?).ok(),
    }
}

/// Takes the leading run of ASCII digits off the front (1 to 19 of them) and returns its value and length.
#[inline]
pub(super) fn take_digits(text: &mut &[u8]) -> Option<(u64, usize)> {
    let run = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (head, rest) = text.split_at_checked(run)?;
    let value = digits(head)?;
    *text = rest;
    Some((value, run))
}

/// Takes one expected byte off the front.
#[inline]
pub(super) fn take_byte(text: &mut &[u8], byte: u8) -> Option<()> {
    *text = text.strip_prefix(&[byte])?;
    Some(())
}

/// Takes an optional `.digits` fraction (at most 6 digits) as millionths.
#[inline]
pub(super) fn take_micros(text: &mut &[u8]) -> Option<u64> {
    if take_byte(text, b'.').is_none() {
        return Some(0);
    }
    let (value, len) = take_digits(text)?;
    let missing = u32::try_from(6usize.checked_sub(len)?).ok()?;
    value.checked_mul(10u64.pow(missing))
}
