//! What the user says about the source, and what it means: `[postgres]` of the configuration file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use walhouse_change::Pattern;

use crate::{Error, Secret};

/// Name of the slot, and of the checkpoint, when none is given.
pub const DEFAULT_SLOT: &str = "walhouse";
/// Name of the publication when none is given.
pub const DEFAULT_PUBLICATION: &str = "walhouse";
/// Name by which the server's views know our sessions.
pub const DEFAULT_APPLICATION_NAME: &str = "walhouse";
/// How long the creation of a slot waits for running transactions: longer than an ordinary batch job, shorter than
/// an operator's patience with a start that shows nothing.
pub const DEFAULT_SLOT_WAIT: Duration = Duration::from_secs(300);
/// How long a lock on a table is waited for. While we wait, the application's own DDL may queue behind us.
pub const DEFAULT_LOCK_WAIT: Duration = Duration::from_secs(10);
/// The longest name of a slot: `NAMEDATALEN - 1`.
const MAX_NAME_BYTES: usize = 63;

/// How a connection is protected, in libpq's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// TLS when the server offers it, unverified.
    #[default]
    Prefer,
    /// TLS or nothing; unverified unless a CA file is given.
    Require,
    /// TLS with a certificate that a trusted authority signed.
    VerifyCa,
    /// The same, and the certificate is for this host.
    VerifyFull,
}

impl SslMode {
    /// From `sslmode=` of a URL; `allow` is as good as `prefer`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "disable" => Some(Self::Disable),
            "allow" | "prefer" => Some(Self::Prefer),
            "require" => Some(Self::Require),
            "verify-ca" => Some(Self::VerifyCa),
            "verify-full" => Some(Self::VerifyFull),
            _ => None,
        }
    }
}

/// The source as the user describes it.
///
/// Either `url` or the parts; a part that is given beside the URL wins. What neither says comes from libpq's
/// environment variables (`PGHOST`, `PGPORT`, `PGUSER`, `PGDATABASE`), the password from `password_file`, the URL,
/// `PGPASSWORD` or `~/.pgpass`, in this order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `postgresql://user@host:port/database`, as libpq takes it.
    #[serde(serialize_with = "url_without_password", skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// Host name, address, or folder of a Unix socket (begins with `/`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Port, 5432 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// File whose first line is the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// How the connection is protected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sslmode: Option<SslMode>,
    /// Trusted authorities in PEM; the system's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Which tables.
    #[serde(deserialize_with = "read_patterns", serialize_with = "write_patterns")]
    pub tables: Vec<Pattern>,
    /// Name of the replication slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// Name of the publication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publication: Option<String>,
    /// Connections that copy at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_workers: Option<usize>,
    /// Name by which the server's views know our sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_name: Option<String>,
    /// Seconds that the creation of a slot may wait for running transactions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot_wait_seconds: Option<u64>,
    /// Seconds that a lock on a table may be waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_wait_seconds: Option<u64>,
}

impl Config {
    /// Makes the paths absolute: they are relative to `folder`, where the configuration file lies.
    pub fn resolve_paths(&mut self, folder: &Path) {
        for path in [&mut self.password_file, &mut self.ca_file].into_iter().flatten() {
            *path = folder.join(path.as_path());
        }
    }

    /// The slot's name.
    #[must_use]
    pub fn slot(&self) -> &str {
        self.slot.as_deref().unwrap_or(DEFAULT_SLOT)
    }

    /// The publication's name.
    #[must_use]
    pub fn publication(&self) -> &str {
        self.publication.as_deref().unwrap_or(DEFAULT_PUBLICATION)
    }

    /// Connections that copy at a time: two at least, since one reader and one sender wait for each other.
    #[must_use]
    pub fn copy_workers(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        self.copy_workers.unwrap_or(cores.max(2)).max(1)
    }

    pub(crate) fn slot_wait(&self) -> Duration {
        self.slot_wait_seconds.map_or(DEFAULT_SLOT_WAIT, Duration::from_secs)
    }

    pub(crate) fn lock_wait(&self) -> Duration {
        self.lock_wait_seconds.map_or(DEFAULT_LOCK_WAIT, Duration::from_secs)
    }

    /// Checks what can be checked without a server.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let slot = self.slot();
        let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if slot.is_empty() || slot.len() > MAX_NAME_BYTES || !slot.bytes().all(valid) {
            return Err(Error::config(
                format!("slot {slot:?} is not a name that postgres takes for a replication slot"),
                "use at most 63 lower-case letters, digits and underscores",
            ));
        }
        let publication = self.publication();
        if publication.is_empty() || publication.len() > MAX_NAME_BYTES || publication.contains('\0') {
            return Err(Error::config(
                format!("publication {publication:?} is not a name that postgres takes"),
                "use 1 to 63 bytes",
            ));
        }
        if self.tables.is_empty() {
            return Err(Error::config("no tables are chosen".to_owned(), "set tables = [\"public.*\"]"));
        }
        Ok(())
    }
}

fn read_patterns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Pattern>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| Pattern::parse(text).map_err(serde::de::Error::custom)).collect()
}

fn write_patterns<S: Serializer>(patterns: &[Pattern], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(patterns.iter().map(ToString::to_string))
}

/// A URL may hold a password, so only what follows the last `@` is shown.
fn url_without_password<S: Serializer>(url: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    let shown = url.as_ref().map(|url| match url.expose().rsplit_once('@') {
        Some((_, place)) => format!("postgresql://***@{}", place.split('?').next().unwrap_or_default()),
        None => "***".to_owned(),
    });
    shown.serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_key_that_is_unknown() {
        let error = serde_json::from_str::<Config>(r#"{"tabels": []}"#).unwrap_err().to_string();
        assert!(error.contains("tabels"), "{error}");
        let error = serde_json::from_str::<Config>(r#"{"tables": ["sale"]}"#).unwrap_err().to_string();
        assert!(error.contains("schema.table"), "{error}");
    }

    #[test]
    fn never_writes_the_password() {
        let text = r#"{"url": "postgresql://app:hunter2@db:5432/shop?sslmode=require", "tables": ["public.*"]}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("hunter2") && shown.contains("***@db:5432/shop"), "{shown}");
    }

    #[test]
    fn refuses_impossible_names() {
        let config = |slot: &str| Config {
            tables: vec![Pattern::parse("public.*").unwrap()],
            slot: Some(slot.to_owned()),
            ..Config::default()
        };
        assert!(config("walhouse_2").validate().is_ok());
        for slot in ["", "Upper", "with-dash", "x".repeat(64).as_str()] {
            assert!(config(slot).validate().is_err(), "{slot}");
        }
    }
}
