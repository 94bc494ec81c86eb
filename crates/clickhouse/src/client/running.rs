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
        let prefix_sql = literal(prefix);
        self.end_matching(
            prefix,
            &format!("startsWith(query_id, {prefix_sql}) OR startsWith(Settings['log_comment'], {prefix_sql})"),
            patience,
        )
        .await
    }

    /// Kills the one query of that id, and waits until it is gone.
    pub(crate) async fn end_query(&self, id: &str, patience: Duration) -> Result<()> {
        let id_sql = literal(id);
        self.end_matching(id, &format!("query_id = {id_sql} OR Settings['log_comment'] = {id_sql}"), patience).await
    }

    async fn end_matching(&self, name: &str, condition: &str, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        while self.count_running(condition).await? > 0 {
            if Instant::now() >= deadline {
                return Err(Error::Busy(format!(
                    "cannot start: queries of a former run ({name}) do not end on ClickHouse"
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
