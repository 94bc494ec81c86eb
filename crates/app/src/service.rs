//! All that carries changes, in full: console, engine, pipeline, and the connector into Kafka. `run` is one of these,
//! and so is `demo`.
//!
//! The console comes first, so that an operator sees what a start waits for; the engine ends
//! last, because the pipeline's last words go into it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::select_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use walhouse_chdb::Engine;
use walhouse_pipeline::{Pipeline, StatusBoard};
use walhouse_server::{Console, Listener, PORT_PATIENCE, Recorder, Server};

use crate::cli::ConsoleOptions;
use crate::config::Config;
use crate::exit::UsageError;
use crate::kafka::{self, OwnWorker, Sight, Way, Writer};
use crate::{console, wiring};

/// What is left of the promised 10 s when the pipeline took all of its time to drain.
const ENGINE_PATIENCE: Duration = Duration::from_millis(1500);

/// What runs, with its surroundings.
pub(crate) struct Service {
    board: StatusBoard,
    console: Option<SocketAddr>,
    engine: Option<Engine>,
    /// The pipeline, the connector, or both.
    ways: Vec<JoinHandle<Result<()>>>,
    /// Ends them.
    stop: CancellationToken,
    _edges: DropGuard,
}

impl Service {
    /// Starts everything. None when `stop` came first.
    ///
    /// # Errors
    /// The configuration cannot work, the console's port stays taken, or the engine does not start.
    pub(crate) async fn start(
        config: &Config,
        options: &ConsoleOptions,
        stop: &CancellationToken,
    ) -> Result<Option<Self>> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(None),
            started = Self::open(config, options, stop) => started.map(Some),
        }
    }

    async fn open(config: &Config, options: &ConsoleOptions, stop: &CancellationToken) -> Result<Self> {
        let served = config.console.served(options)?;
        let recorder = Recorder::install()?;
        walhouse_pipeline::describe_metrics();
        walhouse_clickhouse::metrics::describe();
        let writer = match &config.kafka {
            // One with a Connect worker of its own is that one's business.
            Some(kafka) if kafka.connect.is_none() => Some(Writer::new(&Way::new(config.clone())?)?),
            _ => None,
        };
        let pipeline = config.straight.then(|| wiring::pipeline(config)).transpose()?;
        let slot = match (&pipeline, &writer) {
            (None, None) => return Err(nothing_to_run(config)),
            (None, Some(writer)) => writer.slot().to_owned(),
            (Some(_), _) => config.postgres.slot().to_owned(),
        };
        let board = pipeline.as_ref().map_or_else(|| StatusBoard::new(slot.clone()), Pipeline::board);
        let (stage, worker) = watch::channel(OwnWorker::Waits("Kafka".to_owned()));
        let beside = writer.as_ref().map(|writer| (writer.settings(), worker.clone()));

        let edges = CancellationToken::new();
        tokio::spawn(recorder.clone().keep_up());
        let console = match served {
            Some((listen, access)) => {
                let listener = Listener::bind(listen, PORT_PATIENCE).await?;
                let address = listener.address();
                let console = match (&pipeline, beside) {
                    (None, Some((settings, worker))) => {
                        let registry = config.kafka.as_ref().and_then(|kafka| kafka.registry.as_ref());
                        console::of_worker(settings, worker, registry, recorder)?
                    }
                    (pipeline, beside) => {
                        let commander = pipeline.as_ref().map(Pipeline::commander);
                        console::assemble(config, board.clone(), commander, beside, recorder)?
                    }
                };
                tokio::spawn(serve(listener.open(Console { access, ..console })?, edges.clone()));
                Some(address)
            }
            None => None,
        };
        let edges = edges.drop_guard();

        let engine = match &config.engine {
            Some(engine) if pipeline.is_some() => Some(wiring::engine(engine, config.kafka.is_some()).await?),
            _ => None,
        };
        tracing::info!(
            console = console.map_or_else(|| "off".to_owned(), |address| format!("http://{address}")),
            clickhouse = pipeline.as_ref().map(|_| &*config.clickhouse.url),
            kafka = writer.as_ref().and(config.kafka.as_ref()).map(|kafka| &*kafka.bootstrap),
            slot,
            "walhouse runs"
        );
        let stop = stop.child_token();
        let mut ways = Vec::new();
        if let Some(pipeline) = pipeline {
            let running = pipeline.run(stop.clone());
            ways.push(tokio::spawn(async { Ok(running.await?) }));
        }
        if let Some(writer) = writer {
            ways.push(tokio::spawn(writer.run(stage, stop.clone())));
        }
        Ok(Self { board, console, engine, ways, stop, _edges: edges })
    }

    /// Its state.
    pub(crate) fn board(&self) -> StatusBoard {
        self.board.clone()
    }

    /// Where the console answers.
    pub(crate) fn console(&self) -> Option<SocketAddr> {
        self.console
    }

    /// True once the pipeline or the connector has ended, by whatever cause.
    pub(crate) fn has_ended(&self) -> bool {
        self.ways.iter().any(JoinHandle::is_finished)
    }

    /// Waits for the end of the pipeline or of the connector, then ends the rest. The first failure is the one that
    /// counts.
    pub(crate) async fn ended(self) -> Result<()> {
        let mut ended = Ok(());
        let mut ways = self.ways;
        while !ways.is_empty() {
            let (way, _, others) = select_all(ways).await;
            self.stop.cancel();
            ended = ended.and(way.context("a part of the program failed").flatten());
            ways = others;
        }
        if let Some(engine) = self.engine {
            // Past its patience the engine dies with us.
            let _ = tokio::time::timeout(ENGINE_PATIENCE, engine.stop()).await;
        }
        if ended.is_ok() {
            let status = self.board.read();
            tracing::info!(checkpoint = %status.checkpoint, "stopped in order");
        }
        ended
    }
}

/// Nothing is to be done with this configuration.
fn nothing_to_run(config: &Config) -> anyhow::Error {
    let message = format!(
        "{}: with [kafka] connect the connector runs in that worker, and there is neither [clickhouse] nor [engine]: \
         leave connect out to have it run here",
        config.path.display()
    );
    UsageError(message).into()
}

/// The console of the way through Kafka: it watches, and runs nothing. None when it is off.
///
/// # Errors
/// The configuration cannot work, the console's port stays taken, or one of the ends cannot be asked.
pub(crate) async fn watch_kafka(
    way: &Way,
    options: &ConsoleOptions,
    edges: CancellationToken,
) -> Result<Option<SocketAddr>> {
    let Some((listen, access)) = way.config.console.served(options)? else { return Ok(None) };
    let recorder = Recorder::install()?;
    walhouse_pipeline::describe_metrics();
    tokio::spawn(recorder.clone().keep_up());
    let board = StatusBoard::new(way.option("slot.name", kafka::DEFAULT_SLOT));
    let console = Console { access, ..console::of_kafka(way, board.clone(), recorder)? };
    let sight = Sight::new(way, board, console.ports.connectors.clone()).await?;
    let listener = Listener::bind(listen, PORT_PATIENCE).await?;
    let address = listener.address();
    tokio::spawn(serve(listener.open(console)?, edges.clone()));
    tokio::spawn(async move { edges.run_until_cancelled(sight.watch()).await });
    tracing::info!(console = format!("http://{address}"), "the console is up");
    Ok(Some(address))
}

/// Serves until told to stop; what goes wrong there stops nothing else.
pub(crate) async fn serve(server: Server, edges: CancellationToken) {
    let stop = async move { edges.cancelled().await };
    if let Err(error) = server.serve(stop).await {
        tracing::error!(error = %error, "the console ended; the rest goes on");
    }
}
