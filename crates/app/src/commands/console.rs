//! `walhouse console`: the console of the way through Kafka, by itself.

use anyhow::Result;
use tokio_util::sync::CancellationToken;

use crate::cli::Run;
use crate::config::Config;
use crate::kafka::Way;
use crate::{runtime, service, wiring};

/// Serves until SIGTERM or SIGINT.
pub(crate) fn console(options: &Run) -> Result<()> {
    let way = Way::new(Config::load(&options.file.config)?)?;
    runtime::block_on(async {
        let stop = runtime::stop_on_signals()?;
        let engine = wiring::engine_if_needed(&way.config).await?;
        let edges = CancellationToken::new();
        let _edges = edges.clone().drop_guard();
        let served = service::watch_kafka(&way, &options.console, edges).await;
        if served.is_ok() {
            stop.cancelled().await;
        }
        if let Some(engine) = engine {
            engine.stop().await;
        }
        served.map(drop)
    })
}
