//! A thousand tables, a hundred readers: the page still answers, and the pipe does not notice them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use walhouse_lab::house::House;
use walhouse_lab::postgres::Server;

use crate::browser::look;

const TABLES: usize = 1000;
const READERS: usize = 100;
/// Those of them that never read what they are sent.
const SILENT: usize = 20;
/// A thousand tables are made and copied one after the other; the bound only tells a hang from work.
const READY: Duration = Duration::from_secs(600);
/// How long is measured, without readers and with them.
const MEASURED: Duration = Duration::from_secs(15);
/// Between two transactions, each of which changes several tables.
const PAUSE: Duration = Duration::from_millis(50);
const CHANGED: usize = 8;
/// The first event has every table, at some 500 bytes each; nothing later is larger.
const MOST_EVENT: u64 = (TABLES * 1000) as u64;
/// What readers may cost: a frame in each of their buffers, and what one does not fetch is dropped.
const MOST_MEMORY: u64 = 256 << 20;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes and copies a thousand tables, which takes minutes: cargo test --workspace --test console -- --ignored"]
async fn a_hundred_readers_of_a_thousand_tables_do_not_slow_the_pipe() {
    let server = Server::builder().start().await.unwrap();
    let client = server.connect().await.unwrap();
    for first in (0..TABLES).step_by(100) {
        let make = |number| {
            format!("CREATE TABLE t{number} (id int PRIMARY KEY, n int); INSERT INTO t{number} VALUES (1, 0);")
        };
        let sql: String = (first..first + 100).map(make).collect();
        client.batch_execute(&sql).await.unwrap();
    }
    let builder = House::builder(env!("CARGO_BIN_EXE_walhouse"), server.url()).postgres("tables = [\"public.*\"]");
    let began = Instant::now();
    let mut house = builder.start().unwrap();
    house.ready(READY).await.unwrap();
    eprintln!("{TABLES} tables are live after {:.1} s", began.elapsed().as_secs_f64());

    let load = Load::begin(&server).await;
    let alone = measure(&house, &load).await;
    let before = house.memory().unwrap().0;
    let crowd = Crowd::join(&house).await;
    let watched = measure(&house, &load).await;
    let after = house.memory().unwrap().0;
    let answer = Instant::now();
    let (code, _) = house.get("/api/overview").await.unwrap();
    let answer = answer.elapsed();
    eprintln!(
        "alone: {alone:?}; with {READERS} readers, {SILENT} of them silent: {watched:?}; {}; overview answered in {} ms; \
         memory {} -> {} MiB",
        crowd.told(),
        answer.as_millis(),
        before >> 20,
        after >> 20
    );
    assert_eq!(code, 200);
    assert!(answer < Duration::from_secs(1), "{answer:?}");
    // What the readers cost is theirs: as much comes through, about as soon. Other tests share the cores.
    assert!(watched.rows * 2 > alone.rows, "{alone:?}, then {watched:?}");
    assert!(watched.p50_ms <= watched.p99_ms, "{watched:?}");
    assert!(watched.p50_ms < alone.p50_ms * 3.0 + 500.0, "{alone:?}, then {watched:?}");
    crowd.is_served();
    assert!(after < before + MOST_MEMORY, "{before} and then {after} bytes");

    look("crowd", &house.console_url()).await;
}

#[derive(Debug)]
struct Measured {
    /// Changes that became visible.
    rows: u64,
    p50_ms: f64,
    p99_ms: f64,
}

async fn measure(house: &House, load: &Load) -> Measured {
    let (before, began) = (streamed(house).await, Instant::now());
    tokio::time::sleep(MEASURED).await;
    let (_, body) = house.get("/status").await.unwrap();
    let status: walhouse_pipeline::Status = serde_json::from_str(&body).unwrap();
    let latency = status.commit_to_visible.unwrap();
    let rows = streamed(house).await - before;
    eprintln!("{rows} rows in {:.1} s, {} transactions written so far", began.elapsed().as_secs_f64(), load.written());
    Measured { rows, p50_ms: latency.p50_ms, p99_ms: latency.p99_ms }
}

async fn streamed(house: &House) -> u64 {
    let (_, body) = house.get("/status").await.unwrap();
    let status: walhouse_pipeline::Status = serde_json::from_str(&body).unwrap();
    status.tables.iter().map(|table| table.rows_streamed).sum()
}

/// Changes all over the tables, until it is dropped.
struct Load {
    written: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Load {
    async fn begin(server: &Server) -> Self {
        let client = server.connect().await.unwrap();
        let written = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&written);
        let task = tokio::spawn(async move {
            loop {
                let turn = count.fetch_add(1, Ordering::Relaxed);
                let change = |number| format!("UPDATE t{} SET n = n + 1;", (turn * 37 + number * 113) % TABLES);
                let sql: String = (0..CHANGED).map(change).collect();
                client.batch_execute(&format!("BEGIN; {sql} COMMIT")).await.unwrap();
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { written, task }
    }

    fn written(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, Default)]
struct Seen {
    overviews: AtomicUsize,
    tables: AtomicUsize,
    bytes: AtomicU64,
    largest: AtomicU64,
}

/// Readers of the events.
struct Crowd {
    seen: Vec<Arc<Seen>>,
    tasks: Vec<JoinHandle<()>>,
    /// Connections whose bytes nobody fetches.
    _silent: Vec<TcpStream>,
}

impl Crowd {
    async fn join(house: &House) -> Self {
        let address = house.console_url().trim_start_matches("http://").to_owned();
        let (mut seen, mut tasks, mut silent) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..READERS {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            let request = format!("GET /api/events HTTP/1.0\r\nHost: {address}\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            if number < SILENT {
                silent.push(stream);
                continue;
            }
            let own = Arc::new(Seen::default());
            seen.push(Arc::clone(&own));
            tasks.push(tokio::spawn(read(stream, own)));
        }
        Self { seen, tasks, _silent: silent }
    }

    fn told(&self) -> String {
        let sum = |of: fn(&Seen) -> &AtomicUsize| -> usize {
            self.seen.iter().map(|seen| of(seen).load(Ordering::Relaxed)).sum()
        };
        let bytes: u64 = self.seen.iter().map(|seen| seen.bytes.load(Ordering::Relaxed)).sum();
        format!(
            "{} overviews and {} lists of tables in {} KiB, the largest event {} KiB",
            sum(|seen| &seen.overviews),
            sum(|seen| &seen.tables),
            bytes >> 10,
            self.seen.iter().map(|seen| seen.largest.load(Ordering::Relaxed)).max().unwrap_or(0) >> 10
        )
    }

    /// Each one who reads is told about once a second, and never more than all tables at once.
    fn is_served(&self) {
        for seen in &self.seen {
            let overviews = seen.overviews.load(Ordering::Relaxed);
            assert!(overviews as u64 > MEASURED.as_secs() / 3, "{seen:?}");
            assert!(seen.tables.load(Ordering::Relaxed) > 1, "{seen:?}");
            assert!(seen.largest.load(Ordering::Relaxed) < MOST_EVENT, "{seen:?}");
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn read(stream: TcpStream, seen: Arc<Seen>) {
    let mut lines = BufReader::new(stream).lines();
    let mut event = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        seen.bytes.fetch_add(line.len() as u64 + 1, Ordering::Relaxed);
        if let Some(name) = line.strip_prefix("event: ") {
            name.clone_into(&mut event);
        } else if let Some(data) = line.strip_prefix("data: ") {
            seen.largest.fetch_max(data.len() as u64, Ordering::Relaxed);
            match event.as_str() {
                "overview" => seen.overviews.fetch_add(1, Ordering::Relaxed),
                "tables" if seen.tables.fetch_add(1, Ordering::Relaxed) == 0 => whole(data),
                _ => 0,
            };
        }
    }
}

/// The first list is all there are.
fn whole(data: &str) -> usize {
    let event: Value = serde_json::from_str(data).unwrap();
    assert_eq!((event["full"].as_bool(), event["tables"].as_array().map(Vec::len)), (Some(true), Some(TABLES)));
    0
}
