//! Incremental snapshots: rows that were read beside the stream wait in a window, and give way to what the stream
//! says of them before it is closed.

use std::collections::HashSet;

use walhouse_change::{Change, ChangeBatch};

use super::{Encoder, Event};
use crate::error::Result;
use crate::json::{self, DecimalFormat, JsonOptions};
use crate::record::Record;
use crate::table::Images;
use crate::value::Value;

/// What marks such a row.
pub(super) const MARKER: &str = "incremental";

/// The rows of one chunk of one table.
#[derive(Default)]
pub(super) struct Window {
    /// `schema.table`.
    table: String,
    batches: Vec<ChangeBatch>,
    /// Keys of rows that the stream has news of, as the converter writes them.
    touched: HashSet<Vec<u8>>,
    /// Between the two signals that surround the chunk.
    open: bool,
}

impl Window {
    /// The stream has news of a row.
    #[inline]
    pub(super) fn touch(&mut self, table: &str, key: &Value) {
        if self.open && !self.batches.is_empty() && table == self.table {
            self.touched.insert(fingerprint(key));
        }
    }
}

/// The key's content, whatever its converter.
fn fingerprint(key: &Value) -> Vec<u8> {
    let options = JsonOptions { schemas: false, decimals: DecimalFormat::Base64, replace_nulls: false };
    json::convert(None, &Value::Array(key.members().to_vec()), options).unwrap_or_default()
}

impl Encoder {
    /// Puts a chunk's rows into the window, all of one table, in place of those that were in it.
    pub fn window_fill(&mut self, batches: Vec<ChangeBatch>) {
        let schema = batches.first().and_then(|batch| batch.schemas().first());
        self.window.table = schema.map(|schema| schema.name.to_string()).unwrap_or_default();
        self.window.batches = batches;
        self.window.touched.clear();
    }

    /// From here on the stream's news of a row count.
    pub fn window_open(&mut self) {
        self.window.open = true;
    }

    /// Empties and closes the window.
    pub fn window_clear(&mut self) {
        self.window = Window::default();
    }

    /// Closes the window: the records of the rows that are left in it.
    ///
    /// # Errors
    /// As [`Self::change`].
    pub fn window_close(&mut self, out: &mut Vec<Record>) -> Result<()> {
        let window = std::mem::take(&mut self.window);
        for batch in &window.batches {
            for change in batch.changes() {
                let Change::Row(change) = change else { continue };
                let row = batch.row(change);
                let plan = self.plan(row.schema(), true);
                let Some(image) = row.new_image().filter(|_| plan.captured) else { continue };
                if let Some(fatal) = &plan.fatal {
                    return Err(fatal.clone());
                }
                let images = Images { image, old: None };
                let key = self.key(&plan, &images)?;
                if window.touched.contains(&fingerprint(&key)) {
                    continue;
                }
                let after = self.values(&plan.row, &plan, &images)?;
                let now = (self.clock)();
                self.position.time = Some(now * 1000);
                let lsn = self.position.lsn.unwrap_or_default();
                let event = Event {
                    plan: &plan,
                    op: "r",
                    before: Value::Null,
                    after,
                    lsn,
                    snapshot: Some((MARKER, None, now)),
                };
                self.emit(event, key, &mut Vec::new(), out)?;
            }
        }
        Ok(())
    }
}
