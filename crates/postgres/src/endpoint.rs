//! Where the server is and who we are there: the configuration, joined with libpq's environment.

use std::env;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::config::Host as UrlHost;
use walhouse_value::SESSION_SETTINGS;

use crate::config::{Config, DEFAULT_APPLICATION_NAME, SslMode};
use crate::{Error, Secret};

/// Postgres' own port.
const DEFAULT_PORT: u16 = 5432;
/// Where Debian's and Red Hat's builds put their sockets, libpq's default there.
const DEFAULT_SOCKET_FOLDER: &str = "/var/run/postgresql";
/// How long one address may take to answer: longer than a lost SYN's second retry.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One place to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Tcp(String),
    Unix(PathBuf),
}

/// All that a session needs to begin.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) hosts: Vec<(Host, u16)>,
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) sslmode: SslMode,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) application_name: String,
    pub(crate) connect_timeout: Duration,
    /// Leaves `search_path` as the role has it: for statements that are the user's own.
    pub(crate) own_search_path: bool,
    password: Option<Secret>,
    password_file: Option<PathBuf>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("hosts", &self.hosts)
            .field("user", &self.user)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(name) => f.write_str(name),
            Self::Unix(folder) => folder.display().fmt(f),
        }
    }
}

impl Endpoint {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let url = config.url.as_ref().map(|url| parse_url(url.expose())).transpose()?;
        let (url, url_ssl, url_ca) = url.unwrap_or_default();
        let port = config.port.or_else(|| env::var("PGPORT").ok()?.parse().ok()).unwrap_or(DEFAULT_PORT);
        let hosts = match &config.host {
            Some(host) => vec![(host_of(host), port)],
            None => hosts_of_url(&url, port),
        };
        let user = config.user.clone().or_else(|| url.get_user().map(str::to_owned));
        let user = user.or_else(|| env::var("PGUSER").ok()).or_else(|| env::var("USER").ok()).ok_or_else(|| {
            Error::config("no role is given", "set url = \"postgresql://ROLE@HOST/DATABASE\", or user")
        })?;
        let database = config.database.clone().or_else(|| url.get_dbname().map(str::to_owned));
        let database = database.or_else(|| env::var("PGDATABASE").ok()).unwrap_or_else(|| user.clone());
        Ok(Self {
            hosts,
            user,
            database,
            sslmode: config.sslmode.or(url_ssl).unwrap_or_default(),
            ca_file: config.ca_file.clone().or(url_ca),
            application_name: config.application_name.clone().unwrap_or_else(|| DEFAULT_APPLICATION_NAME.to_owned()),
            connect_timeout: url.get_connect_timeout().copied().unwrap_or(DEFAULT_CONNECT_TIMEOUT),
            own_search_path: false,
            password: url.get_password().map(|password| Secret::new(String::from_utf8_lossy(password))),
            password_file: config.password_file.clone(),
        })
    }

    /// The startup packet's `options`: what must not depend on the role's or the database's own settings. Values may
    /// not hold spaces.
    pub(crate) fn session_options(&self) -> String {
        // Ours may be quiet for long, in a transaction or not, and a WARNING of the walsender must reach us.
        // The creation of a slot waits for locks as long as it must, so no limit of the role's may end it.
        const OURS: [(&str, &str); 5] = [
            ("client_min_messages", "warning"),
            ("statement_timeout", "0"),
            ("lock_timeout", "0"),
            ("idle_in_transaction_session_timeout", "0"),
            ("idle_session_timeout", "0"),
        ];
        let settings = SESSION_SETTINGS.iter().chain(&OURS);
        let settings = settings.filter(|(name, _)| *name != "search_path" || !self.own_search_path);
        let options: Vec<String> = settings.map(|(name, value)| format!("-c {name}={value}")).collect();
        options.join(" ")
    }

    /// Looks the password up; read anew for every connection, so that it can be changed while we run.
    pub(crate) fn password(&self, host: &Host, port: u16) -> Result<Option<Secret>, Error> {
        if let Some(path) = &self.password_file {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Error::config(format!("cannot read password_file {}: {error}", path.display()), "create it, mode 0600")
            })?;
            return Ok(Some(Secret::new(text.lines().next().unwrap_or_default())));
        }
        if self.password.is_some() {
            return Ok(self.password.clone());
        }
        if let Ok(password) = env::var("PGPASSWORD") {
            return Ok(Some(Secret::new(password)));
        }
        Ok(self.password_of_pgpass(host, port))
    }

    fn password_of_pgpass(&self, host: &Host, port: u16) -> Option<Secret> {
        let path = match env::var_os("PGPASSFILE") {
            Some(path) => PathBuf::from(path),
            None => Path::new(&env::var_os("HOME")?).join(".pgpass"),
        };
        let mode = std::fs::metadata(&path).ok()?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(file = %path.display(), "ignoring the password file, which others may read: chmod 0600 it");
            return None;
        }
        let host = match host {
            Host::Tcp(name) => name.as_str(),
            Host::Unix(_) => "localhost",
        };
        let text = std::fs::read_to_string(&path).ok()?;
        let wanted = [host, &port.to_string(), &self.database, &self.user];
        text.lines().find_map(|line| pgpass_line(line, wanted)).map(Secret::new)
    }
}

/// libpq's URL knows more `sslmode`s than tokio-postgres' parser, so ours are taken out of it first.
fn parse_url(url: &str) -> Result<(tokio_postgres::Config, Option<SslMode>, Option<PathBuf>), Error> {
    let (head, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut ca) = (None, None);
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => {
                let known = SslMode::parse(value).ok_or_else(|| {
                    Error::config(
                        format!("sslmode {value:?} is unknown"),
                        "use disable, prefer, require, verify-ca or verify-full",
                    )
                })?;
                mode = Some(known);
            }
            Some(("sslrootcert", value)) => ca = Some(PathBuf::from(value.replace("%2F", "/"))),
            _ => rest.push(pair),
        }
    }
    let url = if rest.is_empty() { head.to_owned() } else { format!("{head}?{}", rest.join("&")) };
    let config = url.parse::<tokio_postgres::Config>().map_err(|error| {
        let reason = std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
        Error::config(format!("cannot read the url of postgres{reason}"), "write postgresql://ROLE@HOST:PORT/DATABASE")
    })?;
    Ok((config, mode, ca))
}

fn hosts_of_url(url: &tokio_postgres::Config, default_port: u16) -> Vec<(Host, u16)> {
    let ports = url.get_ports();
    let port = |index: usize| ports.get(index).or_else(|| ports.last()).copied().unwrap_or(default_port);
    if url.get_hosts().is_empty() {
        let host = env::var("PGHOST").map_or_else(|_| default_host(), |host| host_of(&host));
        return vec![(host, port(0))];
    }
    let hosts = url.get_hosts().iter().map(|host| match host {
        UrlHost::Tcp(name) => Host::Tcp(name.clone()),
        UrlHost::Unix(folder) => Host::Unix(folder.clone()),
    });
    hosts.enumerate().map(|(index, host)| (host, port(index))).collect()
}

fn host_of(host: &str) -> Host {
    if host.starts_with('/') { Host::Unix(PathBuf::from(host)) } else { Host::Tcp(host.to_owned()) }
}

fn default_host() -> Host {
    let folder = Path::new(DEFAULT_SOCKET_FOLDER);
    if folder.is_dir() { Host::Unix(folder.to_owned()) } else { Host::Tcp("localhost".to_owned()) }
}

/// The password of a line `host:port:database:role:password` that fits; `*` fits all, `\` escapes.
fn pgpass_line(line: &str, wanted: [&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => fields.last_mut()?.extend(characters.next()),
            ':' if fields.len() < 5 => fields.push(String::new()),
            other => fields.last_mut()?.push(other),
        }
    }
    let fits = fields.len() == 5 && fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
    fits.then(|| fields.pop()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        Endpoint::new(&Config { url: Some(Secret::new(url)), ..Config::default() }).unwrap()
    }

    #[test]
    fn reads_libpq_urls() {
        let it = endpoint("postgresql://app:s%3Acret@db.example:6543/shop?sslmode=verify-full&connect_timeout=3");
        assert_eq!(it.hosts, [(Host::Tcp("db.example".into()), 6543)]);
        assert_eq!((it.user.as_str(), it.database.as_str(), it.sslmode), ("app", "shop", SslMode::VerifyFull));
        assert_eq!(it.connect_timeout, Duration::from_secs(3));
        assert_eq!(it.password(&it.hosts[0].0, 6543).unwrap().unwrap().expose(), "s:cret");
        let it = endpoint("postgresql://app@%2Fvar%2Frun/shop");
        assert_eq!(it.hosts, [(Host::Unix("/var/run".into()), 5432)]);
        let it = endpoint("postgresql://app@a,b:1/shop");
        assert_eq!(it.hosts.len(), 2);
    }

    #[test]
    fn refuses_a_bad_url_without_showing_it() {
        let config = Config { url: Some(Secret::new("postgresql://u:hunter2@h/d?sslmode=maybe")), ..Config::default() };
        let error = Endpoint::new(&config).unwrap_err().to_string();
        assert!(error.contains("maybe") && !error.contains("hunter2"), "{error}");
        let config = Config { url: Some(Secret::new("postgresql://u:hunter2@h:port/d")), ..Config::default() };
        assert!(!Endpoint::new(&config).unwrap_err().to_string().contains("hunter2"));
    }

    #[test]
    fn reads_pgpass_lines() {
        let wanted = ["db", "5432", "shop", "app"];
        assert_eq!(pgpass_line("db:5432:shop:app:pa:ss", wanted), Some("pa:ss".into()));
        assert_eq!(pgpass_line(r"*:*:*:app:a\\b\:c", wanted), Some(r"a\b:c".into()));
        assert_eq!(pgpass_line("db:5433:*:*:x", wanted), None);
        assert_eq!(pgpass_line("# db:5432:shop:app:x", wanted), None);
        assert_eq!(pgpass_line("", wanted), None);
    }
}
