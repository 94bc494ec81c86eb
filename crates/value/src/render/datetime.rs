//! Dates, times and intervals in the ISO and `postgres` styles.

use super::number::{padded, signed};
use crate::decode::{DAYS_1970_TO_2000, Date, Interval, TimeTz, Timestamp, civil_from_days};
use crate::decode::{MICROS_PER_DAY, MICROS_PER_SECOND};

const MICROS_PER_MINUTE: u64 = 60 * MICROS_PER_SECOND.unsigned_abs();
const MICROS_PER_HOUR: u64 = 60 * MICROS_PER_MINUTE;

const INFINITY: &[u8] = b"infinity";
const NEG_INFINITY: &[u8] = b"-infinity";

pub(super) fn date(value: Date, out: &mut Vec<u8>) {
    match value {
        Date::Infinity => out.extend_from_slice(INFINITY),
        Date::NegInfinity => out.extend_from_slice(NEG_INFINITY),
        Date::Days(days) => {
            let bc = civil(days.into(), out);
            out.extend_from_slice(bc);
        }
    }
}

/// `zone` is what follows the time of day.
pub(super) fn timestamp(value: Timestamp, zone: &[u8], out: &mut Vec<u8>) {
    let (micros, epoch) = match value {
        Timestamp::Infinity => return out.extend_from_slice(INFINITY),
        Timestamp::NegInfinity => return out.extend_from_slice(NEG_INFINITY),
        Timestamp::Micros(micros) => (micros, 0),
        Timestamp::OutOfRange { micros_since_2000 } => (micros_since_2000, DAYS_1970_TO_2000),
    };
    let bc = civil(micros.div_euclid(MICROS_PER_DAY) + i64::from(epoch), out);
    out.push(b' ');
    clock(micros.rem_euclid(MICROS_PER_DAY).unsigned_abs(), out);
    out.extend_from_slice(zone);
    out.extend_from_slice(bc);
}

pub(super) fn time(micros: i64, out: &mut Vec<u8>) {
    clock(micros.unsigned_abs(), out);
}

pub(super) fn timetz(value: TimeTz, out: &mut Vec<u8>) {
    clock(value.micros.unsigned_abs(), out);
    out.push(if value.west_seconds <= 0 { b'+' } else { b'-' });
    let seconds = u64::from(value.west_seconds.unsigned_abs());
    padded(seconds / 3_600, 2, out);
    if !seconds.is_multiple_of(3_600) {
        out.push(b':');
        padded(seconds / 60 % 60, 2, out);
    }
    if !seconds.is_multiple_of(60) {
        out.push(b':');
        padded(seconds % 60, 2, out);
    }
}

/// Every part that is not zero, or else the time; a positive part after a negative one says `+`.
pub(super) fn interval(value: Interval, out: &mut Vec<u8>) {
    let (months, days, micros) = match value {
        Interval::Infinity => return out.extend_from_slice(INFINITY),
        Interval::NegInfinity => return out.extend_from_slice(NEG_INFINITY),
        Interval::Parts { months, days, micros } => (months, days, micros),
    };
    let start = out.len();
    let mut after_negative = false;
    for (amount, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if amount == 0 {
            continue;
        }
        if out.len() > start {
            out.push(b' ');
        }
        if after_negative && amount > 0 {
            out.push(b'+');
        }
        signed(amount.into(), out);
        out.push(b' ');
        out.extend_from_slice(unit.as_bytes());
        if amount != 1 {
            out.push(b's');
        }
        after_negative = amount < 0;
    }
    if micros != 0 || out.len() == start {
        if out.len() > start {
            out.push(b' ');
        }
        if micros < 0 {
            out.push(b'-');
        } else if after_negative {
            out.push(b'+');
        }
        clock(micros.unsigned_abs(), out);
    }
}

/// Writes `yyyy-mm-dd` and returns the suffix of its era.
#[inline]
fn civil(days: i64, out: &mut Vec<u8>) -> &'static [u8] {
    let (year, month, day) = civil_from_days(days);
    let (year, suffix): (i64, &[u8]) = if year > 0 { (year, b"") } else { (1 - year, b" BC") };
    padded(year.unsigned_abs(), 4, out);
    out.push(b'-');
    padded(month.into(), 2, out);
    out.push(b'-');
    padded(day.into(), 2, out);
    suffix
}

/// `hh:mm:ss[.ffffff]`, the fraction without trailing zeros.
#[inline]
fn clock(micros: u64, out: &mut Vec<u8>) {
    padded(micros / MICROS_PER_HOUR, 2, out);
    out.push(b':');
    padded(micros / MICROS_PER_MINUTE % 60, 2, out);
    out.push(b':');
    padded(micros / MICROS_PER_SECOND.unsigned_abs() % 60, 2, out);
    let fraction = micros % MICROS_PER_SECOND.unsigned_abs();
    if fraction != 0 {
        out.push(b'.');
        padded(fraction, 6, out);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}
