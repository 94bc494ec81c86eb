//! How fast one core encodes. Prints, judges nothing:
//! `cargo test --release -p walhouse-clickhouse --lib speed -- --ignored --nocapture`.

use std::time::Instant;

use super::*;

const ROWS: usize = 100_000;
const ROUNDS: usize = 20;

/// A row of 8 columns: bigint, integer, two texts, numeric(12,2), timestamptz, boolean, double.
fn types() -> Vec<PgType> {
    vec![builtin(20), builtin(23), builtin(25), builtin(1043), numeric(12, 2), builtin(1184), builtin(16), builtin(701)]
}

fn binary(n: usize) -> Vec<Value> {
    let binary = |bytes: &[u8]| (Kind::Binary, bytes.to_vec());
    // 1234.nn: two groups of digits, the first worth 10^0
    let mut amount = [0u8, 2, 0, 0, 0, 0, 0, 2, 4, 210, 0, 0];
    amount[10..].copy_from_slice(&((n % 100 * 100) as u16).to_be_bytes());
    vec![
        binary(&(n as i64).to_be_bytes()),
        binary(&(n as i32 * 3).to_be_bytes()),
        binary(format!("customer number {n}").as_bytes()),
        binary(b"Kigali"),
        binary(&amount),
        binary(&(700_000_000_000_000 + n as i64).to_be_bytes()),
        binary(&[u8::from(n.is_multiple_of(2))]),
        binary(&(n as f64 / 3.0).to_be_bytes()),
    ]
}

fn textual(n: usize) -> Vec<Value> {
    vec![
        text(&n.to_string()),
        text(&(n * 3).to_string()),
        text(&format!("customer number {n}")),
        text("Kigali"),
        text(&format!("1234.{:02}", n % 100)),
        text(&format!("2022-03-07 20:26:40.{n:06}+00")),
        text(if n.is_multiple_of(2) { "t" } else { "f" }),
        text(&(n as f64 / 3.0).to_string()),
    ]
}

fn measure(name: &str, row: fn(usize) -> Vec<Value>) {
    let plan = plan(types());
    let rows: Vec<_> = (0..ROWS).map(row).collect();
    let images = Images::new(&plan, &rows);
    let mut builder = BlockBuilder::new(plan);
    let start = Instant::now();
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        for index in 0..ROWS {
            builder.push(&input(images.get(index))).unwrap();
        }
        bytes += builder.finish().unwrap().uncompressed_bytes;
    }
    let seconds = start.elapsed().as_secs_f64();
    let rate = |count: usize| count as f64 / seconds / 1e6;
    println!("{name}: {:.2} M rows/s, {:.0} MB/s of Native", rate(ROWS * ROUNDS), rate(bytes));
}

#[test]
#[ignore = "a measurement; run it in release"]
fn eight_columns() {
    measure("binary", binary);
    measure("text", textual);
}
