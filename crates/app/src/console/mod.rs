//! The console of a running walhouse: what it is made of, and asking one from another process.

mod ask;
mod catalog;
mod commands;
mod connectors;
mod queries;
mod reading;
mod rows;
mod source;
mod target;
mod topics;
mod verify;
mod why;
mod worker;

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Result;
use walhouse_connect::{Api, Worker};
use walhouse_kafka::client::Properties;
use walhouse_pipeline::{Commander, StatusBoard};
use walhouse_server::api::{Stage, StageKind};
use walhouse_server::ports::{Ports, Topics};
use walhouse_server::{Console, Recorder};

use crate::config::Config;
use crate::wiring;

pub(crate) use ask::{ask, get};
pub(crate) use worker::Edge;

/// The console of a pipeline with this configuration.
///
/// # Errors
/// The configuration of an end cannot work.
pub(crate) fn assemble(
    config: &Config,
    board: StatusBoard,
    commander: Commander,
    recorder: Recorder,
) -> Result<Console> {
    Ok(Console { stages: stages(config), ports: ports(config, commander)?, ..Console::new(board, recorder) })
}

/// The console of a Connect worker: its connectors, and the topics of its cluster.
///
/// # Errors
/// A property of the worker's clients cannot be used.
fn of_worker(worker: &Worker, api: Api, recorder: Recorder) -> Result<Console> {
    let client = worker.settings().internal_client();
    let ports = Ports {
        topics: Some(Arc::new(topics::Kafka::new(client, Some(worker.clone()))?)),
        connectors: Some(Arc::new(connectors::Own(api))),
        ..Ports::default()
    };
    let board = StatusBoard::new(worker.settings().group.clone());
    Ok(Console { ports, pipeline: false, ..Console::new(board, recorder) })
}

/// What the console reaches of both ends.
fn ports(config: &Config, commander: Commander) -> Result<Ports> {
    let postgres = wiring::origin(config)?;
    let client = wiring::target(config)?.http_client();
    let tables = Arc::new(catalog::Tables::new(config, postgres.clone()));
    let database = config.clickhouse.database.clone();
    let topics = match &config.kafka {
        Some(kafka) => {
            let properties = Properties::new(&kafka.bootstrap).with_all(kafka.client.0.clone());
            Some(Arc::new(topics::Kafka::new(properties, None)?) as Arc<dyn Topics>)
        }
        None => None,
    };
    Ok(Ports {
        topics,
        source: Some(Arc::new(source::Wal { postgres, is_local: is_local(config) })),
        catalog: Some(Arc::new(catalog::Layouts { tables: Arc::clone(&tables), client: client.clone() })),
        commands: Some(Arc::new(commands::Ear(commander))),
        rows: Some(Arc::new(rows::History { tables, client: client.clone() })),
        queries: Some(Arc::new(queries::Reader { client, database })),
        verifier: Some(Arc::new(verify::Instrument { config: config.clone() })),
        ..Ports::default()
    })
}

/// Whether the source's address is this machine's own.
fn is_local(config: &Config) -> bool {
    let url = config.postgres.url.as_ref().and_then(|url| url.expose().parse::<tokio_postgres::Config>().ok());
    let Some(url) = url else { return false };
    url.get_hosts().iter().all(|host| match host {
        tokio_postgres::config::Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        tokio_postgres::config::Host::Unix(_) => true,
    })
}

/// The stations of the direct way.
fn stages(config: &Config) -> Vec<Stage> {
    let url = config.postgres.url.as_ref().and_then(|url| url.expose().parse::<tokio_postgres::Config>().ok());
    let source = url.as_ref().and_then(tokio_postgres::Config::get_dbname).unwrap_or("Postgres");
    let target = match &config.engine {
        Some(_) => format!("{} (embedded)", config.clickhouse.database),
        None => config.clickhouse.database.clone(),
    };
    vec![
        Stage::new(StageKind::Postgres, source),
        Stage::new(StageKind::Walhouse, config.postgres.slot()),
        Stage::new(StageKind::Clickhouse, target),
    ]
}
