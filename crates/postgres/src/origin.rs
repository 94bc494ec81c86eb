//! The adapter: everything of the contract, and what the commands beside the pipeline need.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use walhouse_change::{
    BoxFuture, Budget, Lsn, Origin, Result, SlotKind, Snapshot, Source, Survey, SurveyedTable, TableName, TableSchema,
};

use crate::background::{self, Stop};
use crate::catalog::{comments, server, tables};
use crate::check::{self, Finding};
use crate::claim::{self, Claims};
use crate::endpoint::Endpoint;
use crate::publication::Published;
use crate::wire::connection::{Connection, Mode};
use crate::{
    Config, Error, PublicationFacts, ServerFacts, SlotFacts, TableNotes, publication, session, slot, snapshot,
};

/// A Postgres database as a source of changes. Cheap to clone; holds no connection.
#[derive(Clone)]
pub struct Postgres(Arc<Inner>);

struct Inner {
    config: Config,
    endpoint: Endpoint,
    budget: Budget,
    text_only: Arc<AtomicBool>,
    published: Mutex<Published>,
    claims: Claims,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.endpoint.fmt(f)
    }
}

impl Postgres {
    /// Reads the configuration, joined with libpq's environment; connects to nothing yet.
    ///
    /// # Errors
    /// The configuration cannot work.
    pub fn new(config: Config, budget: Budget) -> Result<Self> {
        config.validate()?;
        let endpoint = Endpoint::new(&config)?;
        Ok(Self(Arc::new(Inner {
            config,
            endpoint,
            budget,
            text_only: Arc::default(),
            published: Mutex::default(),
            claims: Claims::default(),
        })))
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    fn published(&self) -> MutexGuard<'_, Published> {
        self.0.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn with_session<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection, &Inner, &Stop) -> crate::Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.0);
        background::run(move |stop| {
            let mut connection = Connection::open(&inner.endpoint, Mode::Sql)?;
            let outcome = work(&mut connection, &inner, stop);
            connection.close();
            outcome
        })
        .await
    }

    /// Facts of the server and of our role.
    ///
    /// # Errors
    /// The server cannot be reached or refuses us.
    pub async fn server_facts(&self) -> Result<ServerFacts> {
        self.with_session(|connection, _, _| server::read(connection)).await
    }

    /// What the server says of our slot; none when it does not exist.
    ///
    /// # Errors
    /// The server cannot be reached or refuses us.
    pub async fn slot_facts(&self) -> Result<Option<SlotFacts>> {
        self.with_session(|connection, inner, _| slot::read(connection, inner.config.slot())).await
    }

    /// Both of these, in one session.
    ///
    /// # Errors
    /// The server cannot be reached or refuses us.
    pub async fn server_and_slot_facts(&self) -> Result<(ServerFacts, Option<SlotFacts>)> {
        self.with_session(|connection, inner, _| {
            Ok((server::read(connection)?, slot::read(connection, inner.config.slot())?))
        })
        .await
    }

    /// The server process of the walhouse that works for our slot; this very one's included.
    ///
    /// # Errors
    /// The server cannot be reached or refuses us.
    pub async fn slot_holder(&self) -> Result<Option<i32>> {
        self.with_session(|connection, inner, _| claim::holder(connection, inner.config.slot())).await
    }

    /// [`Origin::snapshot`] under a temporary slot, of `tables` that may leave columns out: who follows them by other
    /// means than our stream does not miss what a new column holds.
    ///
    /// # Errors
    /// Those of [`Origin::snapshot`].
    pub async fn snapshot_of_columns(&self, tables: &[Arc<TableSchema>]) -> Result<Arc<dyn Snapshot>> {
        self.take_snapshot(tables, SlotKind::Temporary, false).await
    }

    async fn take_snapshot(
        &self,
        tables: &[Arc<TableSchema>],
        slot: SlotKind,
        whole: bool,
    ) -> Result<Arc<dyn Snapshot>> {
        let config = &self.0.config;
        let plan = snapshot::Plan {
            endpoint: self.0.endpoint.clone(),
            slot: config.slot().to_owned(),
            kind: slot,
            publication: config.publication().to_owned(),
            tables: tables.to_vec(),
            workers: config.copy_workers(),
            slot_wait: config.slot_wait(),
            lock_wait: config.lock_wait(),
            budget: self.0.budget.clone(),
            license: self.0.claims.license(),
            whole,
        };
        let (snapshot, guard) = background::run(move |stop| snapshot::take(plan, stop)).await?;
        guard.keep();
        Ok(Arc::new(snapshot) as Arc<dyn Snapshot>)
    }

    /// Our publication as found; none when it does not exist.
    ///
    /// # Errors
    /// The server cannot be reached or refuses us.
    pub async fn publication_facts(&self) -> Result<Option<PublicationFacts>> {
        self.with_session(|connection, inner, _| publication::read(connection, inner.config.publication())).await
    }

    /// The tables of the selection, in name order, with what is wrong with them.
    ///
    /// # Errors
    /// The server cannot be reached, or a table that is named does not exist.
    pub async fn tables(&self) -> Result<Vec<SurveyedTable>> {
        self.with_session(|connection, inner, _| surveyed(connection, &inner.config)).await
    }

    /// Comments and declared types of tables, in name order; a table that is gone is left out.
    ///
    /// # Errors
    /// The server cannot be reached or refuses us.
    pub async fn notes(&self, relids: Vec<u32>) -> Result<Vec<(TableName, TableNotes)>> {
        self.with_session(move |connection, _, _| comments::read(connection, &relids)).await
    }

    /// Everything that could go wrong, before it does. A server that cannot be reached is a finding too.
    pub async fn check(&self) -> Vec<Finding> {
        let inner = Arc::clone(&self.0);
        let checked = background::run(move |_| Ok(check::run(&inner.endpoint, &inner.config))).await;
        checked.unwrap_or_else(|error| vec![Finding::of_error(&error)])
    }

    /// Drops our publication if it exists.
    ///
    /// # Errors
    /// The server cannot be reached or refuses it.
    pub async fn drop_publication(&self) -> Result<()> {
        self.with_session(|connection, inner, _| publication::drop(connection, inner.config.publication())).await
    }
}

/// The selection, with generated columns as our publication has them.
pub(crate) fn surveyed(connection: &mut Connection, config: &Config) -> crate::Result<Vec<SurveyedTable>> {
    let publication = publication::read(connection, config.publication())?;
    tables::survey(connection, &config.tables, publication.is_some_and(|found| found.generated))
}

fn survey(connection: &mut Connection, inner: &Inner) -> crate::Result<(Survey, Option<PublicationFacts>)> {
    let config = &inner.config;
    // Whoever surveys is about to write, here and at the target. Before anything is read: who had the slot until now may
    // have gone on meanwhile.
    inner.claims.hold(&inner.endpoint, config.slot(), connection)?;
    let facts = server::read(connection)?;
    if facts.wal_level != "logical" {
        return Err(Error::finding(
            walhouse_change::Retry::Never,
            format!("wal_level is {}, and logical replication needs logical", facts.wal_level),
            "ALTER SYSTEM SET wal_level = logical, then restart postgres",
        ));
    }
    let mut replication = Connection::open(&inner.endpoint, Mode::Replication)?;
    let (system_identifier, timeline) = server::identify(&mut replication)?;
    replication.close();
    let slot = slot::state(connection, config.slot())?;
    // Before what is published: a change between the two is then noticed by `publish`, which would else put a table
    // back that was taken out.
    let publication = publication::read(connection, config.publication())?;
    let generated = publication.as_ref().is_some_and(|found| found.generated);
    let survey = Survey {
        system_identifier,
        timeline,
        current: facts.current,
        slot,
        published: publication::published(connection, config.publication())?,
        tables: tables::survey(connection, &config.tables, generated)?,
    };
    Ok((survey, publication))
}

impl Origin for Postgres {
    fn survey(&self) -> BoxFuture<'_, Result<Survey>> {
        Box::pin(async {
            let surveyed = self.with_session(|connection, inner, _| survey(connection, inner)).await;
            let (mut survey, publication) = surveyed?;
            // Here and not on the session's thread: a survey whose answer nobody got does not count.
            survey.published = self.published().surveyed(publication, survey.published);
            Ok(survey)
        })
    }

    fn publish<'a>(&'a self, tables: &'a [Arc<TableSchema>]) -> BoxFuture<'a, Result<()>> {
        let tables = tables.to_vec();
        Box::pin(async move {
            let surveyed = self.published().facts.clone();
            let publish = move |connection: &mut Connection, inner: &Inner, _: &Stop| {
                publication::publish(connection, inner.config.publication(), &tables, surveyed.as_ref())
            };
            let facts = self.with_session(publish).await?;
            *self.published() = Published::made(facts);
            Ok(())
        })
    }

    fn snapshot<'a>(
        &'a self,
        tables: &'a [Arc<TableSchema>],
        slot: SlotKind,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>>> {
        Box::pin(self.take_snapshot(tables, slot, true))
    }

    fn drop_slot(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.with_session(|connection, inner, _| slot::drop(connection, inner.config.slot())))
    }

    fn stream<'a>(&'a self, from: Lsn, tables: &'a [Arc<TableSchema>]) -> BoxFuture<'a, Result<Box<dyn Source>>> {
        let plan = session::Plan {
            endpoint: self.0.endpoint.clone(),
            slot: self.0.config.slot().to_owned(),
            publication: self.0.config.publication().to_owned(),
            published: self.published().facts.clone(),
            budget: self.0.budget.clone(),
            license: self.0.claims.license(),
            from,
            scope: session::Scope::Tables { tables: tables.to_vec(), text_only: Arc::clone(&self.0.text_only) },
        };
        Box::pin(background::run(move |_| session::open(plan)))
    }
}
