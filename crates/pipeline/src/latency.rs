//! Commit-to-visible times of the recent past.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Length of one window; what is shown covers the current and the one before.
const WINDOW_MICROS: i64 = 30_000_000;
/// An hour: beyond it, only "very late" matters.
const LONGEST_MICROS: u64 = 3_600_000_000;
/// Two digits tell 1.0 s from 1.1 s and keep a histogram at some 25 KiB.
const DIGITS: u8 = 2;

/// Quantiles of commit-to-visible over the last 30 to 60 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Median in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile in milliseconds.
    pub p99_ms: f64,
    /// Number of measurements.
    pub count: u64,
}

/// Two histograms, the older thrown away at every turn of the window.
#[derive(Debug)]
pub(crate) struct Window {
    current: Option<Histogram<u64>>,
    previous: Option<Histogram<u64>>,
    began: i64,
}

impl Window {
    pub(crate) fn new(now_micros: i64) -> Self {
        Self { current: histogram(), previous: histogram(), began: now_micros }
    }

    pub(crate) fn record(&mut self, now_micros: i64, latency_micros: u64) {
        self.turn(now_micros);
        if let Some(current) = &mut self.current {
            current.saturating_record(latency_micros.clamp(1, LONGEST_MICROS));
        }
    }

    pub(crate) fn read(&mut self, now_micros: i64) -> Option<Latency> {
        self.turn(now_micros);
        let mut both = self.current.clone()?;
        both.add(self.previous.as_ref()?).ok()?;
        let millis = |quantile| both.value_at_quantile(quantile) as f64 / 1000.0;
        (!both.is_empty()).then(|| Latency { p50_ms: millis(0.5), p99_ms: millis(0.99), count: both.len() })
    }

    fn turn(&mut self, now_micros: i64) {
        let windows = now_micros.saturating_sub(self.began) / WINDOW_MICROS;
        if windows == 0 {
            return;
        }
        std::mem::swap(&mut self.current, &mut self.previous);
        self.current.iter_mut().for_each(Histogram::reset);
        if windows > 1 {
            self.previous.iter_mut().for_each(Histogram::reset);
        }
        self.began = now_micros;
    }
}

/// The bounds are right, so there always is one; were they not, nothing would be shown.
fn histogram() -> Option<Histogram<u64>> {
    Histogram::new_with_bounds(1, LONGEST_MICROS, DIGITS).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_after_two_windows() {
        let mut window = Window::new(0);
        window.record(1, 5_000);
        window.record(2, 7_000);
        let shown = window.read(3).unwrap();
        assert_eq!(shown.count, 2);
        assert!((4.9..5.1).contains(&shown.p50_ms) && (6.9..7.1).contains(&shown.p99_ms), "{shown:?}");
        assert!(window.read(WINDOW_MICROS + 1).is_some());
        assert!(window.read(2 * WINDOW_MICROS + 2).is_none());
    }
}
