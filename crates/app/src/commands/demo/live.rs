//! What the demo shows while it runs.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, interval};
use walhouse_lab::rembo::SEED_QUERY;
use walhouse_pipeline::{Status, StatusBoard};

use crate::service::Service;
use crate::terminal;

/// How often the live line is drawn anew.
const LINE_TICK: Duration = Duration::from_secs(1);
/// Rows of the sample query that are shown; there are 55, one per employee and territory.
const SHOWN_ROWS: u32 = 10;
/// How often a plain line is printed where nobody watches.
const PLAIN_EVERY: u32 = 10;
const END_TICK: Duration = Duration::from_millis(200);

/// Waits until everything is live; false when the pipeline ended before.
pub(super) async fn wait_until_ready(service: &Service) -> bool {
    let board = service.board();
    tokio::select! {
        status = board.wait_for(Status::is_ready) => status.is_ready(),
        () = wait_for_end(service) => false,
    }
}

/// Waits for the pipeline's own end.
pub(super) async fn wait_for_end(service: &Service) {
    let mut tick = interval(END_TICK);
    while !service.has_ended() {
        tick.tick().await;
    }
}

/// What runs where, and what to try.
pub(super) fn banner(postgres: &str, clickhouse: &str, console: Option<SocketAddr>) -> String {
    let console = shown(console);
    format!(
        "\neverything is copied; changes flow live\n\
         \x20 Postgres    {postgres}\n\
         \x20 ClickHouse  {clickhouse}\n\
         \x20 console     {console}  (/ready /status /metrics)\n\
         try:   curl '{clickhouse}' -d 'SELECT count(), max(order_date) FROM view_sales_last_rec'\n\
         sell:  walhouse rembo sell --postgres '{postgres}'\n\n\
         Employees sales performance (the sample query's first rows), as ClickHouse answers:"
    )
}

/// The console's address, as the banner has it.
pub(super) fn shown(console: Option<SocketAddr>) -> String {
    console.map_or_else(|| "off".to_owned(), |address| format!("http://{address}"))
}

/// The sample query's answer as a table.
pub(super) async fn seed_query(clickhouse: &clickhouse::Client) -> Result<String> {
    const ATTEMPT: &str = "cannot run the sample query";
    let query = SEED_QUERY.trim_end_matches(';').replace('?', "??");
    let query = format!("SELECT * FROM ({query}) LIMIT {SHOWN_ROWS}");
    let mut rows = clickhouse.query(&query).fetch_bytes("PrettyCompactMonoBlock").context(ATTEMPT)?;
    let table = rows.collect().await.context(ATTEMPT)?;
    Ok(String::from_utf8_lossy(&table).trim_end().to_owned())
}

/// One line that says what flows: redrawn where a person watches, printed now and then elsewhere.
pub(super) async fn show(board: StatusBoard) {
    let bar = terminal::is_watched().then(|| {
        let style =
            ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        Line(terminal::bars().add(ProgressBar::new_spinner().with_style(style)))
    });
    let mut tick = interval(LINE_TICK);
    let (mut before, mut then) = (streamed(&board.read()), Instant::now());
    for number in 0_u32.. {
        tick.tick().await;
        let status = board.read();
        let (rows, now) = (streamed(&status), Instant::now());
        match &bar {
            Some(Line(bar)) => {
                bar.set_message(describe(&status, rows, rate(rows - before, now - then)));
                bar.tick();
            }
            None if number % PLAIN_EVERY != 0 || number == 0 => continue,
            None => terminal::line(&describe(&status, rows, rate(rows - before, now - then))),
        }
        (before, then) = (rows, now);
    }
}

/// A bar that goes with its task.
struct Line(ProgressBar);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn streamed(status: &Status) -> u64 {
    status.tables.iter().map(|table| table.rows_streamed).sum()
}

fn rate(rows: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { rows as f64 / time.as_secs_f64() }
}

fn describe(status: &Status, rows: u64, rate: f64) -> String {
    let state = status.state.name();
    let mut line = format!("{state}: {rows} changes, {rate:.0} rows/s, lag {:.1} s", status.lag_seconds);
    if let Some(latency) = &status.commit_to_visible {
        line.push_str(&format!(", commit to visible p50 {:.0} ms p99 {:.0} ms", latency.p50_ms, latency.p99_ms));
    }
    line
}
