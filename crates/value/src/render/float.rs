//! Floats as Postgres prints them with `extra_float_digits` above zero.
//!
//! Postgres uses Ryu with two choices of its own: a decimal that lies exactly on the edge between
//! two floats is not taken (some readers would round it to the other one), and of two equally near
//! shortest decimals the even one is taken. Rust's shortest form allows the edge and breaks ties
//! upwards, so both cases are recognised with exact integers and corrected. Both are rare: they
//! need a float whose decimal expansion is short.

use std::fmt::{self, Write};

use super::number::unsigned;

/// digits * 10^exponent; the last digit is not zero.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shortest {
    digits: u64,
    exponent: i32,
}

/// mantissa * 2^exponent, exactly the float's magnitude.
#[derive(Clone, Copy)]
struct Exact {
    mantissa: u64,
    exponent: i32,
    /// The float below is half as far away as the one above (a power of two).
    narrow_below: bool,
}

/// What differs between `real` and `double precision`.
struct Layout {
    /// From this power of ten on, `printf`'s %g at the type's guaranteed digits turns to an exponent.
    fixed_below: i32,
    /// So many digits always tell two floats apart.
    max_digits: usize,
}

const REAL: Layout = Layout { fixed_below: 6, max_digits: 9 };
const DOUBLE: Layout = Layout { fixed_below: 15, max_digits: 17 };
/// Below 10^-4 the exponent form is used, as %g does.
const FIXED_FROM: i32 = -4;

pub(super) fn real(value: f32, out: &mut Vec<u8>) {
    if special(value.into(), out) {
        return;
    }
    let value = value.abs();
    let bits = value.to_bits();
    let exact = exact(u64::from(bits & 0x7f_ffff), (bits >> 23) as i32, 23, 127);
    let same = |text: &str| text.parse() == Ok(value);
    write_shortest(shortest(&value, exact, &REAL, same), &REAL, out);
}

pub(super) fn double(value: f64, out: &mut Vec<u8>) {
    if special(value, out) {
        return;
    }
    let value = value.abs();
    let bits = value.to_bits();
    let exact = exact(bits & 0xf_ffff_ffff_ffff, (bits >> 52) as i32, 52, 1023);
    let same = |text: &str| text.parse() == Ok(value);
    write_shortest(shortest(&value, exact, &DOUBLE, same), &DOUBLE, out);
}

/// Writes the sign, and all of NaN, infinity and zero; whether that was all.
fn special(value: f64, out: &mut Vec<u8>) -> bool {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
        return true;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value.is_infinite() {
        out.extend_from_slice(b"Infinity");
    } else if value == 0.0 {
        out.push(b'0');
    }
    value.is_infinite() || value == 0.0
}

/// Takes a positive IEEE float apart.
fn exact(fraction: u64, biased: i32, fraction_bits: u32, bias: i32) -> Exact {
    let unit = 1 - bias - fraction_bits as i32;
    if biased == 0 {
        return Exact { mantissa: fraction, exponent: unit, narrow_below: false };
    }
    Exact {
        mantissa: fraction | (1 << fraction_bits),
        exponent: unit + biased - 1,
        narrow_below: fraction == 0 && biased > 1,
    }
}

fn shortest<F: fmt::LowerExp>(value: &F, exact: Exact, layout: &Layout, same: impl Fn(&str) -> bool) -> Shortest {
    let mut text = Scratch::default();
    let found = match write!(text, "{value:e}") {
        Ok(()) => text.shortest(),
        Err(fmt::Error) => Shortest { digits: 0, exponent: 0 },
    };
    if exact.on_edge(found) {
        return longer(value, found, exact, layout, same);
    }
    match exact.even_of_tie(found) {
        // the even one may lie below a power of two, where the interval is only half as wide
        Some(even) if !exact.on_edge(even) && same(Scratch::of(even).as_str()) => even,
        _ => found,
    }
}

/// The first correctly rounded decimal of more digits that lies inside the float's interval.
fn longer<F: fmt::LowerExp>(
    value: &F,
    edge: Shortest,
    exact: Exact,
    layout: &Layout,
    same: impl Fn(&str) -> bool,
) -> Shortest {
    let used = edge.length();
    for fraction_digits in used..layout.max_digits {
        let mut text = Scratch::default();
        if write!(text, "{value:.fraction_digits$e}").is_err() {
            break;
        }
        let found = text.shortest();
        if !exact.on_edge(found) && same(text.as_str()) {
            return found;
        }
    }
    edge
}

fn write_shortest(found: Shortest, layout: &Layout, out: &mut Vec<u8>) {
    let Shortest { digits, exponent } = found;
    let length = found.length() as i32;
    let scientific = exponent + length - 1;
    let start = out.len();
    if !(FIXED_FROM..layout.fixed_below).contains(&scientific) {
        unsigned(digits, out);
        if length > 1 {
            out.insert(start + 1, b'.');
        }
        out.extend_from_slice(if scientific < 0 { b"e-" } else { b"e+" });
        super::number::padded(scientific.unsigned_abs().into(), 2, out);
    } else if exponent >= 0 {
        unsigned(digits, out);
        out.resize(out.len() + exponent as usize, b'0');
    } else if scientific >= 0 {
        unsigned(digits, out);
        out.insert(start + scientific as usize + 1, b'.');
    } else {
        out.extend_from_slice(b"0.");
        super::number::padded(digits, exponent.unsigned_abs() as usize, out);
    }
}

impl Shortest {
    fn length(self) -> usize {
        self.digits.checked_ilog10().map_or(1, |log| log as usize + 1)
    }

    fn new(mut digits: u64, mut exponent: i32) -> Self {
        while digits != 0 && digits.is_multiple_of(10) {
            digits /= 10;
            exponent += 1;
        }
        Self { digits, exponent }
    }
}

impl Exact {
    /// Whether the decimal lies exactly halfway to a neighbouring float.
    fn on_edge(self, decimal: Shortest) -> bool {
        let Self { mantissa, exponent, narrow_below } = self;
        let digits = u128::from(decimal.digits);
        let at = |edge: u64, two: i32| same_number(digits, decimal.exponent, u128::from(edge), two);
        let below = if narrow_below { at(4 * mantissa - 1, exponent - 2) } else { at(2 * mantissa - 1, exponent - 1) };
        below || at(2 * mantissa + 1, exponent - 1)
    }

    /// The even neighbour of an odd decimal, where the float lies exactly between the two.
    fn even_of_tie(self, decimal: Shortest) -> Option<Shortest> {
        let Shortest { digits, exponent } = decimal;
        if digits.is_multiple_of(2) {
            return None;
        }
        let halves = u128::from(digits) * 2;
        let float_is = |halves: u128| same_number(halves, exponent, u128::from(self.mantissa), self.exponent + 1);
        if float_is(halves + 1) {
            Some(Shortest::new(digits + 1, exponent))
        } else if float_is(halves - 1) {
            Some(Shortest::new(digits - 1, exponent))
        } else {
            None
        }
    }
}

/// Whether a * 10^ten == b * 2^two. Powers of five that overflow cannot match: their odd part is
/// larger than any mantissa or digits here.
fn same_number(a: u128, ten: i32, b: u128, two: i32) -> bool {
    let Some(five) = 5u128.checked_pow(ten.unsigned_abs()) else {
        return false;
    };
    let (a, b) = if ten >= 0 { (a.checked_mul(five), Some(b)) } else { (Some(a), b.checked_mul(five)) };
    let (Some(a), Some(b)) = (a, b) else {
        return false;
    };
    if a == 0 || b == 0 {
        return a == b;
    }
    let odd = |value: u128| value >> value.trailing_zeros();
    odd(a) == odd(b) && a.trailing_zeros() as i32 + ten == b.trailing_zeros() as i32 + two
}

/// Room for `d.ddddddddddddddddde-324` without allocating.
#[derive(Default)]
struct Scratch {
    bytes: [u8; 32],
    length: usize,
}

impl Scratch {
    fn of(decimal: Shortest) -> Self {
        let mut text = Self::default();
        // cannot fail: 20 digits and an exponent of 4 characters fit
        let _ = write!(text, "{}e{}", decimal.digits, decimal.exponent);
        text
    }

    fn as_str(&self) -> &str {
        let used = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(used).unwrap_or_default()
    }

    /// Reads `d.ddde-n` back as integers.
    fn shortest(&self) -> Shortest {
        let (number, exponent) = self.as_str().split_once('e').unwrap_or_default();
        let (mut digits, mut fraction, mut after_point) = (0u64, 0i32, false);
        for byte in number.bytes() {
            if byte == b'.' {
                after_point = true;
                continue;
            }
            digits = digits.wrapping_mul(10).wrapping_add(u64::from(byte.wrapping_sub(b'0')));
            fraction += i32::from(after_point);
        }
        Shortest::new(digits, exponent.parse().unwrap_or(0) - fraction)
    }
}

impl Write for Scratch {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: f64) -> String {
        let mut out = Vec::new();
        double(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn layouts() {
        for (value, text) in [
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (1e-4, "0.0001"),
            (1.5e-4, "0.00015"),
            (1e-5, "1e-05"),
            (-0.0, "-0"),
            (12.5, "12.5"),
            (1e-310, "1e-310"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(of(value), text);
        }
    }

    #[test]
    fn an_edge_is_not_taken() {
        // 1e23 lies exactly halfway between two floats
        assert_eq!(of(1e23), "9.999999999999999e+22");
    }

    #[test]
    fn a_tie_goes_to_the_even_digit() {
        assert_eq!(of(2f64.powi(50) + 0.25), "1.1258999068426242e+15");
        assert_eq!(of(2f64.powi(50) + 0.75), "1.1258999068426248e+15");
        // 2^-24: the even neighbour belongs to the float below
        assert_eq!(of(2f64.powi(-24)), "5.960464477539063e-08");
    }
}
