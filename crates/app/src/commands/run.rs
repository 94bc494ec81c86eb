//! `walhouse run`: copy, then stream, until told to stop.

use anyhow::Result;

use crate::cli::Run;
use crate::config::Config;
use crate::service::Service;
use crate::{progress, runtime};

/// Runs until SIGTERM or SIGINT, or until something does not heal by waiting.
pub(crate) fn run(options: &Run) -> Result<()> {
    let config = Config::load(&options.file.config)?;
    runtime::block_on(async {
        let stop = runtime::stop_on_signals()?;
        let Some(service) = Service::start(&config, &options.console, &stop).await? else { return Ok(()) };
        let shown = tokio::spawn(progress::show(service.board()));
        let ended = service.ended().await;
        shown.abort();
        ended
    })
}
