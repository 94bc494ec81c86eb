//! A table's copy: filled beside whatever is there, then put in its place.
//!
//! While it is filled, the copy's comment ends in ` (copy)`. The comment travels with the table
//! when names are exchanged, so after a crash anywhere in [`Tables::finish_copy`] a second call sees
//! which of the two tables of a pair is the new one and goes on from there.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use serde::Deserialize;
use walhouse_change::TableSchema;

use super::inventory::Inventory;
use super::owner::{self, Owner};
use super::tables::Tables;
use crate::ddl::{self, TRUNCATES};
use crate::error::{Error, Result};
use crate::mapping::{TableKind, TablePlan};

/// For an insert of a copy that was given up to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// Parts that are merged at once while a table is copied: below, they are left alone. A server
/// slows inserts down from 1000 parts on, so that a copy of any size stays well clear of that.
const PARTS_TO_MERGE: u32 = 64;

/// How long after the stream was opened the parts of a copy are merged as any table's.
const MERGES_WAIT: Duration = Duration::from_secs(2);

impl Tables {
    /// Makes the plan's tables anew under their staging names.
    pub(super) async fn begin_copy(&self, schema: &Arc<TableSchema>) -> walhouse_change::Result<()> {
        let plan = self.plan(schema)?;
        self.begin(&plan).await.map_err(|error| error.outward(Some(&schema.name)))
    }

    async fn begin(&self, plan: &TablePlan) -> Result<()> {
        self.client.end_queries(&super::copy_prefix(&self.slot, &plan.database, &plan.name), PATIENCE).await?;
        let inventory = Inventory::read(&self.client, &plan.database, Some(&plan.created_names())).await?;
        self.check_names(plan, &inventory)?;
        try_join_all(plan.tables().iter().map(|&kind| self.begin_one(plan, kind, &inventory))).await.map(drop)
    }

    async fn begin_one(&self, plan: &TablePlan, kind: TableKind, inventory: &Inventory) -> Result<()> {
        let (finished, name) = (plan.table_name(kind), plan.staging_name(kind));
        // put in place by a call that did not come to its end: no longer the copy in progress
        if self.is(plan, &finished, inventory, Owner::Copy) {
            self.mark_finished(plan, &finished).await?;
        }
        if inventory.get(&name).is_some() {
            tracing::info!(table = %plan.schema.name, "dropping a copy that was not finished");
            self.client.execute(&format!("drop table {name}"), &ddl::drop_table(&plan.database, &name)).await?;
        }
        self.create(plan, kind, &name, &owner::copy_comment(&self.slot, &plan.schema.name)).await?;
        self.merge_rarely(plan, &name).await;
        Ok(())
    }

    /// Merges would take half of the engine's time from a copy, whose parts can wait: many at once
    /// are cheaper. A server that does not know the setting merges as it likes.
    async fn merge_rarely(&self, plan: &TablePlan, name: &str) {
        let sql = ddl::merge_rarely(&plan.database, name, Some(PARTS_TO_MERGE));
        if let Err(error) = self.client.execute("have a copy merged rarely", &sql).await {
            tracing::debug!(table = %plan.schema.name, error = %error, "the copy is merged as any table");
        }
    }

    /// Has a finished copy merged as any table: after a while when it was made by this process, since whoever waited for
    /// it looks at it now. Should the process end before, the next one finds the table like this and says it at once.
    pub(super) async fn merge_as_usual(&self, plan: &TablePlan, name: &str) {
        let is_fresh = self.copied.lock().unwrap_or_else(PoisonError::into_inner).contains(&plan.schema.name);
        let sql = ddl::merge_rarely(&plan.database, name, None);
        let (client, name) = (self.client.clone(), name.to_owned());
        let say = async move {
            if let Err(error) = client.execute("have a table merged as usual", &sql).await {
                tracing::warn!(target = name, error = %error, "the table is merged rarely until the next start");
            }
        };
        if !is_fresh {
            return say.await;
        }
        tokio::spawn(async move {
            tokio::time::sleep(MERGES_WAIT).await;
            say.await;
        });
    }

    /// Puts the copy in place. Can be called again after any failure.
    pub(super) async fn finish_copy(&self, schema: &Arc<TableSchema>) -> walhouse_change::Result<()> {
        let plan = self.plan(schema)?;
        self.finish(&plan).await.map_err(|error| error.outward(Some(&schema.name)))?;
        self.copied.lock().unwrap_or_else(PoisonError::into_inner).insert(schema.name.clone());
        Ok(())
    }

    async fn finish(&self, plan: &TablePlan) -> Result<()> {
        let names = [plan.created_names(), other_history(plan).created_names()].concat();
        let inventory = Inventory::read(&self.client, &plan.database, Some(&names)).await?;
        self.check_names(plan, &inventory)?;
        self.fill_current(plan, &inventory).await?;
        // the current state first: the views read it
        for &kind in plan.tables().iter().rev() {
            self.put_in_place(plan, kind, &inventory).await?;
        }
        self.forget_truncates(plan).await?;
        self.create_views(plan, &[]).await?;
        for &kind in plan.tables() {
            self.mark_finished(plan, &plan.table_name(kind)).await?;
        }
        self.drop_leftovers(plan, &inventory).await
    }

    /// A copy's rows were written to the log only; each is its key's newest version, so the same
    /// parts are the current state. Said again, it changes nothing.
    async fn fill_current(&self, plan: &TablePlan, inventory: &Inventory) -> Result<()> {
        let (log, current) = (plan.staging_name(TableKind::Log), plan.staging_name(TableKind::Current));
        let both = [&log, &current].into_iter().all(|name| self.is(plan, name, inventory, Owner::Copy));
        if !plan.history || !both {
            return Ok(());
        }
        // an empty one is refused, and changes nothing
        if !self.has_rows("look whether a copy has rows", &ddl::qualified(&plan.database, &log)).await? {
            return Ok(());
        }
        let action = format!("make the copy of {} the current state", plan.schema.name);
        self.client.execute(&action, &ddl::share_parts(&plan.database, &log, &current)).await
    }

    async fn put_in_place(&self, plan: &TablePlan, kind: TableKind, inventory: &Inventory) -> Result<()> {
        let (staging, name) = (plan.staging_name(kind), plan.table_name(kind));
        if !self.is(plan, &staging, inventory, Owner::Copy) {
            // in place already, by a call that did not come to its end
            return match inventory.get(&name) {
                Some(_) => Ok(()),
                None => Err(Error::Misuse(format!("no copy of {} was begun", plan.schema.name))),
            };
        }
        let sql = match inventory.get(&name) {
            Some(_) => ddl::exchange(&plan.database, &staging, &name),
            None => ddl::rename(&plan.database, &staging, &name),
        };
        self.client.execute(&format!("put the copy of {} in place", plan.schema.name), &sql).await
    }

    /// Markers of the table before: its rows are gone with it, and a numbering that began anew
    /// would hide the copy behind them.
    async fn forget_truncates(&self, plan: &TablePlan) -> Result<()> {
        let table = ddl::qualified(&plan.database, TRUNCATES);
        let of = format!("`table` = {}", ddl::literal(&plan.name));
        if self.has_rows("look for TRUNCATE markers", &format!("{table} WHERE {of}")).await? {
            let sql = format!("ALTER TABLE {table} DELETE WHERE {of} SETTINGS mutations_sync = 1");
            self.client.execute("remove old TRUNCATE markers", &sql).await?;
        }
        Ok(())
    }

    /// True if the table (with a condition behind its name) has rows.
    async fn has_rows(&self, action: &str, from: &str) -> Result<bool> {
        #[derive(Deserialize)]
        struct Row {
            any: u8,
        }
        let sql = format!("SELECT toUInt8(count() > 0) AS any FROM {from}");
        let rows: Vec<Row> = self.client.rows(action, &sql).await?;
        Ok(rows.first().is_some_and(|row| row.any == 1))
    }

    /// What was replaced, and what only the other setting of `history` has.
    async fn drop_leftovers(&self, plan: &TablePlan, inventory: &Inventory) -> Result<()> {
        let mut names: Vec<String> = plan.tables().iter().map(|&kind| plan.staging_name(kind)).collect();
        let kept = plan.created_names();
        let other = other_history(plan).created_names().into_iter();
        names.extend(other.filter(|name| {
            !kept.contains(name) && inventory.get(name).is_some() && !self.is(plan, name, inventory, Owner::Foreign)
        }));
        for name in names {
            let view = inventory.get(&name).is_some_and(|found| found.engine == "View");
            let drop = if view { ddl::drop_view } else { ddl::drop_table };
            self.client.execute(&format!("drop {name}"), &drop(&plan.database, &name)).await?;
        }
        Ok(())
    }

    async fn mark_finished(&self, plan: &TablePlan, name: &str) -> Result<()> {
        let comment = ddl::literal(&owner::comment(&self.slot, &plan.schema.name));
        let sql = format!("ALTER TABLE {} MODIFY COMMENT {comment}", ddl::qualified(&plan.database, name));
        self.client.execute(&format!("mark table {name} as finished"), &sql).await
    }

    fn is(&self, plan: &TablePlan, name: &str, inventory: &Inventory, whose: Owner) -> bool {
        inventory.get(name).is_some_and(|found| owner::owner(&found.comment, &self.slot, &plan.schema.name) == whose)
    }
}

/// The plan under the other setting of `history`.
fn other_history(plan: &TablePlan) -> TablePlan {
    TablePlan { history: !plan.history, ..plan.clone() }
}
