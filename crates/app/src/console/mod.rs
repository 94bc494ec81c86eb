//! The console of a running walhouse: what it is made of, and asking one from another process.

mod ask;
mod catalog;
mod commands;
mod connectors;
mod http;
mod queries;
mod reading;
mod registry;
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
use tokio::sync::watch;
use walhouse_connect::{Api, Worker};
use walhouse_kafka::client::{Properties, Seat};
use walhouse_pipeline::{Commander, StatusBoard};
use walhouse_postgres::Postgres;
use walhouse_server::api::{Stage, StageKind};
use walhouse_server::ports::{Commands, Connectors, Ports, Registry, Topics};
use walhouse_server::{Console, Recorder};

use crate::config::{self, Config};
use crate::kafka::{Source, Way};
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
    let commands: Arc<dyn Commands> = Arc::new(commands::Ear(commander));
    let ports = Ports { commands: Some(commands), ..ports(config, wiring::origin(config)?)? };
    Ok(Console { stages: stages(config), ports, ..Console::new(board, recorder) })
}

/// The console of the way through Kafka, whose parts are programs of their own: it tells none of them what to do, but
/// for the connectors.
///
/// # Errors
/// As of [`assemble`].
pub(crate) fn of_kafka(way: &Way, board: StatusBoard, recorder: Recorder) -> Result<Console> {
    let mut stages = stages(&way.config);
    stages.iter_mut().filter(|stage| stage.kind == StageKind::Walhouse).for_each(|stage| {
        let name = way.kafka.name.as_deref().unwrap_or_else(|| way.option("topic.prefix", "connector"));
        *stage = Stage::new(StageKind::Walhouse, name);
    });
    stages.insert(2, Stage::new(StageKind::Kafka, &way.kafka.bootstrap));
    let ports = ports(&way.config, Source::new(way)?.postgres)?;
    Ok(Console { stages, ports, ..Console::new(board, recorder) })
}

/// The console of a Connect worker: its connectors, and the topics of its cluster.
///
/// # Errors
/// A property of the worker's clients cannot be used.
fn of_worker(worker: &Worker, api: Api, registry: Option<&config::Registry>, recorder: Recorder) -> Result<Console> {
    let client = worker.settings().internal_client();
    let ports = Ports {
        registry: registry.map(schemas).transpose()?,
        topics: Some(Arc::new(topics::Kafka::new(client, Some(worker.clone()))?)),
        connectors: Some(Arc::new(connectors::Own(api))),
        ..Ports::default()
    };
    let board = StatusBoard::new(worker.settings().group.clone());
    Ok(Console { ports, pipeline: false, waits_for: election(worker), ..Console::new(board, recorder) })
}

/// What a worker waits for: until its group has said who is in charge, it can change nothing.
fn election(worker: &Worker) -> watch::Receiver<Option<String>> {
    let (sender, waits_for) = watch::channel(Some("the group to say which worker is in charge".to_owned()));
    let mut seat = worker.seat();
    tokio::spawn(async move {
        if seat.wait_for(|seat| *seat != Seat::Undecided).await.is_ok() {
            sender.send_replace(None);
        }
    });
    waits_for
}

fn schemas(registry: &config::Registry) -> Result<Arc<dyn Registry>> {
    Ok(Arc::new(registry::Schemas::new(registry)?))
}

/// What the console reaches of both ends, and of Kafka between.
fn ports(config: &Config, postgres: Postgres) -> Result<Ports> {
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
    let kafka = config.kafka.as_ref();
    let connect = kafka.and_then(|kafka| kafka.connect.as_deref());
    let worker = connect.map(|url| http::Http::new("the Connect worker", url, None)).transpose()?;
    Ok(Ports {
        topics,
        registry: kafka.and_then(|kafka| kafka.registry.as_ref()).map(schemas).transpose()?,
        connectors: worker.map(|http| Arc::new(connectors::Remote(http)) as Arc<dyn Connectors>),
        source: Some(Arc::new(source::Wal { postgres, is_local: is_local(config) })),
        catalog: Some(Arc::new(catalog::Layouts { tables: Arc::clone(&tables), client: client.clone() })),
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
