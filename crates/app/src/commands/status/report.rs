//! What `status` shows, for a person and as JSON.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use walhouse_change::{Lsn, Phase, TableState};
use walhouse_pipeline::{PipelineState, Status};
use walhouse_postgres::SlotFacts;

/// Everything. LSNs as Postgres prints them, times in RFC 3339.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) slot: String,
    /// Whether a walhouse with this slot answers on the console's address.
    running: bool,
    /// A running process' state; `stopped` otherwise.
    state: &'static str,
    /// Why it waits.
    error: Option<String>,
    /// Everything up to here is durable in ClickHouse.
    applied_lsn: Option<String>,
    /// End of the source's log.
    source_lsn: Option<String>,
    lag_bytes: Option<u64>,
    lag_seconds: Option<f64>,
    /// Log that the source keeps for the slot.
    retained_bytes: Option<u64>,
    pub(super) tables: Vec<Line>,
    /// What could not be found out.
    pub(super) notes: Vec<String>,
    #[serde(skip)]
    applied: Option<Lsn>,
    #[serde(skip)]
    current: Option<Lsn>,
}

/// One table.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    table: String,
    phase: Phase,
    rows_copied: u64,
    /// Everything up to here is in the table.
    applied_lsn: Option<String>,
    /// Commit time of the newest change in the table.
    applied_time: Option<String>,
    lag_bytes: Option<u64>,
    lag_seconds: Option<f64>,
    error: Option<String>,
    #[serde(skip)]
    newest_ms: Option<i64>,
}

impl Line {
    /// From the stored state and the newest change's commit time in milliseconds.
    pub(super) fn stored(table: &TableState, newest_ms: Option<i64>) -> Self {
        Self::new(table.name.to_string(), table.phase.clone(), table.rows_copied, table.error.clone(), newest_ms)
    }

    fn new(table: String, phase: Phase, rows_copied: u64, error: Option<String>, newest_ms: Option<i64>) -> Self {
        Self {
            table,
            phase,
            rows_copied,
            applied_lsn: None,
            applied_time: newest_ms.and_then(text_of_time),
            lag_bytes: None,
            lag_seconds: None,
            error,
            newest_ms,
        }
    }
}

impl Report {
    pub(super) fn new(slot: &str) -> Self {
        Self {
            slot: slot.to_owned(),
            running: false,
            state: "stopped",
            error: None,
            applied_lsn: None,
            source_lsn: None,
            lag_bytes: None,
            lag_seconds: None,
            retained_bytes: None,
            tables: Vec::new(),
            notes: Vec::new(),
            applied: None,
            current: None,
        }
    }

    /// Shows what a running process says of itself.
    pub(super) fn show_live(&mut self, status: &Status) {
        self.running = true;
        self.state = status.state.name();
        self.error = match &status.state {
            PipelineState::Waiting { error, .. } | PipelineState::Failed { error } => Some(error.clone()),
            _ => None,
        };
        self.show_checkpoint(status.durable.max(status.checkpoint));
        self.current = Some(status.current.max(status.received)).filter(|lsn| !lsn.is_zero());
        self.retained_bytes = Some(status.retained_bytes);
        self.tables = status
            .tables
            .iter()
            .map(|table| {
                let newest_ms = table.visible_commit_time.map(|micros| micros.div_euclid(1000));
                let error = table.error.clone();
                Line::new(table.name.to_string(), table.phase.clone(), table.rows_copied, error, newest_ms)
            })
            .collect();
        self.fill(Some(status.lag_bytes), Some(status.lag_seconds));
    }

    pub(super) fn show_source(&mut self, slot: Option<&SlotFacts>, current: Lsn) {
        self.current = Some(current);
        match slot {
            Some(slot) => {
                self.retained_bytes = Some(slot.retained);
                if let Some(reason) = &slot.invalidation {
                    self.notes.push(format!("slot {} is lost: {reason}", self.slot));
                }
                if let Some(pid) = slot.active_pid {
                    self.notes.push(format!("slot {} is in use by the server process {pid}", self.slot));
                }
            }
            None => self.notes.push(format!("there is no slot {}", self.slot)),
        }
    }

    pub(super) fn show_checkpoint(&mut self, lsn: Lsn) {
        self.applied = Some(lsn).filter(|lsn| !lsn.is_zero());
    }

    /// Works the lag out without a process that knows it: by the age of the newest change there is.
    pub(super) fn finish(&mut self, now_ms: i64) {
        let bytes = self.applied.zip(self.current).map(|(applied, current)| current.bytes_since(applied));
        let newest = self.tables.iter().filter_map(|table| table.newest_ms).max();
        let age = |newest: i64| (now_ms - newest).max(0) as f64 / 1e3;
        let seconds = match bytes {
            Some(0) => Some(0.0),
            Some(_) => newest.map(age),
            None => None,
        };
        self.fill(bytes, seconds);
    }

    /// A live table holds everything up to the pipeline's own position, and lags as it does.
    fn fill(&mut self, bytes: Option<u64>, seconds: Option<f64>) {
        (self.lag_bytes, self.lag_seconds) = (bytes, seconds);
        self.applied_lsn = self.applied.map(|lsn| lsn.to_string());
        self.source_lsn = self.current.map(|lsn| lsn.to_string());
        for table in self.tables.iter_mut().filter(|table| table.phase == Phase::Live) {
            table.applied_lsn.clone_from(&self.applied_lsn);
            (table.lag_bytes, table.lag_seconds) = (bytes, seconds);
        }
    }
}

/// Milliseconds since 1970-01-01 UTC.
pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn text_of_time(milliseconds: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000).ok()?.format(&Rfc3339).ok()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let bytes = |value: Option<u64>| or_dash(value.map(|bytes| bytes.to_string()));
        let seconds = |value: Option<f64>| or_dash(value.map(|seconds| format!("{seconds:.1}")));
        writeln!(f, "slot {}: {}", self.slot, self.state)?;
        if let Some(error) = &self.error {
            writeln!(f, "  {error}")?;
        }
        writeln!(
            f,
            "applied {} of {}, lag {} bytes, {} s; the source keeps {} bytes of log for the slot",
            or_dash(self.applied_lsn.clone()),
            or_dash(self.source_lsn.clone()),
            bytes(self.lag_bytes),
            seconds(self.lag_seconds),
            bytes(self.retained_bytes),
        )?;
        let width = self.tables.iter().map(|table| table.table.len()).max().unwrap_or(0).max("table".len());
        if !self.tables.is_empty() {
            writeln!(
                f,
                "{:<width$}  {:<8} {:>12} {:>12} {:>10} {:>8}  newest change",
                "table", "phase", "rows copied", "applied", "lag bytes", "lag s"
            )?;
        }
        for table in &self.tables {
            writeln!(
                f,
                "{:<width$}  {:<8} {:>12} {:>12} {:>10} {:>8}  {}",
                table.table,
                phase_name(&table.phase),
                table.rows_copied,
                or_dash(table.applied_lsn.clone()),
                bytes(table.lag_bytes),
                seconds(table.lag_seconds),
                or_dash(table.applied_time.clone()),
            )?;
            if let Some(error) = &table.error {
                writeln!(f, "{:<width$}  {error}", "")?;
            }
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

fn phase_name(phase: &Phase) -> &'static str {
    match phase {
        Phase::Pending => "pending",
        Phase::Copying => "copying",
        Phase::Live => "live",
        Phase::Stopped => "stopped",
        Phase::Paused => "paused",
    }
}

#[cfg(test)]
mod tests {
    use walhouse_change::TableName;

    use super::*;

    fn report() -> Report {
        let mut report = Report::new("shop");
        report.show_source(None, Lsn(0x3000));
        report.show_checkpoint(Lsn(0x1000));
        let mut table = TableState::pending(TableName::new("public", "sales"), 1);
        (table.phase, table.rows_copied) = (Phase::Live, 500);
        report.tables.push(Line::stored(&table, Some(1_700_000_000_000)));
        (table.phase, table.error) = (Phase::Stopped, Some("no key".to_owned()));
        table.name.name = "customer_history".to_owned();
        report.tables.push(Line::stored(&table, None));
        report.finish(1_700_000_002_500);
        report
    }

    #[test]
    fn for_a_person() {
        insta::assert_snapshot!(report().to_string());
    }

    #[test]
    fn as_json() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&report()).unwrap());
    }

    #[test]
    fn nothing_is_known_yet() {
        let mut report = Report::new("shop");
        report.finish(0);
        assert_eq!(report.to_string().lines().count(), 2);
        assert_eq!((report.lag_bytes, report.lag_seconds), (None, None));
    }
}
