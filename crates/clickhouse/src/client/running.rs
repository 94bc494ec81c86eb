//! Ends what is still running on the server under our names.
//!
//! Before a target's highest version is read, no insert of a former process (or of a sink that was
//! dropped) may be under way, or it would land after the reading. KILL is always ASYNC: with SYNC
//! the embedded engine hangs while the victim's connection is idle.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::Client;
use crate::ddl::literal;
use crate::error::{Error, Result};

/// Between two looks at the list of queries.
const POLL: Duration = Duration::from_millis(50);

impl Client {
    /// Kills every query whose id (or log comment) starts with `prefix`, and waits until none is
    /// left.
    ///
    /// # Errors
    /// [`Error::Busy`] when some are still there after `patience`.
    pub(crate) async fn end_queries(&self, prefix: &str, patience: Duration) -> Result<()> {
        let start = literal(prefix);
        let condition = format!("startsWith(query_id, {start}) OR startsWith(Settings['log_comment'], {start})");
        let deadline = Instant::now() + patience;
        while self.count_running(&condition).await? > 0 {
            if Instant::now() >= deadline {
                return Err(Error::Busy(format!(
                    "cannot start: queries of a former run ({prefix}) do not end on ClickHouse"
                )));
            }
            self.execute("end queries of a former run", &format!("KILL QUERY WHERE {condition} ASYNC")).await?;
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    async fn count_running(&self, condition: &str) -> Result<u64> {
        #[derive(Deserialize)]
        struct Row {
            running: String,
        }
        let sql = format!("SELECT toString(count()) AS running FROM system.processes WHERE {condition}");
        let rows: Vec<Row> = self.rows("look at the running queries", &sql).await?;
        Ok(rows.first().and_then(|row| row.running.parse().ok()).unwrap_or(0))
    }
}
