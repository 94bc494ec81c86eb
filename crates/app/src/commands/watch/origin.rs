//! Where watching begins: `--from`.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime};
use walhouse_change::Lsn;

use crate::cli::parse_duration;

/// Where watching begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WatchFrom {
    /// The oldest record there is.
    Beginning,
    /// What is written from now on.
    Latest,
    /// The first change at or after this position of Postgres' log.
    Lsn(Lsn),
    /// The first record at or after this time, milliseconds since 1970.
    Time(i64),
    /// So long ago.
    Ago(Duration),
}

impl WatchFrom {
    /// The time that it names, milliseconds since 1970.
    pub(super) fn time(self) -> Option<i64> {
        match self {
            Self::Time(time) => Some(time),
            Self::Ago(ago) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(now.saturating_sub(ago).as_millis()).ok()
            }
            _ => None,
        }
    }
}

impl FromStr for WatchFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = match text {
            "beginning" => Some(Self::Beginning),
            "latest" => Some(Self::Latest),
            _ => None,
        };
        named
            .or_else(|| text.parse().ok().map(Self::Lsn))
            // As the records themselves write a position.
            .or_else(|| text.parse().ok().map(|lsn| Self::Lsn(Lsn(lsn))))
            .or_else(|| parse_duration(text).ok().map(Self::Ago))
            .or_else(|| time(text).map(Self::Time))
            .ok_or_else(|| {
                "beginning, latest, a log position (0/16B3748 or 23803720), a time (2024-05-01T12:00:00Z, \
                 2024-05-01) or how long ago (10m)"
                    .to_owned()
            })
    }
}

/// Milliseconds since 1970 of a time in RFC 3339, or in UTC without a zone, or of a day's first moment.
fn time(text: &str) -> Option<i64> {
    let zoned = OffsetDateTime::parse(text, &Rfc3339).ok();
    let seconds = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let plain = || Some(PrimitiveDateTime::parse(&text.replacen('T', " ", 1), seconds).ok()?.assume_utc());
    let day = || Some(Date::parse(text, format_description!("[year]-[month]-[day]")).ok()?.midnight().assume_utc());
    let moment = zoned.or_else(plain).or_else(day)?;
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        let day = 1_714_521_600_000;
        let forms = [
            ("beginning", WatchFrom::Beginning),
            ("latest", WatchFrom::Latest),
            ("0/16B3748", WatchFrom::Lsn(Lsn(23_803_720))),
            ("23803720", WatchFrom::Lsn(Lsn(23_803_720))),
            ("10m", WatchFrom::Ago(Duration::from_secs(600))),
            ("2024-05-01", WatchFrom::Time(day)),
            ("2024-05-01T00:00:01Z", WatchFrom::Time(day + 1_000)),
            ("2024-05-01T02:00:00.5+02:00", WatchFrom::Time(day + 500)),
            ("2024-05-01 00:00:02", WatchFrom::Time(day + 2_000)),
        ];
        for (text, from) in forms {
            assert_eq!(text.parse(), Ok(from), "{text}");
        }
        for text in ["", "yesterday", "-1", "0/", "2024-13-01"] {
            assert!(text.parse::<WatchFrom>().is_err(), "{text}");
        }
    }

    #[test]
    fn ago_is_before_now() {
        let ago = WatchFrom::Ago(Duration::from_secs(60)).time().unwrap_or_default();
        assert!(ago > 1_600_000_000_000);
        assert_eq!(WatchFrom::Latest.time(), None);
    }
}
