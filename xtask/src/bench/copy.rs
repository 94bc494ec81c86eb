//! The initial copy against psql.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use walhouse_lab::house::House;
use walhouse_lab::postgres::{Server, Version};

use super::{Comparison, time_program, until};
use crate::engine::Engine;

const TABLE: &str = "CREATE TABLE copied (id bigint PRIMARY KEY, quantity int, amount bigint, name text, \
    note varchar(50), created timestamptz, price numeric(18,2), weight float8)";
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) async fn run(program: &Path, rows: u64, runs: usize) -> Result<Comparison> {
    let postgres = Server::builder().version(Version::for_tests()?).start().await?;
    let client = postgres.connect().await?;
    client.batch_execute(TABLE).await?;
    let fill = format!(
        "INSERT INTO copied SELECT n, n % 100, n * 7, 'name of ' || n, CASE WHEN n % 3 = 0 THEN NULL ELSE md5(n::text) END, \
         timestamptz '2024-01-01 00:00:00Z' + n * interval '1.000001 s', (n % 100000) / 100.0, n / 3.0 \
         FROM generate_series(1, {rows}) n"
    );
    client.batch_execute(&fill).await?;
    client.batch_execute("VACUUM (ANALYZE, FREEZE) copied").await?;
    client.batch_execute("CHECKPOINT").await?;
    let url = postgres.url();
    let engine = Engine::start(program).await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first run of each warms up and does not count.
    for run in 0..=runs {
        let copy = "COPY copied TO STDOUT (FORMAT binary)";
        let their = time_program("psql", &["--no-psqlrc", "--quiet", "--dbname", &url, "--command", copy])?;
        let our = walhouse(program, &url, &engine, rows, run).await?;
        if run > 0 {
            theirs.push(their);
            ours.push(our);
        }
    }
    Ok(Comparison::new(rows, 0.6, "psql COPY binary", ours, theirs))
}

/// Seconds from the start of `walhouse run` until all rows are in the view. The engine runs already.
async fn walhouse(program: &Path, url: &str, engine: &Engine, rows: u64, run: usize) -> Result<f64> {
    let slot =
        format!("slot = \"bench_copy_{run}\"\npublication = \"bench_copy_{run}\"\ntables = [\"public.copied\"]\n");
    let mut house = House::builder(program, url).postgres(&slot).clickhouse_url(engine.url()).build()?;
    let started = Instant::now();
    house.start()?;
    until(&house, "SELECT count() FROM view_copied_last_rec", rows, PATIENCE).await?;
    let seconds = started.elapsed().as_secs_f64();
    house.terminate(Duration::from_secs(20)).await?;
    let teardown = house.command(&["teardown", "--tables", "--yes"]).output()?;
    if !teardown.status.success() {
        bail!("walhouse teardown failed: {}", String::from_utf8_lossy(&teardown.stderr));
    }
    Ok(seconds)
}
