//! How tables lie in ClickHouse, and how large they are there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use walhouse_change::{BoxFuture, TableName, TableSchema};
use walhouse_clickhouse::ddl;
use walhouse_clickhouse::mapping::{META_COLUMNS, TableKind, TablePlan};
use walhouse_postgres::Postgres;
use walhouse_server::ports::{
    Catalog, ColumnLayout, Definition, DefinitionKind, Failure, FailureKind, MetaColumn, Result, TableLayout, TableSize,
};

use super::{target, why};
use crate::config::{Config, table_plan};

/// The source's catalog is read again after this time, or when an unknown table is asked for.
const FRESH: Duration = Duration::from_secs(60);
/// A table that does not exist must not make us read the catalog at each question.
const AGAIN: Duration = Duration::from_secs(2);

/// The selection's tables, as they were found last.
#[derive(Debug)]
pub(super) struct Tables {
    config: Config,
    postgres: Postgres,
    known: Mutex<Option<(Instant, Arc<Known>)>>,
}

type Known = HashMap<TableName, Arc<TableSchema>>;

impl Tables {
    pub(super) fn new(config: &Config, postgres: Postgres) -> Self {
        Self { config: config.clone(), postgres, known: Mutex::default() }
    }

    async fn all(&self, older_than: Duration) -> Result<Arc<Known>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, known)) = known
            && at.elapsed() < older_than
        {
            return Ok(known);
        }
        let found = self.postgres.tables().await?;
        let found = found.into_iter().map(|table| (table.schema.name.clone(), table.schema)).collect();
        let known = Arc::new(found);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&known)));
        Ok(known)
    }

    /// The plan of one table; none when it is not selected.
    pub(super) async fn plan(&self, name: &TableName) -> Result<Option<TablePlan>> {
        let schema = match self.all(FRESH).await?.get(name) {
            Some(schema) => Some(Arc::clone(schema)),
            None => self.all(AGAIN).await?.get(name).cloned(),
        };
        let Some(schema) = schema else { return Ok(None) };
        let plan = table_plan(&self.config, &schema);
        plan.map(Some).map_err(|error| Failure::new(FailureKind::Conflict, error.to_string()))
    }
}

/// The target's tables.
pub(super) struct Layouts {
    pub(super) tables: Arc<Tables>,
    pub(super) client: clickhouse::Client,
}

#[derive(Deserialize)]
struct PartRow {
    table: String,
    rows: String,
    bytes: String,
}

#[derive(Deserialize)]
struct DefinitionRow {
    name: String,
    is_view: u8,
    sql: String,
}

impl Layouts {
    async fn parts(&self) -> Result<HashMap<String, (u64, u64)>> {
        let sql = format!(
            "SELECT table, toString(sum(rows)) AS rows, toString(sum(bytes_on_disk)) AS bytes FROM system.parts \
             WHERE active AND database = {} GROUP BY table",
            ddl::literal(&self.tables.config.clickhouse.database)
        );
        let rows: Vec<PartRow> = target::rows(&self.client, &sql).await?;
        let number = |text: &str| text.parse().unwrap_or(0);
        Ok(rows.into_iter().map(|row| (row.table, (number(&row.rows), number(&row.bytes)))).collect())
    }

    async fn definitions(&self, plan: &TablePlan) -> Result<Vec<Definition>> {
        let staging = |name: &String| plan.tables().iter().any(|&kind| plan.staging_name(kind) == *name);
        let names: Vec<String> = plan.created_names().into_iter().filter(|name| !staging(name)).collect();
        let list: Vec<String> = names.iter().map(|name| ddl::literal(name)).collect();
        let sql = format!(
            "SELECT name, engine LIKE '%View' AS is_view, formatQuery(create_table_query) AS sql FROM system.tables \
             WHERE database = {} AND name IN ({})",
            ddl::literal(&plan.database),
            list.join(", ")
        );
        let mut rows: Vec<DefinitionRow> = target::rows(&self.client, &sql).await?;
        rows.sort_by_key(|row| names.iter().position(|name| *name == row.name));
        let definition = |row: DefinitionRow| Definition {
            kind: if row.is_view == 1 { DefinitionKind::View } else { DefinitionKind::Table },
            name: row.name,
            sql: row.sql,
        };
        Ok(rows.into_iter().map(definition).collect())
    }
}

impl Catalog for Layouts {
    fn sizes(&self) -> BoxFuture<'_, Result<Vec<TableSize>>> {
        Box::pin(async {
            let known = self.tables.all(FRESH).await?;
            let parts = self.parts().await?;
            let size = |(name, schema): (&TableName, &Arc<TableSchema>)| {
                let plan = table_plan(&self.tables.config, schema).ok()?;
                let of = |kind| parts.get(&plan.table_name(kind)).copied();
                let bytes =
                    plan.tables().iter().filter_map(|&kind| of(kind)).map(|(_, bytes)| bytes).reduce(|a, b| a + b);
                let rows = of(TableKind::Current).map(|(rows, _)| rows);
                Some(TableSize { name: name.clone(), target: plan.name, view: plan.view, rows, bytes })
            };
            Ok(known.iter().filter_map(size).collect())
        })
    }

    fn layout<'a>(&'a self, table: &'a TableName) -> BoxFuture<'a, Result<Option<TableLayout>>> {
        Box::pin(async move {
            let Some(plan) = self.tables.plan(table).await? else { return Ok(None) };
            let definitions = self.definitions(&plan).await?;
            let chosen = self.tables.config.clickhouse.tables.get(table);
            let column = |(column, source): (&_, &walhouse_change::Column)| {
                let column: &walhouse_clickhouse::mapping::ColumnPlan = column;
                let is_chosen = chosen.is_some_and(|chosen| chosen.columns.contains_key(&column.name));
                ColumnLayout {
                    name: column.name.clone(),
                    postgres_type: source.ty.sql_type(),
                    clickhouse_type: column.sql_type(),
                    key: column.key,
                    why: why::why(&source.ty, column, is_chosen),
                }
            };
            Ok(Some(TableLayout {
                at_view: plan.at_view(),
                order_by: plan.sort_key().map(str::to_owned).collect(),
                columns: plan.columns.iter().zip(&plan.schema.columns).map(column).collect(),
                meta_columns: META_COLUMNS.iter().map(meta).collect(),
                retention_days: plan.retention.map(|kept| kept.as_secs() / 86_400),
                target: plan.name,
                database: plan.database,
                view: plan.view,
                history: plan.history,
                definitions,
            }))
        })
    }
}

fn meta(column: &walhouse_clickhouse::mapping::MetaColumn) -> MetaColumn {
    MetaColumn {
        name: column.name.to_owned(),
        clickhouse_type: column.sql_type.to_owned(),
        meaning: why::meta(column.name).to_owned(),
    }
}
