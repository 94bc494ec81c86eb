//! How long from commit to visible, measured from outside.
//!
//! One connection commits single-row transactions at a steady rate into a probe table, and notes when each COMMIT
//! returned; another loop asks ClickHouse for the largest key, over and over, and notes when each first showed.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_postgres::Client;

use crate::clickhouse::{self as target, identifier};
use crate::error::{Attempt, Error, Result};

/// The probe table that [`create_probe`] makes.
pub const PROBE_TABLE: &str = "public.latency_probe";
/// Its target in ClickHouse, by default.
pub const PROBE_TARGET: &str = "latency_probe";
/// Pause between two looks at ClickHouse: well below what is measured, well above what a look costs.
const POLL_PAUSE: Duration = Duration::from_millis(2);
/// How long the last rows, and the first one, are waited for.
const ARRIVAL_PATIENCE: Duration = Duration::from_secs(60);
/// Longest latency that is counted as it is, in microseconds: ten minutes.
const MAX_MICROS: u64 = 600_000_000;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Transactions per second.
    pub rate: f64,
    /// How long.
    pub duration: Duration,
    /// Table of the source, as SQL: `id bigint PRIMARY KEY` and `sent_at timestamptz`.
    pub table: String,
    /// Where its rows show in the ClickHouse client's database.
    pub target: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { rate: 200.0, duration: Duration::from_secs(30), table: PROBE_TABLE.into(), target: PROBE_TARGET.into() }
    }
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Latency {
    /// Microseconds from the return of COMMIT to the first look that showed the row.
    pub micros: Histogram<u64>,
}

impl Latency {
    /// The latency below which this share of rows was, in milliseconds.
    pub fn milliseconds(&self, quantile: f64) -> f64 {
        Duration::from_micros(self.micros.value_at_quantile(quantile)).as_secs_f64() * 1_000.0
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "commit to visible, {} rows: p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
            self.micros.len(),
            self.milliseconds(0.5),
            self.milliseconds(0.9),
            self.milliseconds(0.99),
            self.milliseconds(1.0)
        )
    }
}

/// Creates [`PROBE_TABLE`] where it is not there: before the pipe starts, so that it is followed.
pub async fn create_probe(postgres: &Client) -> Result<()> {
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {PROBE_TABLE} (id bigint PRIMARY KEY, sent_at timestamptz DEFAULT CURRENT_TIMESTAMP)"
    );
    postgres.batch_execute(&sql).await.attempt("creating the probe table")
}

/// Measures. One row is sent and waited for first, which does not count: the target may have to be made.
///
/// # Errors
/// A database refuses or goes away, or rows do not arrive within a minute.
pub async fn measure(postgres: &Client, clickhouse: &clickhouse::Client, options: &Options) -> Result<Latency> {
    if !(options.rate.is_finite() && options.rate > 0.0) {
        return Err(Error::Invalid("the rate of a measurement is above zero".into()));
    }
    let insert = format!("INSERT INTO {} (id) VALUES ($1)", options.table);
    let insert = postgres.prepare(&insert).await.attempt("preparing the probe")?;
    let newest = format!("SELECT coalesce(max(id), 0) FROM {}", options.table);
    let newest: i64 = postgres.query_one(&newest, &[]).await.attempt("preparing the probe")?.get(0);
    let send = async |id: i64| postgres.execute(&insert, &[&id]).await.attempt("sending a probe").map(drop);

    send(newest + 1).await?;
    let arrival = tokio::time::timeout(ARRIVAL_PATIENCE, first_arrival(clickhouse, &options.target, newest + 1));
    arrival.await.map_err(|_| lost(1))?;

    let (sent, commits) = mpsc::channel(1024);
    let sender = async {
        let step = Duration::from_secs_f64(1.0 / options.rate);
        let end = Instant::now() + options.duration;
        let mut next = Instant::now();
        for id in newest + 2.. {
            if next >= end {
                break;
            }
            tokio::time::sleep_until(next).await;
            send(id).await?;
            if sent.send((id, Instant::now())).await.is_err() {
                break;
            }
            next += step;
        }
        drop(sent);
        Ok(())
    };
    let ((), latency) = tokio::try_join!(sender, watch(clickhouse, &options.target, commits))?;
    Ok(latency)
}

/// Looks until all committed rows have shown.
async fn watch(
    clickhouse: &clickhouse::Client,
    target_name: &str,
    mut commits: mpsc::Receiver<(i64, Instant)>,
) -> Result<Latency> {
    let micros = Histogram::new_with_bounds(1, MAX_MICROS, 3)
        .map_err(|error| Error::Invalid(format!("no such histogram: {error}")))?;
    let mut latency = Latency { micros };
    let mut pending = std::collections::VecDeque::new();
    let mut progress = Instant::now();
    let mut open = true;
    while open || !pending.is_empty() {
        let shown = largest_shown(clickhouse, target_name).await?;
        let seen = Instant::now();
        // What was committed up to here; a row may even show before its COMMIT returned to us.
        loop {
            match commits.try_recv() {
                Ok(commit) => pending.push_back(commit),
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    open = false;
                    break;
                }
            }
        }
        while let Some(&(id, committed)) = pending.front() {
            if id > shown {
                break;
            }
            let micros = u64::try_from((seen.saturating_duration_since(committed)).as_micros()).unwrap_or(MAX_MICROS);
            latency.micros.saturating_record(micros.clamp(1, MAX_MICROS));
            pending.pop_front();
            progress = seen;
        }
        if !pending.is_empty() && progress.elapsed() > ARRIVAL_PATIENCE {
            return Err(lost(pending.len()));
        }
        tokio::time::sleep(POLL_PAUSE).await;
    }
    Ok(latency)
}

/// The target may not be there yet, so failures count as not yet.
async fn first_arrival(clickhouse: &clickhouse::Client, target_name: &str, id: i64) {
    while !largest_shown(clickhouse, target_name).await.is_ok_and(|shown| shown >= id) {
        tokio::time::sleep(POLL_PAUSE).await;
    }
}

async fn largest_shown(clickhouse: &clickhouse::Client, target_name: &str) -> Result<i64> {
    let sql = format!("SELECT max(id) FROM {}", identifier(target_name));
    let rows = target::rows(clickhouse, &sql, "looking for probes").await?;
    let text = rows.first().and_then(|row| row.first()?.as_deref());
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}

fn lost(rows: usize) -> Error {
    Error::Timeout {
        waited_for: "the arrival of probes in ClickHouse".into(),
        seconds: ARRIVAL_PATIENCE.as_secs(),
        last: format!("{rows} rows are not there"),
    }
}
