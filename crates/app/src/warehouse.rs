//! What the target holds, from both ends: the source's words and the target's columns, joined by the configuration.

use anyhow::Result;
use walhouse_lab::warehouse::{SourceColumn, SourceTable, Warehouse};

use crate::config::{Config, table_plan};
use crate::wiring;

/// Reads it for the whole selection. Tables that cannot be carried are left out.
pub(crate) async fn read(config: &Config) -> Result<Warehouse> {
    let sources = sources(config).await?;
    Ok(Warehouse::read(&wiring::client(config), &config.clickhouse.database, sources).await?)
}

async fn sources(config: &Config) -> Result<Vec<SourceTable>> {
    let origin = wiring::origin(config)?;
    let found: Vec<_> = origin.tables().await?.into_iter().filter(|table| table.problem.is_none()).collect();
    let notes = origin.notes(found.iter().map(|table| table.schema.relid).collect()).await?;
    let mut tables = Vec::with_capacity(found.len());
    for table in &found {
        let Ok(plan) = table_plan(config, &table.schema) else { continue };
        let notes = notes.iter().find(|(_, notes)| notes.relid == table.schema.relid).map(|(_, notes)| notes);
        let columns = notes.iter().flat_map(|notes| &notes.columns).map(|column| SourceColumn {
            name: column.name.clone(),
            ty: column.ty.clone(),
            nullable: column.nullable,
            key: table.schema.column(&column.name).is_some_and(|index| table.schema.is_key(index)),
            description: column.comment.clone(),
        });
        tables.push(SourceTable {
            name: table.schema.name.to_string(),
            target: plan.name,
            view: plan.view,
            history: plan.history,
            description: notes.and_then(|notes| notes.comment.clone()),
            columns: columns.collect(),
        });
    }
    Ok(tables)
}
