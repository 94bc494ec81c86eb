//! The progress of a copy and of a comparison, with their rates and the time that is left: bars where a person
//! watches, log lines elsewhere.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::interval;
use walhouse_change::{Phase, TableName};
use walhouse_lab::verify::{Table, TableReport, Watch};
use walhouse_pipeline::{StatusBoard, TableStatus};

use crate::terminal;

/// Fast enough to look alive.
const BAR_TICK: Duration = Duration::from_millis(150);
/// Fast enough that no tenth of a long copy is missed.
const LINE_TICK: Duration = Duration::from_millis(500);
const STYLE: &str = "{prefix:24!} [{bar:32}] {human_pos}/~{human_len} rows, {per_sec}, {eta} left";
const COMPARISON: &str = "{prefix:24!} [{bar:32}] {human_pos}/~{human_len} rows, {per_sec}, {eta} left, {msg}";

/// Shows the copy until it is dropped; it may come again, when a table joins.
pub(crate) async fn show(board: StatusBoard) {
    if terminal::is_watched() {
        show_bars(board).await;
    } else {
        show_lines(board).await;
    }
}

async fn show_bars(board: StatusBoard) {
    let mut bars = Bars(BTreeMap::new());
    let mut tick = interval(BAR_TICK);
    loop {
        tick.tick().await;
        for table in board.read().tables {
            bars.show(&table);
        }
    }
}

/// Bars of the tables that are being copied; they go with this value.
struct Bars(BTreeMap<TableName, ProgressBar>);

impl Bars {
    fn show(&mut self, table: &TableStatus) {
        if table.phase == Phase::Copying {
            let bar = self.0.entry(table.name.clone()).or_insert_with(|| new_bar(&table.name));
            // The estimate is the planner's; the truth may be above it.
            bar.set_length(table.rows_estimated.max(table.rows_copied));
            bar.set_position(table.rows_copied);
        } else if let Some(bar) = self.0.remove(&table.name) {
            if table.phase == Phase::Live {
                bar.set_length(table.rows_copied);
                bar.set_position(table.rows_copied);
            }
            bar.abandon();
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.0.values().for_each(ProgressBar::abandon);
    }
}

fn new_bar(name: &TableName) -> ProgressBar {
    let style = ProgressStyle::with_template(STYLE).unwrap_or_else(|_| ProgressStyle::default_bar());
    terminal::bars().add(ProgressBar::new(0).with_style(style).with_prefix(name.to_string()))
}

async fn show_lines(board: StatusBoard) {
    let mut told: BTreeMap<TableName, Told> = BTreeMap::new();
    let mut tick = interval(LINE_TICK);
    loop {
        tick.tick().await;
        for table in board.read().tables {
            let before = told.get(&table.name);
            if let Some(tenth) = news(before.map(|told| told.tenth), &table) {
                let first = before.map_or_else(|| (Instant::now(), table.rows_copied), |told| told.first);
                told.insert(table.name.clone(), Told { tenth, first });
                let pace = pace(first, table.rows_copied, table.rows_estimated);
                tracing::info!(
                    table = %table.name,
                    rows = table.rows_copied,
                    estimated = table.rows_estimated,
                    rows_per_second = pace.map(|pace| pace.0),
                    seconds_left = pace.map(|pace| pace.1),
                    "copying"
                );
            }
        }
    }
}

/// What was said of a table's copy.
struct Told {
    tenth: u64,
    /// When it was first spoken of, and its rows then.
    first: (Instant, u64),
}

/// Rows per second since the first look, and the seconds that are left at that rate; none before there is one.
fn pace((since, before): (Instant, u64), rows: u64, estimated: u64) -> Option<(u64, u64)> {
    let (elapsed, copied) = (since.elapsed().as_secs_f64(), rows.saturating_sub(before));
    if copied == 0 || elapsed <= 0.0 {
        return None;
    }
    let rate = copied as f64 / elapsed;
    Some((rate as u64, (estimated.saturating_sub(rows) as f64 / rate).ceil() as u64))
}

/// The tenth that the copy of `table` has reached, when it was not told yet.
fn news(told: Option<u64>, table: &TableStatus) -> Option<u64> {
    if table.phase != Phase::Copying {
        return None;
    }
    let tenth = table.rows_copied * 10 / table.rows_estimated.max(table.rows_copied).max(1);
    (told != Some(tenth)).then_some(tenth)
}

/// The comparison's progress. A table counts with the planner's estimate of its rows.
pub(crate) struct Comparison {
    bar: Option<ProgressBar>,
    weights: HashMap<String, u64>,
    total: u64,
    began: Instant,
    done: std::sync::Mutex<u64>,
}

impl Comparison {
    /// Of tables with estimates of their rows.
    pub(crate) fn of<'a>(tables: impl Iterator<Item = (&'a Table, u64)>) -> Self {
        // An empty table takes its moment too.
        let weights: HashMap<String, u64> = tables.map(|(table, rows)| (name(table), rows.max(1))).collect();
        let total = weights.values().sum();
        let bar = terminal::is_watched().then(|| {
            let style = ProgressStyle::with_template(COMPARISON).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = terminal::bars().add(ProgressBar::new(total).with_style(style).with_prefix("verify"));
            bar.enable_steady_tick(BAR_TICK);
            bar
        });
        Self { bar, weights, total, began: Instant::now(), done: std::sync::Mutex::default() }
    }
}

impl Watch for Comparison {
    fn began(&self, table: &Table) {
        if let Some(bar) = &self.bar {
            bar.set_message(name(table));
        }
    }

    fn compared(&self, table: &Table, buckets: u32, differing: &[u32]) {
        if !differing.is_empty() {
            let (name, differing) = (name(table), differing.len());
            tracing::info!(table = name, buckets, differing, "looking at the rows of buckets that differ");
        }
    }

    fn narrowed(&self, _: &Table, _: &[u32]) {}

    fn ended(&self, table: &Table, report: &TableReport) {
        let name = name(table);
        let mut done = self.done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *done += self.weights.get(&name).copied().unwrap_or(0);
        match &self.bar {
            Some(bar) => bar.set_position(*done),
            None => {
                let pace = pace((self.began, 0), *done, self.total);
                tracing::info!(
                    table = name,
                    rows = report.rows_source,
                    equal = report.is_equal(),
                    rows_per_second = pace.map(|pace| pace.0),
                    seconds_left = pace.map(|pace| pace.1),
                    "compared"
                );
            }
        }
    }
}

impl Drop for Comparison {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn name(table: &Table) -> String {
    format!("{}.{}", table.schema, table.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_follows_from_the_rate() {
        let since = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        let (rate, left) = pace((since, 100), 1100, 2100).unwrap();
        assert!((99..=100).contains(&rate) && (10..=11).contains(&left), "{rate} {left}");
        assert_eq!(pace((since, 100), 100, 2100), None);
        assert_eq!(pace((since, 0), 500, 400).unwrap().1, 0, "more than was estimated");
    }

    #[test]
    fn tells_every_tenth_once() {
        let mut table = TableStatus {
            name: TableName::new("public", "t"),
            phase: Phase::Copying,
            rows_copied: 0,
            rows_estimated: 100,
            rows_streamed: 0,
            visible_commit_time: None,
            visible_took: None,
            error: None,
        };
        assert_eq!(news(None, &table), Some(0));
        assert_eq!(news(Some(0), &table), None);
        table.rows_copied = 57;
        assert_eq!(news(Some(0), &table), Some(5));
        table.rows_copied = 300;
        assert_eq!(news(Some(5), &table), Some(10));
        table.phase = Phase::Live;
        assert_eq!(news(Some(5), &table), None);
    }
}
