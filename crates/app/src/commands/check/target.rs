//! The target, as far as it answers. An embedded engine that does not run is not started for this.

use std::sync::Arc;

use anyhow::Result;
use tokio::net::TcpStream;
use walhouse_change::{Error, TableSchema};
use walhouse_postgres::Finding;

use super::{blocking, info};
use crate::config::Config;
use crate::wiring;

pub(super) type Schemas = Vec<Arc<TableSchema>>;

pub(super) async fn look(config: &Config, schemas: &Schemas) -> Result<Vec<Finding>> {
    if let Some(engine) = &config.engine
        && TcpStream::connect(engine.listen).await.is_err()
    {
        return Ok(vec![info("the embedded engine does not run; walhouse run starts it")]);
    }
    let target = wiring::target(config)?;
    let version = match target.version().await {
        Ok(version) => version,
        Err(error) => return Ok(vec![of_error(&error)]),
    };
    let mut findings = vec![info(format!("ClickHouse {version} answers at {}", config.clickhouse.url))];
    match target.missing_rights().await {
        Ok(missing) => findings.extend(missing.into_iter().map(|missing| {
            let user = &config.clickhouse.user;
            let grant = format!("GRANT {} TO {user}", missing.right);
            blocking(format!("user {user} lacks {}", missing.right), Some(grant))
        })),
        Err(error) => findings.push(of_error(&error)),
    }
    match target.conflicts(schemas).await {
        Ok(conflicts) => findings.extend(conflicts.iter().map(of_error)),
        Err(error) => findings.push(of_error(&error)),
    }
    Ok(findings)
}

fn of_error(error: &Error) -> Finding {
    let mut what = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        what.push_str(&format!(": {error}"));
        cause = error.source();
    }
    blocking(what.replace('\n', " "), error.remedy().map(str::to_owned))
}
