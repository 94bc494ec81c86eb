//! From `Raw` to [`Config`]: fill in, resolve, check.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use toml::Spanned;
use walhouse_change::{Pattern, TableName};
use walhouse_clickhouse::mapping::TableOverride;
use walhouse_postgres::{DEFAULT_PUBLICATION, DEFAULT_SLOT};

use super::raw::{self, Raw};
use super::{Config, ConfigError, Engine, Reader};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest identifier of Postgres, in bytes.
const NAME_LIMIT: usize = 63;

/// Knows the file, so that an error can tell the line.
pub(super) struct Resolver<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

pub(super) type Result<T> = std::result::Result<T, ConfigError>;

impl Resolver<'_> {
    pub(super) fn config(&self, raw: Raw) -> Result<Config> {
        let postgres = self.postgres(raw.postgres)?;
        let straight = raw.kafka.is_none() || raw.clickhouse.is_some() || raw.engine.is_some();
        let (raw_clickhouse, raw_engine) = (raw.clickhouse.unwrap_or_default(), raw.engine.unwrap_or_default());
        let embedded = raw_clickhouse.url.is_none();
        let raw_engine_password = raw_engine.password_file.clone();
        let mut engine = self.engine(raw_engine)?;
        let target_password = match embedded {
            true => self.secret("[engine] password_file", raw_engine_password.as_ref())?,
            false => self.secret("[clickhouse] password_file", raw_clickhouse.password_file.as_ref())?,
        };
        let mut clickhouse = self.clickhouse(raw_clickhouse, &engine, postgres.slot())?;
        if let Some(reader) = &mut engine.reader {
            reader.database.clone_from(&clickhouse.database);
        }
        clickhouse.password = target_password.clone().map(walhouse_clickhouse::Secret::new);
        clickhouse.tables = self.tables(raw.tables, &postgres.tables)?;
        let console = self.console(raw.console, embedded.then_some(engine.listen))?;
        let kafka = self.kafka(raw.kafka)?;
        Ok(Config {
            path: self.path.to_owned(),
            postgres,
            clickhouse,
            target_password: target_password.map(walhouse_postgres::Secret::new),
            engine: embedded.then_some(engine),
            console,
            straight,
            kafka,
        })
    }

    fn postgres(&self, raw: raw::Postgres) -> Result<walhouse_postgres::Config> {
        let scheme = ["postgresql://", "postgres://"].iter().any(|scheme| raw.url.get_ref().starts_with(scheme));
        if !scheme {
            return self.fail(raw.url.span(), "[postgres] url must start with postgresql://");
        }
        let tables = match raw.tables {
            Some(list) if list.get_ref().is_empty() => {
                return self.fail(list.span(), "[postgres] tables must name a table, such as \"public.*\"");
            }
            Some(list) => list.into_inner(),
            None => vec![Spanned::new(0..0, super::DEFAULT_TABLES.to_owned())],
        };
        let pattern = |text: Spanned<String>| {
            Pattern::parse(text.get_ref())
                .map_err(|error| self.error(text.span(), format!("[postgres] tables: {error}")))
        };
        let file = raw.password_file.as_ref();
        Ok(walhouse_postgres::Config {
            password_file: file.map(|file| self.existing("[postgres] password_file", file)).transpose()?,
            url: Some(walhouse_postgres::Secret::new(raw.url.into_inner())),
            tables: tables.into_iter().map(pattern).collect::<Result<_>>()?,
            slot: Some(self.slot(raw.slot)?),
            publication: Some(self.name("[postgres] publication", raw.publication, DEFAULT_PUBLICATION)?),
            ..Default::default()
        })
    }

    /// Postgres allows fewer characters in a slot's name than in other names.
    fn slot(&self, raw: Option<Spanned<String>>) -> Result<String> {
        let span = raw.as_ref().map_or(0..0, Spanned::span);
        let slot = self.name("[postgres] slot", raw, DEFAULT_SLOT)?;
        if slot.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
            Ok(slot)
        } else {
            self.fail(span, format!("[postgres] slot {slot:?} may hold only a-z, 0-9 and _"))
        }
    }

    fn clickhouse(&self, raw: raw::ClickHouse, engine: &Engine, slot: &str) -> Result<walhouse_clickhouse::Config> {
        let url = match &raw.url {
            Some(url) => self.http_url(url)?,
            None => {
                self.refuse_without_url(&raw)?;
                reachable(engine.listen)
            }
        };
        let ca_file = raw.ca_file.as_ref().map(|file| self.existing("[clickhouse] ca_file", file)).transpose()?;
        if let (Some(file), false) = (&raw.ca_file, url.starts_with("https://")) {
            return self.fail(file.span(), "[clickhouse] ca_file goes with an https url");
        }
        let defaults = walhouse_clickhouse::Config::new(url, slot);
        Ok(walhouse_clickhouse::Config {
            ca_file,
            user: self.name("[clickhouse] user", raw.user, &defaults.user)?,
            database: self.name("[clickhouse] database", raw.database, &defaults.database)?,
            history: raw.history.unwrap_or(defaults.history),
            retention: self.retention("[clickhouse]", raw.retention.as_ref())?,
            ..defaults
        })
    }

    fn refuse_without_url(&self, raw: &raw::ClickHouse) -> Result<()> {
        let stray = [("user", &raw.user), ("password_file", &raw.password_file), ("ca_file", &raw.ca_file)];
        match stray.iter().find_map(|(key, value)| Some((key, value.as_ref()?))) {
            None => Ok(()),
            Some((key, value)) => {
                let message = format!(
                    "[clickhouse] {key} goes with [clickhouse] url; without it the embedded engine is used, whose \
                     password is [engine] password_file"
                );
                self.fail(value.span(), message)
            }
        }
    }

    fn http_url(&self, url: &Spanned<String>) -> Result<String> {
        let rest = url.get_ref().strip_prefix("http://").or_else(|| url.get_ref().strip_prefix("https://"));
        let problem = match rest.map(|rest| rest.trim_end_matches('/')) {
            None | Some("") => "must be of the form http://host:port or https://host:port",
            Some(host) if host.contains('@') => "must hold no user; use [clickhouse] user and password_file",
            Some(host) if host.contains(['/', '?', '#']) => "must hold no path",
            Some(_) => return Ok(url.get_ref().trim_end_matches('/').to_owned()),
        };
        self.fail(url.span(), format!("[clickhouse] url {problem}"))
    }

    fn retention(&self, section: &str, text: Option<&Spanned<String>>) -> Result<Option<Duration>> {
        let Some(text) = text else { return Ok(None) };
        if text.get_ref() == "forever" {
            return Ok(None);
        }
        match text.get_ref().strip_suffix('d').and_then(|days| days.parse::<u32>().ok()) {
            Some(days) if days > 0 => Ok(Some(DAY * days)),
            _ => {
                let message = format!(
                    "{section} retention {:?} is neither \"forever\" nor a number of days such as \"90d\"",
                    text.get_ref()
                );
                self.fail(text.span(), message)
            }
        }
    }

    fn engine(&self, raw: raw::Engine) -> Result<Engine> {
        let data = raw.data.map_or_else(|| super::DEFAULT_ENGINE_DATA.to_owned(), Spanned::into_inner);
        let (listen, span) = self.address("[engine] listen", raw.listen, super::DEFAULT_ENGINE_LISTEN)?;
        if !listen.ip().is_loopback() && raw.password_file.is_none() {
            let message = format!("[engine] listen {listen} is not loopback: that needs [engine] password_file");
            return self.fail(span, message);
        }
        if listen.port() == 0 {
            return self.fail(span, "[engine] listen needs a port");
        }
        let file = raw.password_file.as_ref();
        let password_file = file.map(|file| self.existing("[engine] password_file", file)).transpose()?;
        let reader = self.reader(raw.reader, raw.reader_password_file.as_ref(), listen)?;
        Ok(Engine { data: self.absolute(&data), listen, password_file, reader })
    }

    fn reader(
        &self,
        user: Option<Spanned<String>>,
        file: Option<&Spanned<String>>,
        listen: SocketAddr,
    ) -> Result<Option<Reader>> {
        let Some(user) = user else {
            return match file {
                Some(file) => self.fail(file.span(), "[engine] reader_password_file goes with [engine] reader"),
                None => Ok(None),
            };
        };
        if user.get_ref() == "default" {
            return self.fail(user.span(), "[engine] reader must be another user than \"default\", who may write");
        }
        if !listen.ip().is_loopback() && file.is_none() {
            let message = format!("[engine] listen {listen} is not loopback: that needs [engine] reader_password_file");
            return self.fail(user.span(), message);
        }
        let password_file = file.map(|file| self.existing("[engine] reader_password_file", file)).transpose()?;
        let user = self.name("[engine] reader", Some(user), "")?;
        // The database is known once the target is.
        Ok(Some(Reader { user, password_file, database: String::new() }))
    }

    fn tables(
        &self,
        raw: BTreeMap<Spanned<String>, raw::Table>,
        patterns: &[Pattern],
    ) -> Result<BTreeMap<TableName, TableOverride>> {
        let mut tables: BTreeMap<TableName, TableOverride> = BTreeMap::new();
        for (key, table) in raw {
            let section = format!("[tables.{:?}]", key.get_ref());
            let name = match key.get_ref().split_once('.') {
                Some((schema, name)) if !schema.is_empty() && !name.is_empty() && !key.get_ref().contains('*') => {
                    TableName::new(schema, name)
                }
                _ => return self.fail(key.span(), format!("{section} must name one table as schema.table")),
            };
            if !patterns.iter().any(|pattern| pattern.matches(&name)) {
                return self.fail(key.span(), format!("{section} is not among [postgres] tables"));
            }
            let table = self.table(&section, table)?;
            let twin = tables.iter().find(|(_, other)| table.name.is_some() && other.name == table.name);
            if let Some((other, _)) = twin {
                return self.fail(key.span(), format!("{other} and {name} would have the same name in ClickHouse"));
            }
            tables.insert(name, table);
        }
        Ok(tables)
    }

    fn table(&self, section: &str, raw: raw::Table) -> Result<TableOverride> {
        let identifier = |key: &str, value: Option<Spanned<String>>| match value {
            Some(value) if value.get_ref().is_empty() => {
                Err(self.error(value.span(), format!("{section} {key} must not be empty")))
            }
            other => Ok(other.map(Spanned::into_inner)),
        };
        if let Some(list) = raw.order_by.as_ref().filter(|list| list.get_ref().is_empty()) {
            return self.fail(list.span(), format!("{section} order_by must name a column"));
        }
        Ok(TableOverride {
            name: identifier("name", raw.name)?,
            history: raw.history,
            retention: self.retention(section, raw.retention.as_ref())?,
            view: identifier("view", raw.view)?,
            columns: raw.columns.unwrap_or_default(),
            order_by: raw.order_by.map(Spanned::into_inner).unwrap_or_default(),
        })
    }

    fn name(&self, key: &str, raw: Option<Spanned<String>>, default: &str) -> Result<String> {
        let Some(name) = raw else { return Ok(default.to_owned()) };
        match name.get_ref().len() {
            1..=NAME_LIMIT => Ok(name.into_inner()),
            _ => self.fail(name.span(), format!("{key} must have 1 to {NAME_LIMIT} bytes")),
        }
    }

    pub(super) fn address(
        &self,
        key: &str,
        raw: Option<Spanned<String>>,
        default: &str,
    ) -> Result<(SocketAddr, Range<usize>)> {
        let raw = raw.unwrap_or_else(|| Spanned::new(0..0, default.to_owned()));
        match raw.get_ref().parse() {
            Ok(address) => Ok((address, raw.span())),
            Err(_) => self.fail(raw.span(), format!("{key} {:?} is not of the form 127.0.0.1:8123", raw.get_ref())),
        }
    }

    pub(super) fn secret(&self, key: &str, file: Option<&Spanned<String>>) -> Result<Option<String>> {
        let Some(file) = file else { return Ok(None) };
        let path = self.existing(key, file)?;
        match read_secret(&path) {
            Ok(secret) => Ok(Some(secret)),
            Err(error) => self.fail(file.span(), format!("{key} {}: {error}", path.display())),
        }
    }

    pub(super) fn existing(&self, key: &str, file: &Spanned<String>) -> Result<PathBuf> {
        let path = self.absolute(file.get_ref());
        match fs::metadata(&path) {
            Ok(_) => Ok(path),
            Err(error) => self.fail(file.span(), format!("{key} {}: {error}", path.display())),
        }
    }

    /// Relative to the folder of the configuration file.
    pub(super) fn absolute(&self, path: &str) -> PathBuf {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        // Components, so that "./x" leaves no dot behind.
        folder.join(path).components().collect()
    }

    pub(super) fn error(&self, span: Range<usize>, message: impl Into<String>) -> ConfigError {
        ConfigError::at(self.path, self.text, span, message)
    }

    pub(super) fn fail<T>(&self, span: Range<usize>, message: impl Into<String>) -> Result<T> {
        Err(self.error(span, message))
    }
}

/// A secret is the file's first line.
pub(crate) fn read_secret(path: &Path) -> io::Result<String> {
    Ok(fs::read_to_string(path)?.lines().next().unwrap_or_default().to_owned())
}

/// Where an engine that listens on `address` is reached from this machine.
fn reachable(address: SocketAddr) -> String {
    let host = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    format!("http://{}", SocketAddr::new(host, address.port()))
}
