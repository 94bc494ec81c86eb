//! The stream against pg_recvlogical: both read the same rows from the log.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio_postgres::Client;
use walhouse_lab::house::House;
use walhouse_lab::postgres::{Server, Version};

use super::{Comparison, time_program, until};
use crate::engine::Engine;

const TABLE: &str = "CREATE TABLE streamed (id bigint PRIMARY KEY, quantity int, amount bigint, name text, \
    note varchar(50), created timestamptz, price numeric(18,2), weight float8)";
/// Rows of one transaction: an application's bulk, and small enough not to spill.
const TRANSACTION_ROWS: u64 = 100;
const READY: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) async fn run(program: &Path, rows: u64, runs: usize) -> Result<Comparison> {
    let postgres = Server::builder().version(Version::for_tests()?).start().await?;
    let client = postgres.connect().await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for run in 0..runs {
        client.batch_execute("DROP TABLE IF EXISTS streamed").await?;
        client.batch_execute(TABLE).await?;
        let (our, their) = both(program, &postgres, &client, rows, run).await?;
        ours.push(our);
        theirs.push(their);
    }
    Ok(Comparison::new(rows, 0.9, "pg_recvlogical", ours, theirs))
}

/// Seconds of walhouse and of pg_recvlogical.
async fn both(program: &Path, postgres: &Server, client: &Client, rows: u64, run: usize) -> Result<(f64, f64)> {
    let name = format!("bench_stream_{run}");
    let engine = Engine::start(program).await?;
    let lines = format!("slot = \"{name}\"\npublication = \"{name}\"\ntables = [\"public.streamed\"]\n");
    let mut house = House::builder(program, postgres.url()).postgres(&lines).clickhouse_url(engine.url()).start()?;
    house.ready(READY).await?;
    house.terminate(Duration::from_secs(20)).await?;

    let peer = format!("{name}_peer");
    client.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", &[&peer]).await?;
    fill(client, rows).await?;
    let end: String = client.query_one("SELECT pg_current_wal_lsn()::text", &[]).await?.get(0);
    // Something after the end, so that the receiver sees that it is past it.
    client.batch_execute("SELECT pg_logical_emit_message(true, 'bench', 'end')").await?;
    let url = postgres.url();
    let publications = format!("publication_names={name}");
    let their = time_program(
        "pg_recvlogical",
        &[
            "--dbname",
            &url,
            "--slot",
            &peer,
            "--start",
            "--endpos",
            &end,
            "--no-loop",
            "--file",
            "/dev/null",
            "--option",
            "proto_version=1",
            "--option",
            &publications,
        ],
    )?;

    let started = Instant::now();
    house.start()?;
    // The last row is a cheap question, and counting all of them over and over would be a load of its own.
    until(&house, &format!("SELECT count() FROM view_streamed_last_rec WHERE id = {rows}"), 1, PATIENCE).await?;
    until(&house, "SELECT count() FROM view_streamed_last_rec", rows, PATIENCE).await?;
    let our = started.elapsed().as_secs_f64();
    house.terminate(Duration::from_secs(20)).await?;
    client.query("SELECT pg_drop_replication_slot($1)", &[&peer]).await?;
    client.query("SELECT pg_drop_replication_slot($1)", &[&name]).await?;
    Ok((our, their))
}

async fn fill(client: &Client, rows: u64) -> Result<()> {
    let procedure = format!(
        "DO $$ BEGIN FOR part IN 0 .. {last} LOOP \
         INSERT INTO streamed SELECT n, n % 100, n * 7, 'name of ' || n, \
         CASE WHEN n % 3 = 0 THEN NULL ELSE md5(n::text) END, \
         timestamptz '2024-01-01 00:00:00Z' + n * interval '1.000001 s', (n % 100000) / 100.0, n / 3.0 \
         FROM generate_series(part * {TRANSACTION_ROWS} + 1, least((part + 1) * {TRANSACTION_ROWS}, {rows})) n; \
         COMMIT; END LOOP; END $$",
        last = rows.div_ceil(TRANSACTION_ROWS) - 1
    );
    client.batch_execute(&procedure).await?;
    Ok(())
}
