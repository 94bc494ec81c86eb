//! When the log that the source keeps for us would hit a limit.

use std::collections::VecDeque;

use crate::api::{Wal, WalLimit};
use crate::ports::WalFacts;

/// The growth is measured over this long: shorter, and each checkpoint of ours looks like a trend.
const WINDOW_MS: i64 = 60_000;
/// Before this long there is no rate worth telling.
const LEAST_MS: i64 = 10_000;

/// Remembers how much was retained when.
#[derive(Debug, Default)]
pub(crate) struct Forecast {
    seen: VecDeque<(i64, u64)>,
}

impl Forecast {
    /// `retained_bytes` is what the pipeline saw last; `facts`, where there are some, are newer.
    pub(super) fn tell(&mut self, now_ms: i64, retained_bytes: u64, facts: Option<&WalFacts>) -> Wal {
        let retained_bytes = facts.map_or(retained_bytes, |facts| facts.retained_bytes);
        self.seen.push_back((now_ms, retained_bytes));
        while self.seen.front().is_some_and(|&(at, _)| now_ms - at > WINDOW_MS) {
            self.seen.pop_front();
        }
        let growth = self.growth();
        let first = facts.and_then(first_limit);
        let full_in_seconds = first.and_then(|(limit, _)| {
            let room = limit.saturating_sub(retained_bytes) as f64;
            (growth > 0.0).then(|| room / growth)
        });
        let mut wal = Wal {
            retained_bytes,
            growth_bytes_per_second: growth,
            limit_bytes: first.map(|(limit, _)| limit),
            limit: first.map(|(_, which)| which),
            full_in_seconds,
            sentence: String::new(),
        };
        wal.sentence = sentence(&wal);
        wal
    }

    /// Bytes per second over the window.
    fn growth(&self) -> f64 {
        let (Some(&(then, before)), Some(&(now, after))) = (self.seen.front(), self.seen.back()) else { return 0.0 };
        if now - then < LEAST_MS {
            return 0.0;
        }
        (after as f64 - before as f64) * 1000.0 / (now - then) as f64
    }
}

/// The smaller one, in bytes of retained log.
fn first_limit(facts: &WalFacts) -> Option<(u64, WalLimit)> {
    let keep = facts.keep_limit_bytes.map(|limit| (limit, WalLimit::MaxSlotWalKeepSize));
    let disk = facts.disk_free_bytes.map(|free| (facts.retained_bytes.saturating_add(free), WalLimit::Disk));
    keep.into_iter().chain(disk).min_by_key(|&(limit, _)| limit)
}

fn sentence(wal: &Wal) -> String {
    let kept = format!("Postgres keeps {} of log for us", bytes(wal.retained_bytes));
    let name = match wal.limit {
        None => return format!("{kept}; no limit is set"),
        Some(WalLimit::MaxSlotWalKeepSize) => "max_slot_wal_keep_size",
        Some(WalLimit::Disk) => "the end of its disk",
    };
    let limit = bytes(wal.limit_bytes.unwrap_or(0));
    match wal.full_in_seconds {
        Some(seconds) => format!("{kept}; at this rate it reaches {name} ({limit}) in {}", duration(seconds)),
        None => format!("{kept} of {limit} up to {name}, and it does not grow"),
    }
}

/// A size for people.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = "bytes";
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "bytes" { format!("{bytes} bytes") } else { format!("{value:.1} {unit}") }
}

/// A time for people.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} minutes", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} hours", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn facts(retained: u64, keep: Option<u64>, free: Option<u64>) -> WalFacts {
        WalFacts { retained_bytes: retained, keep_limit_bytes: keep, disk_free_bytes: free, ..WalFacts::default() }
    }

    #[test]
    fn foretells_the_first_limit() {
        let mut forecast = Forecast::default();
        for second in 0..=30 {
            let wal =
                forecast.tell(second * 1000, 0, Some(&facts(second as u64 * MIB, Some(90 * MIB), Some(500 * MIB))));
            if second < 10 {
                assert_eq!(wal.full_in_seconds, None, "too early to tell");
            }
            if second == 30 {
                assert_eq!(wal.limit, Some(WalLimit::MaxSlotWalKeepSize));
                assert!((wal.full_in_seconds.unwrap() - 60.0).abs() < 0.1, "{wal:?}");
                assert_eq!(
                    wal.sentence,
                    "Postgres keeps 30.0 MiB of log for us; at this rate it reaches max_slot_wal_keep_size (90.0 MiB) in 60 s"
                );
            }
        }
        let wal = forecast.tell(31_000, 0, Some(&facts(31 * MIB, None, Some(10 * MIB))));
        assert_eq!((wal.limit, wal.limit_bytes), (Some(WalLimit::Disk), Some(41 * MIB)));
    }

    #[test]
    fn says_when_it_does_not_grow_or_has_no_limit() {
        let mut forecast = Forecast::default();
        assert_eq!(forecast.tell(0, 5, None).sentence, "Postgres keeps 5 bytes of log for us; no limit is set");
        let wal = forecast.tell(20_000, 0, Some(&facts(5, Some(MIB), None)));
        assert_eq!(wal.full_in_seconds, None);
        assert!(wal.sentence.contains("does not grow"), "{}", wal.sentence);
    }

    #[test]
    fn speaks_of_time_as_people_do() {
        let spoken: Vec<String> = [0.21, 42.0, 600.0, 18_000.0, 864_000.0].into_iter().map(duration).collect();
        assert_eq!(spoken, ["0.2 s", "42 s", "10 minutes", "5 hours", "10 days"]);
    }
}
