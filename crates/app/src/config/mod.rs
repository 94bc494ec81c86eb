//! The configuration file: read in two steps, `Raw` as written, then [`Config`] as meant.
//!
//! A `Config` is complete: every default is filled in, every path absolute, every name checked as
//! far as the file alone allows. What needs a look at the databases (does this table exist, do two
//! tables claim one name) is checked at start, by [`tables::check`].

mod console;
mod error;
mod kafka;
mod raw;
mod resolve;
mod tables;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use walhouse_server::Access;

use crate::cli::{ConsoleAddress, ConsoleOptions};

pub(crate) use error::ConfigError;
pub(crate) use kafka::{Kafka, Registry};
pub(crate) use resolve::read_secret;
pub(crate) use tables::{check as check_tables, names_collide, plan as table_plan};

/// The commented default file, for `walhouse --default-config` and the documentation.
pub(crate) const DEFAULT_FILE: &str = include_str!("default.toml");

pub(crate) const DEFAULT_TABLES: &str = "public.*";
pub(crate) const DEFAULT_ENGINE_DATA: &str = "./walhouse-data";
/// ClickHouse's own HTTP port, so that its clients need no option.
pub(crate) const DEFAULT_ENGINE_LISTEN: &str = "127.0.0.1:8123";
pub(crate) const DEFAULT_CONSOLE_LISTEN: &str = "127.0.0.1:9090";

/// All that a run needs to know. Each end has the configuration of its own adapter.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The file it came from, absolute.
    pub(crate) path: PathBuf,
    /// The source.
    pub(crate) postgres: walhouse_postgres::Config,
    /// The target; its URL is the embedded engine's when there is one.
    pub(crate) clickhouse: walhouse_clickhouse::Config,
    /// The target's password, for a client of our own.
    pub(crate) target_password: Option<walhouse_postgres::Secret>,
    /// The embedded engine, unless a server is configured.
    pub(crate) engine: Option<Engine>,
    /// Where walhouse itself answers.
    pub(crate) console: Console,
    /// Whether ClickHouse is fed straight from Postgres: always without `[kafka]`, else where the file says what to feed.
    pub(crate) straight: bool,
    /// Brokers, and the connector whose messages they hold.
    pub(crate) kafka: Option<Kafka>,
}

/// The embedded engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Engine {
    pub(crate) data: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) password_file: Option<PathBuf>,
    /// A user who may only read.
    pub(crate) reader: Option<Reader>,
}

/// A user of the embedded engine who may only read, and only one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) user: String,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) database: String,
}

/// Where walhouse itself answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Console {
    pub(crate) listen: SocketAddr,
    /// Who may ask for what.
    pub(crate) access: Access,
    /// The token in `access`, to ask a running console.
    pub(crate) token: Option<walhouse_postgres::Secret>,
    /// Why this must not be served, unless the command line says `--insecure`.
    exposed: Option<ConfigError>,
}

impl Console {
    /// Where to serve and whom, with what the command line says on top; none: nowhere.
    ///
    /// # Errors
    /// The address lies open, and neither the file nor the command line says that this is meant.
    pub(crate) fn served(&self, options: &ConsoleOptions) -> anyhow::Result<Option<(SocketAddr, Access)>> {
        let access = Access { insecure: self.access.insecure || options.insecure, ..self.access.clone() };
        let listen = match options.console {
            Some(ConsoleAddress::Off) => return Ok(None),
            Some(ConsoleAddress::At(listen)) => listen,
            None => match &self.exposed {
                Some(error) if !access.insecure => return Err(error.clone().into()),
                _ => self.listen,
            },
        };
        access.check(listen)?;
        Ok(Some((listen, access)))
    }
}

impl Config {
    /// Reads and checks the file at `path`.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let path = std::path::absolute(path)
            .map_err(|error| ConfigError::file(path, format!("cannot make the path absolute: {error}")))?;
        let text = fs::read_to_string(&path).map_err(|error| {
            let hint = "; `walhouse --default-config` prints one to start from";
            let hint = if error.kind() == std::io::ErrorKind::NotFound { hint } else { "" };
            ConfigError::file(&path, format!("cannot read the configuration: {error}{hint}"))
        })?;
        Self::parse(&path, &text)
    }

    /// Checks `text` as the content of a file at `path`.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let raw: raw::Raw = toml::from_str(text).map_err(|error| ConfigError::toml(path, text, &error))?;
        resolve::Resolver { path, text }.config(raw)
    }
}

#[cfg(test)]
mod tests;
