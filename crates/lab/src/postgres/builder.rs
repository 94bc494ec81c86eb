//! What a private server shall be.

use std::path::PathBuf;

use super::server::Server;
use super::version::Version;
use crate::error::Result;

/// Settings that every private server has; [`Builder::setting`] overrides them.
///
/// Senders, slots and connections are plenty, so that no test has to think of them; prepared transactions are on
/// because two-phase commit has to be tested; the lone session time zone and messages make results comparable.
const SETTINGS: [(&str, &str); 13] = [
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("wal_level", "logical"),
    ("max_connections", "200"),
    ("max_wal_senders", "40"),
    ("max_replication_slots", "80"),
    ("max_prepared_transactions", "10"),
    ("max_wal_size", "4GB"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("lc_messages", "C"),
    ("log_line_prefix", "%m [%p] "),
    ("jit", "off"),
];

/// How to start a private server. Made by [`Server::builder`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Builder {
    options: Options,
}

/// The builder's content, as the server keeps it.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    pub(super) version: Option<Version>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) port: Option<u16>,
    pub(super) durable: bool,
    pub(super) password: Option<Password>,
    pub(super) access_rules: Option<String>,
    settings: Vec<(String, String)>,
}

/// The superuser's password; never printed.
#[derive(Clone)]
pub(super) struct Password(String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl AsRef<[u8]> for Password {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Password {
    /// As a URL writes it.
    pub(super) fn percent_encoded(&self) -> String {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        self.0
            .bytes()
            .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect()
    }
}

impl Builder {
    /// Which Postgres; without it [`Version::for_tests`].
    pub fn version(mut self, version: Version) -> Self {
        self.options.version = Some(version);
        self
    }

    /// The server's folder, which is kept: a later start finds its databases again. Without it the folder is a
    /// temporary one and goes with the server.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.options.data_dir = Some(folder.into());
        self
    }

    /// A fixed port; without it a free one, which stays the same as long as this [`Server`] lives.
    pub fn port(mut self, port: u16) -> Self {
        self.options.port = Some(port);
        self
    }

    /// Survive a power failure (`fsync = on`). Off by default, which suits tests: what a killed server wrote is
    /// safe either way.
    pub fn durable(mut self, durable: bool) -> Self {
        self.options.durable = durable;
        self
    }

    /// Ask everybody for a password (SCRAM), and give this one to the superuser. Without it everybody is trusted.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.options.password = Some(Password(password.into()));
        self
    }

    /// The whole text of `pg_hba.conf`, in place of initdb's.
    pub fn access_rules(mut self, rules: impl Into<String>) -> Self {
        self.options.access_rules = Some(rules.into());
        self
    }

    /// A line of the configuration; the last one of a name counts.
    pub fn setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.settings.push((key.into(), value.into()));
        self
    }

    /// Starts the server and returns when it answers.
    ///
    /// # Errors
    /// No such Postgres on this machine (the error names the command that installs it), or the server does not
    /// come up (the error holds the end of its log).
    pub async fn start(self) -> Result<Server> {
        Server::open(self.options).await
    }
}

impl Options {
    /// Overrides a setting from the next start on.
    pub(super) fn set(&mut self, key: String, value: String) {
        self.settings.push((key, value));
    }

    /// All settings in the order in which Postgres reads them.
    pub(super) fn settings(&self, port: u16) -> Vec<(String, String)> {
        let fsync = if self.durable { "on" } else { "off" };
        SETTINGS
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .chain([("fsync".to_owned(), fsync.to_owned())])
            .chain(self.settings.iter().cloned())
            .chain([("port".to_owned(), port.to_string())])
            .collect()
    }
}
