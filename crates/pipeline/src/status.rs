//! The status board: the pipeline writes, everybody else reads a copy.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use walhouse_change::{Error, Lsn, Phase, TableName, TableState};

use crate::latency::{Latency, Window};
use crate::metrics;

/// What the pipeline does at the moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum PipelineState {
    /// Connects and decides.
    Starting,
    /// Copies tables.
    Copying,
    /// Follows the log.
    Live,
    /// Something is wrong that heals by waiting; it tries again.
    Waiting {
        /// `source`, `target` or `internal`.
        domain: String,
        /// What was attempted and found, with what mends it.
        error: String,
        /// Since when, in milliseconds since 1970-01-01 UTC.
        since_ms: i64,
        /// Failures since then.
        attempt: u32,
    },
    /// Was asked to stop: makes durable what it holds.
    Stopping,
    /// Ended by an error that does not heal by waiting.
    Failed {
        /// What was attempted and found, with what mends it.
        error: String,
    },
}

impl PipelineState {
    /// Names of all states, as in `name`.
    pub const NAMES: [&'static str; 6] = ["starting", "copying", "live", "waiting", "stopping", "failed"];

    /// Whether a silent target is news: the other states say more, or ask nothing of it.
    fn can_stall(&self) -> bool {
        matches!(self, Self::Starting | Self::Copying | Self::Live)
    }

    /// The state's name, one of [`Self::NAMES`].
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Copying => "copying",
            Self::Live => "live",
            Self::Waiting { .. } => "waiting",
            Self::Stopping => "stopping",
            Self::Failed { .. } => "failed",
        }
    }
}

/// One table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableStatus {
    /// Name in the source.
    pub name: TableName,
    /// Where it is.
    pub phase: Phase,
    /// Rows copied so far.
    pub rows_copied: u64,
    /// Estimate of the rows to copy.
    pub rows_estimated: u64,
    /// Changes that became visible since this process started.
    pub rows_streamed: u64,
    /// Commit time of the newest visible change, in microseconds since 1970-01-01 UTC.
    pub visible_commit_time: Option<i64>,
    /// How long that one took from commit to visible, in microseconds.
    #[serde(default)]
    pub visible_took: Option<u64>,
    /// Why it is stopped.
    pub error: Option<String>,
}

/// What went through since this process started: copied rows and changes of the log alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Rows that came from the source.
    pub rows_received: u64,
    /// Bytes of their values, as the source sent them.
    pub bytes_received: u64,
    /// Rows of those that are durable in the target.
    pub rows_durable: u64,
    /// Bytes of those that are durable in the target.
    pub bytes_durable: u64,
}

/// Everything there is to know at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// What the pipeline does.
    pub state: PipelineState,
    /// Its slot.
    pub slot: String,
    /// Everything up to here is stored as a checkpoint in the target.
    #[serde(with = "lsn_text")]
    pub checkpoint: Lsn,
    /// Everything up to here was received.
    #[serde(with = "lsn_text")]
    pub received: Lsn,
    /// Everything up to here is durable in the target.
    #[serde(with = "lsn_text")]
    pub durable: Lsn,
    /// End of the source's log when last seen.
    #[serde(with = "lsn_text")]
    pub current: Lsn,
    /// Log not yet durable in the target, in bytes.
    pub lag_bytes: u64,
    /// Age of the oldest change that is received but not durable, in seconds; else 0.
    pub lag_seconds: f64,
    /// Log that the source keeps for the slot, in bytes.
    pub retained_bytes: u64,
    /// Commit to visible over the last 30 to 60 seconds.
    pub commit_to_visible: Option<Latency>,
    /// Commit to received over the last 30 to 60 seconds.
    #[serde(default)]
    pub commit_to_received: Option<Latency>,
    /// What went through so far.
    #[serde(default)]
    pub traffic: Traffic,
    /// Messages in a broker between the ends that the target has not read; none where there is no broker.
    #[serde(default)]
    pub waiting: Option<u64>,
    /// Tables in name order.
    pub tables: Vec<TableStatus>,
    /// Commit time (microseconds) of the oldest change that is received but not durable.
    #[serde(skip)]
    pub oldest_pending: Option<i64>,
    /// What goes on beneath a target that does not answer.
    #[serde(skip)]
    beneath: Option<PipelineState>,
}

impl Status {
    /// True when both ends are connected and every table is live, stopped with its own error, or
    /// paused.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let is_settled = |table: &TableStatus| matches!(table.phase, Phase::Live | Phase::Stopped | Phase::Paused);
        self.state == PipelineState::Live && self.tables.iter().all(is_settled)
    }

    fn compute_lag(&mut self, now: i64) {
        self.lag_bytes = self.current.max(self.received).bytes_since(self.durable);
        self.lag_seconds = self.oldest_pending.map_or(0.0, |oldest| (now - oldest).max(0) as f64 / 1e6);
    }

    /// Recomputes the lag and hands it to the metrics.
    pub(crate) fn report_lag(&mut self) {
        self.compute_lag(now_micros());
        metrics::lag(self.lag_bytes, self.lag_seconds);
    }

    fn empty(slot: String) -> Self {
        Self {
            state: PipelineState::Starting,
            slot,
            checkpoint: Lsn::ZERO,
            received: Lsn::ZERO,
            durable: Lsn::ZERO,
            current: Lsn::ZERO,
            lag_bytes: 0,
            lag_seconds: 0.0,
            retained_bytes: 0,
            commit_to_visible: None,
            commit_to_received: None,
            traffic: Traffic::default(),
            waiting: None,
            tables: Vec::new(),
            oldest_pending: None,
            beneath: None,
        }
    }
}

/// A handle on the board; clones show the same board.
#[derive(Clone)]
pub struct StatusBoard(Arc<Board>);

struct Board {
    status: watch::Sender<Status>,
    latency: Mutex<Window>,
    arrival: Mutex<Window>,
}

impl StatusBoard {
    /// The board of the pipeline that has this slot.
    pub fn new(slot: impl Into<String>) -> Self {
        let window = || Mutex::new(Window::new(now_micros()));
        let status = watch::Sender::new(Status::empty(slot.into()));
        Self(Arc::new(Board { status, latency: window(), arrival: window() }))
    }

    /// What the board shows now.
    #[must_use]
    pub fn read(&self) -> Status {
        let mut status = self.0.status.borrow().clone();
        let now = now_micros();
        status.compute_lag(now);
        status.commit_to_visible = self.0.latency.lock().unwrap_or_else(PoisonError::into_inner).read(now);
        status.commit_to_received = self.0.arrival.lock().unwrap_or_else(PoisonError::into_inner).read(now);
        status
    }

    /// True when both ends are connected and every table is live or stopped.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.status.borrow().is_ready()
    }

    /// Waits until the board shows what `wanted` asks for, and returns it.
    pub async fn wait_for(&self, wanted: impl FnMut(&Status) -> bool) -> Status {
        let mut changes = self.0.status.subscribe();
        // The board holds the sender, so the channel cannot close under us.
        let _ = changes.wait_for(wanted).await;
        self.read()
    }

    /// Shows what the pipe does. For who watches a pipe that other programs run; a pipeline does it itself.
    pub fn enter(&self, state: PipelineState) {
        self.0.status.send_modify(|status| {
            if status.beneath.is_some() && state.can_stall() {
                status.beneath = Some(state);
                return;
            }
            status.beneath = None;
            metrics::state(&state);
            status.state = state;
        });
    }

    /// Shows that the target does not answer, for as long as what goes on needs it. Nothing else changes.
    pub(crate) fn stall(&self, error: &Error) {
        let message = error.one_line();
        self.0.status.send_if_modified(|status| {
            if matches!(&status.state, PipelineState::Waiting { error, .. } if *error == message) {
                return false;
            }
            let (beneath, since_ms) = match (&status.state, status.beneath.take()) {
                (PipelineState::Waiting { since_ms, .. }, Some(beneath)) => (beneath, *since_ms),
                (state, None) if state.can_stall() => (state.clone(), now_micros() / 1000),
                _ => return false,
            };
            let domain = metrics::domain_label(error.domain()).to_owned();
            tracing::warn!(domain, error = %message, "waiting for an answer");
            status.state = PipelineState::Waiting { domain, error: message, since_ms, attempt: 0 };
            metrics::state(&status.state);
            status.beneath = Some(beneath);
            true
        });
    }

    /// The target answers, or nothing is asked of it.
    pub(crate) fn goes_on(&self) {
        self.0.status.send_if_modified(|status| {
            let Some(beneath) = status.beneath.take() else { return false };
            if let PipelineState::Waiting { since_ms, .. } = status.state {
                tracing::info!(after_ms = now_micros() / 1000 - since_ms, "the target answers again");
            }
            metrics::state(&beneath);
            status.state = beneath;
            true
        });
    }

    /// Changes what is shown. For who watches a pipe that other programs run; a pipeline does it itself.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        self.0.status.send_modify(change);
    }

    /// Replaces the list of tables; counters of this process' life go on.
    pub(crate) fn show_tables(&self, tables: impl Iterator<Item = (TableState, u64)>) {
        self.update(|status| {
            let before = std::mem::take(&mut status.tables);
            status.tables = tables
                .map(|(state, rows_estimated)| {
                    let old = before.iter().find(|table| table.name == state.name);
                    TableStatus {
                        rows_streamed: old.map_or(0, |table| table.rows_streamed),
                        visible_commit_time: old.and_then(|table| table.visible_commit_time),
                        visible_took: old.and_then(|table| table.visible_took),
                        name: state.name,
                        phase: state.phase,
                        rows_copied: state.rows_copied,
                        rows_estimated,
                        error: state.error,
                    }
                })
                .collect();
        });
    }

    /// Shows a table's new state.
    pub(crate) fn show_table(&self, state: &TableState) {
        self.table(&state.name, |table| {
            table.phase = state.phase.clone();
            table.rows_copied = state.rows_copied;
            table.error.clone_from(&state.error);
        });
    }

    /// Adds a batch that came from the source; of the log's, with its newest commit's time.
    pub(crate) fn received(&self, rows: u64, bytes: u64, commit_time: Option<i64>) {
        if let Some(commit_time) = commit_time {
            let now = now_micros();
            let took = u64::try_from(now - commit_time).unwrap_or(0);
            self.0.arrival.lock().unwrap_or_else(PoisonError::into_inner).record(now, took);
        }
        self.update(|status| {
            status.traffic.rows_received += rows;
            status.traffic.bytes_received += bytes;
        });
    }

    /// Adds a batch that became durable.
    pub(crate) fn durable(&self, rows: u64, bytes: u64) {
        self.update(|status| {
            status.traffic.rows_durable += rows;
            status.traffic.bytes_durable += bytes;
        });
    }

    /// Adds copied rows.
    pub(crate) fn copied(&self, table: &TableName, rows: u64) {
        self.table(table, |table| table.rows_copied += rows);
    }

    /// Adds rows that became visible, the newest of them committed at `commit_time`.
    pub fn visible(&self, table: &TableName, rows: u64, commit_time: i64) {
        let now = now_micros();
        let latency = u64::try_from(now - commit_time).unwrap_or(0);
        self.0.latency.lock().unwrap_or_else(PoisonError::into_inner).record(now, latency);
        metrics::visible(latency);
        self.table(table, |table| {
            table.rows_streamed += rows;
            table.visible_commit_time = table.visible_commit_time.max(Some(commit_time));
            table.visible_took = Some(latency);
        });
    }

    fn table(&self, name: &TableName, change: impl FnOnce(&mut TableStatus)) {
        self.update(|status| {
            let found = status.tables.binary_search_by(|table| table.name.cmp(name));
            if let Some(table) = found.ok().and_then(|index| status.tables.get_mut(index)) {
                change(table);
            }
        });
    }
}

impl fmt::Debug for StatusBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.read(), f)
    }
}

/// Microseconds since 1970-01-01 UTC; 0 on a machine whose clock is before that.
pub(crate) fn now_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// LSNs as Postgres prints them.
mod lsn_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use walhouse_change::Lsn;

    pub(super) fn serialize<S: Serializer>(lsn: &Lsn, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(lsn)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Lsn, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_when_live_and_every_table_settled() {
        let board = StatusBoard::new("s");
        let mut table = TableState::pending(TableName::new("public", "t"), 1);
        board.show_tables(std::iter::once((table.clone(), 10)));
        assert!(!board.is_ready());
        board.enter(PipelineState::Live);
        assert!(!board.is_ready(), "a table is pending");
        for phase in [Phase::Live, Phase::Stopped, Phase::Paused] {
            table.phase = phase;
            board.show_table(&table);
            assert!(board.is_ready());
        }
        board.enter(PipelineState::Stopping);
        assert!(!board.is_ready());
    }

    #[test]
    fn keeps_counting_across_a_new_plan() {
        let board = StatusBoard::new("s");
        let table = TableState::pending(TableName::new("public", "t"), 1);
        board.show_tables(std::iter::once((table.clone(), 10)));
        board.visible(&table.name, 3, now_micros());
        board.copied(&table.name, 2);
        board.show_tables(std::iter::once((table, 10)));
        let status = board.read();
        let shown = status.tables.first().unwrap();
        assert_eq!((shown.rows_streamed, shown.rows_copied), (3, 0));
        assert_eq!(status.commit_to_visible.unwrap().count, 1);
    }

    #[test]
    fn counts_what_goes_through() {
        let board = StatusBoard::new("s");
        board.received(3, 100, Some(now_micros() - 5_000));
        board.received(2, 50, None);
        board.durable(3, 100);
        let status = board.read();
        let expected = Traffic { rows_received: 5, bytes_received: 150, rows_durable: 3, bytes_durable: 100 };
        assert_eq!(status.traffic, expected);
        let latency = status.commit_to_received.unwrap();
        assert!(latency.count == 1 && latency.p50_ms >= 4.9, "{latency:?}");
    }
}
