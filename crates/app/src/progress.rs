//! The copy's progress: a bar per table where a person watches, log lines elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::interval;
use walhouse_change::{Phase, TableName};
use walhouse_pipeline::{StatusBoard, TableStatus};

use crate::terminal;

/// Fast enough to look alive.
const BAR_TICK: Duration = Duration::from_millis(150);
/// Fast enough that no tenth of a long copy is missed.
const LINE_TICK: Duration = Duration::from_millis(500);
const STYLE: &str = "{prefix:24!} [{bar:32}] {human_pos}/~{human_len} rows, {per_sec}, {elapsed}";

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
    let mut told: BTreeMap<TableName, u64> = BTreeMap::new();
    let mut tick = interval(LINE_TICK);
    loop {
        tick.tick().await;
        for table in board.read().tables {
            if let Some(tenth) = news(told.get(&table.name).copied(), &table) {
                told.insert(table.name.clone(), tenth);
                tracing::info!(
                    table = %table.name,
                    rows = table.rows_copied,
                    estimated = table.rows_estimated,
                    "copying"
                );
            }
        }
    }
}

/// The tenth that the copy of `table` has reached, when it was not told yet.
fn news(told: Option<u64>, table: &TableStatus) -> Option<u64> {
    if table.phase != Phase::Copying {
        return None;
    }
    let tenth = table.rows_copied * 10 / table.rows_estimated.max(table.rows_copied).max(1);
    (told != Some(tenth)).then_some(tenth)
}

#[cfg(test)]
mod tests {
    use super::*;

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
