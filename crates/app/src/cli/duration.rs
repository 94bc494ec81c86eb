//! `30s`, `5m`, `2h`.

use std::time::Duration;

/// Reads a number with a unit of seconds, minutes or hours.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600)];
    units
        .iter()
        .find_map(|&(unit, seconds)| {
            let number = text.strip_suffix(unit)?.parse::<u64>().ok()?;
            number.checked_mul(seconds).map(Duration::from_secs)
        })
        .ok_or_else(|| "a time is a number with s, m or h, such as 30s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_units() {
        for (text, seconds) in [("0s", 0), ("30s", 30), ("5m", 300), ("2h", 7200)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "30", "-1s", "1.5s", "1d", "99999999999999999999h", "9999999999999999999h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
