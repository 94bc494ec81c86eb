//! A session for statements: their rows as texts, or as a batch of changes.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use walhouse_change::{ChangeBatch, Permit, TableSchema, Transaction};
use walhouse_value::Kind;

use super::facts::{self, CatalogTable};
use crate::endpoint::Endpoint;
use crate::snapshot::copy::{BUFFER, IDLE_BUFFER, Reading};
use crate::wire::connection::{Connection, Mode, Received, Row};
use crate::{Error, Result};

/// How often a copy that gets nothing looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);
/// How long a statement waits for a lock: shorter than an answer is waited for.
const LOCK_WAIT: &str = "SET lock_timeout = '50s'";

/// A blocking session with the role's own search path.
pub struct Session {
    connection: Connection,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.fmt(f)
    }
}

impl Session {
    pub(super) fn open(endpoint: &Endpoint) -> Result<Self> {
        let mut connection = Connection::open(endpoint, Mode::Sql)?;
        connection.query("set the session's limits", LOCK_WAIT)?;
        Ok(Self { connection })
    }

    /// Major version of the server.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.connection.version
    }

    /// Runs statements; the rows of all of them. `attempt` says in an error what was tried, as a verb phrase.
    ///
    /// # Errors
    /// The server refuses a statement, or the connection broke.
    pub fn rows(&mut self, attempt: &str, sql: &str) -> Result<Vec<Row>> {
        self.connection.query(attempt, sql)
    }

    /// The first value of the first row, empty for null or none.
    ///
    /// # Errors
    /// As [`Self::rows`].
    pub fn value(&mut self, attempt: &str, sql: &str) -> Result<String> {
        Ok(self.rows(attempt, sql)?.first().map_or("", |row| row.text(0)).to_owned())
    }

    /// Ordinary and partitioned tables of all schemas but the system's, in no order; only those with these `relid`s
    /// where some are given.
    ///
    /// # Errors
    /// As [`Self::rows`].
    pub fn tables(&mut self, relids: Option<&[u32]>) -> Result<Vec<CatalogTable>> {
        facts::tables(&mut self.connection, relids)
    }

    /// Labels of enum types in their order, by the type's oid.
    ///
    /// # Errors
    /// As [`Self::rows`].
    pub fn enum_labels(&mut self) -> Result<Vec<(u32, Vec<String>)>> {
        facts::enum_labels(&mut self.connection)
    }

    /// Reads the rows of `query`, whose columns are texts (or output functions' results) in the order of `schema`'s,
    /// as batches. Ends early when `take` gives false.
    ///
    /// # Errors
    /// As [`Self::rows`].
    pub fn copy(
        &mut self,
        schema: &Arc<TableSchema>,
        query: &str,
        transaction: Transaction,
        take: &mut dyn FnMut(Option<ChangeBatch>) -> bool,
    ) -> Result<()> {
        let attempt = format!("read {}", schema.name);
        self.connection.inbox.resize(BUFFER);
        self.connection.start_copy(&attempt, &format!("COPY ({query}) TO STDOUT (FORMAT binary)"))?;
        let mut reading = Reading::new(schema, vec![Kind::Text; schema.columns.len()], transaction);
        let finished = self.read(&mut reading, &attempt, take);
        if !matches!(finished, Ok(true)) {
            self.connection.cancel_and_finish(&attempt);
        }
        self.connection.inbox.resize(IDLE_BUFFER);
        finished?;
        reading.refused.map_or(Ok(()), Err)
    }

    /// True at the statement's end, false when the rest is not wanted.
    fn read(
        &mut self,
        reading: &mut Reading,
        attempt: &str,
        take: &mut dyn FnMut(Option<ChangeBatch>) -> bool,
    ) -> Result<bool> {
        loop {
            let ended = reading.parse(&mut self.connection, attempt)?;
            if reading.is_due(&self.connection, ended)
                && !take(Some(reading.batch(&mut self.connection, Permit::default())))
            {
                return Ok(false);
            }
            if ended {
                return Ok(true);
            }
            if self.connection.inbox.has_frame() {
                continue;
            }
            match self.connection.receive(attempt, LOOK)? {
                Received::Bytes => {}
                Received::Nothing if take(None) => {}
                Received::Nothing => return Ok(false),
                Received::End => {
                    return Err(Error::broken(attempt, io::Error::new(io::ErrorKind::UnexpectedEof, "it was closed")));
                }
            }
        }
    }

    /// Takes leave.
    pub fn close(self) {
        self.connection.close();
    }
}
