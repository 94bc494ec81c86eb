//! What the pipeline lets its user choose; the ends have settings of their own.

use std::time::Duration;

/// Settings of one pipeline.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The slot's name, for messages and what mends them.
    pub slot: String,
    /// Parts of tables that are copied at the same time.
    pub copy_workers: usize,
    /// A checkpoint is stored, and then acknowledged, at most this often.
    pub checkpoint_interval: Duration,
    /// How often a live pipeline looks at the source's catalog for new tables and its lag.
    pub survey_interval: Duration,
    /// A drain that was asked for by the user gives up after this time; what is not durable by
    /// then is sent again by the source at the next start.
    pub drain_deadline: Duration,
    /// How long a drained source is kept, so that it can send its last acknowledgement.
    pub farewell: Duration,
    /// A target that owes an answer for longer is shown as waited for.
    pub target_patience: Duration,
    /// First wait before a retry; doubled up to `backoff_max`.
    pub backoff_min: Duration,
    /// Longest wait before a retry.
    pub backoff_max: Duration,
    /// Seed of the waits' jitter; `None` takes one from the operating system.
    pub jitter_seed: Option<u64>,
}

impl Settings {
    /// Settings that suit a server, for the slot of this name.
    pub fn new(slot: impl Into<String>) -> Self {
        Self {
            slot: slot.into(),
            // Two keep a pair of cores busy with decoding and encoding; a server has more.
            copy_workers: std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8),
            // One tiny row a second is cheap for the target, and a crash replays one second.
            checkpoint_interval: Duration::from_secs(1),
            survey_interval: Duration::from_secs(30),
            // The program promises to end within 10 s; the rest is for the edges to close.
            drain_deadline: Duration::from_secs(8),
            farewell: Duration::from_millis(200),
            // Long for an insert on a busy server, and an operator sees it within ten seconds.
            target_patience: Duration::from_secs(6),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(15),
            jitter_seed: None,
        }
    }
}
