//! Figures, printed: `cargo test --release -p walhouse-postgres --test it speed -- --nocapture`. What they are compared
//! with (psql, pg_recvlogical) runs beside them where it is installed. The rows are few unless
//! `WALHOUSE_SPEED_ROWS` says otherwise.

use std::process::Command;
use std::time::Instant;

use walhouse_change::Origin;
use walhouse_lab::postgres::Server;

use crate::support::{Db, usable};

fn rows() -> u64 {
    std::env::var("WALHOUSE_SPEED_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(20_000)
}

fn report(what: &str, rows: u64, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    eprintln!("{what}: {rows} rows in {seconds:.2} s, {:.0} rows/s", rows as f64 / seconds);
}

/// Processor time of this process so far, in seconds: what does not depend on who else uses the machine.
fn processor_time() -> f64 {
    // the kernel's USER_HZ is 100 on every architecture that we run on
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn report_cost(rows: u64, before: f64) {
    eprintln!("  our processor time: {:.2} us a row", (processor_time() - before) * 1e6 / rows as f64);
}

/// Runs a client program of Postgres, if there is one.
fn client(program: &str, arguments: &[&str]) -> bool {
    let program =
        std::env::var("WALHOUSE_SPEED_CLIENTS").map_or(program.into(), |folder| format!("{folder}/{program}"));
    Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copy_and_stream() {
    let rows = rows();
    let server = Server::builder().setting("shared_buffers", "512MB").start().await.unwrap();
    let db = Db::on(&server, "speed").await;
    db.sql(
        "CREATE TABLE t (id int8 PRIMARY KEY, name text, account int8, note text, at timestamptz, amount numeric(18,2),
                         code uuid, n int4)",
    )
    .await;
    let insert = format!(
        "INSERT INTO t SELECT g, 'customer ' || g, g * 7, CASE WHEN g % 3 = 0 THEN 'a note' END, now(), g * 1.25,
                              gen_random_uuid(), g % 1000 FROM generate_series(1, {rows}) g"
    );
    db.sql(&insert).await;
    db.sql("VACUUM ANALYZE t").await;
    let origin = db.origin(&["public.*"]);
    let tables = usable(&origin).await;
    origin.publish(&tables).await.unwrap();

    for _ in 0..2 {
        let began = Instant::now();
        if client("psql", &["-q", "-d", &db.url, "-c", "\\copy t TO '/dev/null' (FORMAT binary)"]) {
            report("psql COPY binary", rows, began);
        }
        let snapshot = origin.snapshot(&tables, walhouse_change::SlotKind::Temporary).await.unwrap();
        let (began, before) = (Instant::now(), processor_time());
        let mut copied = 0;
        let mut running = tokio::task::JoinSet::new();
        for part in snapshot.parts().to_vec() {
            let snapshot = std::sync::Arc::clone(&snapshot);
            running.spawn(async move {
                let mut source = snapshot.open(&part).await.unwrap();
                let mut rows = 0;
                while let Some(batch) = source.next().await.unwrap() {
                    rows += batch.len() as u64;
                }
                rows
            });
        }
        while let Some(rows) = running.join_next().await {
            copied += rows.unwrap();
        }
        report(&format!("copy in {} parts", snapshot.parts().len()), copied, began);
        report_cost(copied, before);
        assert_eq!(copied, rows);
    }

    drop(origin.snapshot(&tables, walhouse_change::SlotKind::Lasting).await.unwrap());
    db.sql("SELECT pg_create_logical_replication_slot('baseline', 'pgoutput')").await;
    let streamed = rows / 2;
    db.sql("TRUNCATE t").await;
    db.sql(&insert.replace(&format!("(1, {rows})"), &format!("(1, {streamed})"))).await;
    let end = db.lsn("SELECT pg_current_wal_lsn()").await;
    for _ in 0..2 {
        let began = Instant::now();
        let end_text = end.to_string();
        let arguments = ["-d", &db.url, "-S", "baseline", "--start", "-f", "/dev/null", "-o", "proto_version=1", "-o"];
        let more = ["publication_names=speed", "--endpos", &end_text, "--no-loop", "-s", "0", "-F", "0"];
        if client("pg_recvlogical", &[&arguments[..], &more].concat()) {
            report("pg_recvlogical", streamed, began);
        }
        // it confirmed what it read: begin anew
        db.sql("SELECT pg_drop_replication_slot('baseline')").await;
        db.sql("SELECT pg_copy_logical_replication_slot('speed', 'baseline')").await;
        let mut source = origin.stream(walhouse_change::Lsn::ZERO, &tables).await.unwrap();
        let (began, before) = (Instant::now(), processor_time());
        let (mut seen, mut batches) = (0, 0);
        while seen <= streamed {
            let batch = source.next().await.unwrap().unwrap();
            seen += batch.len() as u64;
            batches += 1;
        }
        report(&format!("stream in {batches} batches"), streamed, began);
        report_cost(streamed, before);
    }
}
