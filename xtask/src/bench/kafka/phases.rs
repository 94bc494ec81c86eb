//! The measurements: what is prepared on the source, and what each worker makes of it.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio_postgres::Client;
use walhouse_lab::kafka::{Broker, Connect, Reader, Record, Software, Tuning};
use walhouse_lab::postgres::{Server, connect};

use super::Figures;

/// The table, a dozen columns of the usual types.
const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, customer text, email text, amount numeric(10,2), qty int,
    price bigint, paid boolean, day date, created timestamptz DEFAULT now(), note varchar(50), code uuid, rate float8);
    ALTER TABLE t REPLICA IDENTITY FULL";

/// So many rows, from $1 to $2.
const ROWS: &str = "INSERT INTO t SELECT i, 'customer ' || i, 'c' || i || '@example.org', i % 1000 + 0.25, i % 20,
    i * 1000::bigint, i % 2 = 0, date '2020-01-01' + i % 1000, now(), 'note ' || i % 100, NULL, i / 7.0
    FROM generate_series($1::int, $2::int) AS i";

/// Rows of a transaction in the log that is streamed.
const TRANSACTION: u64 = 100;
/// Transactions a second while the latency is measured.
const RATE: u32 = 100;
/// What the latency does not count: a Java worker compiles its loops meanwhile.
const WARM_UP: Duration = Duration::from_secs(5);
/// How long a worker may take for everything.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks at the topic's end.
const LOOK: Duration = Duration::from_millis(200);

/// A measurement on a database of its own.
pub(super) struct Phase {
    kind: Kind,
    rows: u64,
    url: String,
    port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stream,
    Snapshot,
    Latency(Duration),
}

/// What a worker did.
pub(super) struct Measured {
    kind: Kind,
    rate: f64,
    p50: f64,
    p99: f64,
    resident: u64,
}

impl Phase {
    /// All phases; the log that is streamed is written here, after a slot was made for each worker.
    pub(super) async fn prepare(postgres: &Server, rows: u64, latency: Duration, workers: usize) -> Result<Vec<Self>> {
        let mut phases = Vec::new();
        for kind in [Kind::Snapshot, Kind::Stream, Kind::Latency(latency)] {
            let url = postgres.create_database(kind.database()).await?;
            let client = connect(&url).await?;
            client.batch_execute(TABLE).await?;
            match kind {
                Kind::Snapshot => {
                    client.execute(ROWS, &[&1, &i32::try_from(rows)?]).await?;
                }
                Kind::Stream => {
                    client.batch_execute("CREATE PUBLICATION bench FOR TABLE t").await?;
                    for worker in 0..workers {
                        let sql = "SELECT pg_create_logical_replication_slot($1, 'pgoutput')";
                        client.execute(sql, &[&kind.slot(worker)]).await?;
                    }
                    for first in (1..=rows).step_by(usize::try_from(TRANSACTION)?) {
                        let last = rows.min(first + TRANSACTION - 1);
                        client.execute(ROWS, &[&i32::try_from(first)?, &i32::try_from(last)?]).await?;
                    }
                }
                Kind::Latency(_) => {}
            }
            phases.push(Self { kind, rows, url, port: postgres.port() });
        }
        Ok(phases)
    }

    /// Runs a worker alone, on a fresh broker.
    pub(super) async fn measure(&self, software: &Software, worker: usize) -> Result<Measured> {
        let broker = Broker::builder()
            .tuning(Tuning::Full)
            .setting("log.message.timestamp.type", "LogAppendTime")
            .start()
            .await?;
        let mut connect_worker =
            Connect::builder(broker.bootstrap()).tuning(Tuning::Full).software(software.clone()).start().await?;
        let name = format!("{}_{worker}", self.kind.database());
        let body = json!({"name": name, "config": self.config(&name, worker)}).to_string();
        let reply = connect_worker.request("POST", "/connectors", Some(&body)).await?;
        if reply.status != 201 {
            bail!("posting the connector gave {}: {}", reply.status, reply.body);
        }
        let topic = format!("{name}.public.t");
        let reader = Reader::new(&broker.bootstrap())?;
        let client = connect(&self.url).await?;
        let mut commits = HashMap::new();
        let expected = match self.kind {
            Kind::Latency(duration) => {
                streaming(&client, &self.kind.slot(worker)).await?;
                commits = commit_steadily(&client, duration, worker).await?;
                commits.len() as u64
            }
            _ => self.rows,
        };
        arrival(&reader, &topic, expected, &connect_worker).await?;
        let resident = connect_worker.memory().map_or(0, |(now, _)| now);
        let records = tokio::task::block_in_place(|| reader.all(&[topic]))?;
        connect_worker.stop().await?;
        let sql = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1";
        client.query(sql, &[&self.kind.slot(worker)]).await.context("dropping the slot")?;
        let latencies = latencies(&records, &commits)?;
        Ok(Measured {
            kind: self.kind,
            rate: rate(&records),
            p50: quantile(&latencies, 0.5),
            p99: quantile(&latencies, 0.99),
            resident,
        })
    }

    /// The options that the sample workload's users post, on this table.
    fn config(&self, name: &str, worker: usize) -> Value {
        json!({
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "plugin.name": "pgoutput",
            "database.hostname": "127.0.0.1",
            "database.port": self.port.to_string(),
            "database.user": "postgres",
            "database.password": "unused",
            "database.dbname": self.kind.database(),
            "publication.name": "bench",
            "publication.autocreate.mode": "filtered",
            "table.include.list": "public.t",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "max.batch.size": "1000",
            "poll.interval.ms": "1000",
            "topic.prefix": name,
            "topic.creation.default.partitions": "4",
            "topic.creation.default.replication.factor": "1",
            "snapshot.mode": if self.kind == Kind::Snapshot { "initial" } else { "never" },
            "transforms": "unwrap",
            "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
            "transforms.unwrap.delete.handling.mode": "rewrite",
            "transforms.unwrap.drop.tombstones": "false",
            "transforms.unwrap.add.fields": "table,op,lsn,source.ts_ms",
            "slot.name": self.kind.slot(worker),
        })
    }
}

impl Kind {
    fn database(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Snapshot => "snapshot",
            Self::Latency(_) => "latency",
        }
    }

    fn slot(self, worker: usize) -> String {
        format!("{}_{worker}", self.database())
    }
}

impl Measured {
    pub(super) fn note(&self, figures: &mut Figures) {
        match self.kind {
            Kind::Stream => figures.stream_rows_per_second = self.rate,
            Kind::Snapshot => figures.snapshot_rows_per_second = self.rate,
            Kind::Latency(_) => (figures.latency_p50_ms, figures.latency_p99_ms) = (self.p50, self.p99),
        }
        figures.resident_bytes = figures.resident_bytes.max(self.resident);
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Latency(_) => write!(f, "latency p50 {:.0} ms, p99 {:.0} ms", self.p50, self.p99)?,
            kind => write!(f, "{} {:.0} rows/s", kind.database(), self.rate)?,
        }
        write!(f, ", {:.0} MiB", self.resident as f64 / f64::from(1 << 20))
    }
}

async fn streaming(client: &Client, slot: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let sql = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1 AND active";
        let active: i64 = client.query_one(sql, &[&slot]).await?.get(0);
        if active == 1 {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    bail!("the worker did not stream from {slot}")
}

/// Commits single rows at a steady rate; gives the time at which each commit returned, by the row's id.
async fn commit_steadily(client: &Client, duration: Duration, worker: usize) -> Result<HashMap<i64, f64>> {
    let first = i32::try_from(worker)? * 10_000_000;
    let statement = client.prepare("INSERT INTO t (id, customer, amount, qty) VALUES ($1, 'latency', 1.5, 1)").await?;
    let total = (WARM_UP + duration).as_secs_f64() * f64::from(RATE);
    let mut commits = HashMap::new();
    let start = Instant::now();
    for number in 0..total as i32 {
        let due = start + Duration::from_secs_f64(f64::from(number) / f64::from(RATE));
        tokio::time::sleep_until(due.into()).await;
        let id = first + number;
        client.execute(&statement, &[&id]).await?;
        commits.insert(i64::from(id), now_ms());
    }
    Ok(commits)
}

fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1_000.0
}

/// Waits until so many records are there.
async fn arrival(reader: &Reader, topic: &str, expected: u64, worker: &Connect) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ends = tokio::task::block_in_place(|| reader.ends(&[topic.to_owned()]))?;
        let there: i64 = ends.values().sum();
        if there >= i64::try_from(expected)? {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{there} of {expected} records came; the worker's log:\n{}", worker.log_tail());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Records a second, from the first append to the last.
fn rate(records: &[Record]) -> f64 {
    let stamps = || records.iter().map(|record| record.timestamp);
    let (Some(first), Some(last)) = (stamps().min(), stamps().max()) else { return f64::NAN };
    // A stamp is of whole milliseconds.
    records.len() as f64 * 1_000.0 / (last - first).max(1) as f64
}

/// From commit to append, sorted, in milliseconds, without those of the beginning.
fn latencies(records: &[Record], commits: &HashMap<i64, f64>) -> Result<Vec<f64>> {
    let Some(start) = commits.values().copied().min_by(f64::total_cmp) else { return Ok(Vec::new()) };
    let mut latencies = Vec::new();
    for record in records {
        let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
        let id = key.strip_prefix("Struct{id=").and_then(|rest| rest.strip_suffix('}')?.parse::<i64>().ok());
        let id = id.with_context(|| format!("the key {key:?} is not one of the table's"))?;
        let Some(commit) = commits.get(&id) else { continue };
        if *commit > start + WARM_UP.as_secs_f64() * 1_000.0 {
            // The stamp was cut to a millisecond: this is the least favourable it can be.
            latencies.push(record.timestamp as f64 + 1.0 - commit);
        }
    }
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
