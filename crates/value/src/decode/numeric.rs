//! Numeric: exact decimals of any size, read without allocating.
//!
//! The binary form is base-10000 digits with a weight and a display scale, the text form is plain
//! decimal without an exponent. A scaled integer is built from either by Horner's rule over an
//! unsigned accumulator; digits below the wanted scale must be zero, so nothing is ever rounded.

use super::scan::{BAD_TEXT, Form, OUT_OF_RANGE, WRONG_LENGTH, digits, form, take};
use crate::{Invalid, Wire};

pub(crate) const NAME: &str = "numeric";

const SIGN_POSITIVE: u16 = 0x0000;
const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xC000;
const SIGN_INFINITY: u16 = 0xD000;
const SIGN_NEG_INFINITY: u16 = 0xF000;
/// The display scale has 14 bits in storage.
const MAX_DSCALE: u16 = 0x3FFF;
/// Decimal digits in one base-10000 digit.
pub(crate) const GROUP: i32 = 4;

/// A view of one `numeric` value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numeric<'a> {
    /// `NaN`
    NaN,
    /// `Infinity`
    Infinity,
    /// `-Infinity`
    NegInfinity,
    /// A number.
    Finite(Decimal<'a>),
}

/// A finite `numeric`, still in its wire form. `Debug` shows no digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Decimal<'a> {
    negative: bool,
    form: Digits<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digits<'a> {
    /// Big-endian u16 groups, the first worth 10000^weight; `scale` digits are displayed after the point.
    Groups { bytes: &'a [u8], weight: i16, scale: u16 },
    /// ASCII digits before and after the point.
    Ascii { whole: &'a [u8], fraction: &'a [u8] },
}

impl std::fmt::Debug for Decimal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decimal").field("scale", &self.scale()).finish_non_exhaustive()
    }
}

impl<'a> Decimal<'a> {
    /// Whether the number carries a minus sign; zero never does.
    #[inline]
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Digits displayed after the point: 2 for both `1.10` and `0.00`.
    #[inline]
    pub fn scale(&self) -> u32 {
        match self.form {
            Digits::Groups { scale, .. } => u32::from(scale),
            Digits::Ascii { fraction, .. } => u32::try_from(fraction.len()).unwrap_or(u32::MAX),
        }
    }

    pub(crate) fn digits(&self) -> Digits<'a> {
        self.form
    }

    /// value * 10^scale; `None` when that is no whole number or past i128 (a caller with a narrower
    /// precision compares for itself).
    #[inline]
    pub fn to_i128(&self, scale: u32) -> Option<i128> {
        let magnitude = self.magnitude::<u128>(scale)?;
        match self.negative {
            true => 0i128.checked_sub_unsigned(magnitude),
            false => i128::try_from(magnitude).ok(),
        }
    }

    /// value * 10^scale as two's complement, least significant word first; `None` when that is no
    /// whole number or past 256 bits (a caller with a narrower precision compares for itself).
    #[inline]
    pub fn to_i256(&self, scale: u32) -> Option<[u64; 4]> {
        self.magnitude::<U256>(scale)?.signed(self.negative)
    }

    fn magnitude<W: Wide>(&self, scale: u32) -> Option<W> {
        match self.form {
            Digits::Groups { bytes, weight, .. } => scale_groups(bytes, weight, scale),
            Digits::Ascii { whole, fraction } => scale_ascii(whole, fraction, scale),
        }
    }
}

/// `numeric`, either form.
#[inline]
pub fn numeric(wire: Wire<'_>) -> Result<Numeric<'_>, Invalid> {
    match form(wire, NAME)? {
        Form::Binary(bytes) => parse_binary(bytes),
        Form::Text(b"NaN") => Ok(Numeric::NaN),
        Form::Text(b"Infinity") => Ok(Numeric::Infinity),
        Form::Text(b"-Infinity") => Ok(Numeric::NegInfinity),
        Form::Text(text) => parse_text(text).ok_or(Invalid::new(NAME, BAD_TEXT)),
    }
}

/// [`Decimal::to_i128`] of a wire value; `None` for NaN and infinities too.
#[inline]
pub fn numeric_to_i128(wire: Wire<'_>, scale: u32) -> Result<Option<i128>, Invalid> {
    match numeric(wire)? {
        Numeric::Finite(decimal) => Ok(decimal.to_i128(scale)),
        _ => Ok(None),
    }
}

/// [`Decimal::to_i256`] of a wire value; `None` for NaN and infinities too.
#[inline]
pub fn numeric_to_i256(wire: Wire<'_>, scale: u32) -> Result<Option<[u64; 4]>, Invalid> {
    match numeric(wire)? {
        Numeric::Finite(decimal) => Ok(decimal.to_i256(scale)),
        _ => Ok(None),
    }
}

#[inline]
fn parse_binary(mut bytes: &[u8]) -> Result<Numeric<'_>, Invalid> {
    let Some([n1, n0, w1, w0, s1, s0, d1, d0]) = take::<8>(&mut bytes) else {
        return Err(Invalid::new(NAME, WRONG_LENGTH));
    };
    let count = usize::from(u16::from_be_bytes([n1, n0]));
    if bytes.len() != count * 2 {
        return Err(Invalid::new(NAME, WRONG_LENGTH));
    }
    let negative = match u16::from_be_bytes([s1, s0]) {
        SIGN_POSITIVE => false,
        SIGN_NEGATIVE => true,
        SIGN_NAN => return Ok(Numeric::NaN),
        SIGN_INFINITY => return Ok(Numeric::Infinity),
        SIGN_NEG_INFINITY => return Ok(Numeric::NegInfinity),
        _ => return Err(Invalid::new(NAME, "unknown sign")),
    };
    let scale = u16::from_be_bytes([d1, d0]);
    let legal = |group: [u8; 2]| u16::from_be_bytes(group) <= 9_999;
    if scale > MAX_DSCALE || !bytes.as_chunks::<2>().0.iter().all(|group| legal(*group)) {
        return Err(Invalid::new(NAME, OUT_OF_RANGE));
    }
    let weight = i16::from_be_bytes([w1, w0]);
    Ok(Numeric::Finite(Decimal { negative, form: Digits::Groups { bytes, weight, scale } }))
}

fn parse_text(text: &[u8]) -> Option<Numeric<'_>> {
    let (negative, unsigned) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match unsigned.iter().position(|byte| *byte == b'.') {
        Some(point) => (unsigned.get(..point)?, unsigned.get(point + 1..)?),
        None => (unsigned, [].as_slice()),
    };
    let legal = !whole.is_empty() && whole.iter().chain(fraction).all(u8::is_ascii_digit);
    legal.then_some(Numeric::Finite(Decimal { negative, form: Digits::Ascii { whole, fraction } }))
}

fn scale_groups<W: Wide>(bytes: &[u8], weight: i16, scale: u32) -> Option<W> {
    let mut value = W::default();
    // the power of ten, in units of the scaled integer, that the current group's ones are worth
    let mut power = i64::from(weight) * i64::from(GROUP) + i64::from(scale);
    let mut trailing = power;
    for group in bytes.as_chunks::<2>().0 {
        let group = u64::from(u16::from_be_bytes(*group));
        trailing = power;
        match power {
            0.. => value.mul_add(10_000, group)?,
            -3..0 => {
                // a group across the point: its upper digits count, its lower ones must be zero
                let dropped = POWERS_OF_TEN.get(power.unsigned_abs() as usize)?;
                let kept = POWERS_OF_TEN.get((power + i64::from(GROUP)) as usize)?;
                if group % dropped != 0 {
                    return None;
                }
                value.mul_add(*kept, group / dropped)?;
            }
            _ if group != 0 => return None,
            _ => {}
        }
        power -= i64::from(GROUP);
    }
    raise(value, u64::try_from(trailing).unwrap_or(0))
}

fn scale_ascii<W: Wide>(whole: &[u8], fraction: &[u8], scale: u32) -> Option<W> {
    let scale = scale as usize;
    let (kept, dropped) = fraction.split_at(fraction.len().min(scale));
    if dropped.iter().any(|digit| *digit != b'0') {
        return None;
    }
    let mut value = W::default();
    // leading zeros would not hurt, but 18 digits at once always fit a u64
    for chunk in whole.chunks(18).chain(kept.chunks(18)) {
        value.mul_add(*POWERS_OF_TEN.get(chunk.len())?, digits(chunk)?)?;
    }
    raise(value, (scale - kept.len()) as u64)
}

/// value * 10^power.
fn raise<W: Wide>(mut value: W, mut power: u64) -> Option<W> {
    // a zero would go round for every power it is shifted by, and stay zero
    if value == W::default() {
        return Some(value);
    }
    while power > 0 {
        let step = power.min(POWERS_OF_TEN.len() as u64 - 1);
        value.mul_add(*POWERS_OF_TEN.get(step as usize)?, 0)?;
        power -= step;
    }
    Some(value)
}

/// 10^0 to 10^19, all that fit a u64.
const POWERS_OF_TEN: [u64; 20] = {
    let mut powers = [1u64; 20];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// An unsigned accumulator.
trait Wide: Default + PartialEq {
    /// self = self * factor + addend; `None` on overflow.
    fn mul_add(&mut self, factor: u64, addend: u64) -> Option<()>;
}

impl Wide for u128 {
    #[inline]
    fn mul_add(&mut self, factor: u64, addend: u64) -> Option<()> {
        // most numerics stay within 64 bits, where the product cannot overflow and needs no check
        *self = match u64::try_from(*self) {
            Ok(small) => u128::from(small) * u128::from(factor) + u128::from(addend),
            Err(_) => self.checked_mul(u128::from(factor))?.checked_add(u128::from(addend))?,
        };
        Some(())
    }
}

/// 256 bits, least significant word first.
#[derive(Default, PartialEq)]
struct U256([u64; 4]);

impl Wide for U256 {
    #[inline]
    fn mul_add(&mut self, factor: u64, addend: u64) -> Option<()> {
        let mut carry = u128::from(addend);
        for word in &mut self.0 {
            let sum = u128::from(*word) * u128::from(factor) + carry;
            *word = sum as u64;
            carry = sum >> 64;
        }
        (carry == 0).then_some(())
    }
}

impl U256 {
    /// Two's complement; `None` when the magnitude needs the sign bit (-2^255 itself is not offered:
    /// no decimal type reaches it).
    fn signed(self, negative: bool) -> Option<[u64; 4]> {
        let mut words = self.0;
        let [.., top] = words;
        if top >> 63 != 0 {
            return None;
        }
        if negative {
            let mut carry = true;
            for word in &mut words {
                (*word, carry) = (!*word).overflowing_add(u64::from(carry));
            }
        }
        Some(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn i128_of(text: &str, scale: u32) -> Option<i128> {
        numeric_to_i128(Wire::Text(text.as_bytes()), scale).unwrap()
    }

    #[test]
    fn scaled_text() {
        assert_eq!(i128_of("-1.50", 2), Some(-150));
        assert_eq!(i128_of("1.5", 4), Some(15_000));
        assert_eq!(i128_of("1.50", 1), Some(15));
        assert_eq!(i128_of("1.51", 1), None);
        assert_eq!(i128_of("NaN", 1), None);
        assert_eq!(i128_of("-Infinity", 1), None);
        assert_eq!(i128_of("170141183460469231731687303715884105727", 0), Some(i128::MAX));
        assert_eq!(i128_of("-170141183460469231731687303715884105728", 0), Some(i128::MIN));
        assert_eq!(i128_of("170141183460469231731687303715884105728", 0), None);
    }

    #[test]
    fn wide_words_are_twos_complement() {
        let wide = |text: &str, scale| numeric_to_i256(Wire::Text(text.as_bytes()), scale).unwrap();
        assert_eq!(wide("-1", 0), Some([u64::MAX; 4]));
        assert_eq!(wide("0.00", 2), Some([0; 4]));
        assert_eq!(wide("18446744073709551616", 0), Some([0, 1, 0, 0]));
        // 10^76 is the first number a Decimal(76) no longer holds; 10^77 no longer fits 255 bits
        assert!(wide("1", 76).is_some());
        assert_eq!(wide("1", 77), None);
    }

    #[test]
    fn binary_groups_across_the_point() {
        // 12.345: groups 12, 3450; weight 0; dscale 3
        let bytes = [0, 2, 0, 0, 0, 0, 0, 3, 0, 12, 0x0d, 0x7a];
        let scaled = |scale| numeric_to_i128(Wire::Binary(&bytes), scale).unwrap();
        assert_eq!(scaled(3), Some(12_345));
        assert_eq!(scaled(6), Some(12_345_000));
        assert_eq!(scaled(2), None);
        assert_eq!(scaled(0), None);
    }
}
