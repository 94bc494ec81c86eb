//! A look at the catalog from beside the stream: is the publication still there, what is a type, what is a key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use walhouse_change::{Retry, TableSchema};

use super::publication_lost;
use crate::catalog::{tables, types::Types};
use crate::endpoint::Endpoint;
use crate::wire::connection::{Connection, Mode};
use crate::{Error, PublicationFacts, Result, publication};

/// How often the publication is looked at. Postgres 18 skips what is committed while it is missing and only warns, so
/// the sooner the better; the look costs two short queries.
const INTERVAL: Duration = Duration::from_secs(10);

/// The catalog connection of a stream, opened when it is needed.
pub(super) struct Watch {
    endpoint: Endpoint,
    pub(super) known: Known,
    /// Tables that must stay published; none where the publication is its owner's business.
    tables: Option<Vec<Arc<TableSchema>>>,
    connection: Option<Connection>,
    looked: Instant,
}

/// The publication that the stream relies on.
pub(super) struct Known {
    pub(super) name: String,
    /// As it was when the stream's tables were known to be in it.
    pub(super) facts: Option<PublicationFacts>,
}

/// A look never takes longer than the replication session may be silent by default; `wal_sender_timeout` is a minute.
const PATIENCE: &str = "SET statement_timeout = '5s'";

impl Watch {
    pub(super) fn new(
        endpoint: Endpoint,
        known: Known,
        tables: Option<Vec<Arc<TableSchema>>>,
        connection: Connection,
    ) -> Self {
        Self { endpoint, known, tables, connection: Some(connection), looked: Instant::now() }
    }

    /// Looks at the publication if it is time to.
    pub(super) fn look(&mut self) -> Result<()> {
        if self.looked.elapsed() < INTERVAL {
            return Ok(());
        }
        self.looked = Instant::now();
        let Self { endpoint, known, tables: Some(tables), connection, .. } = self else { return Ok(()) };
        let outcome = ask(endpoint, connection, |connection| missing(connection, known, tables));
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
        ask(&self.endpoint, &mut self.connection, |connection| {
            let mut types = Types::default();
            types.read(connection, oids.iter().copied())?;
            Ok(types)
        })
    }

    /// A table's key as the catalog has it now; none when the table is gone.
    pub(super) fn key_names(&mut self, relid: u32) -> Result<Option<Vec<String>>> {
        ask(&self.endpoint, &mut self.connection, |connection| tables::key_names(connection, relid))
    }
}

/// Asks once more over a new connection when the old one broke (it may have been idle for days).
fn ask<T>(
    endpoint: &Endpoint,
    kept: &mut Option<Connection>,
    question: impl Fn(&mut Connection) -> Result<T>,
) -> Result<T> {
    if let Some(mut connection) = kept.take() {
        match question(&mut connection) {
            Err(Error::Broken { .. }) => {}
            outcome => {
                *kept = Some(connection);
                return outcome;
            }
        }
    }
    let mut connection = connect(endpoint)?;
    let outcome = question(&mut connection);
    *kept = Some(connection);
    outcome
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
pub(super) fn check_publication(connection: &mut Connection, known: &Known, tables: &[Arc<TableSchema>]) -> Result<()> {
    missing(connection, known, tables)?.map_or(Ok(()), Err)
}

/// What the publication does not publish any more of `tables`, or did not for a while.
fn missing(connection: &mut Connection, known: &Known, tables: &[Arc<TableSchema>]) -> Result<Option<Error>> {
    let Known { name, facts } = known;
    let lost = |what: &str| Ok(Some(publication_lost(name, what)));
    // Tables that are gone from the catalog left the publication with their last change.
    let relids: Vec<u32> = tables.iter().map(|table| table.relid).collect();
    let there = existing(connection, &relids)?;
    let Some(found) = publication::read(connection, name)? else { return lost("it does not exist") };
    let published = publication::published(connection, name)?.unwrap_or_default();
    if facts.as_ref().is_some_and(|facts| facts.oid != found.oid) {
        return lost("it was dropped and made anew");
    }
    if !found.all_operations || !found.via_root {
        return lost("it does not publish every operation through the roots of partitioned tables");
    }
    for table in tables.iter().filter(|table| there.contains(&table.relid)) {
        if found.narrowed.contains(&table.relid) {
            return lost(&format!("it has a column list or a row filter for {}", table.name));
        }
        let has_left = facts.as_ref().is_some_and(|facts| found.has_left(facts, table.relid));
        if has_left || !published.contains(&table.relid) {
            let message =
                format!("publication {name} was changed: {} was taken out, and changes are missing", table.name);
            return Ok(Some(Error::Finding { message, retry: Retry::CopyAgain(table.name.clone()), remedy: None }));
        }
    }
    Ok(None)
}
