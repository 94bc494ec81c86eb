//! `walhouse verify`: is the target the source? Asked by an instrument that shares nothing with
//! the pipeline.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio_postgres_rustls::MakeRustlsConnect;
use walhouse_lab::verify::{self, Report, Table};
use walhouse_postgres::Access;

use crate::cli::Verify;
use crate::config::{Config, table_plan};
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
        println!("{report}");
        Ok(if report.is_equal() { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILURE) })
    })
}

async fn compare(config: &Config, wait: Duration) -> Result<Report> {
    let tables = tables(config).await?;
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
    Ok(verify::verify(&mut postgres, &clickhouse, &tables).await?)
}

/// What to compare: the selection, where the pipeline puts it.
pub(crate) async fn tables(config: &Config) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    for found in wiring::origin(config)?.tables().await? {
        if found.problem.is_some() {
            continue;
        }
        let plan = table_plan(config, &found.schema).map_err(walhouse_change::Error::from)?;
        let name = &found.schema.name;
        let key = found.schema.key.iter().filter_map(|&index| found.schema.columns.get(index));
        tables.push(Table {
            // A history that forgets is not a complete one.
            history: (plan.history && plan.retention.is_none()).then(|| plan.name.clone()),
            view: plan.view,
            target: plan.name,
            ..Table::new(&name.schema, &name.name).key(key.map(|column| column.name.as_str()))
        });
    }
    Ok(tables)
}

/// A session of the instrument's own, to where the configuration leads.
pub(crate) async fn connect(config: &Config) -> Result<tokio_postgres::Client> {
    let Access { settings, tls } = Access::new(&config.postgres).map_err(walhouse_change::Error::from)?;
    let connected = settings.connect(MakeRustlsConnect::new(tls)).await;
    let (client, connection) = connected.context("cannot connect to postgres")?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = %error, "the session of the comparison ended");
        }
    });
    Ok(client)
}
