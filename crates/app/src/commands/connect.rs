//! `walhouse connect`: a Kafka Connect worker for Debezium's Postgres connector.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use walhouse_connect::{Api, LevelSetter, PostgresRunner, Rest, Settings, Worker};

use crate::cli::Connect;
use crate::console::Edge;
use crate::exit::UsageError;
use crate::{runtime, telemetry};

/// Loggers that stand for all that is logged here.
const OURS: [&str; 5] =
    ["root", "io.debezium", "io.debezium.connector.postgresql", "org.apache.kafka", "org.apache.kafka.connect"];

/// Runs until SIGTERM or SIGINT: then tasks end in order, and the group is left.
pub(crate) fn connect(options: &Connect) -> Result<()> {
    let (settings, edge) = settings(options)?;
    for property in settings.without_effect() {
        tracing::warn!(property, "worker property has no effect: one worker of a group runs all its connectors");
    }
    runtime::block_on(async {
        let stop = runtime::stop_on_signals()?;
        let rest = Rest::bind(&settings).await?;
        let listener = edge.bind().await?;
        let worker_id = settings.worker_id(rest.address());
        let address = rest.address();
        let started = Worker::start(settings, worker_id, Arc::new(PostgresRunner));
        let worker = tokio::select! {
            worker = started => worker?,
            () = stop.cancelled() => return Ok(()),
        };
        tracing::info!(rest = %address, cluster = worker.cluster_id(), "Connect's REST API is up");
        let levels: LevelSetter = Arc::new(|logger, level| {
            if OURS.contains(&logger) {
                telemetry::set_level(level);
            }
        });
        let api = Api::new(worker.clone(), Some(levels));
        if let Some(listener) = listener {
            edge.serve(listener, api.clone(), stop.clone())?;
        }
        let serving = tokio::spawn(rest.serve(api, stop.clone()));
        stop.cancelled().await;
        worker.stop().await;
        serving.await.context("serving the REST API")?.map_err(Into::into)
    })
}

/// The worker's file, and over it what the command line says: the worker's part and the console's.
fn settings(options: &Connect) -> Result<(Settings, Edge)> {
    let mut properties = match &options.config {
        Some(file) => read(file)?,
        None => Default::default(),
    };
    let mut set = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            properties.insert(key.to_owned(), value);
        }
    };
    set("bootstrap.servers", options.bootstrap.clone());
    set("group.id", options.group.clone());
    set("listeners", options.listen.map(|address| format!("http://{address}")));
    if properties.get("bootstrap.servers").is_none_or(|value| value.trim().is_empty()) {
        let problem = "name the brokers: --bootstrap HOST:PORT, or bootstrap.servers in --config FILE";
        return Err(UsageError(problem.to_owned()).into());
    }
    let edge = Edge::take(&mut properties, &options.console)?;
    let settings = Settings::from_map(properties).map_err(|error| UsageError(error.to_string()))?;
    settings.internal_client().check().map_err(|error| UsageError(error.to_string()))?;
    Ok((settings, edge))
}

fn read(file: &Path) -> Result<std::collections::BTreeMap<String, String>> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| UsageError(format!("reading {}: {error}", file.display())))?;
    Ok(walhouse_connect::read_properties(&text))
}
