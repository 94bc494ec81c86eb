//! What the target needs to know, complete: every default is filled in by whoever reads a file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use walhouse_change::TableName;

use crate::mapping::TableOverride;

/// A password. Prints as `***`, whatever way it is printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself; called only where it is handed over.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Inserts under way at the same time, over all tables: enough to keep two cores and a disk
/// busy, few enough that the blocks in flight stay small beside the byte budget.
pub const DEFAULT_PARALLEL_INSERTS: usize = 4;

/// A ClickHouse server (or the embedded engine) and what is kept there.
#[derive(Clone, Debug)]
pub struct Config {
    /// `http://host:port` or `https://host:port`, without user and password.
    pub url: String,
    /// The embedded engine's socket for the owner of its data, in place of the URL's host and port.
    pub socket: Option<PathBuf>,
    /// User name; `default` for most.
    pub user: String,
    /// Its password, if it has one.
    pub password: Option<Secret>,
    /// Certificates (PEM) that an https server is checked against; default the system's.
    pub ca_file: Option<PathBuf>,
    /// Database for tables, views and state; created when missing.
    pub database: String,
    /// Name of the replication slot: the key of the state, part of every query id.
    pub slot: String,
    /// Whether every version is kept, unless a table says otherwise.
    pub history: bool,
    /// How long the history keeps a version after its arrival; for ever when absent.
    pub retention: Option<Duration>,
    /// Overrides by source table.
    pub tables: BTreeMap<TableName, TableOverride>,
    /// Inserts under way at the same time.
    pub parallel_inserts: usize,
}

impl Config {
    /// A server at `url` with every default, for the slot named `slot`.
    pub fn new(url: impl Into<String>, slot: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            socket: None,
            user: "default".to_owned(),
            password: None,
            ca_file: None,
            database: "default".to_owned(),
            slot: slot.into(),
            history: true,
            retention: None,
            tables: BTreeMap::new(),
            parallel_inserts: DEFAULT_PARALLEL_INSERTS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        let mut config = Config::new("http://localhost:8123", "walhouse");
        config.password = Some(Secret::new("hunter2"));
        let printed = format!("{config:?}");
        assert!(printed.contains("***") && !printed.contains("hunter2"), "{printed}");
    }
}
