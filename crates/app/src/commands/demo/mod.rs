//! `walhouse demo`: all of it on one machine, in one folder.
//!
//! What runs is what `run` runs: the demo writes a configuration file and starts the same service
//! from it. Around that it plays the user: a Postgres with the sample workload, a load on it, and
//! an instrument that compares both sides at the end.

mod addresses;
mod finale;
mod kafka;
mod live;
mod source;
mod superset;

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
use superset::Dashboards;

/// Runs the demo until its time is up, or a signal.
pub(crate) fn demo(options: &Demo) -> Result<ExitCode> {
    std::fs::create_dir_all(&options.dir).with_context(|| format!("cannot create {}", options.dir.display()))?;
    let folder = options.dir.canonicalize().with_context(|| format!("cannot find {}", options.dir.display()))?;
    runtime::block_on(async {
        let stop = runtime::stop_on_signals()?;
        addresses::forget(&folder)?;
        // Before everything else and until after everything else: it is the others' source.
        let mut source = Source::open(&folder, options.postgres.as_deref()).await?;
        let played = match options.kafka {
            true => kafka::play(options, &folder, &source, &stop).await,
            false => play(options, &folder, &source, &stop).await,
        };
        source.close().await;
        let Some((finale, all_answer)) = played? else { return Ok(ExitCode::SUCCESS) };
        println!("{finale}");
        Ok(if finale.is_different() || !all_answer { ExitCode::from(exit::FAILURE) } else { ExitCode::SUCCESS })
    })
}

/// None when it was stopped before there was anything to compare.
async fn play(
    options: &Demo,
    folder: &std::path::Path,
    source: &Source,
    stop: &CancellationToken,
) -> Result<Option<(Finale, bool)>> {
    let dashboards = match options.superset {
        true => Dashboards::start(folder, stop).await?,
        false => None,
    };
    source.fill(options.seed).await?;
    if stop.is_cancelled() {
        return Ok(None);
    }
    let reader = dashboards.as_ref().map(Dashboards::reader);
    let config = Config::load(&source.configure(folder, reader.unwrap_or_default(), "")?)?;
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
    if dashboards.is_none() {
        addresses::write(folder, source.url(), &config.clickhouse.url, service.console(), &[])?;
    }
    let scene = Scene { options, folder, source, config: &config, service: &service, stop };
    let played = scene.play(dashboards.as_ref()).await;
    end.cancel();
    service.ended().await?;
    if let Some(dashboards) = dashboards {
        dashboards.end().await;
    }
    played
}

/// Everything that runs.
struct Scene<'a> {
    options: &'a Demo,
    folder: &'a std::path::Path,
    source: &'a Source,
    config: &'a Config,
    service: &'a Service,
    stop: &'a CancellationToken,
}

impl Scene<'_> {
    async fn play(&self, dashboards: Option<&Dashboards>) -> Result<Option<(Finale, bool)>> {
        let Self { options, folder, source, config, service, stop } = *self;
        if !self.is_live().await {
            return Ok(None);
        }
        let clickhouse = wiring::client(config);
        rembo::views(&clickhouse).await?;
        if let Some(dashboards) = dashboards {
            dashboards.provision(config).await?;
            addresses::write(folder, source.url(), &config.clickhouse.url, service.console(), &dashboards.login())?;
        }
        terminal::line(&live::banner(source.url(), &config.clickhouse.url, service.console()));
        match live::seed_query(&clickhouse).await {
            Ok(rows) => terminal::line(&rows),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "the sample query failed"),
        }
        run_load(options, source, service, stop).await?;
        let answer = match dashboards {
            Some(dashboards) if !stop.is_cancelled() => dashboards.answer(config).await?,
            _ => true,
        };
        Ok(Some((Finale::compare(source, &clickhouse, stop).await, answer)))
    }

    /// Waits until everything is copied; false when that was not to be.
    async fn is_live(&self) -> bool {
        let shown = tokio::spawn(progress::show(self.service.board()));
        let live = tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            live = live::wait_until_ready(self.service) => live,
        };
        shown.abort();
        // Its bars go with it.
        let _ = shown.await;
        live
    }
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
