//! Dates, times and intervals: Postgres' text in, Java's numbers and texts out.

/// Milliseconds of a day.
pub(crate) const DAY_MILLIS: i64 = 86_400_000;
const DAY_SECONDS: i64 = 86_400;

/// A point in time: seconds since 1970 and microseconds of the second, both proleptic Gregorian UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instant {
    pub(crate) seconds: i64,
    pub(crate) micros: i64,
}

impl Instant {
    /// Microseconds since 1970. Java saturates the seconds and lets the sum wrap.
    pub(crate) fn epoch_micros(self) -> i64 {
        self.seconds.saturating_mul(1_000_000).wrapping_add(self.micros)
    }

    /// Milliseconds since 1970, cut to the earlier one.
    pub(crate) fn epoch_millis(self) -> i64 {
        self.seconds.saturating_mul(1000).saturating_add(self.micros / 1000)
    }
}

/// Reads digits up to `limit` places.
fn digits(text: &[u8], at: &mut usize, limit: usize) -> Option<i64> {
    let start = *at;
    let mut value = 0i64;
    while let Some(byte @ b'0'..=b'9') = text.get(*at) {
        if *at - start == limit {
            break;
        }
        value = value * 10 + i64::from(byte - b'0');
        *at += 1;
    }
    (*at > start).then_some(value)
}

fn expect(text: &[u8], at: &mut usize, byte: u8) -> Option<()> {
    (text.get(*at) == Some(&byte)).then(|| *at += 1)
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Splits a trailing ` BC` off.
fn era(text: &[u8]) -> (&[u8], bool) {
    text.strip_suffix(b" BC").map_or((text, false), |text| (text, true))
}

fn read_date(text: &[u8], at: &mut usize, bc: bool) -> Option<i64> {
    let year = digits(text, at, 7)?;
    expect(text, at, b'-')?;
    let month = digits(text, at, 2)?;
    expect(text, at, b'-')?;
    let day = digits(text, at, 2)?;
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day);
    valid.then(|| days_from_civil(if bc { 1 - year } else { year }, month, day))
}

/// Microseconds since midnight; `24:00:00` is a whole day.
fn read_time(text: &[u8], at: &mut usize) -> Option<i64> {
    let hours = digits(text, at, 2)?;
    expect(text, at, b':')?;
    let minutes = digits(text, at, 2)?;
    let seconds = if expect(text, at, b':').is_some() { digits(text, at, 2)? } else { 0 };
    let mut micros = 0;
    if expect(text, at, b'.').is_some() {
        let start = *at;
        micros = digits(text, at, 6)?;
        for _ in *at - start..6 {
            micros *= 10;
        }
        while text.get(*at).is_some_and(u8::is_ascii_digit) {
            *at += 1;
        }
    }
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros)
}

/// Seconds east of Greenwich.
fn read_zone(text: &[u8], at: &mut usize) -> Option<i64> {
    let negative = match text.get(*at)? {
        b'+' => false,
        b'-' => true,
        b'Z' | b'z' => {
            *at += 1;
            return Some(0);
        }
        _ => return None,
    };
    *at += 1;
    let mut seconds = digits(text, at, 2)? * 3600;
    let mut unit = 60;
    while unit > 0 && expect(text, at, b':').is_some() {
        seconds += digits(text, at, 2)? * unit;
        unit /= 60;
    }
    Some(if negative { -seconds } else { seconds })
}

/// Days since 1970.
pub(crate) fn date(text: &[u8]) -> Option<i64> {
    let (text, bc) = era(text);
    let mut at = 0;
    let days = read_date(text, &mut at, bc)?;
    (at == text.len()).then_some(days)
}

/// Microseconds since midnight.
pub(crate) fn time(text: &[u8]) -> Option<i64> {
    let mut at = 0;
    let micros = read_time(text, &mut at)?;
    (at == text.len()).then_some(micros)
}

/// A timestamp, with its zone (`zoned`) or read as UTC.
pub(crate) fn timestamp(text: &[u8], zoned: bool) -> Option<Instant> {
    let (text, bc) = era(text);
    let mut at = 0;
    let days = read_date(text, &mut at, bc)?;
    let micros = if at == text.len() {
        0
    } else {
        if !matches!(text.get(at), Some(b' ' | b'T')) {
            return None;
        }
        at += 1;
        read_time(text, &mut at)?
    };
    let offset = if zoned && at < text.len() { read_zone(text, &mut at)? } else { 0 };
    (at == text.len())
        .then_some(Instant { seconds: days * DAY_SECONDS + micros / 1_000_000 - offset, micros: micros % 1_000_000 })
}

/// A timestamp as `java.util.GregorianCalendar` reads it: Julian before 1582-10-15.
pub(crate) fn julian_timestamp(text: &[u8], zoned: bool) -> Option<Instant> {
    let instant = timestamp(text, zoned)?;
    let (date, bc) = era(text);
    let mut at = 0;
    let days = read_date(date, &mut at, bc)?;
    if days >= GREGORIAN_START {
        return Some(instant);
    }
    let (year, month, day) = civil_from_days(days);
    let shift = days_from_julian(year, month, day) - days;
    Some(Instant { seconds: instant.seconds + shift * DAY_SECONDS, ..instant })
}

fn days_from_julian(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    year.div_euclid(4) * 1461 + year.rem_euclid(4) * 365 + of_year - 719_470
}

/// Microseconds since midnight of a time with zone, shifted to UTC and wrapped into the day.
pub(crate) fn time_with_zone(text: &[u8]) -> Option<i64> {
    let mut at = 0;
    let micros = read_time(text, &mut at)?;
    let offset = if at < text.len() { read_zone(text, &mut at)? } else { 0 };
    (at == text.len()).then(|| (micros - offset * 1_000_000).rem_euclid(DAY_SECONDS * 1_000_000))
}

fn year_text(year: i64) -> String {
    if year > 9999 {
        format!("+{year}")
    } else if year < 0 {
        format!("-{:04}", -year)
    } else {
        format!("{year:04}")
    }
}

/// `yyyy-MM-ddTHH:mm:ss[.ffffff]Z` with `scale` digits of fraction.
pub(crate) fn zoned_text(instant: Instant, scale: u32) -> String {
    let days = instant.seconds.div_euclid(DAY_SECONDS);
    let of_day = instant.seconds.rem_euclid(DAY_SECONDS);
    let (year, month, day) = civil_from_days(days);
    let mut out = format!(
        "{}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
        year_text(year),
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    );
    if scale > 0 {
        let fraction = instant.micros / 10i64.pow(6 - scale.min(6));
        out.push_str(&format!(".{fraction:0width$}", width = scale.min(6) as usize));
    }
    out.push('Z');
    out
}

/// `HH:mm:ss[.fraction]Z` without trailing zeros.
pub(crate) fn zoned_time_text(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let mut out = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = micros % 1_000_000;
    if fraction > 0 {
        let text = format!(".{fraction:06}");
        out.push_str(text.trim_end_matches('0'));
    }
    out.push('Z');
    out
}

/// A `java.util.Date` in a header, by Connect's guess: what lies before 1970-01-02 is a time of day,
/// midnight is a date, anything else a timestamp.
pub(crate) fn header_date(millis: i64) -> String {
    let (year, month, day) = civil_from_days(millis.div_euclid(DAY_MILLIS));
    let of_day = millis.rem_euclid(DAY_MILLIS);
    let seconds = of_day / 1000;
    let time = format!("{:02}:{:02}:{:02}.{:03}Z", seconds / 3600, seconds / 60 % 60, seconds % 60, of_day % 1000);
    if millis < DAY_MILLIS {
        time
    } else if of_day == 0 {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:04}-{month:02}-{day:02}T{time}")
    }
}

/// First day of the Gregorian calendar, 1582-10-15; `java.util.Date` is Julian before it.
const GREGORIAN_START: i64 = -141_427;

/// `java.util.Date.toString` in UTC: `Sun Feb 28 00:00:00 UTC 1999`.
pub(crate) fn java_date(millis: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = millis.div_euclid(DAY_MILLIS);
    let seconds = millis.rem_euclid(DAY_MILLIS) / 1000;
    let (year, month, day) = if days < GREGORIAN_START { julian_from_days(days) } else { civil_from_days(days) };
    format!(
        "{} {} {day:02} {:02}:{:02}:{:02} UTC {}",
        DAYS[days.rem_euclid(7) as usize],
        MONTHS.get(month as usize - 1).copied().unwrap_or("Jan"),
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        if year > 0 { year } else { 1 - year }
    )
}

fn julian_from_days(days: i64) -> (i64, i64, i64) {
    // Days since 0000-03-01 of the Julian calendar.
    let days = days + 719_470;
    let cycle = days.div_euclid(1461);
    let of_cycle = days.rem_euclid(1461);
    let year = (of_cycle - of_cycle / 1460) / 365;
    let of_year = of_cycle - 365 * year;
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (cycle * 4 + year + i64::from(month <= 2), month, day)
}

/// An interval's parts: months, days, microseconds; years apart, as Postgres prints them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interval {
    years: i64,
    months: i64,
    days: i64,
    micros: i64,
}

impl Interval {
    /// Reads the style `postgres`: `-1 years +2 mons -3 days +04:05:06.000007`.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut interval = Self::default();
        let mut words = text.split_ascii_whitespace();
        while let Some(word) = words.next() {
            if word.contains(':') {
                let (negative, clock) = match word.as_bytes() {
                    [b'-', rest @ ..] => (true, rest),
                    [b'+', rest @ ..] => (false, rest),
                    rest => (false, rest),
                };
                let micros = read_long_time(clock)?;
                interval.micros = if negative { -micros } else { micros };
                continue;
            }
            let number: i64 = word.parse().ok()?;
            match words.next().map(|unit| unit.trim_end_matches('s')) {
                Some("year") => interval.years = number,
                Some("mon") => interval.months = number,
                Some("day") => interval.days = number,
                None if number == 0 => {}
                _ => return None,
            }
        }
        Some(interval)
    }

    /// Microseconds, a month being 30.4375 days; saturates.
    pub(crate) fn micros(self) -> i64 {
        let months = (self.years * 12 + self.months) as f64;
        let clock = self.micros;
        let (hours, minutes) = (clock / 3_600_000_000, clock / 60_000_000 % 60);
        let seconds = (clock % 60_000_000) as f64 / 1e6;
        let days = months * 30.4375 + self.days as f64;
        let total = (((days * 24.0 + hours as f64) * 60.0 + minutes as f64) * 60.0 + seconds) * 1e6;
        total as i64
    }

    /// `P1Y2M3DT4H5M6.78S`, every part present.
    pub(crate) fn iso(self) -> String {
        let (hours, minutes) = (self.micros / 3_600_000_000, self.micros / 60_000_000 % 60);
        let rest = self.micros % 60_000_000;
        let sign = if rest < 0 { "-" } else { "" };
        let (whole, fraction) = (rest.abs() / 1_000_000, rest.abs() % 1_000_000);
        let mut seconds = format!("{sign}{whole}");
        if fraction > 0 {
            seconds.push_str(format!(".{fraction:06}").trim_end_matches('0'));
        }
        format!("P{}Y{}M{}DT{hours}H{minutes}M{seconds}S", self.years, self.months, self.days)
    }
}

/// `HH..:MM:SS[.ffffff]` with any number of hours.
fn read_long_time(text: &[u8]) -> Option<i64> {
    let colon = text.iter().position(|byte| *byte == b':')?;
    let hours: i64 = std::str::from_utf8(text.get(..colon)?).ok()?.parse().ok()?;
    let mut at = 0;
    let mut rest = b"00:".to_vec();
    rest.extend_from_slice(text.get(colon + 1..)?);
    let micros = read_time(&rest, &mut at)?;
    (at == rest.len()).then(|| hours.saturating_mul(3_600_000_000).saturating_add(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times() {
        assert_eq!(date(b"1970-01-01"), Some(0));
        assert_eq!(date(b"0044-03-15 BC"), Some(-735_160));
        assert_eq!(date(b"5874897-12-31"), Some(2_145_042_905));
        assert_eq!(date(b"1970-13-01"), None);
        assert_eq!(time(b"24:00:00"), Some(86_400_000_000));
        assert_eq!(time_with_zone(b"01:02:03.456-05:30"), Some(23_523_456_000));
        let instant = timestamp(b"2023-11-08 11:34:09.123456+02", true).unwrap();
        assert_eq!(zoned_text(instant, 6), "2023-11-08T09:34:09.123456Z");
        let old = timestamp(b"4714-12-31 23:59:59.999999+00 BC", true).unwrap();
        assert_eq!(zoned_text(old, 6), "-4713-12-31T23:59:59.999999Z");
        let last = timestamp(b"294276-12-31 23:59:59.999999", false).unwrap();
        assert_eq!(last.epoch_micros(), -9_223_372_036_853_775_810);
        assert_eq!(header_date(920_160_000_000), "1999-02-28");
        assert_eq!(header_date(920_160_000_001), "1999-02-28T00:00:00.001Z");
        assert_eq!(header_date(-1), "23:59:59.999Z");
        assert_eq!(java_date(920_160_000_000), "Sun Feb 28 00:00:00 UTC 1999");
        assert_eq!(java_date(-62_135_596_800_000), "Mon Jan 03 00:00:00 UTC 1");
    }

    #[test]
    fn intervals() {
        let interval = Interval::parse(b"1 year 2 mons 3 days 04:05:06.789").unwrap();
        assert_eq!(interval.micros(), 37_091_106_789_000);
        assert_eq!(interval.iso(), "P1Y2M3DT4H5M6.789S");
        let interval = Interval::parse(b"-1 years -2 mons -3 days -04:05:06.789").unwrap();
        assert_eq!(interval.iso(), "P-1Y-2M-3DT-4H-5M-6.789S");
        assert_eq!(interval.micros(), -37_091_106_789_000);
        assert_eq!(Interval::parse(b"00:00:00").unwrap().iso(), "P0Y0M0DT0H0M0S");
        assert_eq!(Interval::parse(b"178000000 years").unwrap().micros(), i64::MAX);
    }
}
