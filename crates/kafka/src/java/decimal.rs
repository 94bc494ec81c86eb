//! `BigDecimal`: digits, sign and scale, and the forms Debezium gives them.

use super::nat::Nat;

/// `digits * 10^-scale`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    /// ASCII digits without leading zeros, `0` for zero.
    digits: Vec<u8>,
    scale: i32,
}

/// Postgres' own limit is 16383 digits behind the point; an exponent beyond this is no number of its.
const MAX_EXPONENT: i32 = 200_000;

impl Decimal {
    pub(crate) fn zero(scale: i32) -> Self {
        Self { negative: false, digits: vec![b'0'], scale }
    }

    /// Reads `-12.30`, `1e3`; none for anything else (`NaN` too).
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let (mantissa, exponent) = match text.iter().position(|byte| byte.eq_ignore_ascii_case(&b'e')) {
            Some(at) => (text.get(..at)?, std::str::from_utf8(text.get(at + 1..)?).ok()?.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let mut digits = Vec::with_capacity(mantissa.len());
        let mut scale = 0;
        let mut fraction = false;
        for byte in mantissa {
            match byte {
                b'0'..=b'9' => {
                    digits.push(*byte);
                    scale += i32::from(fraction);
                }
                b'.' if !fraction => fraction = true,
                _ => return None,
            }
        }
        if digits.is_empty() || exponent.abs() > MAX_EXPONENT {
            return None;
        }
        let mut decimal = Self { negative, digits, scale: scale - exponent };
        decimal.normalize();
        Some(decimal)
    }

    fn normalize(&mut self) {
        let zeros = self.digits.iter().take_while(|digit| **digit == b'0').count();
        self.digits.drain(..zeros.min(self.digits.len().saturating_sub(1)));
        if self.is_zero() {
            self.negative = false;
        }
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.digits == b"0"
    }

    pub(crate) fn scale(&self) -> i32 {
        self.scale
    }

    /// The same number with `scale` digits behind the point, if that needs no rounding.
    pub(crate) fn with_scale(mut self, scale: i32) -> Option<Self> {
        while self.scale > scale {
            if !self.is_zero() && self.digits.pop_if(|digit| *digit == b'0').is_none() {
                return None;
            }
            self.scale -= 1;
        }
        if !self.is_zero() {
            let missing = usize::try_from(scale - self.scale).ok()?;
            self.digits.resize(self.digits.len() + missing, b'0');
        }
        self.scale = scale;
        Some(self)
    }

    /// Rounded half up (away from zero) to `scale` digits.
    pub(crate) fn rounded(mut self, scale: i32) -> Self {
        if self.scale > scale {
            let cut = (self.scale - scale) as usize;
            let kept = self.digits.len().saturating_sub(cut);
            let up = self.digits.len() >= cut && self.digits.get(kept).is_some_and(|digit| *digit >= b'5');
            self.digits.truncate(kept);
            if up {
                self.increment();
            }
            if self.digits.is_empty() {
                self.digits.push(b'0');
            }
            self.scale = scale;
            self.normalize();
        }
        let fallback = self.clone();
        self.with_scale(scale).unwrap_or(fallback)
    }

    fn increment(&mut self) {
        match self.digits.iter().rposition(|digit| *digit != b'9') {
            Some(last) => {
                for (index, digit) in self.digits.iter_mut().enumerate().skip(last) {
                    *digit = if index == last { *digit + 1 } else { b'0' };
                }
            }
            None => {
                self.digits.fill(b'0');
                self.digits.insert(0, b'1');
            }
        }
    }

    /// Without trailing zeros behind the point; the scale is never below 0.
    pub(crate) fn stripped(mut self) -> Self {
        if self.is_zero() {
            return Self::zero(0);
        }
        while self.scale > 0 && self.digits.len() > 1 && self.digits.pop_if(|digit| *digit == b'0').is_some() {
            self.scale -= 1;
        }
        if self.scale < 0 {
            let fallback = self.clone();
            return self.with_scale(0).unwrap_or(fallback);
        }
        self
    }

    /// Big-endian two's complement of the digits, as few bytes as hold them.
    pub(crate) fn unscaled_bytes(&self) -> Vec<u8> {
        let nat = Nat::from_digits(&self.digits);
        if nat.is_zero() {
            return vec![0];
        }
        let mut bytes = nat.to_bytes();
        if self.negative {
            let mut carry = true;
            for byte in bytes.iter_mut().rev() {
                let (sum, overflow) = (!*byte).overflowing_add(u8::from(carry));
                *byte = sum;
                carry = overflow;
            }
            if bytes.first().is_some_and(|byte| *byte < 0x80) {
                bytes.insert(0, 0xff);
            }
            while bytes.len() > 1 && bytes[0] == 0xff && bytes[1] >= 0x80 {
                bytes.remove(0);
            }
        } else if bytes.first().is_some_and(|byte| *byte >= 0x80) {
            bytes.insert(0, 0);
        }
        bytes
    }

    /// Without an exponent.
    pub(crate) fn plain(&self) -> String {
        let mut out = String::with_capacity(self.digits.len() + 3);
        if self.negative {
            out.push('-');
        }
        let scale = self.scale.max(0) as usize;
        let length = self.digits.len();
        if length <= scale {
            out.push_str("0.");
            out.extend(std::iter::repeat_n('0', scale - length));
        }
        for (index, digit) in self.digits.iter().enumerate() {
            if index + scale == length && index > 0 {
                out.push('.');
            }
            out.push(char::from(*digit));
        }
        if self.scale < 0 && !self.is_zero() {
            out.extend(std::iter::repeat_n('0', self.scale.unsigned_abs() as usize));
        }
        out
    }

    /// `BigDecimal.toString`: with an exponent where the scale is negative or the number tiny.
    pub(crate) fn java(&self) -> String {
        let adjusted = self.digits.len() as i32 - 1 - self.scale;
        if self.scale >= 0 && adjusted >= -6 {
            return self.plain();
        }
        let mut out = String::new();
        if self.negative {
            out.push('-');
        }
        for (index, digit) in self.digits.iter().enumerate() {
            if index == 1 {
                out.push('.');
            }
            out.push(char::from(*digit));
        }
        if adjusted != 0 {
            out.push_str(&format!("E{adjusted:+}"));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn bytes_are_twos_complement() {
        let cases: [(&str, &[u8]); 8] = [
            ("0", &[0]),
            ("1.10", &[110]),
            ("128", &[0, 128]),
            ("-128", &[0x80]),
            ("-1", &[0xff]),
            ("255", &[0, 255]),
            ("-256", &[0xff, 0]),
            ("-99.99", &[0xd8, 0xf1]),
        ];
        for (text, bytes) in cases {
            assert_eq!(decimal(text).unscaled_bytes(), bytes, "{text}");
        }
    }

    #[test]
    fn scales_and_prints() {
        assert_eq!(decimal("12.3400").stripped().plain(), "12.34");
        assert_eq!(decimal("1e3").with_scale(3).unwrap().plain(), "1000.000");
        assert_eq!(decimal("0.05").with_scale(1), None);
        assert_eq!(decimal("0.00").stripped().scale(), 0);
        assert_eq!(decimal("-0.001").plain(), "-0.001");
        assert_eq!(decimal("0.0000001").java(), "1E-7");
        assert_eq!(decimal("1e3").java(), "1E+3");
        assert_eq!(decimal("99.995").rounded(2).plain(), "100.00");
        assert_eq!(decimal("0.04").rounded(1).plain(), "0.0");
        assert_eq!(decimal("0.05").rounded(1).plain(), "0.1");
        assert!(Decimal::parse(b"NaN").is_none());
    }
}
