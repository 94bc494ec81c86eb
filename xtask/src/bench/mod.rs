//! `cargo xtask bench`: three figures with their baselines, on this machine, in this run.
//!
//! - copy: the rate of the initial copy against `COPY t TO STDOUT (FORMAT binary)` read by psql into /dev/null;
//! - stream: rows that lie in the log already, against `pg_recvlogical` with pgoutput into /dev/null;
//! - latency: commit to visible, at a steady rate of single-row transactions;
//! - kafka: `walhouse connect` against real Connect workers with Debezium; only when asked for, see [`kafka`].
//!
//! Each figure is a whole process seen from outside: the clock starts when walhouse (or psql, or pg_recvlogical) is
//! started and stops when the last row is visible (or the program ends). Copy and stream are run in turn with their
//! baseline and the medians are compared, the copy after a run of each that does not count. Results go to `target/bench/<name>.json` as well.

mod copy;
mod kafka;
mod latency;
mod stream;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use walhouse_lab::house::House;

use crate::build;

/// Pause between two looks at the target: a look costs the engine a millisecond of what is measured.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only this one
    #[arg(value_enum)]
    only: Option<Which>,
    /// Rows of the copied table
    #[arg(long, default_value_t = 1_000_000)]
    copy_rows: u64,
    /// Rows that wait in the log
    #[arg(long, default_value_t = 500_000)]
    stream_rows: u64,
    /// How long the latency is measured
    #[arg(long, default_value_t = 30)]
    latency_seconds: u64,
    /// Single-row transactions a second while the latency is measured
    #[arg(long, default_value_t = 200.0)]
    latency_rate: f64,
    /// Runs of each side; medians are compared
    #[arg(long, default_value_t = 3)]
    runs: usize,
    #[command(flatten)]
    kafka: kafka::KafkaOptions,
    /// Measure the debug build (figures mean nothing then; CI checks that the command works)
    #[arg(long)]
    debug: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Copy,
    Stream,
    Latency,
    Kafka,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let program = build::walhouse(options.debug)?;
    let wanted = |which| options.only.is_none_or(|only| only == which);
    if wanted(Which::Copy) {
        report("copy", &copy::run(&program, options.copy_rows, options.runs).await?)?;
    }
    if wanted(Which::Stream) {
        report("stream", &stream::run(&program, options.stream_rows, options.runs).await?)?;
    }
    if wanted(Which::Latency) {
        let duration = Duration::from_secs(options.latency_seconds);
        report("latency", &latency::run(&program, options.latency_rate, duration).await?)?;
    }
    // It takes minutes and a Java.
    if options.only == Some(Which::Kafka) {
        let duration = Duration::from_secs(options.latency_seconds);
        report("kafka", &kafka::run(&program, &options.kafka, duration).await?)?;
    }
    Ok(())
}

/// Two programs over the same rows.
#[derive(Debug, Serialize)]
struct Comparison {
    rows: u64,
    /// What walhouse was compared with.
    baseline: &'static str,
    walhouse_seconds: Vec<f64>,
    baseline_seconds: Vec<f64>,
    walhouse_rows_per_second: f64,
    baseline_rows_per_second: f64,
    /// walhouse's rate over the baseline's.
    ratio: f64,
    /// What the issue asks for.
    goal: f64,
}

impl Comparison {
    fn new(rows: u64, goal: f64, baseline: &'static str, ours: Vec<f64>, theirs: Vec<f64>) -> Self {
        let rate = |seconds: &[f64]| rows as f64 / median(seconds);
        let (walhouse_rows_per_second, baseline_rows_per_second) = (rate(&ours), rate(&theirs));
        Self {
            rows,
            baseline,
            walhouse_seconds: ours,
            baseline_seconds: theirs,
            walhouse_rows_per_second,
            baseline_rows_per_second,
            ratio: walhouse_rows_per_second / baseline_rows_per_second,
            goal,
        }
    }
}

impl std::fmt::Display for Comparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} rows: walhouse {:.0} rows/s, {} {:.0} rows/s, ratio {:.2} (goal {})",
            self.rows,
            self.walhouse_rows_per_second,
            self.baseline,
            self.baseline_rows_per_second,
            self.ratio,
            self.goal
        )
    }
}

fn report<T: Serialize + std::fmt::Display>(name: &str, figure: &T) -> Result<()> {
    let folder = build::target().join("bench");
    fs::create_dir_all(&folder).context("making target/bench")?;
    fs::write(folder.join(format!("{name}.json")), serde_json::to_vec_pretty(figure)?).context("writing the figure")?;
    println!("bench {name}: {figure}");
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Runs a Postgres client program to its end, its output thrown away; returns the seconds it took.
fn time_program(program: &str, arguments: &[&str]) -> Result<f64> {
    let started = Instant::now();
    let output = Command::new(client_program(program))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .with_context(|| {
            format!("running {program}: install it with `apt-get install postgresql postgresql-client`")
        })?;
    if !output.status.success() {
        bail!("{program} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(started.elapsed().as_secs_f64())
}

/// Debian keeps the less usual client programs of each version in a folder of its own.
fn client_program(program: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.map(|version| version.path().join("bin").join(program)).filter(|path| path.is_file()).max();
    newest.unwrap_or_else(|| PathBuf::from(program))
}

/// Waits until `sql` gives `wanted`; the look that saw it ends the wait.
async fn until(house: &House, sql: &str, wanted: u64, patience: Duration) -> Result<()> {
    let client = clickhouse::Client::default().with_url(house.clickhouse_url());
    let deadline = Instant::now() + patience;
    let mut last = String::from("nothing");
    while Instant::now() < deadline {
        match client.query(sql).fetch_one::<u64>().await {
            Ok(found) if found == wanted => return Ok(()),
            Ok(found) => last = found.to_string(),
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(LOOK).await;
    }
    bail!("{sql:?} did not become {wanted}, last {last}; the end of walhouse's log:\n{}", house.log_tail())
}
