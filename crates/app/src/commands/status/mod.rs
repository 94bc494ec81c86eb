//! `walhouse status`: where each table is. Read from what survives a process (the state in
//! ClickHouse, the slot in Postgres), and from a running process' console when there is one.

mod report;

use anyhow::Result;
use walhouse_change::{Phase, State, TableState};
use walhouse_postgres::{Postgres, SlotFacts};

use crate::cli;
use crate::config::{Config, table_plan};
use crate::{console, exit, runtime, wiring};
use report::{Line, Report};

/// Reads and prints.
pub(crate) fn status(options: &cli::Report) -> Result<()> {
    let config = Config::load(&options.file.config)?;
    let report = runtime::block_on(read(&config))?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

async fn read(config: &Config) -> Result<Report> {
    let mut report = Report::new(config.postgres.slot());
    if let Some(status) = console::ask(config).await {
        report.show_live(&status);
        return Ok(report);
    }
    let engine = wiring::engine_if_needed(config).await?;
    let read = read_stored(config, &mut report).await;
    if let Some(engine) = engine {
        engine.stop().await;
    }
    read.map(|()| report)
}

/// Without a running process: one end that does not answer is a note, the other is still shown.
async fn read_stored(config: &Config, report: &mut Report) -> Result<()> {
    let (origin, target) = (wiring::origin(config)?, wiring::target(config)?);
    let state = match target.state().await {
        Ok(state) => state,
        Err(error) => {
            report.notes.push(error.one_line());
            State::default()
        }
    };
    match source(&origin).await {
        Ok((slot, current)) => report.show_source(slot.as_ref(), current),
        Err(error) => report.notes.push(exit::one_line(&error)),
    }
    if let Some(checkpoint) = &state.checkpoint {
        report.show_checkpoint(checkpoint.lsn);
    }
    let times = newest_changes(config, &origin, &state.tables).await;
    for (table, time) in state.tables.iter().zip(times) {
        report.tables.push(Line::stored(table, time));
    }
    report.finish(report::now_ms());
    Ok(())
}

async fn source(origin: &Postgres) -> Result<(Option<SlotFacts>, walhouse_change::Lsn)> {
    Ok((origin.slot_facts().await?, origin.server_facts().await?.current))
}

/// Commit time of each table's newest change, in milliseconds, where it can be found out.
async fn newest_changes(config: &Config, origin: &Postgres, tables: &[TableState]) -> Vec<Option<i64>> {
    let found = origin.tables().await.unwrap_or_default();
    let client = wiring::client(config);
    let mut times = Vec::with_capacity(tables.len());
    for table in tables {
        let plan = found
            .iter()
            .find(|found| found.schema.name == table.name && table.phase == Phase::Live)
            .and_then(|found| table_plan(config, &found.schema).ok());
        let time = match plan {
            Some(plan) => newest_change(&client, &plan.name).await,
            None => None,
        };
        times.push(time);
    }
    times
}

async fn newest_change(client: &clickhouse::Client, table: &str) -> Option<i64> {
    let sql = "SELECT coalesce(max(source_updated_at_ms), 0) FROM ?";
    let newest: i64 = client.query(sql).bind(clickhouse::sql::Identifier(table)).fetch_one().await.ok()?;
    Some(newest).filter(|&newest| newest > 0)
}
