//! From the configuration to the rooms: each end as its adapter.

use anyhow::{Context, Result};
use walhouse_change::Budget;
use walhouse_chdb::{Engine, Spawn};
use walhouse_clickhouse::ClickHouse;
use walhouse_pipeline::{Pipeline, Settings};
use walhouse_postgres::Postgres;

use std::sync::Arc;

use crate::config::{self, Config};
use crate::selection::Selection;

/// Bytes of changes in flight between reading and durability. Together with the blocks that are
/// being encoded this keeps the process well below 300 MiB, and it is a second's worth of changes
/// on a fast machine: more would only be later.
const BUDGET_BYTES: usize = 64 << 20;

/// The source.
pub(crate) fn origin(config: &Config) -> Result<Postgres> {
    Ok(Postgres::new(config.postgres.clone(), Budget::new(BUDGET_BYTES))?)
}

/// The target.
pub(crate) fn target(config: &Config) -> Result<ClickHouse> {
    Ok(ClickHouse::new(config.clickhouse.clone())?)
}

/// The target as the owner of the embedded engine's data, who alone may have tables over topics; over the engine's
/// own socket. A server's user has the rights it has.
pub(crate) fn owner(config: &Config) -> Result<ClickHouse> {
    let mut clickhouse = config.clickhouse.clone();
    clickhouse.socket = match (&config.engine, &config.kafka) {
        (Some(engine), Some(_)) => Some(engine.data.join(walhouse_chdb::OPERATOR_SOCKET)),
        _ => None,
    };
    Ok(ClickHouse::new(clickhouse)?)
}

/// Both ends, joined.
pub(crate) fn pipeline(config: &Config) -> Result<Pipeline> {
    let origin = Selection::new(Arc::new(origin(config)?), config.clone());
    let settings = Settings::new(config.postgres.slot());
    Ok(Pipeline::new(Arc::new(origin), Arc::new(target(config)?), settings))
}

/// Starts this very program as the embedded engine, with Kafka tables or without.
pub(crate) async fn engine(engine: &config::Engine, kafka: bool) -> Result<Engine> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut arguments = vec!["engine".into(), "--data".into(), engine.data.clone().into_os_string()];
    arguments.extend(["--listen".into(), engine.listen.to_string().into()]);
    if let Some(file) = &engine.password_file {
        arguments.extend(["--password-file".into(), file.clone().into_os_string()]);
    }
    if let Some(reader) = &engine.reader {
        arguments.extend(["--reader".into(), reader.user.clone().into()]);
        arguments.extend(["--reader-database".into(), reader.database.clone().into()]);
        if let Some(file) = &reader.password_file {
            arguments.extend(["--reader-password-file".into(), file.clone().into_os_string()]);
        }
    }
    if kafka {
        arguments.push("--kafka".into());
    }
    let mut spawn = Spawn::new(program, arguments);
    spawn.listen = engine.listen;
    Ok(Engine::start(spawn).await?)
}

/// The embedded engine for as long as a command needs it, unless it is running already or a
/// server is configured.
pub(crate) async fn engine_if_needed(config: &Config) -> Result<Option<Engine>> {
    match &config.engine {
        Some(engine) if tokio::net::TcpStream::connect(engine.listen).await.is_err() => {
            self::engine(engine, config.kafka.is_some()).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// An ordinary client of the target, for looks from outside.
pub(crate) fn client(config: &Config) -> clickhouse::Client {
    let client = plain_client(&config.clickhouse.url, &config.clickhouse.database).with_user(&config.clickhouse.user);
    match &config.target_password {
        Some(password) => client.with_password(password.expose()),
        None => client,
    }
}

/// An ordinary client without a password.
pub(crate) fn plain_client(url: &str, database: &str) -> clickhouse::Client {
    clickhouse::Client::default().with_url(url).with_database(database)
}
