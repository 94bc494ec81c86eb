//! A pipeline in full: console, engine, pipeline. `run` is one of these, and so is `demo`.
//!
//! The console comes first, so that an operator sees what a start waits for; the engine ends
//! last, because the pipeline's last words go into it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use walhouse_chdb::Engine;
use walhouse_pipeline::StatusBoard;
use walhouse_server::{Console, Listener, PORT_PATIENCE, Recorder, Server};

use crate::cli::ConsoleOptions;
use crate::config::Config;
use crate::kafka::{self, Sight, Way};
use crate::{console, wiring};

/// What is left of the promised 10 s when the pipeline took all of its time to drain.
const ENGINE_PATIENCE: Duration = Duration::from_millis(1500);

/// A running pipeline with its surroundings.
pub(crate) struct Service {
    board: StatusBoard,
    console: Option<SocketAddr>,
    engine: Option<Engine>,
    pipeline: JoinHandle<walhouse_change::Result<()>>,
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
        let pipeline = wiring::pipeline(config)?;
        let (board, commander) = (pipeline.board(), pipeline.commander());

        let edges = CancellationToken::new();
        tokio::spawn(recorder.clone().keep_up());
        let console = match served {
            Some((listen, access)) => {
                let listener = Listener::bind(listen, PORT_PATIENCE).await?;
                let address = listener.address();
                let console = Console { access, ..console::assemble(config, board.clone(), commander, recorder)? };
                tokio::spawn(serve(listener.open(console)?, edges.clone()));
                Some(address)
            }
            None => None,
        };
        let edges = edges.drop_guard();

        let engine = match &config.engine {
            Some(engine) => Some(wiring::engine(engine, config.kafka.is_some()).await?),
            None => None,
        };
        tracing::info!(
            console = console.map_or_else(|| "off".to_owned(), |address| format!("http://{address}")),
            clickhouse = config.clickhouse.url,
            slot = config.postgres.slot(),
            "walhouse runs"
        );
        let pipeline = tokio::spawn(pipeline.run(stop.clone()));
        Ok(Self { board, console, engine, pipeline, _edges: edges })
    }

    /// Its state.
    pub(crate) fn board(&self) -> StatusBoard {
        self.board.clone()
    }

    /// Where the console answers.
    pub(crate) fn console(&self) -> Option<SocketAddr> {
        self.console
    }

    /// True once the pipeline has ended, by whatever cause.
    pub(crate) fn has_ended(&self) -> bool {
        self.pipeline.is_finished()
    }

    /// Waits for the end of the pipeline, then ends the rest.
    pub(crate) async fn ended(self) -> Result<()> {
        let ended = self.pipeline.await.context("the pipeline failed")?;
        if let Some(engine) = self.engine {
            // Past its patience the engine dies with us.
            let _ = tokio::time::timeout(ENGINE_PATIENCE, engine.stop()).await;
        }
        if ended.is_ok() {
            let status = self.board.read();
            tracing::info!(checkpoint = %status.checkpoint, "stopped in order");
        }
        Ok(ended?)
    }
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
