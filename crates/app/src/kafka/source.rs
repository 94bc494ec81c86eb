//! The tables of Postgres as they are, and whether the connector is there.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use walhouse_change::{Budget, SurveyedTable};
use walhouse_kafka::{ColumnFacts, TableFacts, UniqueIndex};
use walhouse_postgres::{CatalogTable, Database, Postgres, SlotFacts};

use super::{Way, refused};

/// Nothing is streamed here.
const BUDGET_BYTES: usize = 64 << 20;

/// A connector's own default.
pub(crate) const DEFAULT_SLOT: &str = "debezium";
const DEFAULT_PUBLICATION: &str = "dbz_publication";

/// Postgres, with the connector's slot and publication in place of our own.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) postgres: Postgres,
    database: Database,
    pub(crate) slot: String,
    pub(crate) publication: String,
}

impl Source {
    pub(crate) fn new(way: &Way) -> Result<Self> {
        let slot = way.option("slot.name", DEFAULT_SLOT).to_owned();
        let publication = way.option("publication.name", DEFAULT_PUBLICATION).to_owned();
        let config = walhouse_postgres::Config {
            slot: Some(slot.clone()),
            publication: Some(publication.clone()),
            ..way.config.postgres.clone()
        };
        let budget = Budget::new(BUDGET_BYTES);
        Ok(Self {
            database: Database::new(&config, budget.clone())?,
            postgres: Postgres::new(config, budget)?,
            slot,
            publication,
        })
    }

    /// The tables of the selection with what the catalog says of each.
    pub(crate) async fn tables(&self) -> Result<Vec<(SurveyedTable, TableFacts)>> {
        let tables = self.postgres.tables().await?;
        let relids: Vec<u32> = tables.iter().map(|table| table.schema.relid).collect();
        let database = self.database.clone();
        let read = move || {
            let mut session = database.session()?;
            let tables = session.tables(Some(&relids));
            session.close();
            tables
        };
        let catalog = tokio::task::spawn_blocking(read).await.context("cannot read the catalog")??;
        let mut facts: BTreeMap<u32, TableFacts> =
            catalog.into_iter().map(|table| (table.relid, self::facts(table))).collect();
        Ok(tables
            .into_iter()
            .map(|table| {
                let facts = facts.remove(&table.schema.relid).unwrap_or_default();
                (table, facts)
            })
            .collect())
    }

    /// Refuses a publication that leaves changes out. One that is not there yet is the connector's to make.
    pub(crate) async fn check_publication(&self) -> Result<()> {
        let (database, name) = (self.database.clone(), walhouse_postgres::literal(&self.publication));
        let read = move || {
            let mut session = database.session()?;
            let sql = format!(
                "SELECT concat_ws(', ', CASE WHEN NOT pubinsert THEN 'insert' END, CASE WHEN NOT pubupdate THEN 'update' END, \
                 CASE WHEN NOT pubdelete THEN 'delete' END) FROM pg_catalog.pg_publication WHERE pubname = {name}"
            );
            let missing = session.value("read the publication", &sql);
            session.close();
            missing
        };
        let missing = tokio::task::spawn_blocking(read).await.context("cannot read the publication")??;
        if missing.is_empty() {
            return Ok(());
        }
        Err(refused(format!(
            "publication {} leaves {missing} out, so ClickHouse would not see it: ALTER PUBLICATION {} SET (publish = 'insert, \
             update, delete, truncate')",
            self.publication,
            walhouse_postgres::identifier(&self.publication)
        )))
    }

    /// The connector's slot, which must hold every change from now on.
    pub(crate) async fn check_slot(&self) -> Result<SlotFacts> {
        let slot = &self.slot;
        let facts = self.postgres.slot_facts().await?.filter(|facts| facts.of_this_database).ok_or_else(|| {
            refused(format!(
                "there is no replication slot {slot:?} in this database: start the connector first, with \
                 snapshot.mode=never, and import then; rows that change before its slot exists would be lost"
            ))
        })?;
        match &facts.invalidation {
            None => Ok(facts),
            Some(reason) => Err(refused(format!(
                "replication slot {slot:?} has lost changes ({reason}): drop it, start the connector anew, and import then"
            ))),
        }
    }

    /// Refuses tables that the publication does not hold: their changes are in no topic.
    pub(crate) async fn check_published(&self, tables: &[(u32, String)]) -> Result<()> {
        let found = self.postgres.publication_facts().await?.ok_or_else(|| {
            refused(format!("there is no publication {:?}: start the connector first", self.publication))
        })?;
        let held = |relid: u32| found.all_tables || found.schemas || found.tables.contains(&relid);
        match tables.iter().find(|(relid, _)| !held(*relid)) {
            None => Ok(()),
            Some((_, name)) => Err(refused(format!(
                "publication {:?} does not hold {name}, so its changes are in no topic: take it into the connector's \
                 table.include.list and let the connector alter the publication, then import",
                self.publication
            ))),
        }
    }
}

fn facts(table: CatalogTable) -> TableFacts {
    let column = |column: walhouse_postgres::CatalogColumn| ColumnFacts {
        name: column.name,
        not_null: column.not_null,
        default: column.default,
    };
    let index = |index: walhouse_postgres::CatalogIndex| UniqueIndex { name: index.name, columns: index.columns };
    TableFacts {
        relid: table.relid,
        columns: table.columns.into_iter().map(column).collect(),
        primary_key: table.primary_key,
        unique_indexes: table.unique_indexes.into_iter().map(index).collect(),
    }
}
