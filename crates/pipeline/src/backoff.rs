//! Waits between attempts: doubled each time, with jitter, so that many pipelines do not knock
//! at a server that came back in the same instant.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// The waits of one series of failures.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    attempt: u32,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration, seed: Option<u64>) -> Self {
        // The standard library's hash keys are the randomness at hand without a dependency.
        let random = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish()) | 1;
        Self { min, max, attempt: 0, random }
    }

    /// Number of failures since the last [`Self::reset`].
    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Counts a failure and says how long to wait: half of the doubled wait, plus up to as much.
    pub(crate) fn next(&mut self) -> Duration {
        // 2^20 times the first wait is beyond any sensible longest wait.
        let doubled = self.min.saturating_mul(1 << self.attempt.min(20)).min(self.max);
        self.attempt += 1;
        let half = doubled / 2;
        half + half.mul_f64(self.uniform())
    }

    /// Starts anew after an attempt that went well.
    pub(crate) fn reset(&mut self) {
        self.attempt = 0;
    }

    /// xorshift64, as a number in 0..1.
    fn uniform(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_bound_and_starts_anew() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(15));
        let mut backoff = Backoff::new(min, max, Some(7));
        for attempt in 0..40 {
            let full = min.saturating_mul(1 << attempt.min(20)).min(max);
            let wait = backoff.next();
            assert!(wait >= full / 2 && wait <= full, "attempt {attempt}: {wait:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= min);
    }
}
