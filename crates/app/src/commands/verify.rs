//! `walhouse verify`: is the target the source? Asked by an instrument that shares nothing with
//! the pipeline.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tokio_postgres_rustls::MakeRustlsConnect;
use walhouse_lab::verify::{self, Report, Table};
use walhouse_postgres::Access;

use crate::cli::Verify;
use crate::config::{Config, table_plan};
use crate::progress::Comparison;
use crate::{exit, runtime, wiring};

/// Compares, prints a line per table, and says so by the exit code.
pub(crate) fn verify(options: &Verify) -> Result<ExitCode> {
    let config = Config::load(&options.file.config)?;
    runtime::block_on(async {
        let engine = wiring::engine_if_needed(&config).await?;
        let report = compare(&config, options.wait.unwrap_or_default()).await;
        if let Some(engine) = engine {
            engine.stop().await;
        }
        let report = report?;
        match options.json {
            true => {
                println!("{}", serde_json::to_string_pretty(&Verdict { equal: report.is_equal(), report: &report })?)
            }
            false => println!("{report}"),
        }
        Ok(if report.is_equal() { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILURE) })
    })
}

/// The report for machines.
#[derive(Serialize)]
struct Verdict<'a> {
    equal: bool,
    #[serde(flatten)]
    report: &'a Report,
}

async fn compare(config: &Config, wait: Duration) -> Result<Report> {
    let estimated = estimated(config).await?;
    let tables: Vec<Table> = estimated.iter().map(|(table, _)| table.clone()).collect();
    if tables.is_empty() {
        bail!("there is no table to compare");
    }
    let mut postgres = connect(config).await?;
    let clickhouse = wiring::client(config);
    if !wait.is_zero() {
        // A difference that stays is reported by the comparison below.
        if let Ok(report) = verify::until_equal(&mut postgres, &clickhouse, &tables, wait).await {
            return Ok(report);
        }
    }
    let watch = Comparison::of(estimated.iter().map(|(table, rows)| (table, *rows)));
    Ok(verify::verify_watched(&mut postgres, &clickhouse, &tables, &watch).await?)
}

/// What to compare: the selection, where the pipeline puts it.
pub(crate) async fn tables(config: &Config) -> Result<Vec<Table>> {
    Ok(estimated(config).await?.into_iter().map(|(table, _)| table).collect())
}

/// The same, with the planner's estimate of each one's rows.
async fn estimated(config: &Config) -> Result<Vec<(Table, u64)>> {
    let mut tables = Vec::new();
    for found in wiring::origin(config)?.tables().await? {
        if found.problem.is_some() {
            continue;
        }
        let plan = table_plan(config, &found.schema).map_err(walhouse_change::Error::from)?;
        let name = &found.schema.name;
        let key = found.schema.key.iter().filter_map(|&index| found.schema.columns.get(index));
        let table = Table {
            // A history that forgets is not a complete one.
            history: (plan.history && plan.retention.is_none()).then(|| plan.name.clone()),
            view: plan.view,
            target: plan.name,
            ..Table::new(&name.schema, &name.name).key(key.map(|column| column.name.as_str()))
        };
        tables.push((table, found.estimated_rows));
    }
    Ok(tables)
}

/// A session of the instrument's own, to where the configuration leads.
pub(crate) async fn connect(config: &Config) -> Result<tokio_postgres::Client> {
    let Access { settings, tls, .. } = Access::new(&config.postgres).map_err(walhouse_change::Error::from)?;
    let connected = settings.connect(MakeRustlsConnect::new(tls)).await;
    let (client, connection) = connected.context("cannot connect to postgres")?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = %error, "the session of the comparison ended");
        }
    });
    Ok(client)
}
