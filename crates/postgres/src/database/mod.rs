//! The database as a connector's task sees it: sessions for statements, a log to follow whole, slots with their
//! snapshots. What is decided with them (which publication, which snapshot, where to go on) is the task's business.
//!
//! Everything here blocks, and belongs on an ordinary thread.

mod facts;
mod session;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use walhouse_change::{Budget, Lsn, SlotKind, Source, TableName};

pub use facts::{CatalogColumn, CatalogIndex, CatalogTable};
pub use session::Session;

use crate::claim::License;
use crate::endpoint::Endpoint;
use crate::session::{self as stream, Scope};
use crate::snapshot::slot::{self, Guard};
use crate::wire::connection::{Connection, Mode};
use crate::{Config, Result, SlotFacts};

/// A database to open sessions on. Cheap to clone; holds no connection.
#[derive(Clone)]
pub struct Database {
    endpoint: Endpoint,
    budget: Budget,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}

/// What is followed of a log.
pub struct Log {
    /// The slot, which must exist.
    pub slot: String,
    /// The publication.
    pub publication: String,
    /// Where to begin: transactions whose commit LSN is not below, and not below what the slot has confirmed.
    pub from: Lsn,
    /// More options of START_REPLICATION.
    pub options: Vec<(String, String)>,
    /// Which relations are shown.
    pub wanted: Arc<dyn Fn(&TableName) -> bool + Send + Sync>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("slot", &self.slot).field("from", &self.from).finish_non_exhaustive()
    }
}

impl Database {
    /// Reads the configuration's way to the server, joined with libpq's environment; its choice of tables, slot and
    /// publication is not looked at. `budget` bounds the bytes of a followed log that are in flight.
    ///
    /// # Errors
    /// The configuration cannot work.
    pub fn new(config: &Config, budget: Budget) -> Result<Self> {
        Ok(Self { endpoint: Endpoint::new(config)?, budget })
    }

    /// Opens a session with the role's own search path.
    ///
    /// # Errors
    /// The server cannot be reached or refuses us.
    pub fn session(&self) -> Result<Session> {
        let mut endpoint = self.endpoint.clone();
        endpoint.own_search_path = true;
        Session::open(&endpoint)
    }

    /// What the server says of a slot; none when it does not exist.
    ///
    /// # Errors
    /// The server cannot be reached or refuses us.
    pub fn slot(&self, name: &str) -> Result<Option<SlotFacts>> {
        let mut connection = Connection::open(&self.endpoint, Mode::Sql)?;
        let facts = crate::slot::read(&mut connection, name);
        connection.close();
        facts
    }

    /// Drops a slot if it exists; waits a moment for a walsender that is just ending.
    ///
    /// # Errors
    /// The server cannot be reached or refuses it.
    pub fn drop_slot(&self, name: &str) -> Result<()> {
        let mut connection = Connection::open(&self.endpoint, Mode::Sql)?;
        let dropped = crate::slot::drop(&mut connection, name);
        connection.close();
        dropped
    }

    /// Creates a slot that decodes with pgoutput and exports its snapshot. `wait` bounds how long running transactions
    /// are waited for; `stopped` ends the waiting. A lasting slot stays.
    ///
    /// # Errors
    /// The server refuses it, or the wait was too long or ended.
    pub fn create_slot(
        &self,
        name: &str,
        kind: SlotKind,
        wait: Duration,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Exported> {
        let mut other = Connection::open(&self.endpoint, Mode::Sql)?;
        let request = slot::Request { endpoint: &self.endpoint, slot: name, kind, wait };
        let mut created = slot::create(&request, &mut other, stopped)?;
        other.close();
        created.guard.keep_slot();
        Ok(Exported { consistent_point: created.consistent_point, snapshot: created.snapshot, _guard: created.guard })
    }

    /// Follows a log.
    ///
    /// # Errors
    /// The server cannot be reached or refuses it.
    pub fn follow(&self, log: Log) -> Result<Box<dyn Source>> {
        stream::open(stream::Plan {
            endpoint: self.endpoint.clone(),
            slot: log.slot,
            publication: log.publication,
            published: None,
            budget: self.budget.clone(),
            license: License::default(),
            from: log.from,
            scope: Scope::Log { wanted: log.wanted, options: log.options },
        })
    }
}

/// A new slot's snapshot, which others can import as long as this is kept. A temporary slot ends with it.
pub struct Exported {
    /// The snapshot holds exactly the transactions whose commit LSN is below.
    pub consistent_point: Lsn,
    /// Its name, for `SET TRANSACTION SNAPSHOT`.
    pub snapshot: String,
    _guard: Guard,
}

impl fmt::Debug for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exported").field("consistent_point", &self.consistent_point).finish_non_exhaustive()
    }
}
