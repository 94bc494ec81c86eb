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
use walhouse_connect::Settings;
use walhouse_kafka::client::{Properties, Seat};
use walhouse_pipeline::{Commander, StatusBoard};
use walhouse_postgres::Postgres;
use walhouse_server::api::{Stage, StageKind};
use walhouse_server::ports::{Commands, Connectors, Ports, Registry, Topics};
use walhouse_server::{Console, Recorder};

use crate::config::{self, Config};
use crate::kafka::{OwnWorker, Source, Way};
use crate::wiring;

pub(crate) use ask::{ask, get};
pub(crate) use worker::Edge;

/// The console of a pipeline with this configuration, and of the connector beside it if there is one.
///
/// # Errors
/// The configuration of an end cannot work.
pub(crate) fn assemble(
    config: &Config,
    board: StatusBoard,
    commander: Option<Commander>,
    writer: Option<(&Settings, watch::Receiver<OwnWorker>)>,
    recorder: Recorder,
) -> Result<Console> {
    let commands = commander.map(|commander| Arc::new(commands::Ear(commander)) as Arc<dyn Commands>);
    let mut ports = Ports { commands, ..ports(config, wiring::origin(config)?)? };
    let mut console = Console::new(board, recorder);
    if let Some((settings, worker)) = writer {
        let own = worker_ports(settings, worker.clone())?;
        ports = Ports { topics: own.topics, connectors: own.connectors, ..ports };
        console.waits_for = waits_for(worker);
    }
    Ok(Console { stages: stages(config), ports, ..console })
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
pub(crate) fn of_worker(
    settings: &Settings,
    worker: watch::Receiver<OwnWorker>,
    registry: Option<&config::Registry>,
    recorder: Recorder,
) -> Result<Console> {
    let ports = Ports { registry: registry.map(schemas).transpose()?, ..worker_ports(settings, worker.clone())? };
    let board = StatusBoard::new(settings.group.clone());
    Ok(Console { ports, pipeline: false, waits_for: waits_for(worker), ..Console::new(board, recorder) })
}

/// What the console reaches of a worker in this process.
fn worker_ports(settings: &Settings, worker: watch::Receiver<OwnWorker>) -> Result<Ports> {
    Ok(Ports {
        topics: Some(Arc::new(topics::Kafka::new(settings.internal_client(), Some(worker.clone()))?)),
        connectors: Some(Arc::new(connectors::Own(worker))),
        ..Ports::default()
    })
}

/// What a worker waits for: until its group has said who is in charge, it can change nothing.
fn waits_for(mut worker: watch::Receiver<OwnWorker>) -> watch::Receiver<Option<String>> {
    let (sender, waits_for) = watch::channel(Some("the worker".to_owned()));
    tokio::spawn(async move {
        loop {
            let stage = worker.borrow_and_update().clone();
            match stage {
                OwnWorker::Waits(end) => drop(sender.send_replace(Some(end))),
                OwnWorker::Runs(api) => {
                    sender.send_replace(Some("the group to say which worker is in charge".to_owned()));
                    if api.worker().seat().wait_for(|seat| *seat != Seat::Undecided).await.is_ok() {
                        sender.send_replace(None);
                    }
                }
            }
            if worker.changed().await.is_err() {
                // Nothing more will be said; what was said last stays.
                return sender.closed().await;
            }
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
