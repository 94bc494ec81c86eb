//! Booleans, integers, floats, money and uuid: fixed-size big-endian binary, plain decimal text.

use super::scan::{BAD_TEXT, Form, OUT_OF_RANGE, digits, exact, form, signed};
use crate::{Invalid, Wire};

/// `boolean`: one byte, or `t` / `f`.
#[inline]
pub fn bool(wire: Wire<'_>) -> Result<bool, Invalid> {
    const NAME: &str = "boolean";
    match form(wire, NAME)? {
        Form::Binary(bytes) => match exact::<1>(bytes, NAME)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Invalid::new(NAME, OUT_OF_RANGE)),
        },
        Form::Text(b"t") => Ok(true),
        Form::Text(b"f") => Ok(false),
        Form::Text(_) => Err(Invalid::new(NAME, BAD_TEXT)),
    }
}

macro_rules! integer {
    ($(#[$doc:meta])* $fn:ident, $int:ty, $name:literal, $parse:ident) => {
        $(#[$doc])*
        #[inline]
        pub fn $fn(wire: Wire<'_>) -> Result<$int, Invalid> {
            match form(wire, $name)? {
                Form::Binary(bytes) => Ok(<$int>::from_be_bytes(exact(bytes, $name)?)),
                Form::Text(text) => match $parse(text) {
                    Some(value) => {
                        <$int>::try_from(value).map_err(|_| Invalid::new($name, OUT_OF_RANGE))
                    }
                    None => Err(Invalid::new($name, BAD_TEXT)),
                },
            }
        }
    };
}

integer!(
    /// `smallint`.
    int2, i16, "smallint", signed
);
integer!(
    /// `integer`.
    int4, i32, "integer", signed
);
integer!(
    /// `bigint`.
    int8, i64, "bigint", signed
);
integer!(
    /// `oid`, `xid`, `cid`: unsigned.
    oid, u32, "oid", digits
);
integer!(
    /// `xid8`: unsigned.
    xid8, u64, "xid8", digits
);

/// `pg_lsn`: a byte position in the log; text is two hexadecimal halves, `16/B374D848`.
#[inline]
pub fn pg_lsn(wire: Wire<'_>) -> Result<u64, Invalid> {
    const NAME: &str = "pg_lsn";
    match form(wire, NAME)? {
        Form::Binary(bytes) => Ok(u64::from_be_bytes(exact(bytes, NAME)?)),
        Form::Text(text) => lsn_text(text).ok_or(Invalid::new(NAME, BAD_TEXT)),
    }
}

fn lsn_text(text: &[u8]) -> Option<u64> {
    let slash = text.iter().position(|byte| *byte == b'/')?;
    let (high, low) = text.split_at_checked(slash)?;
    Some((u64::from(hex32(high)?) << 32) | u64::from(hex32(low.get(1..)?)?))
}

fn hex32(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 8 {
        return None;
    }
    let mut value = 0u32;
    for byte in text {
        value = (value << 4) | u32::from(hex_digit(*byte)?);
    }
    Some(value)
}

#[inline]
pub(super) fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

macro_rules! float {
    ($(#[$doc:meta])* $fn:ident, $float:ty, $name:literal) => {
        $(#[$doc])*
        #[inline]
        pub fn $fn(wire: Wire<'_>) -> Result<$float, Invalid> {
            match form(wire, $name)? {
                Form::Binary(bytes) => Ok(<$float>::from_be_bytes(exact(bytes, $name)?)),
                Form::Text(text) => std::str::from_utf8(text)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .ok_or(Invalid::new($name, BAD_TEXT)),
            }
        }
    };
}

float!(
    /// `real`; NaN, infinities and -0 as they are.
    float4, f32, "real"
);
float!(
    /// `double precision`; NaN, infinities and -0 as they are.
    float8, f64, "double precision"
);

/// `money` in minor units (cents under `lc_monetary = C`, the only locale whose text is read).
#[inline]
pub fn money(wire: Wire<'_>) -> Result<i64, Invalid> {
    const NAME: &str = "money";
    match form(wire, NAME)? {
        Form::Binary(bytes) => Ok(i64::from_be_bytes(exact(bytes, NAME)?)),
        Form::Text(text) => money_text(text).ok_or(Invalid::new(NAME, BAD_TEXT)),
    }
}

/// `-$1,234.56`.
fn money_text(text: &[u8]) -> Option<i64> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, cents) = text.strip_prefix(b"$")?.split_last_chunk::<3>()?;
    let [b'.', tens, ones] = *cents else {
        return None;
    };
    let mut value = 0i64;
    let all = whole.iter().filter(|byte| **byte != b',').chain([&tens, &ones]);
    for byte in all {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // counts downwards, since i64::MIN has no positive twin
        value = value.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// `uuid`: 16 bytes in the order they are printed.
#[inline]
pub fn uuid(wire: Wire<'_>) -> Result<[u8; 16], Invalid> {
    const NAME: &str = "uuid";
    match form(wire, NAME)? {
        Form::Binary(bytes) => exact(bytes, NAME),
        Form::Text(text) => uuid_text(text).ok_or(Invalid::new(NAME, BAD_TEXT)),
    }
}

/// 8-4-4-4-12 hexadecimal digits.
fn uuid_text(text: &[u8]) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.try_into().ok()?;
    let mut out = [0u8; 16];
    let mut at = 0usize;
    for (index, byte) in out.iter_mut().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            if *text.get(at)? != b'-' {
                return None;
            }
            at += 1;
        }
        *byte = (hex_digit(*text.get(at)?)? << 4) | hex_digit(*text.get(at + 1)?)?;
        at += 2;
    }
    Some(out)
}
