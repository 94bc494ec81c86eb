//! Figures, not a test: `cargo test -p walhouse-chdb --test it measure -- --ignored --nocapture`.

use std::io::Write;
use std::time::{Duration, Instant};

use clickhouse::{Client, Row};
use serde::{Deserialize, Serialize};
use walhouse_chdb::testing::TestEngine;

use crate::wire::{ok, request};

macro_rules! say {
    ($($text:tt)*) => { writeln!(std::io::stdout(), $($text)*).expect("printed") };
}

#[derive(Row, Serialize, Deserialize)]
struct One {
    id: u64,
    name: String,
}

fn percentiles(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    say!("{what}: p50 {:?} p95 {:?} p99 {:?} of {}", at(50), at(95), at(99), times.len());
}

#[tokio::test]
#[ignore = "prints figures"]
async fn measure() {
    let engine = TestEngine::start();
    let client = Client::default().with_url(engine.url());
    let mut times = Vec::new();
    for _ in 0..500 {
        let start = Instant::now();
        client.query("SELECT 1").fetch_one::<u8>().await.expect("a row");
        times.push(start.elapsed());
    }
    percentiles("SELECT 1, Rust client", times);
    for sync in ["1", "0"] {
        let sql = format!(
            "CREATE OR REPLACE TABLE one (id UInt64, name String) ENGINE = MergeTree ORDER BY id SETTINGS fsync_after_insert = {sync}, fsync_part_directory = {sync}"
        );
        client.query(&sql).execute().await.expect("a table");
        let mut times = Vec::new();
        for id in 0..300 {
            let start = Instant::now();
            let mut insert = client.insert::<One>("one").await.expect("an insert");
            insert.write(&One { id, name: "x".to_owned() }).await.expect("written");
            insert.end().await.expect("inserted");
            times.push(start.elapsed());
        }
        percentiles(&format!("insert of 1 row, Rust client, fsync {sync}"), times);
    }
    let address = engine.address();
    tokio::task::spawn_blocking(move || native(&address)).await.expect("measured");
    say!(
        "pid {} {}",
        engine.pid(),
        std::fs::read_to_string(format!("/proc/{}/status", engine.pid()))
            .unwrap_or_default()
            .lines()
            .find(|l| l.starts_with("VmRSS"))
            .unwrap_or_default()
    );
}

fn native(address: &str) {
    for (format, accept) in [("RowBinary", "identity"), ("JSONEachRow", "identity"), ("RowBinary", "lz4")] {
        let sql = format!("SELECT number, toString(number) AS s FROM numbers(5000000) FORMAT {format}");
        let start = Instant::now();
        let answer = request(address, "POST", "/", &[("Accept-Encoding", accept)], Some(sql.as_bytes()));
        let (time, bytes) = (start.elapsed(), answer.body().len());
        assert!(answer.complete);
        say!("5 M rows out, {format}, {accept}: {time:?}, {} MB", bytes / 1_000_000);
    }
    let table = "CREATE OR REPLACE TABLE wide (id UInt64, a Int32, b Int64, s String, l LowCardinality(String), t DateTime64(6), f Float64, n Nullable(Int32)) ENGINE = MergeTree ORDER BY id";
    let rows = |from: u64, count: u64| {
        let sql = format!(
            "SELECT number AS id, toInt32(number % 1000) AS a, toInt64(number * 7) AS b, concat('customer ', toString(number)) AS s, \
             toLowCardinality(['a','b','c'][number % 3 + 1]) AS l, toDateTime64('2024-01-01 00:00:00', 6) + number AS t, number / 3 AS f, \
             if(number % 2 = 0, toInt32(number % 100), NULL) AS n FROM numbers({from}, {count}) FORMAT Native"
        );
        let answer = request(address, "POST", "/?max_block_size=65536&max_threads=1", &[], Some(sql.as_bytes()));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.body()
    };
    let count = 1_000_000_u64;
    let whole = rows(0, count);
    let pieces: Vec<Vec<u8>> = (0..count).step_by(65_536).map(|from| rows(from, 65_536.min(count - from))).collect();
    let path = "/?query=INSERT+INTO+wide+FORMAT+Native&max_insert_threads=1";
    for round in 0..3 {
        ok(address, table);
        let start = Instant::now();
        assert_eq!(request(address, "POST", path, &[], Some(&whole)).status, 200);
        let together = start.elapsed();
        ok(address, table);
        let start = Instant::now();
        for piece in &pieces {
            assert_eq!(request(address, "POST", path, &[], Some(piece)).status, 200);
        }
        let apart = start.elapsed();
        let rate = |time: Duration| count as f64 / time.as_secs_f64() / 1e6;
        say!(
            "round {round}: {} MB Native, 1 request {together:?} ({:.2} M rows/s), {} requests {apart:?} ({:.2} M rows/s)",
            whole.len() / 1_000_000,
            rate(together),
            pieces.len(),
            rate(apart)
        );
    }
}
