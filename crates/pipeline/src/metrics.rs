//! Every metric of the pipeline: its name, its labels and what it means, in this file only.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use walhouse_change::Domain;

use crate::status::PipelineState;

/// Rows handed to the target. Label `phase`: `copy`, `stream`.
const ROWS: &str = "walhouse_rows_total";
/// Bytes of values handed to the target, as the source sent them. Label `phase`.
const BYTES: &str = "walhouse_bytes_total";
/// Batches handed to the target. Label `phase`.
const BATCHES: &str = "walhouse_batches_total";
const LAG_BYTES: &str = "walhouse_lag_bytes";
const LAG_SECONDS: &str = "walhouse_lag_seconds";
const COMMIT_TO_VISIBLE: &str = "walhouse_commit_to_visible_seconds";
const RETAINED: &str = "walhouse_slot_retained_bytes";
/// 1 for the state the pipeline is in, 0 for the others. Label `state`.
const STATE: &str = "walhouse_state";
/// Label `domain`: `source`, `target`, `internal`.
const FAILURES: &str = "walhouse_failures_total";

/// Which way rows took.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Copy,
    Stream,
}

impl Way {
    fn label(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Stream => "stream",
        }
    }
}

/// Tells the recorder what each metric means. Call it once, after a recorder is installed.
pub fn describe() {
    describe_counter!(ROWS, Unit::Count, "rows handed to the target");
    describe_counter!(BYTES, Unit::Bytes, "bytes of values handed to the target, as the source sent them");
    describe_counter!(BATCHES, Unit::Count, "batches handed to the target");
    describe_counter!(FAILURES, Unit::Count, "attempts that ended with an error");
    describe_gauge!(LAG_BYTES, Unit::Bytes, "log of the source that is not yet durable in the target");
    describe_gauge!(LAG_SECONDS, Unit::Seconds, "age of the oldest change received but not yet durable, else 0");
    describe_gauge!(RETAINED, Unit::Bytes, "log that the source keeps for the slot");
    describe_gauge!(STATE, "1 for the state the pipeline is in, 0 for the others");
    describe_histogram!(COMMIT_TO_VISIBLE, Unit::Seconds, "from a row's commit to its being visible in the target");
}

pub(crate) fn batch(way: Way, rows: usize, bytes: usize) {
    let phase = way.label();
    counter!(ROWS, "phase" => phase).increment(rows as u64);
    counter!(BYTES, "phase" => phase).increment(bytes as u64);
    counter!(BATCHES, "phase" => phase).increment(1);
}

pub(crate) fn lag(bytes: u64, seconds: f64) {
    gauge!(LAG_BYTES).set(bytes as f64);
    gauge!(LAG_SECONDS).set(seconds);
}

pub(crate) fn retained(bytes: u64) {
    gauge!(RETAINED).set(bytes as f64);
}

pub(crate) fn visible(micros: u64) {
    histogram!(COMMIT_TO_VISIBLE).record(micros as f64 / 1e6);
}

pub(crate) fn failure(domain: Domain) {
    counter!(FAILURES, "domain" => domain_label(domain)).increment(1);
}

pub(crate) fn state(now: &PipelineState) {
    for name in PipelineState::NAMES {
        gauge!(STATE, "state" => name).set(if name == now.name() { 1.0 } else { 0.0 });
    }
}

pub(crate) fn domain_label(domain: Domain) -> &'static str {
    match domain {
        Domain::Source => "source",
        Domain::Target => "target",
        Domain::Internal => "internal",
    }
}
