//! When the server must hear from us. Pure: it is told what happened and when.
//!
//! A walsender that hears nothing for `wal_sender_timeout` closes the connection without a word. It asks for a reply
//! at half of that, but we may not be reading then, so a status goes out at a third of it whatever else happens.

use std::time::{Duration, Instant};

use walhouse_change::Lsn;

/// How often a status goes out when the server has no timeout, and at most when it has a long one.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);
/// An acknowledgement waits at most this long for company.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_millis(50);
/// Empty batches, which only move the progress, come at most this often unless the server asks.
pub(super) const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Keeps the time of a session.
#[derive(Debug)]
pub(super) struct Clock {
    timeout: Option<Duration>,
    sent: Option<Instant>,
    sent_flush: Lsn,
    heard: Option<Instant>,
    asked: bool,
}

/// What the server must be told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// A status; `ask` wants an answer.
    Status {
        ask: bool,
    },
    /// Nothing came for so long that the server must be gone.
    Dead,
}

impl Clock {
    pub(super) const fn new(timeout: Option<Duration>) -> Self {
        Self { timeout, sent: None, sent_flush: Lsn::ZERO, heard: None, asked: false }
    }

    /// The longest time between two statuses.
    pub(super) fn silence(&self) -> Duration {
        self.timeout.map_or(LONGEST_SILENCE, |timeout| (timeout / 3).min(LONGEST_SILENCE))
    }

    pub(super) fn due(&self, now: Instant, acknowledged: Lsn, reply_requested: bool) -> Due {
        let heard = self.heard.map_or(Duration::ZERO, |heard| now.saturating_duration_since(heard));
        let quiet = self.timeout.filter(|&timeout| heard > timeout / 2);
        if let Some(timeout) = quiet {
            if heard > timeout * 2 {
                return Due::Dead;
            }
            if !self.asked {
                return Due::Status { ask: true };
            }
        }
        let since = self.sent.map_or(Duration::MAX, |sent| now.saturating_duration_since(sent));
        let news = acknowledged > self.sent_flush && since >= ACKNOWLEDGE_WITHIN;
        if reply_requested || news || since >= self.silence() { Due::Status { ask: false } } else { Due::Nothing }
    }

    pub(super) fn sent(&mut self, now: Instant, flush: Lsn, ask: bool) {
        self.sent = Some(now);
        self.sent_flush = flush;
        self.asked |= ask;
    }

    /// Something came, or we did not listen.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = Some(now);
        self.asked = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_at_a_third_and_asks_at_a_half() {
        let start = Instant::now();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut clock = Clock::new(Some(Duration::from_secs(6)));
        clock.heard(start);
        clock.sent(start, Lsn(5), false);
        assert_eq!(clock.due(at(1.9), Lsn(5), false), Due::Nothing);
        assert_eq!(clock.due(at(1.9), Lsn(6), false), Due::Status { ask: false });
        assert_eq!(clock.due(at(0.01), Lsn(6), false), Due::Nothing);
        assert_eq!(clock.due(at(0.01), Lsn(5), true), Due::Status { ask: false });
        assert_eq!(clock.due(at(2.0), Lsn(5), false), Due::Status { ask: false });
        assert_eq!(clock.due(at(3.1), Lsn(5), false), Due::Status { ask: true });
        clock.sent(at(3.1), Lsn(5), true);
        assert_eq!(clock.due(at(3.2), Lsn(5), false), Due::Nothing);
        assert_eq!(clock.due(at(12.1), Lsn(5), false), Due::Dead);
        clock.heard(at(12.1));
        assert_ne!(clock.due(at(12.2), Lsn(5), false), Due::Dead);
    }
}
