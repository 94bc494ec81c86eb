//! A look at the catalog from beside the stream: is the publication still there, what is a type, what is a key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use walhouse_change::TableSchema;

use super::covers;
use crate::catalog::{tables, types::Types};
use crate::endpoint::Endpoint;
use crate::wire::connection::{Connection, Mode};
use crate::{Error, Result};

/// How often the publication is looked at. Postgres 18 skips what is committed while it is missing and only warns, so
/// the sooner the better; the look costs two short queries.
const INTERVAL: Duration = Duration::from_secs(10);

/// The catalog connection of a stream, opened when it is needed.
pub(super) struct Watch {
    endpoint: Endpoint,
    pub(super) publication: String,
    /// Tables that must stay published; none where the publication is its owner's business.
    tables: Option<Vec<Arc<TableSchema>>>,
    connection: Option<Connection>,
    looked: Instant,
}

/// A look never takes longer than the replication session may be silent by default; `wal_sender_timeout` is a minute.
const PATIENCE: &str = "SET statement_timeout = '5s'";

impl Watch {
    pub(super) fn new(
        endpoint: Endpoint,
        publication: String,
        tables: Option<Vec<Arc<TableSchema>>>,
        connection: Connection,
    ) -> Self {
        Self { endpoint, publication, tables, connection: Some(connection), looked: Instant::now() }
    }

    /// Looks at the publication if it is time to.
    pub(super) fn look(&mut self) -> Result<()> {
        if self.looked.elapsed() < INTERVAL {
            return Ok(());
        }
        self.looked = Instant::now();
        let Some(tables) = self.tables.take() else { return Ok(()) };
        // Tables that are gone from the catalog left the publication with their last change.
        let name = self.publication.clone();
        let outcome = self.ask(|connection| {
            let relids: Vec<u32> = tables.iter().map(|table| table.relid).collect();
            let there = existing(connection, &relids)?;
            let there: Vec<_> = tables.iter().filter(|table| there.contains(&table.relid)).cloned().collect();
            covers(connection, &name, &there)
        });
        self.tables = Some(tables);
        match outcome {
            Ok(None) => Ok(()),
            Ok(Some(lost)) => Err(lost),
            Err(error) => {
                // The stream itself may be well; it is looked at again.
                tracing::warn!(error = %error, "cannot look at the publication");
                Ok(())
            }
        }
    }

    /// Reads types that the stream named.
    pub(super) fn types(&mut self, oids: &[u32]) -> Result<Types> {
        self.ask(|connection| {
            let mut types = Types::default();
            types.read(connection, oids.iter().copied())?;
            Ok(types)
        })
    }

    /// A table's key as the catalog has it now; none when the table is gone.
    pub(super) fn key_names(&mut self, relid: u32) -> Result<Option<Vec<String>>> {
        self.ask(|connection| tables::key_names(connection, relid))
    }

    /// Asks once more over a new connection when the old one broke (it may have been idle for days).
    fn ask<T>(&mut self, question: impl Fn(&mut Connection) -> Result<T>) -> Result<T> {
        if let Some(mut connection) = self.connection.take() {
            match question(&mut connection) {
                Err(Error::Broken { .. }) => {}
                outcome => {
                    self.connection = Some(connection);
                    return outcome;
                }
            }
        }
        let mut connection = connect(&self.endpoint)?;
        let outcome = question(&mut connection);
        self.connection = Some(connection);
        outcome
    }
}

/// A session whose questions end soon.
pub(super) fn connect(endpoint: &Endpoint) -> Result<Connection> {
    let mut connection = Connection::open(endpoint, Mode::Sql)?;
    connection.query("limit the look at the catalog", PATIENCE)?;
    Ok(connection)
}

fn existing(connection: &mut Connection, relids: &[u32]) -> Result<Vec<u32>> {
    let sql = format!("SELECT oid FROM pg_class WHERE oid IN ({})", crate::sql::oids(relids.iter().copied()));
    let rows = connection.query("look for the tables", &sql)?;
    rows.iter().map(|row| Ok(row.parse(0)?)).collect()
}

/// The same look before the stream begins.
pub(super) fn check_publication(
    connection: &mut Connection,
    publication: &str,
    tables: &[Arc<TableSchema>],
) -> Result<()> {
    let relids: Vec<u32> = tables.iter().map(|table| table.relid).collect();
    let there = existing(connection, &relids)?;
    let there: Vec<_> = tables.iter().filter(|table| there.contains(&table.relid)).cloned().collect();
    match covers(connection, publication, &there)? {
        None => Ok(()),
        Some(lost) => Err(lost),
    }
}
