//! The overview: the pipe as it is, what it does and whether that is well.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::live::{Live, Point};

/// Everything that the first look needs; computed once a second.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Overview {
    /// When it was so, in milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// The replication slot, which names the pipeline.
    pub slot: String,
    /// What the pipeline does.
    pub state: PipeState,
    /// Whether that is well, in words.
    pub health: Health,
    /// The pipe's stations in the order of the flow.
    pub stages: Vec<Stage>,
    /// `arrows[i]` leads from `stages[i]` to `stages[i + 1]`.
    pub arrows: Vec<Arrow>,
    /// The log that the source keeps for us.
    pub wal: Wal,
    /// How many tables are in which phase.
    pub tables: TableCounts,
    /// While tables are copied: all of them together.
    pub copy: Option<Progress>,
}

/// What the pipeline does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PipeState {
    /// Connects and decides.
    Starting,
    /// Copies tables.
    Copying,
    /// Follows the log.
    Live,
    /// Waits for something to heal and tries again.
    Waiting,
    /// Makes durable what it holds, then ends.
    Stopping,
    /// Ended by an error that does not heal by waiting.
    Failed,
}

/// How well it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Good,
    /// Under way to it: starting, copying, stopping.
    Busy,
    /// Data flows, and something needs attention.
    Warning,
    /// Data does not flow.
    Bad,
}

/// The state in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Health {
    /// How well it goes.
    pub level: Level,
    /// One plain sentence: `live, 0.2 s behind`.
    pub sentence: String,
    /// What is wrong.
    pub cause: Option<String>,
    /// The next step.
    pub advice: Option<String>,
    /// Since when it is so, in milliseconds since 1970-01-01 UTC.
    pub since_ms: Option<i64>,
}

/// What a station is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StageKind {
    /// The source.
    Postgres,
    /// This program.
    Walhouse,
    /// A broker between.
    Kafka,
    /// The target.
    Clickhouse,
}

/// One station of the pipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Stage {
    /// What it is.
    pub kind: StageKind,
    /// Its name: a database, a broker's address; never a user or a password.
    pub name: String,
    /// Whether it works.
    pub level: Level,
}

impl Stage {
    /// A station of which nothing is known yet.
    pub fn new(kind: StageKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into(), level: Level::Busy }
    }
}

/// What flows between two stations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Arrow {
    /// Rows in the last second.
    pub rows_per_second: f64,
    /// Bytes of their values in the last second; null where nobody counts them.
    pub bytes_per_second: Option<f64>,
    /// Log that has not passed this arrow, in bytes.
    pub lag_bytes: u64,
    /// Messages that have not passed this arrow, where it leads out of a broker.
    pub lag_messages: Option<u64>,
    /// Age of the oldest change that is waiting before this arrow, in seconds; 0 when none is.
    pub lag_seconds: f64,
    /// Time from a change's commit to its having passed, over the last 30 to 60 s; null without changes.
    pub latency: Option<Latency>,
}

/// Quantiles of a time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Latency {
    /// Median in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile in milliseconds.
    pub p99_ms: f64,
    /// How many measurements.
    pub count: u64,
}

/// Which limit of the log comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WalLimit {
    /// `max_slot_wal_keep_size`: beyond it the slot is lost, and with it the changes.
    MaxSlotWalKeepSize,
    /// The disk under the log: when it is full, Postgres stops.
    Disk,
}

/// The log that the source keeps for the slot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Wal {
    /// In bytes.
    pub retained_bytes: u64,
    /// How fast that grows (negative: shrinks), over the last minute or so.
    pub growth_bytes_per_second: f64,
    /// The first limit, in bytes of retained log; null when none is known.
    pub limit_bytes: Option<u64>,
    /// Which limit that is.
    pub limit: Option<WalLimit>,
    /// Time until the limit at the present growth; null when it does not grow or there is no limit.
    pub full_in_seconds: Option<f64>,
    /// The same in words.
    pub sentence: String,
}

/// How many tables are in which phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TableCounts {
    /// All.
    pub total: usize,
    /// Follow the log.
    pub live: usize,
    /// Are being copied.
    pub copying: usize,
    /// Wait for their copy.
    pub pending: usize,
    /// Are stopped by an error of their own.
    pub stopped: usize,
    /// Are paused by a user.
    pub paused: usize,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Progress {
    /// Rows copied.
    pub rows: u64,
    /// Estimate of all rows.
    pub rows_estimated: u64,
    /// 0 to 1; below 1 until it is done, whatever the estimate said.
    pub fraction: f64,
    /// Over the last seconds.
    pub rows_per_second: f64,
    /// At that rate; null before there is one.
    pub seconds_left: Option<f64>,
}

/// Time series of the last hour.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HistoryReply {
    /// Oldest first: one every 10 s, and one a second for the last five minutes.
    pub points: Vec<Point>,
}

/// How much of it.
#[derive(Debug, Deserialize, IntoParams)]
pub struct HistoryQuery {
    /// Seconds back from now; default and at most 3600.
    pub seconds: Option<u32>,
}

/// The overview.
#[utoipa::path(get, path = "/api/overview", tag = "overview", responses((status = 200, body = Overview)))]
pub(crate) async fn overview(State(live): State<Arc<Live>>) -> Json<Overview> {
    Json(live.frame().overview.clone())
}

/// Time series of the last hour.
#[utoipa::path(get, path = "/api/history", tag = "overview", params(HistoryQuery), responses((status = 200, body = HistoryReply)))]
pub(crate) async fn history(State(live): State<Arc<Live>>, Query(query): Query<HistoryQuery>) -> Json<HistoryReply> {
    let seconds = query.seconds.unwrap_or(u32::MAX);
    Json(HistoryReply { points: live.history(seconds) })
}
