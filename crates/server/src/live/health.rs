//! The state in one plain sentence, with the cause and the next step when something is wrong.
//! Pure.

use walhouse_change::Phase;
use walhouse_pipeline::{PipelineState, Status};

use super::wal::duration;
use crate::api::{Health, Level, Progress, Wal};

/// A pipe that is this far behind needs attention.
const LATE_SECONDS: f64 = 60.0;
/// So does a log that is full within this time.
const SOON_SECONDS: f64 = 3600.0;
/// Between an error and what mends it, as [`walhouse_change::Error::one_line`] joins them.
const REMEDY: &str = "; to mend it: ";

/// An error's cause and its next step.
pub(super) fn split(error: &str) -> (String, Option<String>) {
    match error.split_once(REMEDY) {
        Some((cause, advice)) => (cause.to_owned(), Some(advice.to_owned())),
        None => (error.to_owned(), None),
    }
}

pub(super) fn health(status: &Status, wal: &Wal, copy: Option<&Progress>) -> Health {
    let plain = |level, sentence: String| Health { level, sentence, cause: None, advice: None, since_ms: None };
    match &status.state {
        PipelineState::Starting => plain(Level::Busy, "starting: connecting to both ends".to_owned()),
        PipelineState::Stopping => plain(Level::Busy, "stopping: making durable what was read".to_owned()),
        PipelineState::Copying => plain(Level::Busy, copying(copy)),
        PipelineState::Live => live(status, wal),
        PipelineState::Waiting { domain, error, since_ms, attempt } => {
            let (cause, advice) = split(error);
            let end = match domain.as_str() {
                "source" => "Postgres",
                "target" => "ClickHouse",
                "broker" => "Kafka",
                "worker" => "the Connect worker",
                _ => "walhouse itself",
            };
            Health {
                level: Level::Bad,
                sentence: format!("waiting for {end}, attempt {attempt}; nothing is lost, it goes on by itself"),
                cause: Some(cause),
                advice: advice.or_else(|| waiting_advice(domain).map(str::to_owned)),
                since_ms: Some(*since_ms),
            }
        }
        PipelineState::Failed { error } => {
            let (cause, advice) = split(error);
            let sentence = "stopped by an error that does not heal by waiting".to_owned();
            Health { level: Level::Bad, sentence, cause: Some(cause), advice, since_ms: None }
        }
    }
}

fn waiting_advice(domain: &str) -> Option<&'static str> {
    match domain {
        "source" => Some("see that Postgres runs and can be reached from here"),
        "broker" => Some("see that Kafka runs and can be reached from here"),
        "worker" => Some("see that the Connect worker runs and can be reached from here"),
        "target" => Some("see that ClickHouse runs, can be reached from here and has room on its disk"),
        _ => None,
    }
}

fn copying(copy: Option<&Progress>) -> String {
    match copy {
        Some(Progress { fraction, seconds_left: Some(left), .. }) => {
            format!("copying, {:.0} % done, about {} left", fraction * 100.0, duration(*left))
        }
        Some(progress) => format!("copying, {:.0} % done", progress.fraction * 100.0),
        None => "copying".to_owned(),
    }
}

fn live(status: &Status, wal: &Wal) -> Health {
    let behind = behind(status);
    let stopped: Vec<_> = status.tables.iter().filter(|table| table.phase == Phase::Stopped).collect();
    let mut health = Health { level: Level::Good, sentence: behind, cause: None, advice: None, since_ms: None };
    if let Some(first) = stopped.first() {
        let (cause, advice) = split(first.error.as_deref().unwrap_or("it was stopped"));
        health.level = Level::Warning;
        health.sentence =
            format!("{}, but {} of {} tables stopped", health.sentence, stopped.len(), status.tables.len());
        health.cause = Some(format!("{}: {cause}", first.name));
        health.advice = advice;
    } else if wal.full_in_seconds.is_some_and(|seconds| seconds < SOON_SECONDS) {
        health.level = Level::Warning;
        health.cause = Some(wal.sentence.clone());
        health.advice = Some("see why the target does not keep up, or raise the limit before it is reached".to_owned());
    } else if status.lag_seconds > LATE_SECONDS {
        health.level = Level::Warning;
        health.cause = Some("changes arrive faster than the target takes them, or one is very large".to_owned());
        health.advice = Some("if it does not shrink, see what the target is busy with".to_owned());
    }
    health
}

fn behind(status: &Status) -> String {
    let usual = status.commit_to_visible.map(|latency| latency.p50_ms / 1000.0);
    match (status.lag_seconds, usual) {
        (lag, Some(usual)) if lag > 0.0 => format!("live, {} behind", duration(lag.max(usual))),
        (lag, None) if lag > 0.0 => format!("live, {} behind", duration(lag)),
        (_, Some(usual)) => format!("live, {} behind", duration(usual)),
        (_, None) => "live, no changes at the moment".to_owned(),
    }
}
