//! `walhouse import`: the rows that were there before the connector, straight from Postgres.

use std::sync::Arc;

use anyhow::{Result, bail};
use serde::Serialize;
use walhouse_change::{Phase, TableName};
use walhouse_clickhouse::{ClickHouse, Import};
use walhouse_pipeline::{StatusBoard, copy_tables};

use super::kafka_tables::prepare;
use crate::cli::ImportOptions;
use crate::config::Config;
use crate::kafka::{self, Cluster, Planned, Source, Way};
use crate::{progress, runtime, wiring};

/// Copies what is not imported yet.
pub(crate) fn import(options: &ImportOptions) -> Result<()> {
    let way = Way::new(Config::load(&options.file.config)?)?;
    runtime::block_on(async {
        let engine = wiring::engine_if_needed(&way.config).await?;
        let imported = run(&way, options.again, options.json).await;
        if let Some(engine) = engine {
            engine.stop().await;
        }
        imported
    })
}

/// Imports, and says of each table how that went: in words, or as JSON.
pub(crate) async fn run(way: &Way, again: bool, json: bool) -> Result<()> {
    let source = Source::new(way)?;
    let prepared = prepare(way, &source).await?;
    source.check_slot().await?;
    let names: Vec<(u32, String)> =
        prepared.iter().map(|table| (table.schema.relid, table.schema.name.to_string())).collect();
    source.check_published(&names).await?;
    let cluster = Cluster::new(kafka::properties(&way.kafka)?)?;
    let target = way.target()?;
    let planned = kafka::plan(way, prepared, Some(&target), Some(&cluster)).await?;
    let todo = wanted(&target, planned, again, json).await?;
    if todo.is_empty() {
        return Ok(());
    }
    copy(&source, target, todo, json).await
}

/// The tables that are not imported for their epoch yet.
async fn wanted(target: &ClickHouse, planned: Vec<Planned>, again: bool, json: bool) -> Result<Vec<Planned>> {
    let known = target.topics().await?;
    let mut todo = Vec::new();
    for table in planned {
        let (name, plan) = (&table.feed.plan.schema.name, &table.feed.plan);
        let same = known.get(&plan.name).filter(|known| known.epochs == table.state.epochs);
        if same.is_none() || !target.is_applied(&table.feed).await? {
            return Err(kafka::refused(format!(
                "the tables of {name} are not as they should be: walhouse kafka-tables --apply"
            )));
        }
        if let Some(column) = table.prepared.reading.columns.iter().find(|column| column.masked) {
            return Err(kafka::refused(format!(
                "the connector masks {} of {name}, and an import would bring the value itself: use snapshot.mode=initial",
                column.field
            )));
        }
        let done = same.is_some_and(|known| known.imported == Some(table.feed.epochs.newest()));
        match done && !again {
            true => say(json, name, Outcome::Already),
            false => todo.push(table),
        }
    }
    Ok(todo)
}

/// What became of a table.
#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Outcome {
    Already,
    Imported { rows: u64 },
    Failed { error: String },
}

fn say(json: bool, table: &TableName, outcome: Outcome) {
    if json {
        let mut line = serde_json::to_value(&outcome).unwrap_or_default();
        line["table"] = table.to_string().into();
        println!("{line}");
        return;
    }
    match outcome {
        Outcome::Already => println!("{table}: imported already (--again does it once more)"),
        Outcome::Imported { rows } => println!("{table}: imported {rows} rows"),
        Outcome::Failed { error } => println!("{table}: {error}"),
    }
}

async fn copy(source: &Source, target: Arc<ClickHouse>, tables: Vec<Planned>, json: bool) -> Result<()> {
    let schemas: Vec<_> =
        tables.iter().map(|table| (Arc::clone(&table.feed.plan.schema), table.prepared.estimated_rows)).collect();
    let only: Vec<_> = schemas.iter().map(|(schema, _)| Arc::clone(schema)).collect();
    // a slot of its own: its snapshot waits for whoever is writing, so that nothing falls between it and the topics
    let snapshot = source.postgres.snapshot_of_columns(&only).await?;
    let workers = source.postgres.config().copy_workers();
    let board = StatusBoard::new(source.slot.clone());
    let import = Arc::new(Import::new(target, tables.into_iter().map(|table| table.feed)));
    let shown = tokio::spawn(progress::show(board.clone()));
    let copied = copy_tables(snapshot, import, &schemas, &board, workers).await;
    shown.abort();
    // its bars go with it
    let _ = shown.await;
    let mut failed = 0;
    for table in copied? {
        match (&table.phase, &table.error) {
            (Phase::Live, _) => say(json, &table.name, Outcome::Imported { rows: table.rows_copied }),
            (_, error) => {
                failed += 1;
                let error = error.clone().unwrap_or_else(|| "not imported".to_owned());
                say(json, &table.name, Outcome::Failed { error });
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => bail!("{failed} tables were not imported"),
    }
}
