//! Looks from outside, for `status` and `check`, and the end of it all, `teardown`.

use std::sync::Arc;

use serde::Deserialize;
use walhouse_change::{Error, Result, State, TableSchema};

use super::ClickHouse;
use super::inventory::Inventory;
use super::owner;
use crate::ddl::{self, literal};
use crate::mapping::collisions;

/// A right that the user lacks, by what it is called in a GRANT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRight {
    /// `INSERT ON shop.*`.
    pub right: String,
}

/// Rights that a run uses, apart from those on `system`, which every user has.
const RIGHTS: [&str; 7] = ["SELECT", "INSERT", "CREATE TABLE", "CREATE VIEW", "DROP TABLE", "DROP VIEW", "ALTER TABLE"];

impl ClickHouse {
    /// Version of the server; also tells whether it can be reached with this user and password.
    ///
    /// # Errors
    /// It cannot.
    pub async fn version(&self) -> Result<String> {
        Ok(self.client.version().await?)
    }

    /// The state as stored; changes nothing. Empty where there is none.
    ///
    /// # Errors
    /// The server cannot be reached or asked.
    pub async fn state(&self) -> Result<State> {
        Ok(self.service.read(true).await?)
    }

    /// Rights that the user lacks in the database. Empty for a server that cannot be asked (the
    /// statement is younger than some servers).
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn missing_rights(&self) -> Result<Vec<MissingRight>> {
        #[derive(Deserialize)]
        struct Row {
            result: u8,
        }
        let mut missing = Vec::new();
        for right in RIGHTS {
            let right = format!("{right} ON {}.*", ddl::identifier(&self.config.database));
            let answer: Result<Vec<Row>, _> =
                self.client.rows("check the user's rights", &format!("CHECK GRANT {right}")).await;
            match answer {
                Ok(rows) if rows.first().is_some_and(|row| row.result == 0) => missing.push(MissingRight { right }),
                Ok(_) => {}
                Err(error) if error.code().is_some() => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(missing)
    }

    /// What would keep tables from being made or followed: names that somebody else has, tables
    /// of ours that no longer fit. Changes nothing.
    ///
    /// # Errors
    /// The server cannot be reached, or two tables claim one name.
    pub async fn conflicts(&self, schemas: &[Arc<TableSchema>]) -> Result<Vec<Error>> {
        let tables = self.tables().await?;
        let inventory = Inventory::read(&self.client, &self.config.database, None).await?;
        let (mut conflicts, mut plans) = (Vec::new(), Vec::new());
        for schema in schemas {
            match tables.plan(schema) {
                Ok(plan) => plans.push((*plan).clone()),
                Err(error) => conflicts.push(error),
            }
        }
        collisions(&plans)?;
        for plan in &plans {
            let table = Some(&plan.schema.name);
            if let Err(error) = tables.check_names(plan, &inventory) {
                conflicts.push(error.outward(table));
                continue;
            }
            let differing = plan.tables().iter().find_map(|&kind| {
                let name = plan.table_name(kind);
                let conflict = inventory.get(&name)?.difference(plan, kind).conflict?;
                Some(super::tables::copy_anew(plan, &name, &conflict))
            });
            conflicts.extend(differing.map(|error| error.outward(table)));
        }
        Ok(conflicts)
    }

    /// Names of the slot's tables and views, views first.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn owned(&self) -> Result<Vec<String>> {
        Ok(self.find_owned().await?.into_iter().map(|(name, _)| name).collect())
    }

    async fn find_owned(&self) -> Result<Vec<(String, bool)>> {
        let inventory = Inventory::read(&self.client, &self.config.database, None).await?;
        let prefix = owner::prefix(&self.config.slot);
        let ours = inventory.iter().filter(|(_, found)| found.comment.starts_with(&prefix));
        let mut owned: Vec<(String, bool)> =
            ours.map(|(name, found)| (name.to_owned(), found.engine == "View")).collect();
        owned.sort_by_key(|(name, view)| (!*view, name.clone()));
        Ok(owned)
    }

    /// Forgets the slot's checkpoint and tables' states; with `tables`, drops what is ours as well.
    /// Returns the names dropped. What is not there is no error: it can be called again.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn teardown(&self, tables: bool) -> Result<Vec<String>> {
        self.client
            .end_queries(&super::query_prefix(&self.config.slot, &self.config.database), super::KILL_PATIENCE)
            .await?;
        let mut dropped = Vec::new();
        if tables {
            for (name, view) in self.find_owned().await? {
                let drop = if view { ddl::drop_view } else { ddl::drop_table };
                self.client.execute(&format!("drop {name}"), &drop(&self.config.database, &name)).await?;
                dropped.push(name);
            }
            self.forget_markers(&dropped).await?;
        }
        self.service.forget().await?;
        Ok(dropped)
    }

    async fn forget_markers(&self, tables: &[String]) -> Result<()> {
        let inventory =
            Inventory::read(&self.client, &self.config.database, Some(&[ddl::TRUNCATES.to_owned()])).await?;
        if tables.is_empty() || inventory.get(ddl::TRUNCATES).is_none() {
            return Ok(());
        }
        let names = tables.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "ALTER TABLE {} DELETE WHERE `table` IN ({names}) SETTINGS mutations_sync = 1",
            ddl::qualified(&self.config.database, ddl::TRUNCATES)
        );
        Ok(self.client.execute("remove TRUNCATE markers", &sql).await?)
    }
}
