//! Dates, times and timestamps.
//!
//! On the wire both count from 2000-01-01 with the integer's extremes as infinities; decoded they
//! count from 1970-01-01. Text is ISO (`datestyle=ISO`, `timezone=UTC`), years before 1 as `BC`.

use super::calendar::{DAYS_1970_TO_2000, days_from_civil};
use super::scan::{BAD_TEXT, Form, OUT_OF_RANGE, exact, form, take_byte, take_digits, take_micros};
use crate::{Invalid, Wire};

pub(crate) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(crate) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// 1970-01-01 to 2000-01-01.
pub(crate) const MICROS_1970_TO_2000: i64 = DAYS_1970_TO_2000 as i64 * MICROS_PER_DAY;

/// A decoded `date`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Date {
    /// Days since 1970-01-01.
    Days(i32),
    /// `infinity`
    Infinity,
    /// `-infinity`
    NegInfinity,
}

/// A decoded `timestamp` or `timestamptz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamp {
    /// Microseconds since 1970-01-01 00:00:00 (UTC for timestamptz).
    Micros(i64),
    /// A legal Postgres timestamp (year 294247 or later) that 64 bits of microseconds since 1970
    /// cannot hold; here still counted from 2000-01-01.
    OutOfRange {
        /// Microseconds since 2000-01-01 00:00:00.
        micros_since_2000: i64,
    },
    /// `infinity`
    Infinity,
    /// `-infinity`
    NegInfinity,
}

/// A decoded `time with time zone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeTz {
    /// Local microseconds since midnight, 0..=86400000000 (24:00:00 is legal).
    pub micros: i64,
    /// Seconds WEST of UTC, as on the wire: +05:30 is -19800.
    pub west_seconds: i32,
}

/// `date`.
#[inline]
pub fn date(wire: Wire<'_>) -> Result<Date, Invalid> {
    const NAME: &str = "date";
    match form(wire, NAME)? {
        Form::Binary(bytes) => match i32::from_be_bytes(exact(bytes, NAME)?) {
            i32::MAX => Ok(Date::Infinity),
            i32::MIN => Ok(Date::NegInfinity),
            days => match days.checked_add(DAYS_1970_TO_2000) {
                Some(days) => Ok(Date::Days(days)),
                None => Err(Invalid::new(NAME, OUT_OF_RANGE)),
            },
        },
        Form::Text(b"infinity") => Ok(Date::Infinity),
        Form::Text(b"-infinity") => Ok(Date::NegInfinity),
        Form::Text(text) => date_text(text).ok_or(Invalid::new(NAME, BAD_TEXT)),
    }
}

fn date_text(text: &[u8]) -> Option<Date> {
    let (mut text, bc) = strip_bc(text);
    let days = take_civil(&mut text, bc)?;
    if !text.is_empty() {
        return None;
    }
    i32::try_from(days).ok().map(Date::Days)
}

/// `time`: microseconds since midnight, 0..=86400000000 (24:00:00 is legal).
#[inline]
pub fn time(wire: Wire<'_>) -> Result<i64, Invalid> {
    const NAME: &str = "time";
    match form(wire, NAME)? {
        Form::Binary(bytes) => {
            time_of_day(i64::from_be_bytes(exact(bytes, NAME)?)).ok_or(Invalid::new(NAME, OUT_OF_RANGE))
        }
        Form::Text(mut text) => match take_time_of_day(&mut text) {
            Some(micros) if text.is_empty() => Ok(micros),
            _ => Err(Invalid::new(NAME, BAD_TEXT)),
        },
    }
}

/// `timetz`.
#[inline]
pub fn timetz(wire: Wire<'_>) -> Result<TimeTz, Invalid> {
    const NAME: &str = "timetz";
    match form(wire, NAME)? {
        Form::Binary(bytes) => {
            let [a, b, c, d, e, f, g, h, zone @ ..] = exact::<12>(bytes, NAME)?;
            let micros = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
            let west_seconds = i32::from_be_bytes(zone);
            timetz_of(micros, west_seconds).ok_or(Invalid::new(NAME, OUT_OF_RANGE))
        }
        Form::Text(text) => timetz_text(text).ok_or(Invalid::new(NAME, BAD_TEXT)),
    }
}

/// Postgres allows zones below 16 hours either way.
const MAX_ZONE_SECONDS: i32 = 16 * 3_600;

fn timetz_of(micros: i64, west_seconds: i32) -> Option<TimeTz> {
    let micros = time_of_day(micros)?;
    let legal = (-MAX_ZONE_SECONDS < west_seconds) && (west_seconds < MAX_ZONE_SECONDS);
    legal.then_some(TimeTz { micros, west_seconds })
}

fn timetz_text(mut text: &[u8]) -> Option<TimeTz> {
    let micros = take_time_of_day(&mut text)?;
    let west_seconds = take_zone(&mut text)?;
    if text.is_empty() { timetz_of(micros, west_seconds) } else { None }
}

/// `timestamp` and `timestamptz`; the text of a timestamptz may carry any zone offset.
#[inline]
pub fn timestamp(wire: Wire<'_>) -> Result<Timestamp, Invalid> {
    const NAME: &str = "timestamp";
    match form(wire, NAME)? {
        Form::Binary(bytes) => Ok(timestamp_of(i64::from_be_bytes(exact(bytes, NAME)?))),
        Form::Text(b"infinity") => Ok(Timestamp::Infinity),
        Form::Text(b"-infinity") => Ok(Timestamp::NegInfinity),
        Form::Text(text) => match timestamp_text(text) {
            Some(micros) => Ok(timestamp_of(micros)),
            None => Err(Invalid::new(NAME, BAD_TEXT)),
        },
    }
}

#[inline]
fn timestamp_of(micros_since_2000: i64) -> Timestamp {
    match micros_since_2000 {
        i64::MAX => Timestamp::Infinity,
        i64::MIN => Timestamp::NegInfinity,
        micros => match micros.checked_add(MICROS_1970_TO_2000) {
            Some(micros) => Timestamp::Micros(micros),
            None => Timestamp::OutOfRange { micros_since_2000 },
        },
    }
}

/// Microseconds since 2000-01-01 of `2024-03-09 21:00:00.123456[+00][ BC]`.
fn timestamp_text(text: &[u8]) -> Option<i64> {
    let (mut text, bc) = strip_bc(text);
    let days = take_civil(&mut text, bc)?;
    take_byte(&mut text, b' ')?;
    let micros = take_time_of_day(&mut text)?;
    let west = if text.is_empty() { 0 } else { take_zone(&mut text)? };
    if !text.is_empty() {
        return None;
    }
    // days as i64 may be far outside; i128 keeps the sum exact until the range is checked
    let days = i128::from(days - i64::from(DAYS_1970_TO_2000));
    let micros =
        days * i128::from(MICROS_PER_DAY) + i128::from(micros) + i128::from(west) * i128::from(MICROS_PER_SECOND);
    i64::try_from(micros).ok()
}

#[inline]
fn time_of_day(micros: i64) -> Option<i64> {
    (0..=MICROS_PER_DAY).contains(&micros).then_some(micros)
}

#[inline]
fn take_time_of_day(text: &mut &[u8]) -> Option<i64> {
    time_of_day(i64::try_from(take_time(text)?).ok()?)
}

#[inline]
fn strip_bc(text: &[u8]) -> (&[u8], bool) {
    match text.strip_suffix(b" BC") {
        Some(rest) => (rest, true),
        None => (text, false),
    }
}

/// Takes `year-month-day`, days since 1970-01-01.
#[inline]
fn take_civil(text: &mut &[u8], bc: bool) -> Option<i64> {
    let (year, _) = take_digits(text)?;
    take_byte(text, b'-')?;
    let (month, _) = take_digits(text)?;
    take_byte(text, b'-')?;
    let (day, _) = take_digits(text)?;
    let year = i64::try_from(year).ok()?;
    let year = if bc { 1 - year } else { year };
    days_from_civil(year, u8::try_from(month).ok()?, u8::try_from(day).ok()?)
}

/// Takes `hh:mm:ss[.ffffff]` as microseconds; hours may be any number.
#[inline]
pub(super) fn take_time(text: &mut &[u8]) -> Option<u64> {
    let hours = take_digits(text)?.0;
    take_byte(text, b':')?;
    let minutes = take_digits(text)?.0;
    take_byte(text, b':')?;
    let seconds = take_digits(text)?.0;
    let micros = take_micros(text)?;
    if minutes > 59 || seconds > 59 {
        return None;
    }
    let seconds = hours.checked_mul(3_600)?.checked_add(minutes * 60 + seconds)?;
    seconds.checked_mul(MICROS_PER_SECOND.unsigned_abs())?.checked_add(micros)
}

/// Takes `+hh[:mm[:ss]]` as seconds WEST of UTC.
fn take_zone(text: &mut &[u8]) -> Option<i32> {
    let west = match text.split_first()? {
        (b'+', rest) => {
            *text = rest;
            -1
        }
        (b'-', rest) => {
            *text = rest;
            1
        }
        _ => return None,
    };
    let mut seconds = take_digits(text)?.0.checked_mul(3_600)?;
    for unit in [60, 1] {
        if take_byte(text, b':').is_some() {
            seconds = seconds.checked_add(take_digits(text)?.0.checked_mul(unit)?)?;
        }
    }
    i32::try_from(seconds).ok()?.checked_mul(west)
}
