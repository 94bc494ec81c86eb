//! Days and civil dates of the proleptic Gregorian calendar, astronomical years (0 is 1 BC).

/// Postgres counts from 2000-01-01, Unix from 1970-01-01.
pub const DAYS_1970_TO_2000: i32 = 10_957;

/// Days in 400 years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01; years start in March so that the leap day comes last.
const MARCH_0_TO_1970: i64 = 719_468;

/// Year (astronomical), month 1..=12, day 1..=31 of a day counted from 1970-01-01. Total.
#[inline]
pub fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let shifted = days.saturating_add(MARCH_0_TO_1970);
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let day_of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u8, day as u8)
}

/// Days from 1970-01-01 to a civil date; `None` for a date that does not exist or a year past i32.
#[inline]
pub fn days_from_civil(year: i64, month: u8, day: u8) -> Option<i64> {
    if i32::try_from(year).is_err() || !(1..=12).contains(&month) {
        return None;
    }
    if day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let (month, day) = (i64::from(month), i64::from(day));
    let march_year = year - i64::from(month <= 2);
    let era = march_year.div_euclid(400);
    let year_of_era = march_year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * DAYS_PER_ERA + day_of_era - MARCH_0_TO_1970)
}

fn days_in_month(year: i64, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_eight_centuries_round_trips() {
        let mut previous = (0, 0, 0);
        for days in -400_000..400_000 {
            let (year, month, day) = civil_from_days(days);
            assert!((year, month, day) > previous || days == -400_000);
            assert_eq!(days_from_civil(year, month, day), Some(days));
            previous = (year, month, day);
        }
        assert_eq!(civil_from_days(0), (1970, 1, 1));
        assert_eq!(civil_from_days(i64::from(DAYS_1970_TO_2000)), (2000, 1, 1));
    }

    #[test]
    fn days_that_do_not_exist() {
        assert_eq!(days_from_civil(2023, 2, 29), None);
        assert_eq!(days_from_civil(1900, 2, 29), None);
        assert_eq!(days_from_civil(2024, 13, 1), None);
        assert_eq!(days_from_civil(2024, 4, 31), None);
    }
}
