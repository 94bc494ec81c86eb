//! Progress of a long job on standard error: a bar on a terminal, a plain line for every tenth elsewhere.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// What a bar looks like; rows are what every job of the lab counts.
const TEMPLATE: &str = "{prefix:16} [{bar:40}] {human_pos}/{human_len} rows, {per_sec}, {eta} left";

/// One job's progress.
#[derive(Debug)]
pub(crate) struct Progress {
    label: &'static str,
    bar: Option<ProgressBar>,
    done: u64,
    total: u64,
}

impl Progress {
    /// A job called `label` of `total` rows.
    pub(crate) fn new(label: &'static str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total).with_style(style).with_prefix(label)
        });
        Self { label, bar, done: 0, total }
    }

    /// Counts `rows` more.
    pub(crate) fn advance(&mut self, rows: u64) {
        let tenth = |done: u64| (done * 10).checked_div(self.total);
        let (before, after) = (tenth(self.done), tenth(self.done + rows));
        self.done += rows;
        match &self.bar {
            Some(bar) => bar.inc(rows),
            None if before != after => {
                writeln!(std::io::stderr(), "{}: {} of {} rows", self.label, self.done, self.total).ok();
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}
