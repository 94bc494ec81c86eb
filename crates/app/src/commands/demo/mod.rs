//! `walhouse demo`: all of it on one machine, in one folder.
//!
//! What runs is what `run` runs: the demo writes a configuration file and starts the same service
//! from it. Around that it plays the user: a Postgres with the sample workload, a load on it, and
//! an instrument that compares both sides at the end.

mod addresses;
mod finale;
mod live;
mod source;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;
use walhouse_lab::rembo::{self, LoadOptions};

use crate::cli::{ConsoleOptions, Demo};
use crate::config::Config;
use crate::service::Service;
use crate::{exit, progress, runtime, terminal, wiring};
use finale::Finale;
use source::Source;

/// Runs the demo until its time is up, or a signal.
pub(crate) fn demo(options: &Demo) -> Result<ExitCode> {
    std::fs::create_dir_all(&options.dir).with_context(|| format!("cannot create {}", options.dir.display()))?;
    let folder = options.dir.canonicalize().with_context(|| format!("cannot find {}", options.dir.display()))?;
    runtime::block_on(async {
        let stop = runtime::stop_on_signals()?;
        addresses::forget(&folder)?;
        // Before everything else and until after everything else: it is the others' source.
        let mut source = Source::open(&folder, options.postgres.as_deref()).await?;
        let played = play(options, &folder, &source, &stop).await;
        source.close().await;
        let Some(finale) = played? else { return Ok(ExitCode::SUCCESS) };
        println!("{finale}");
        Ok(if finale.is_different() { ExitCode::from(exit::FAILURE) } else { ExitCode::SUCCESS })
    })
}

/// None when it was stopped before there was anything to compare.
async fn play(
    options: &Demo,
    folder: &std::path::Path,
    source: &Source,
    stop: &CancellationToken,
) -> Result<Option<Finale>> {
    source.fill(options.seed).await?;
    if stop.is_cancelled() {
        return Ok(None);
    }
    let config = Config::load(&source.configure(folder)?)?;
    // A signal ends the load first, then the service: what was committed is to arrive.
    let end = CancellationToken::new();
    let starting = end.clone();
    let console = ConsoleOptions::default();
    let watch = stop.clone();
    let started = tokio::select! {
        biased;
        () = watch.cancelled() => { starting.cancel(); return Ok(None) }
        started = Service::start(&config, &console, &end) => started?,
    };
    let Some(service) = started else { return Ok(None) };
    addresses::write(folder, source.url(), &config.clickhouse.url, service.console())?;
    let played = with_service(options, source, &config, &service, stop).await;
    end.cancel();
    service.ended().await?;
    played
}

async fn with_service(
    options: &Demo,
    source: &Source,
    config: &Config,
    service: &Service,
    stop: &CancellationToken,
) -> Result<Option<Finale>> {
    let shown = tokio::spawn(progress::show(service.board()));
    let live = tokio::select! {
        biased;
        () = stop.cancelled() => false,
        live = live::wait_until_ready(service) => live,
    };
    shown.abort();
    // Its bars go with it.
    let _ = shown.await;
    if !live {
        return Ok(None);
    }
    let clickhouse = wiring::client(config);
    rembo::views(&clickhouse).await?;
    terminal::line(&live::banner(source.url(), &config.clickhouse.url, service.console()));
    match live::seed_query(&clickhouse).await {
        Ok(rows) => terminal::line(&rows),
        Err(error) => tracing::warn!(error = format!("{error:#}"), "the sample query failed"),
    }
    run_load(options, source, service, stop).await?;
    Ok(Some(Finale::compare(source, &clickhouse, stop).await))
}

/// Keeps the load running until the time is up, a signal, or the end of the pipeline.
async fn run_load(options: &Demo, source: &Source, service: &Service, stop: &CancellationToken) -> Result<()> {
    let time_is_up = async {
        match options.duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let enough = async {
        tokio::select! {
            () = stop.cancelled() => {}
            () = time_is_up => {}
            () = live::wait_for_end(service) => {}
        }
    };
    let shown = tokio::spawn(live::show(service.board()));
    let loaded = if options.rate > 0.0 {
        let mut client = rembo::connect(source.url()).await?;
        let seed = options.seed.seed.wrapping_add(seed_of_this_run());
        rembo::load(&mut client, LoadOptions { rate: options.rate, seed }, enough).await.map(Some)
    } else {
        enough.await;
        Ok(None)
    };
    shown.abort();
    let _ = shown.await;
    if let Some(counts) = loaded? {
        terminal::line(&format!("load ended: {counts}"));
    }
    Ok(())
}

/// A second demo in the same folder is to do something else than the first one.
fn seed_of_this_run() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
