//! Progress of a long job on standard error: a bar with rate and time left on a terminal, a plain line for every tenth
//! elsewhere.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// One job's progress.
#[derive(Debug)]
pub(crate) struct Progress {
    label: &'static str,
    unit: &'static str,
    bar: Option<ProgressBar>,
    done: u64,
    total: u64,
}

impl Progress {
    /// A job called `label` of `total` rows.
    pub(crate) fn new(label: &'static str, total: u64) -> Self {
        Self::counting(label, "rows", total)
    }

    /// A job called `label` of `total` of something.
    pub(crate) fn counting(label: &'static str, unit: &'static str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let template =
                format!("{{prefix:16}} [{{bar:40}}] {{human_pos}}/{{human_len}} {unit}, {{per_sec}}, {{eta}} left");
            let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total).with_style(style).with_prefix(label)
        });
        Self { label, unit, bar, done: 0, total }
    }

    /// Counts `more`.
    pub(crate) fn advance(&mut self, more: u64) {
        let tenth = |done: u64| (done * 10).checked_div(self.total);
        let (before, after) = (tenth(self.done), tenth(self.done + more));
        self.done += more;
        match &self.bar {
            Some(bar) => bar.inc(more),
            None if before != after => {
                writeln!(std::io::stderr(), "{}: {} of {} {}", self.label, self.done, self.total, self.unit).ok();
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
