//! Integers, numeric, money and the plain byte types as text.

use crate::decode::{Digits, Numeric};

/// The longest u64 has 20 digits.
const MAX_DIGITS: usize = 20;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Decimal digits, padded with zeros to `width`.
#[inline]
pub(super) fn padded(mut value: u64, width: usize, out: &mut Vec<u8>) {
    let mut buffer = [b'0'; MAX_DIGITS];
    let mut used = 0usize;
    for slot in buffer.iter_mut().rev() {
        *slot = b'0' + (value % 10) as u8;
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    let start = MAX_DIGITS - used.max(width.min(MAX_DIGITS));
    out.extend_from_slice(buffer.get(start..).unwrap_or_default());
}

#[inline]
pub(super) fn unsigned(value: u64, out: &mut Vec<u8>) {
    padded(value, 1, out);
}

#[inline]
pub(super) fn signed(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    padded(value.unsigned_abs(), 1, out);
}

/// `16/B374D848`: upper case, no leading zeros.
pub(super) fn lsn(value: u64, out: &mut Vec<u8>) {
    hex_upper((value >> 32) as u32, out);
    out.push(b'/');
    hex_upper(value as u32, out);
}

fn hex_upper(value: u32, out: &mut Vec<u8>) {
    let digits = (32 - value.leading_zeros()).div_ceil(4).max(1);
    for at in (0..digits).rev() {
        out.push(nibble((value >> (4 * at)) as u8).to_ascii_uppercase());
    }
}

#[inline]
fn nibble(value: u8) -> u8 {
    HEX.get(usize::from(value & 0x0f)).copied().unwrap_or(b'0')
}

#[inline]
pub(super) fn hex_byte(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[nibble(byte >> 4), nibble(byte)]);
}

/// `\x` and lower-case pairs.
pub(super) fn bytea(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(2 + bytes.len() * 2);
    out.extend_from_slice(b"\\x");
    for byte in bytes {
        hex_byte(*byte, out);
    }
}

pub(super) fn uuid(bytes: [u8; 16], out: &mut Vec<u8>) {
    for (at, byte) in bytes.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        hex_byte(byte, out);
    }
}

/// As Postgres 16 and later print it: nothing for zero, `\ooo` for a high byte (which older
/// versions send raw, though it is no character of the client encoding).
pub(super) fn char(byte: u8, out: &mut Vec<u8>) {
    match byte {
        0 => {}
        1..=0x7f => out.push(byte),
        _ => out.extend_from_slice(&[b'\\', b'0' + (byte >> 6), b'0' + ((byte >> 3) & 7), b'0' + (byte & 7)]),
    }
}

/// `-$1,234.56`, the form of `lc_monetary = C`.
pub(super) fn money(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    out.push(b'$');
    let magnitude = value.unsigned_abs();
    let (dollars, cents) = (magnitude / 100, magnitude % 100);
    // thousands at or above which a group starts; 10^18 is the largest below 2^63 / 100 * 1000
    let mut unit = 1_000_000_000_000_000_000u64;
    while unit > dollars && unit > 1 {
        unit /= 1_000;
    }
    unsigned(dollars / unit, out);
    while unit > 1 {
        unit /= 1_000;
        out.push(b',');
        padded(dollars / unit % 1_000, 3, out);
    }
    out.push(b'.');
    padded(cents, 2, out);
}

/// All digits of the display scale, as `numeric_out` prints them.
pub(super) fn numeric(value: &Numeric<'_>, out: &mut Vec<u8>) {
    let decimal = match value {
        Numeric::NaN => return out.extend_from_slice(b"NaN"),
        Numeric::Infinity => return out.extend_from_slice(b"Infinity"),
        Numeric::NegInfinity => return out.extend_from_slice(b"-Infinity"),
        Numeric::Finite(decimal) => decimal,
    };
    if decimal.is_negative() {
        out.push(b'-');
    }
    match decimal.digits() {
        Digits::Ascii { whole, fraction } => {
            out.extend_from_slice(whole);
            if !fraction.is_empty() {
                out.push(b'.');
                out.extend_from_slice(fraction);
            }
        }
        Digits::Groups { bytes, weight, scale } => groups(bytes, weight, usize::from(scale), out),
    }
}

fn groups(bytes: &[u8], weight: i16, scale: usize, out: &mut Vec<u8>) {
    let groups = bytes.as_chunks::<2>().0;
    // the group worth 10000^power; those not transmitted are zero
    let group = |power: i32| -> u64 {
        let at = usize::try_from(i32::from(weight) - power).ok();
        let bytes = at.and_then(|at| groups.get(at));
        bytes.map_or(0, |bytes| u64::from(u16::from_be_bytes(*bytes)))
    };
    if weight < 0 {
        out.push(b'0');
    } else {
        unsigned(group(weight.into()), out);
        for power in (0..i32::from(weight)).rev() {
            padded(group(power), 4, out);
        }
    }
    if scale > 0 {
        out.push(b'.');
        let end = out.len() + scale;
        let mut power = -1;
        while out.len() < end {
            padded(group(power), 4, out);
            power -= 1;
        }
        out.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers() {
        assert_eq!(of(|out| signed(i64::MIN, out)), i64::MIN.to_string());
        assert_eq!(of(|out| unsigned(u64::MAX, out)), u64::MAX.to_string());
        assert_eq!(of(|out| padded(7, 3, out)), "007");
        assert_eq!(of(|out| padded(1234, 3, out)), "1234");
        assert_eq!(of(|out| lsn(0x16_B374_D848, out)), "16/B374D848");
        assert_eq!(of(|out| lsn(0, out)), "0/0");
    }

    #[test]
    fn money_groups() {
        assert_eq!(of(|out| money(0, out)), "$0.00");
        assert_eq!(of(|out| money(-123_456, out)), "-$1,234.56");
        assert_eq!(of(|out| money(100_000_005, out)), "$1,000,000.05");
        assert_eq!(of(|out| money(i64::MIN, out)), "-$92,233,720,368,547,758.08");
    }

    #[test]
    fn high_chars_are_octal() {
        assert_eq!(of(|out| char(0xe9, out)), "\\351");
        assert_eq!(of(|out| char(0, out)), "");
        assert_eq!(of(|out| char(b'a', out)), "a");
    }
}
