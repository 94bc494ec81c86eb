//! Plans of tables, and their tables and views brought in line with the source's shape.
//!
//! A new column is added to the log and to the current state, and the views are made anew. A
//! column that the source no longer has stays, is NULL from then on, and stays in the views: an
//! old shape that is replayed after a restart must not take anything away. Everything else that
//! differs (a type, the key, somebody else's table) stops that table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use walhouse_change::{TableName, TableSchema};

use super::inventory::{Found, Inventory};
use super::owner::{self, Owner};
use crate::client::Client;
use crate::ddl;
use crate::error::Error;
use crate::mapping::{ClickHouseType, ColumnPlan, Layout, META_COLUMNS, TableKind, TableOverride, TablePlan};

/// Makes and keeps one deployment's tables.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    pub(super) client: Client,
    pub(super) slot: Arc<str>,
    pub(super) layout: Layout,
    pub(super) overrides: Arc<BTreeMap<TableName, TableOverride>>,
    /// Tables that this process has copied; whoever waited for them looks at them now.
    pub(super) copied: Arc<Mutex<BTreeSet<TableName>>>,
}

impl Tables {
    /// The plan of a table.
    pub(crate) fn plan(&self, schema: &Arc<TableSchema>) -> walhouse_change::Result<Arc<TablePlan>> {
        let none = TableOverride::default();
        let overrides = self.overrides.get(&schema.name).unwrap_or(&none);
        Ok(Arc::new(TablePlan::new(Arc::clone(schema), overrides, &self.layout)?))
    }

    pub(crate) fn database(&self) -> &str {
        &self.layout.database
    }

    /// Reads what there is of a plan, then [`Self::adapt`].
    pub(crate) async fn adapt_now(&self, plan: &TablePlan) -> walhouse_change::Result<()> {
        let table = &plan.schema.name;
        let names = plan.created_names();
        let found = Inventory::read(&self.client, &plan.database, Some(&names)).await;
        self.adapt(plan, &found.map_err(|error| error.outward(Some(table)))?).await
    }

    /// Brings the plan's tables and views in line with it. The tables must exist.
    pub(super) async fn adapt(&self, plan: &TablePlan, inventory: &Inventory) -> walhouse_change::Result<()> {
        let table = &plan.schema.name;
        self.adapt_tables(plan, inventory).await.map_err(|error| error.outward(Some(table)))
    }

    async fn adapt_tables(&self, plan: &TablePlan, inventory: &Inventory) -> Result<(), Error> {
        let mut extra = Vec::new();
        for &kind in plan.tables() {
            let name = plan.table_name(kind);
            let found = self.ours(plan, &name, inventory)?;
            let difference = found.difference(plan, kind);
            if let Some(conflict) = difference.conflict {
                return Err(copy_anew(plan, &name, &conflict));
            }
            for index in difference.missing {
                let sql = ddl::add_column(plan, &name, index)
                    .ok_or_else(|| copy_anew(plan, &name, "it lacks a column of the key"))?;
                self.client.execute(&format!("add a column to {name}"), &sql).await?;
                tracing::info!(table = %plan.schema.name, target = name, "added a column");
            }
            extra = difference.extra;
            if found.merged_rarely {
                self.merge_as_usual(plan, &name).await;
            }
        }
        if self.views_differ(plan, &extra, inventory)? {
            self.create_views(plan, &extra).await?;
        }
        Ok(())
    }

    /// The table `name` of the plan as found, which must be ours and finished.
    fn ours<'a>(&self, plan: &TablePlan, name: &str, inventory: &'a Inventory) -> Result<&'a Found, Error> {
        let found = inventory.get(name).ok_or_else(|| Error::Table {
            table: plan.schema.name.clone(),
            message: format!("table {name} of {} is gone from ClickHouse", plan.schema.name),
            remedy: "have the table copied anew".to_owned(),
        })?;
        match owner::owner(&found.comment, &self.slot, &plan.schema.name) {
            Owner::Ours | Owner::Copy => Ok(found),
            Owner::Foreign => Err(in_the_way(plan, name, found)),
        }
    }

    /// Names that the plan wants and somebody else has.
    pub(super) fn check_names(&self, plan: &TablePlan, inventory: &Inventory) -> Result<(), Error> {
        for name in plan.created_names() {
            if let Some(found) = inventory.get(&name)
                && owner::owner(&found.comment, &self.slot, &plan.schema.name) == Owner::Foreign
            {
                return Err(in_the_way(plan, &name, found));
            }
        }
        Ok(())
    }

    /// True when a view is missing or shows other columns than it should.
    fn views_differ(&self, plan: &TablePlan, extra: &[String], inventory: &Inventory) -> Result<bool, Error> {
        let shown = with_extra(plan, extra);
        let shown: Vec<&str> = shown
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .chain(META_COLUMNS.iter().filter(|meta| meta.in_views).map(|meta| meta.name))
            .collect();
        let mut differ = false;
        for view in [Some(plan.view.clone()), plan.at_view()].into_iter().flatten() {
            let Some(found) = inventory.get(&view) else {
                differ = true;
                continue;
            };
            if owner::owner(&found.comment, &self.slot, &plan.schema.name) == Owner::Foreign {
                return Err(in_the_way(plan, &view, found));
            }
            // a parameterised view lists no columns
            let lists = found.columns.iter().map(|(name, _)| name.as_str());
            differ |= view == plan.view && !lists.eq(shown.iter().copied());
        }
        Ok(differ)
    }

    /// (Re)creates the plan's views; `extra` columns of the tables are shown as well.
    pub(super) async fn create_views(&self, plan: &TablePlan, extra: &[String]) -> Result<(), Error> {
        let comment = ddl::literal(&owner::comment(&self.slot, &plan.schema.name));
        for view in ddl::views(&with_extra(plan, extra)) {
            self.client
                .execute(&format!("create the views of {}", plan.name), &format!("{view}\nCOMMENT {comment}"))
                .await?;
        }
        Ok(())
    }

    /// Creates one table of the plan under `name`.
    pub(super) async fn create(
        &self,
        plan: &TablePlan,
        kind: TableKind,
        name: &str,
        comment: &str,
    ) -> Result<(), Error> {
        let sql = format!("{}\nCOMMENT {}", ddl::create_table(plan, kind, name), ddl::literal(comment));
        self.client.execute(&format!("create table {name}"), &sql).await
    }
}

/// The plan with columns that only its tables have; for the names in the views and nothing else.
fn with_extra(plan: &TablePlan, extra: &[String]) -> TablePlan {
    let mut plan = plan.clone();
    plan.columns.extend(extra.iter().map(|name| ColumnPlan {
        name: name.clone(),
        ty: ClickHouseType::String,
        key: false,
    }));
    plan
}

pub(super) fn copy_anew(plan: &TablePlan, name: &str, conflict: &str) -> Error {
    Error::Table {
        table: plan.schema.name.clone(),
        message: format!("table {name} in ClickHouse does not fit {}: {conflict}", plan.schema.name),
        remedy: "have the table copied anew".to_owned(),
    }
}

/// A name that somebody else has.
pub(super) fn in_the_way(plan: &TablePlan, name: &str, found: &Found) -> Error {
    let kind = if found.engine == "View" { "a view" } else { "a table" };
    let whose = match found.comment.starts_with("walhouse: ") {
        true => format!("it belongs to {:?}", found.comment),
        false => "it was not made by walhouse".to_owned(),
    };
    Error::Table {
        table: plan.schema.name.clone(),
        message: format!(
            "{} cannot be replicated: ClickHouse has {kind} {}.{name} already, and {whose}",
            plan.schema.name, plan.database
        ),
        remedy: format!("rename or drop it, or choose another name: [tables.\"{}\"] name = \"...\"", plan.schema.name),
    }
}
