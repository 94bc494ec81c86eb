//! `walhouse check`: everything that could go wrong, before it does. Changes nothing.

mod kafka;
mod machine;
mod target;

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;
use walhouse_postgres::{Finding, Postgres, Severity};

use crate::cli::Report;
use crate::config::{Config, check_tables};
use crate::kafka::{Source, Way};
use crate::{exit, runtime, wiring};

/// A finding, and where it belongs.
#[derive(Debug, Serialize)]
struct Found {
    area: &'static str,
    #[serde(flatten)]
    finding: Finding,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Findings<'a> {
    blocks: bool,
    findings: &'a [Found],
}

/// Looks, prints, and says by the exit code whether something blocks.
pub(crate) fn check(report: &Report) -> Result<ExitCode> {
    let config = Config::load(&report.file.config)?;
    let found = runtime::block_on(look(&config))?;
    let blocks = found.iter().any(|found| found.finding.severity == Severity::Error);
    if report.json {
        println!("{}", serde_json::to_string_pretty(&Findings { blocks, findings: &found })?);
    } else {
        print!("{}", table(&found));
    }
    Ok(if blocks { ExitCode::from(exit::FAILURE) } else { ExitCode::SUCCESS })
}

async fn look(config: &Config) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    if config.straight {
        let origin = wiring::origin(config)?;
        found.extend(of("postgres", origin.check().await));
        let schemas = look_at_tables(config, &origin, &mut found).await;
        found.extend(of("clickhouse", target::look(config, &schemas).await?));
    }
    if config.kafka.is_some() {
        let way = Way::new(config.clone())?;
        if !config.straight {
            found.extend(of("postgres", Source::new(&way)?.postgres.check().await));
        }
        found.extend(of("kafka", kafka::look(&way).await?));
    }
    found.extend(of("machine", machine::look(config).await));
    found.sort_by_key(|found| std::cmp::Reverse(found.finding.severity));
    Ok(found)
}

/// The selection held against the configuration. What keeps it from being read is a finding of
/// the source already.
async fn look_at_tables(config: &Config, origin: &Postgres, found: &mut Vec<Found>) -> target::Schemas {
    let Ok(tables) = origin.tables().await else { return Vec::new() };
    let schemas: Vec<_> = tables.iter().map(|table| table.schema.clone()).collect();
    if let Err(error) = check_tables(config, &schemas) {
        found.extend(of("config", vec![blocking(error.to_string(), None)]));
    }
    let bytes = tables.iter().map(|table| table.bytes).sum();
    found.extend(of("machine", machine::look_at_space(config, bytes)));
    tables.into_iter().filter(|table| table.problem.is_none()).map(|table| table.schema).collect()
}

fn of(area: &'static str, findings: Vec<Finding>) -> Vec<Found> {
    findings.into_iter().map(|finding| Found { area, finding }).collect()
}

fn blocking(what: impl Into<String>, remedy: Option<String>) -> Finding {
    Finding { severity: Severity::Error, what: what.into(), remedy }
}

fn warning(what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { severity: Severity::Warning, what: what.into(), remedy: Some(remedy.into()) }
}

fn info(what: impl Into<String>) -> Finding {
    Finding { severity: Severity::Info, what: what.into(), remedy: None }
}

/// The findings for a person, the worst first.
fn table(found: &[Found]) -> String {
    let mut text = String::new();
    for Found { area, finding } in found {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{:<8} {area:<10} {}", finding.severity.to_string(), finding.what);
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "{:<19} -> {remedy}", "");
        }
    }
    let count = |severity| found.iter().filter(|found| found.finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let verdict = if errors > 0 { "walhouse run would not work" } else { "ready to run" };
    let _ = writeln!(text, "{verdict}: {errors} errors, {warnings} warnings");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_for_a_person() {
        let mut found = of("postgres", vec![blocking("wal_level is replica", Some("ALTER SYSTEM ...".to_owned()))]);
        found.extend(of("machine", vec![warning("little space", "free some"), info("port 8123 is free")]));
        insta::assert_snapshot!(table(&found), @r"
        error    postgres   wal_level is replica
                            -> ALTER SYSTEM ...
        warning  machine    little space
                            -> free some
        info     machine    port 8123 is free
        walhouse run would not work: 1 errors, 1 warnings
        ");
    }
}
