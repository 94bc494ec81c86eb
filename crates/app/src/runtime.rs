//! The async runtime of a command, and the signals that end it.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{exit, terminal};

/// What a blocking call that nobody waits for any more may still take at the end.
const FAREWELL: Duration = Duration::from_millis(500);

/// Runs a command's future on a runtime of its own.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the async runtime")?;
    let result = runtime.block_on(future);
    runtime.shutdown_timeout(FAREWELL);
    result
}

/// A token that the first SIGTERM or SIGINT cancels. The second one ends the process at once.
pub(crate) fn stop_on_signals() -> Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let told = stop.clone();
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if told.is_cancelled() {
                terminal::line("walhouse: second signal, ending at once");
                std::process::exit(exit::INTERRUPTED.into());
            }
            tracing::info!(signal = name, "asked to stop, making durable what was read");
            told.cancel();
        }
    });
    Ok(stop)
}
