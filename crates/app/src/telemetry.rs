//! The log: structured lines on standard error.

use std::sync::OnceLock;

use anyhow::Result;
use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::exit::UsageError;
use crate::terminal::{self, LogWriter};

/// Names the environment variable that says what is logged.
const LEVEL_VARIABLE: &str = "WALHOUSE_LOG";
/// Ourselves in full, of the libraries what went wrong.
const DEFAULT_LEVEL: &str = "warn,walhouse=info";

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Human on a terminal, JSON elsewhere.
    Auto,
    /// One line of text per event.
    Human,
    /// One JSON object per event.
    Json,
}

/// Starts logging for the whole process.
///
/// # Errors
/// `WALHOUSE_LOG` is not a filter.
pub(crate) fn init(format: LogFormat) -> Result<()> {
    let filter = filter(std::env::var(LEVEL_VARIABLE).ok().as_deref())
        .map_err(|error| UsageError(format!("{LEVEL_VARIABLE} is not a log filter such as debug: {error}")))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| LogWriter);
    let json = match format {
        LogFormat::Auto => !terminal::is_watched(),
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    if json {
        let subscriber = subscriber.json().flatten_event(true).with_filter_reloading();
        let handle = subscriber.reload_handle();
        let _ = RELOAD.set(Box::new(move |filter| drop(handle.reload(filter))));
        subscriber.init();
    } else {
        let subscriber = subscriber.with_target(false).with_ansi(terminal::is_watched()).with_filter_reloading();
        let handle = subscriber.reload_handle();
        let _ = RELOAD.set(Box::new(move |filter| drop(handle.reload(filter))));
        subscriber.init();
    }
    Ok(())
}

/// Puts another filter in place of the one that was started with.
static RELOAD: OnceLock<Box<dyn Fn(EnvFilter) + Send + Sync>> = OnceLock::new();

/// Logs at another level from now on: one of ours, or of Java's logging.
pub(crate) fn set_level(level: &str) {
    let level = match level.to_ascii_uppercase().as_str() {
        "OFF" | "FATAL" | "ERROR" => "error",
        "WARN" => "warn",
        "DEBUG" => "debug",
        "TRACE" | "ALL" => "trace",
        _ => "info",
    };
    if let (Some(reload), Ok(filter)) = (RELOAD.get(), filter(Some(level))) {
        reload(filter);
    }
}

/// A bare level is meant for us; the libraries keep theirs.
fn filter(wanted: Option<&str>) -> Result<EnvFilter, ParseError> {
    match wanted.map(str::trim) {
        None | Some("") => EnvFilter::try_new(DEFAULT_LEVEL),
        Some(level) if !level.contains(['=', ',']) => EnvFilter::try_new(format!("warn,walhouse={level}")),
        Some(filter) => EnvFilter::try_new(filter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_level_is_ours() {
        assert_eq!(filter(None).unwrap().to_string(), "walhouse=info,warn");
        assert_eq!(filter(Some("debug")).unwrap().to_string(), "walhouse=debug,warn");
        assert_eq!(filter(Some("error,hyper=trace")).unwrap().to_string(), "hyper=trace,error");
        assert!(filter(Some("loud")).is_err());
    }
}
