//! Times as Kafdrop's JSON writes and reads them: UTC, `2026-01-01T00:00:00.000Z`.

const DAY_MS: i64 = 86_400_000;

/// `2026-01-01T00:00:00.000Z` of milliseconds since 1970-01-01 UTC.
pub(super) fn write(ms: i64) -> String {
    let (days, rest) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let (year, month, day) = date(days);
    let (hour, minute, second, milli) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Milliseconds since 1970-01-01 UTC of `2026-01-01T00:00:00.000Z`, `2026-01-01 00:00:00.000` or a plain number.
pub(super) fn read(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(ms) = text.parse() {
        return Some(ms);
    }
    let text = text.trim_end_matches('Z').trim_end_matches("+00:00").trim_end_matches("+0000");
    let (day, clock) = text.split_once(['T', ' ']).unwrap_or((text, "0:0:0"));
    let mut numbers = day.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let mut parts = clock.splitn(3, ':');
    let (hour, minute) = (parts.next()?.parse::<i64>().ok()?, parts.next()?.parse::<i64>().ok()?);
    let seconds: f64 = parts.next().unwrap_or("0").parse().ok()?;
    let good = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..61.0).contains(&seconds)
        && (0..=9999).contains(&year);
    good.then(|| {
        let minutes = (days(year, month, day) * 24 + hour) * 60 + minute;
        minutes * 60_000 + (seconds * 1000.0).round() as i64
    })
}

/// Years begin in March here, so that a leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_both_ways() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!((write(ms).as_str(), read(text)), (text, Some(ms)));
        }
        assert_eq!(read("2000-02-29 00:00:00.123"), Some(951_782_400_123));
        assert_eq!((read("2000-02-29"), read("17")), (Some(951_782_400_000), Some(17)));
        for text in ["", "yesterday", "2000-13-01", "2000-01-01 25:00:00"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
