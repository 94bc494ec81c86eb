//! `cargo xtask bench kafka`: `walhouse connect` against real Kafka Connect workers with Debezium.
//!
//! The same Postgres, the same log (a slot each, made before the changes), the same connector: the options that the
//! sample workload's users post. Each worker runs alone, on a fresh broker of its own, with the Java flags and the heap
//! of Debezium's image. The broker stamps each record when it is appended; all figures are of those stamps, so a
//! worker's start does not count.
//!
//! - stream: rows that wait in the log, from the first record to the last;
//! - snapshot: a table's rows, the same;
//! - latency: from the return of a commit to the append of its record, at a steady rate;
//! - memory: the worker's resident memory after each of them, the largest.

mod phases;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use walhouse_lab::kafka::Software;
use walhouse_lab::postgres::{Server, Version};

use phases::Phase;

/// What the figures are of.
#[derive(Debug, Clone, Args)]
pub(crate) struct KafkaOptions {
    /// Rows that each Connect worker streams, and as many that it copies
    #[arg(long, default_value_t = 300_000)]
    kafka_rows: u64,
    /// Leave out Debezium 3
    #[arg(long)]
    only_debezium_2: bool,
}

/// One worker's figures.
#[derive(Debug, Default, Clone, Serialize)]
struct Figures {
    stream_rows_per_second: f64,
    snapshot_rows_per_second: f64,
    latency_p50_ms: f64,
    latency_p99_ms: f64,
    resident_bytes: u64,
}

/// All of them, by worker.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    rows: u64,
    workers: BTreeMap<&'static str, Figures>,
    /// walhouse against each of the others.
    ratios: BTreeMap<&'static str, Ratios>,
}

/// How many times better walhouse is: rates over theirs, their latency and memory over walhouse's.
#[derive(Debug, Serialize)]
struct Ratios {
    stream: f64,
    snapshot: f64,
    latency_p99: f64,
    memory: f64,
}

/// What the issue asks for, in the order of [`Ratios`].
const GOALS: [f64; 4] = [5.0, 5.0, 10.0, 10.0];

const WALHOUSE: &str = "walhouse";

/// Measures everything.
pub(super) async fn run(program: &Path, options: &KafkaOptions, latency: Duration) -> Result<Report> {
    let mut workers = vec![
        ("debezium 2.4.2", Software::Debezium24),
        ("debezium 3.0.8", Software::Debezium30),
        (WALHOUSE, Software::Walhouse(program.to_owned())),
    ];
    if options.only_debezium_2 {
        workers.remove(1);
    }
    let postgres = Server::builder().version(Version::for_tests()?).start().await?;
    let phases = Phase::prepare(&postgres, options.kafka_rows, latency, workers.len()).await?;
    let mut figures: BTreeMap<&'static str, Figures> = BTreeMap::new();
    for phase in &phases {
        for (index, (name, software)) in workers.iter().enumerate() {
            let measured = phase.measure(software, index).await?;
            println!("bench kafka: {name}: {measured}");
            measured.note(figures.entry(name).or_default());
        }
    }
    Ok(Report::new(options.kafka_rows, figures))
}

impl Report {
    fn new(rows: u64, workers: BTreeMap<&'static str, Figures>) -> Self {
        let ours = workers.get(WALHOUSE).cloned().unwrap_or_default();
        let ratios = workers.iter().filter(|(name, _)| **name != WALHOUSE).map(|(name, theirs)| {
            let ratios = Ratios {
                stream: ours.stream_rows_per_second / theirs.stream_rows_per_second,
                snapshot: ours.snapshot_rows_per_second / theirs.snapshot_rows_per_second,
                latency_p99: theirs.latency_p99_ms / ours.latency_p99_ms,
                memory: theirs.resident_bytes as f64 / ours.resident_bytes as f64,
            };
            (*name, ratios)
        });
        let ratios = ratios.collect();
        Self { rows, workers, ratios }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows", self.rows)?;
        for (name, figures) in &self.workers {
            write!(
                f,
                "\n  {name}: stream {:.0} rows/s, snapshot {:.0} rows/s, latency p50 {:.0} ms p99 {:.0} ms, {:.0} MiB",
                figures.stream_rows_per_second,
                figures.snapshot_rows_per_second,
                figures.latency_p50_ms,
                figures.latency_p99_ms,
                figures.resident_bytes as f64 / f64::from(1 << 20),
            )?;
        }
        let [stream, snapshot, latency, memory] = GOALS;
        for (name, ratios) in &self.ratios {
            write!(
                f,
                "\n  walhouse against {name}: stream {:.1} times (goal {stream}), snapshot {:.1} times (goal \
                 {snapshot}), latency p99 1/{:.1} (goal 1/{latency}), memory 1/{:.1} (goal 1/{memory})",
                ratios.stream, ratios.snapshot, ratios.latency_p99, ratios.memory
            )?;
        }
        Ok(())
    }
}
