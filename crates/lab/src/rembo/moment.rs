//! Times as Postgres counts them: microseconds and days since 2000-01-01 UTC, sent as they are.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut, BytesMut};
use time::{Date, Month, OffsetDateTime, UtcDateTime};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// Seconds from 1970-01-01 to 2000-01-01.
const POSTGRES_EPOCH_SECONDS: i64 = 946_684_800;
const MICROS_PER_SECOND: i64 = 1_000_000;
/// Microseconds of a day.
pub(super) const DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// A `timestamptz`: microseconds since 2000-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) i64);

/// A `date`: days since 2000-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(pub(super) i32);

impl Moment {
    /// The beginning of a day, UTC.
    pub(super) fn start_of(date: Date) -> Self {
        let seconds = date.midnight().assume_utc().unix_timestamp();
        Self((seconds - POSTGRES_EPOCH_SECONDS) * MICROS_PER_SECOND)
    }

    /// Now, by our clock.
    pub(super) fn now() -> Self {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |it| i64::try_from(it.as_micros()).unwrap_or(i64::MAX));
        Self(since_1970 - POSTGRES_EPOCH_SECONDS * MICROS_PER_SECOND)
    }

    pub(super) fn plus(self, micros: i64) -> Self {
        Self(self.0 + micros)
    }

    /// Its calendar day, UTC.
    pub(super) fn date(self) -> Date {
        let seconds = self.0.div_euclid(MICROS_PER_SECOND) + POSTGRES_EPOCH_SECONDS;
        UtcDateTime::from_unix_timestamp(seconds).map_or(Date::MIN, UtcDateTime::date)
    }

    pub(super) fn day(self) -> Day {
        Day(i32::try_from(self.0.div_euclid(DAY)).unwrap_or(i32::MAX))
    }
}

/// `YYYY-MM-DD`.
pub(super) fn iso(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

/// `YYYYMMDD` as a number, the usual key of a date dimension.
pub(super) fn key_of(date: Date) -> i32 {
    date.year() * 10_000 + i32::from(u8::from(date.month())) * 100 + i32::from(date.day())
}

/// Today, UTC.
pub(super) fn today() -> Date {
    OffsetDateTime::now_utc().date()
}

/// Reads `YYYY-MM-DD`.
pub(super) fn parse(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '-');
    let year = parts.next()?.parse().ok()?;
    let month = Month::try_from(parts.next()?.parse::<u8>().ok()?).ok()?;
    Date::from_calendar_date(year, month, parts.next()?.parse().ok()?).ok()
}

impl ToSql for Moment {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i64(self.0);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

impl ToSql for Day {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i32(self.0);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::DATE
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_the_year_2000() {
        let date = parse("2000-01-02").unwrap();
        assert_eq!(Moment::start_of(date), Moment(DAY));
        assert_eq!(Moment(DAY).day(), Day(1));
        assert_eq!(Moment(-1).day(), Day(-1));
        assert_eq!(iso(Moment(-1).date()), "1999-12-31");
        assert_eq!(key_of(parse("2024-02-29").unwrap()), 20_240_229);
        assert_eq!(parse("2023-02-29"), None);
        assert_eq!(parse("today"), None);
    }
}
