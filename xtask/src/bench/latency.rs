//! Commit to visible, measured from outside.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use walhouse_lab::house::House;
use walhouse_lab::latency::{self, Latency};
use walhouse_lab::postgres::{Server, Version};

/// What a reader of the current state sees, not the history.
const VIEW: &str = "view_latency_probe_last_rec";
const READY: Duration = Duration::from_secs(60);

#[derive(Debug, Serialize)]
pub(super) struct Figure {
    rows: u64,
    rate: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    goal_p99_ms: f64,
    /// A single row after ten seconds of quiet.
    after_quiet_ms: f64,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} single-row transactions at {}/s, commit to visible: p50 {:.1} ms, p99 {:.1} ms (goal below {} ms), \
             max {:.1} ms; one row after quiet {:.1} ms",
            self.rows, self.rate, self.p50_ms, self.p99_ms, self.goal_p99_ms, self.max_ms, self.after_quiet_ms
        )
    }
}

pub(super) async fn run(program: &Path, rate: f64, duration: Duration) -> Result<Figure> {
    let postgres = Server::builder().version(Version::for_tests()?).start().await?;
    let client = postgres.connect().await?;
    latency::create_probe(&client).await?;
    let mut house = House::builder(program, postgres.url()).start()?;
    house.ready(READY).await?;
    let clickhouse = clickhouse::Client::default().with_url(house.clickhouse_url());
    let options = latency::Options { rate, duration, target: VIEW.to_owned(), ..Default::default() };
    let steady = latency::measure(&client, &clickhouse, &options).await?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let one = latency::Options { rate: 1.0, duration: Duration::from_millis(500), ..options.clone() };
    let quiet: Latency = latency::measure(&client, &clickhouse, &one).await?;
    house.terminate(Duration::from_secs(20)).await?;
    Ok(Figure {
        rows: steady.micros.len(),
        rate,
        p50_ms: steady.milliseconds(0.5),
        p99_ms: steady.milliseconds(0.99),
        max_ms: steady.milliseconds(1.0),
        goal_p99_ms: 250.0,
        after_quiet_ms: quiet.milliseconds(1.0),
    })
}
