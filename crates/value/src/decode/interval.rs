//! Intervals: months, days and microseconds, which no fixed length converts into each other.

use super::datetime::take_time;
use super::scan::{BAD_TEXT, Form, exact, form};
use crate::{Invalid, Wire};

/// A decoded `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// The three independent parts.
    Parts {
        /// Months, twelve to the year.
        months: i32,
        /// Days.
        days: i32,
        /// Microseconds.
        micros: i64,
    },
    /// `infinity`, from Postgres 17 on.
    Infinity,
    /// `-infinity`, from Postgres 17 on.
    NegInfinity,
}

/// `interval`; the text is that of `intervalstyle=postgres`.
#[inline]
pub fn interval(wire: Wire<'_>) -> Result<Interval, Invalid> {
    const NAME: &str = "interval";
    match form(wire, NAME)? {
        Form::Binary(bytes) => {
            let bits = u128::from_be_bytes(exact(bytes, NAME)?);
            Ok(interval_of((bits >> 64) as i64, (bits >> 32) as i32, bits as i32))
        }
        Form::Text(b"infinity") => Ok(Interval::Infinity),
        Form::Text(b"-infinity") => Ok(Interval::NegInfinity),
        Form::Text(text) => interval_text(text).ok_or(Invalid::new(NAME, BAD_TEXT)),
    }
}

#[inline]
fn interval_of(micros: i64, days: i32, months: i32) -> Interval {
    match (micros, days, months) {
        (i64::MAX, i32::MAX, i32::MAX) => Interval::Infinity,
        (i64::MIN, i32::MIN, i32::MIN) => Interval::NegInfinity,
        _ => Interval::Parts { months, days, micros },
    }
}

/// `-1 years -2 mons +3 days -04:05:06.5`: every part optional, none of them for zero but the time.
fn interval_text(text: &[u8]) -> Option<Interval> {
    let (mut months, mut days, mut micros) = (0i32, 0i32, 0i64);
    let mut words = text.split(|byte| *byte == b' ');
    while let Some(word) = words.next() {
        if word.contains(&b':') {
            micros = signed_time(word)?;
            break;
        }
        let amount = i32::try_from(super::scan::signed(word)?).ok()?;
        match words.next()? {
            b"year" | b"years" => months = months.checked_add(amount.checked_mul(12)?)?,
            b"mon" | b"mons" => months = months.checked_add(amount)?,
            b"day" | b"days" => days = amount,
            _ => return None,
        }
    }
    words.next().is_none().then_some(interval_of(micros, days, months))
}

fn signed_time(word: &[u8]) -> Option<i64> {
    let (negative, mut rest) = match word {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    let micros = take_time(&mut rest)?;
    if !rest.is_empty() {
        return None;
    }
    if negative { 0i64.checked_sub_unsigned(micros) } else { i64::try_from(micros).ok() }
}
