//! Where the stream goes on.
//!
//! The tables themselves say what they hold: an insert is atomic and the inserts of a table are in
//! order, so everything up to a table's highest version is in it and nothing above. What comes
//! again after a restart is dropped by that mark, which needs no memory of how batches were cut.
//! Inserts that are still under way would move the mark after it was read: they are ended first.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use walhouse_change::{Observer, Opening, Result, Retry, Sink, TableName, Version};

use super::inventory::Inventory;
use super::{ClickHouse, KILL_PATIENCE, Tables, stream_prefix};
use crate::ddl::{self, TRUNCATES, literal, qualified};
use crate::error::Error;
use crate::mapping::{TableKind, TablePlan, collisions};
use crate::sink::{Inserter, Start, StreamSink};

/// Tables whose marks are read in one statement; a statement's text stays well below its limit.
const MARKS_AT_ONCE: usize = 50;

impl ClickHouse {
    pub(super) async fn open_stream(
        &self,
        openings: &[Opening],
        epoch: u16,
        observer: Arc<dyn Observer>,
    ) -> Result<Box<dyn Sink>> {
        let tables = self.tables().await?.clone();
        self.client.end_queries(&stream_prefix(&self.config.slot, &self.config.database), KILL_PATIENCE).await?;
        let plans = self.plans(&tables, openings, &*observer)?;
        let inventory = Inventory::read(&self.client, &self.config.database, None).await?;
        let mut adapted = Vec::with_capacity(plans.len());
        for (plan, from) in plans {
            match tables.adapt(&plan, &inventory).await {
                Ok(()) => adapted.push((plan, from)),
                Err(error) => stop_or(error, &plan.schema.name, &*observer)?,
            }
        }
        let marks = self.marks(adapted.iter().map(|(plan, _)| &**plan)).await?;
        let truncates = self.truncates().await?;
        let mut starts = Vec::with_capacity(adapted.len());
        for (plan, from) in adapted {
            let mark = |kind| marks.get(&plan.table_name(kind)).copied().unwrap_or_default();
            let truncated = truncates.get(&plan.name).copied().unwrap_or_default();
            if truncated > Version::default() {
                self.delete_truncated(&plan, truncated).await?;
            }
            starts.push(Start {
                log: plan.history.then(|| mark(TableKind::Log)),
                // what a TRUNCATE emptied is not written again: it would be hidden anyway
                current: mark(TableKind::Current).max(truncated),
                truncated,
                from,
                plan,
            });
        }
        let inserter = Inserter {
            client: self.client.clone(),
            permits: Arc::clone(&self.stream_permits),
            numbers: Arc::clone(&self.numbers),
            prefix: stream_prefix(&self.config.slot, &self.config.database).into(),
            slot: self.config.slot.as_str().into(),
        };
        Ok(Box::new(StreamSink::open(starts, inserter, tables, epoch, observer)))
    }

    fn plans(
        &self,
        tables: &Tables,
        openings: &[Opening],
        observer: &dyn Observer,
    ) -> Result<Vec<(Arc<TablePlan>, walhouse_change::Lsn)>> {
        let mut plans = Vec::with_capacity(openings.len());
        for Opening { schema, from } in openings {
            match tables.plan(schema) {
                Ok(plan) => plans.push((plan, *from)),
                Err(error) => stop_or(error, &schema.name, observer)?,
            }
        }
        let all: Vec<TablePlan> = plans.iter().map(|(plan, _)| (**plan).clone()).collect();
        collisions(&all)?;
        Ok(plans)
    }

    /// The highest version of each physical table, by name.
    async fn marks(&self, plans: impl Iterator<Item = &TablePlan>) -> Result<HashMap<String, Version>> {
        let names: Vec<String> =
            plans.flat_map(|plan| plan.tables().iter().map(|&kind| plan.table_name(kind))).collect();
        let mut marks = HashMap::with_capacity(names.len());
        for names in names.chunks(MARKS_AT_ONCE) {
            let each = names.iter().map(|name| {
                let (label, table) = (literal(name), qualified(&self.config.database, name));
                format!("SELECT {label} AS name, toString(max(_version)) AS version FROM {table}")
            });
            let sql = each.collect::<Vec<_>>().join(" UNION ALL ");
            marks.extend(self.versions("read what the tables hold", &sql).await?);
        }
        Ok(marks)
    }

    /// The newest TRUNCATE marker of each table, by the plan's name.
    async fn truncates(&self) -> Result<HashMap<String, Version>> {
        let sql = format!(
            "SELECT `table` AS name, toString(max(`version`)) AS version FROM {} GROUP BY name",
            qualified(&self.config.database, TRUNCATES)
        );
        Ok(self.versions("read the TRUNCATE markers", &sql).await?.collect())
    }

    async fn versions(&self, action: &str, sql: &str) -> Result<impl Iterator<Item = (String, Version)>> {
        #[derive(Deserialize)]
        struct Row {
            name: String,
            version: String,
        }
        let rows: Vec<Row> = self.client.rows(action, sql).await?;
        let mut versions = Vec::with_capacity(rows.len());
        for Row { name, version } in rows {
            let version = version.parse().map_err(|_| Error::Answer {
                action: action.to_owned(),
                detail: format!("the version of {name} is not a number"),
            })?;
            versions.push((name, Version(version)));
        }
        Ok(versions.into_iter())
    }

    /// Begins to delete rows that a TRUNCATE hides, where a former process did not come to it.
    async fn delete_truncated(&self, plan: &TablePlan, truncated: Version) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Row {
            any: u8,
        }
        let table = qualified(&plan.database, &plan.table_name(TableKind::Current));
        let sql = format!(
            "SELECT toUInt8(count() > 0) AS any FROM (SELECT 1 FROM {table} WHERE _version <= {} LIMIT 1)",
            number(truncated)
        );
        let rows: Vec<Row> = self.client.rows("look for truncated rows", &sql).await?;
        if rows.first().is_some_and(|row| row.any == 1) {
            self.client.execute("delete truncated rows", &delete_up_to(plan, truncated)).await?;
        }
        Ok(())
    }
}

/// A version as a number in SQL; a plain literal of that size would be read as a float.
fn number(version: Version) -> String {
    format!("toUInt128('{}')", version.0)
}

/// Deletes rows of the current state that a TRUNCATE hides, in the background.
pub(crate) fn delete_up_to(plan: &TablePlan, truncated: Version) -> String {
    let table = ddl::qualified(&plan.database, &plan.table_name(TableKind::Current));
    format!("ALTER TABLE {table} DELETE WHERE _version <= {} SETTINGS mutations_sync = 0", number(truncated))
}

/// Stops the one table that an error concerns, or passes the error on.
fn stop_or(error: walhouse_change::Error, table: &TableName, observer: &dyn Observer) -> Result<()> {
    if !matches!(error.retry(), Retry::StopTable(_)) {
        return Err(error);
    }
    observer.table_stopped(table, &error);
    Ok(())
}
