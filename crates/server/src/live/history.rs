//! The last hour in points: one a second for five minutes, one every ten seconds before that.
//! Bounded: some 660 points, whatever happens.

use std::collections::VecDeque;

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Overview;

/// Seconds that are kept as they are.
const FINE: usize = 300;
/// Seconds that become one point.
const COARSE_SECONDS: usize = 10;
/// The rest of an hour.
const COARSE: usize = (3600 - FINE) / COARSE_SECONDS;

/// One moment, or the mean (rates) and the worst (the rest) of ten seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Point {
    /// Milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// Rows received per second.
    pub rows_in: f64,
    /// Rows made durable per second.
    pub rows_out: f64,
    /// Bytes received per second.
    pub bytes_in: f64,
    /// Bytes made durable per second.
    pub bytes_out: f64,
    /// Log not yet durable, in bytes.
    pub lag_bytes: u64,
    /// Age of the oldest change not yet durable, in seconds.
    pub lag_seconds: f64,
    /// Commit to visible, median, in milliseconds.
    pub p50_ms: Option<f64>,
    /// Commit to visible, 99th percentile, in milliseconds.
    pub p99_ms: Option<f64>,
    /// Log kept by the source, in bytes.
    pub retained_bytes: u64,
}

impl Point {
    pub(super) fn of(overview: &Overview) -> Self {
        let (first, last) = (overview.arrows.first(), overview.arrows.last());
        Self {
            at_ms: overview.at_ms,
            rows_in: first.map_or(0.0, |arrow| arrow.rows_per_second),
            rows_out: last.map_or(0.0, |arrow| arrow.rows_per_second),
            bytes_in: first.and_then(|arrow| arrow.bytes_per_second).unwrap_or(0.0),
            bytes_out: last.and_then(|arrow| arrow.bytes_per_second).unwrap_or(0.0),
            lag_bytes: overview.arrows.iter().map(|arrow| arrow.lag_bytes).sum(),
            lag_seconds: overview.arrows.iter().map(|arrow| arrow.lag_seconds).fold(0.0, f64::max),
            p50_ms: last.and_then(|arrow| arrow.latency).map(|latency| latency.p50_ms),
            p99_ms: last.and_then(|arrow| arrow.latency).map(|latency| latency.p99_ms),
            retained_bytes: overview.wal.retained_bytes,
        }
    }

    /// At the time of the newest.
    fn condense(points: &[Self]) -> Self {
        let mean = |value: fn(&Self) -> f64| points.iter().map(value).sum::<f64>() / points.len().max(1) as f64;
        let worst = |value: fn(&Self) -> Option<f64>| points.iter().filter_map(value).reduce(f64::max);
        Self {
            at_ms: points.last().map_or(0, |point| point.at_ms),
            rows_in: mean(|point| point.rows_in),
            rows_out: mean(|point| point.rows_out),
            bytes_in: mean(|point| point.bytes_in),
            bytes_out: mean(|point| point.bytes_out),
            lag_bytes: points.iter().map(|point| point.lag_bytes).max().unwrap_or(0),
            lag_seconds: worst(|point| Some(point.lag_seconds)).unwrap_or(0.0),
            p50_ms: worst(|point| point.p50_ms),
            p99_ms: worst(|point| point.p99_ms),
            retained_bytes: points.iter().map(|point| point.retained_bytes).max().unwrap_or(0),
        }
    }
}

/// The points, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    coarse: VecDeque<Point>,
    fine: VecDeque<Point>,
}

impl History {
    pub(super) fn push(&mut self, point: Point) {
        self.fine.push_back(point);
        if self.fine.len() < FINE + COARSE_SECONDS {
            return;
        }
        let oldest: Vec<Point> = self.fine.drain(..COARSE_SECONDS).collect();
        self.coarse.push_back(Point::condense(&oldest));
        if self.coarse.len() > COARSE {
            self.coarse.pop_front();
        }
    }

    /// Points not older than `since_ms`.
    pub(super) fn since(&self, since_ms: i64) -> Vec<Point> {
        self.coarse.iter().chain(&self.fine).filter(|point| point.at_ms >= since_ms).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(second: i64) -> Point {
        Point { at_ms: second * 1000, rows_in: second as f64, lag_seconds: (second % 10) as f64, ..Point::default() }
    }

    #[test]
    fn keeps_an_hour_and_no_more() {
        let mut history = History::default();
        for second in 0..10_000 {
            history.push(point(second));
        }
        let points = history.since(0);
        assert!(points.len() <= FINE + COARSE_SECONDS + COARSE, "{}", points.len());
        assert!(points.is_sorted_by_key(|point| point.at_ms));
        let oldest = points.first().unwrap().at_ms;
        assert!((9_999_000 - 3_600_000..=9_999_000 - 3_590_000).contains(&oldest), "{oldest}");
        assert_eq!(history.since(9_999_000).len(), 1);
    }

    #[test]
    fn condenses_to_the_mean_rate_and_the_worst_lag() {
        let mut history = History::default();
        for second in 0..(FINE + COARSE_SECONDS) as i64 {
            history.push(point(second));
        }
        let first = *history.since(0).first().unwrap();
        assert_eq!((first.at_ms, first.rows_in, first.lag_seconds), (9_000, 4.5, 9.0));
    }
}
