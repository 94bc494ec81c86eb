//! What a stream's sink tells while it works.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use walhouse_change::{Error, Observer, TableName};

use crate::StatusBoard;
use crate::pulse::Pulse;

/// Keeps stopped tables until the event loop has put them on record, and passes the rest on to
/// the status board.
#[derive(Debug)]
pub(crate) struct Watcher {
    board: StatusBoard,
    pulse: Pulse,
    stopped: Mutex<BTreeMap<TableName, Error>>,
    news: Notify,
}

impl Watcher {
    pub(crate) fn new(board: StatusBoard, pulse: Pulse) -> Self {
        Self { board, pulse, stopped: Mutex::default(), news: Notify::new() }
    }

    /// Tables stopped since the last call.
    pub(crate) fn take_stopped(&self) -> BTreeMap<TableName, Error> {
        std::mem::take(&mut *self.stopped.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// True when [`Self::take_stopped`] has something to give.
    pub(crate) fn has_stopped(&self) -> bool {
        !self.stopped.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Waits until a table was stopped.
    pub(crate) async fn table_was_stopped(&self) {
        self.news.notified().await;
    }
}

impl Observer for Watcher {
    fn table_stopped(&self, table: &TableName, error: &Error) {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        stopped.entry(table.clone()).or_insert_with(|| error.clone());
        drop(stopped);
        self.news.notify_one();
    }

    fn visible(&self, table: &TableName, rows: u64, commit_time: i64) {
        self.pulse.beats();
        self.board.visible(table, rows, commit_time);
    }
}
