//! What the screen shows, as the console's API tells it. Only what is used is read, and what is missing is nothing: a
//! walhouse of another version is shown as far as both agree.

use serde::Deserialize;

/// One look at a running walhouse.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) overview: Overview,
    pub(super) tables: Vec<Table>,
    /// Oldest first, one a second.
    pub(super) points: Vec<Point>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Overview {
    pub(super) at_ms: i64,
    pub(super) slot: String,
    pub(super) state: String,
    pub(super) health: Health,
    pub(super) stages: Vec<Stage>,
    pub(super) arrows: Vec<Arrow>,
    pub(super) wal: Wal,
    pub(super) tables: Counts,
    pub(super) copy: Option<Progress>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Health {
    /// `good`, `busy`, `warning`, `bad`.
    pub(super) level: String,
    pub(super) sentence: String,
    pub(super) cause: Option<String>,
    pub(super) advice: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Stage {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) level: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Arrow {
    pub(super) rows_per_second: f64,
    pub(super) bytes_per_second: Option<f64>,
    pub(super) lag_bytes: u64,
    pub(super) lag_seconds: f64,
    pub(super) latency: Option<Latency>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Latency {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Wal {
    pub(super) sentence: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    pub(super) total: usize,
    pub(super) live: usize,
    pub(super) copying: usize,
    pub(super) pending: usize,
    pub(super) stopped: usize,
    pub(super) paused: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    pub(super) rows: u64,
    pub(super) rows_estimated: u64,
    pub(super) fraction: f64,
    pub(super) rows_per_second: f64,
    pub(super) seconds_left: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) phase: String,
    pub(super) rows: Option<u64>,
    pub(super) rows_copied: u64,
    pub(super) rows_streamed: u64,
    pub(super) rows_per_second: f64,
    pub(super) progress: Option<Progress>,
    pub(super) last_change_ms: Option<i64>,
    pub(super) error: Option<String>,
    pub(super) advice: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Point {
    pub(super) rows_out: f64,
    pub(super) lag_seconds: f64,
    pub(super) p99_ms: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tables {
    pub(super) tables: Vec<Table>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct History {
    pub(super) points: Vec<Point>,
}
