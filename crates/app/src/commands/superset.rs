//! `walhouse superset`: what Superset is to have comes from the live tables, who may read them from the configuration.

use std::path::Path;

use anyhow::{Context, Result, bail};
use walhouse_lab::superset::{self, Assets, Connection, Deployment, Provisioned, Stale, Superset};

use crate::cli::{Provision, SupersetCommand, Sync};
use crate::config::{Config, read_secret};
use crate::exit::UsageError;
use crate::{exit, runtime, terminal, warehouse, wiring};

/// Where the password may come from, beside a file.
const PASSWORD: &str = "WALHOUSE_SUPERSET_PASSWORD";

/// Runs one of its commands.
pub(crate) fn superset(command: &SupersetCommand) -> Result<()> {
    let target = match command {
        SupersetCommand::Provision(target) => target,
        SupersetCommand::Sync(sync) => &sync.target,
    };
    let config = Config::load(&target.file.config)?;
    let password = password(target)?;
    runtime::block_on(async {
        let engine = wiring::engine_if_needed(&config).await?;
        let done = match command {
            SupersetCommand::Provision(target) => provision(target, &config, &password).await,
            SupersetCommand::Sync(sync) => follow(sync, &config, &password).await,
        };
        if let Some(engine) = engine {
            engine.stop().await;
        }
        done
    })
}

async fn provision(target: &Provision, config: &Config, password: &str) -> Result<()> {
    let (assets, connection) = (assets(config, &target.name).await?, connection(target, config).await?);
    let mut session = Superset::sign_in(&target.url, &target.user, password).await?;
    warn_of_version(session.version());
    show(target, &superset::provision(&mut session, &assets, &connection).await?)
}

/// Once, or again and again; then a failure is told and the next look may do better.
async fn follow(sync: &Sync, config: &Config, password: &str) -> Result<()> {
    let Some(every) = sync.every else { return follow_once(sync, config, password).await };
    let stop = runtime::stop_on_signals()?;
    loop {
        if let Err(error) = follow_once(sync, config, password).await {
            terminal::line(&format!("walhouse: {}", exit::one_line(&error)));
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(every) => {}
        }
    }
}

async fn follow_once(sync: &Sync, config: &Config, password: &str) -> Result<()> {
    let target = &sync.target;
    let (assets, connection) = (assets(config, &target.name).await?, connection(target, config).await?);
    let mut session = Superset::sign_in(&target.url, &target.user, password).await?;
    let stale = if sync.prune { Stale::Remove } else { Stale::Keep };
    show(target, &superset::sync(&mut session, &assets, &connection, stale).await?)
}

fn show(target: &Provision, done: &Provisioned) -> Result<()> {
    if target.json {
        println!("{}", serde_json::to_string_pretty(done)?);
    } else {
        println!("{done}");
    }
    Ok(())
}

/// What Superset is to have for this configuration.
pub(crate) async fn assets(config: &Config, name: &str) -> Result<Assets> {
    let warehouse = warehouse::read(config).await?;
    for table in &warehouse.absent {
        terminal::line(&format!("{table}: not in ClickHouse yet, left out"));
    }
    if warehouse.tables.is_empty() {
        bail!("there is no table in ClickHouse yet: start `walhouse run` first");
    }
    let deployment = Deployment { name: name.to_owned(), slot: config.postgres.slot().to_owned() };
    Ok(Assets::plan(deployment, &warehouse))
}

/// Superset's way to ClickHouse, tried out.
async fn connection(target: &Provision, config: &Config) -> Result<Connection> {
    let url = target.clickhouse_url.clone().unwrap_or_else(|| config.clickhouse.url.clone());
    let (user, file) = match (&target.clickhouse_user, config.engine.as_ref().and_then(|engine| engine.reader.as_ref()))
    {
        (Some(user), _) => (user.clone(), target.clickhouse_password_file.as_deref()),
        (None, Some(reader)) => (reader.user.clone(), reader.password_file.as_deref()),
        (None, None) => return Err(UsageError(no_reader(config)).into()),
    };
    let password = file.map(secret).transpose()?.unwrap_or_default();
    reader(config, Connection { url, user, password, database: config.clickhouse.database.clone(), set_utc: false })
        .await
}

/// Tries the user out: it must read, and must not write.
pub(crate) async fn reader(config: &Config, connection: Connection) -> Result<Connection> {
    // Superset's address may be another one than ours; the user is the same.
    let client = walhouse_lab::clickhouse_client(
        &config.clickhouse.url,
        &connection.user,
        &connection.password,
        &connection.database,
    );
    let set_utc = superset::try_reader(&client).await?;
    Ok(Connection { set_utc, ..connection })
}

fn no_reader(config: &Config) -> String {
    if config.engine.is_some() {
        return "Superset needs a user of ClickHouse who may only read: set [engine] reader and reader_password_file, \
                and restart walhouse"
            .to_owned();
    }
    let database = walhouse_clickhouse::ddl::identifier(&config.clickhouse.database);
    format!(
        "Superset needs a user of ClickHouse who may only read; make one, such as CREATE USER superset IDENTIFIED BY \
         '...' SETTINGS readonly = 1; GRANT SELECT ON {database}.* TO superset; and name it with --clickhouse-user and \
         --clickhouse-password-file"
    )
}

fn password(target: &Provision) -> Result<String> {
    match &target.password_file {
        Some(file) => secret(file),
        None => std::env::var(PASSWORD).map_err(|_| {
            let text = format!("the password of {:?} is needed: --password-file, or {PASSWORD}", target.user);
            UsageError(text).into()
        }),
    }
}

fn secret(file: &Path) -> Result<String> {
    read_secret(file).with_context(|| format!("cannot read the password file {}", file.display()))
}

fn warn_of_version(version: &str) {
    let known = ["4.1.", "5.", "6."].iter().any(|known| version.starts_with(known));
    if !known && !version.is_empty() {
        tracing::warn!(version, "this version of superset was never tried; 4.1, 5.0 and 6.1 were");
    }
}
