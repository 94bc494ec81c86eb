//! `walhouse run`: copy, then stream, until told to stop.

use anyhow::Result;

use crate::cli::ConfigFile;
use crate::config::Config;
use crate::service::Service;
use crate::{progress, runtime};

/// Runs until SIGTERM or SIGINT, or until something does not heal by waiting.
pub(crate) fn run(file: &ConfigFile) -> Result<()> {
    let config = Config::load(&file.config)?;
    runtime::block_on(async {
        let stop = runtime::stop_on_signals()?;
        let Some(service) = Service::start(&config, &stop).await? else { return Ok(()) };
        let shown = tokio::spawn(progress::show(service.board()));
        let ended = service.ended().await;
        shown.abort();
        ended
    })
}
