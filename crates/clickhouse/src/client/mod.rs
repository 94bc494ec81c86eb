//! How this crate talks to a server: statements, small answers, and inserts of encoded blocks.
//!
//! One HTTP connection pool for everything. Names are always qualified by their database, so no
//! request depends on a default. Every error leaves with what was attempted in it.

mod connect;
mod insert;
mod running;
mod socket;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clickhouse::Compression;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use crate::config::Config;
use crate::ddl::literal;
use crate::error::{Error, Result};

pub(crate) use insert::Insert;

/// Wait for the end of an insert or of a statement. A server that merges hard or waits for a slow
/// disk may need a minute for one block; one that says nothing for two is taken for gone.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// Wait for a sign of life. A new connection is tried then, since the old one may lead nowhere.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Settings that not every server knows: an unknown one is an error, so they are looked up once.
const OPTIONAL_SETTINGS: [&str; 2] = ["deduplicate_insert", "input_format_native_allow_types_conversion"];

/// A server, its credentials and a pool of connections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    http: clickhouse::Client,
    address: Arc<str>,
    compression: Compression,
    optional: Arc<OnceCell<BTreeSet<String>>>,
}

impl Client {
    /// A client for `config`; connects when first used.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let target = connect::Address::parse(&config.url)?;
        // On loopback the network costs nothing and compressing does.
        let compression = if target.is_loopback() { Compression::None } else { Compression::Lz4 };
        let mut http = connect::http_client(config, &target)?
            .with_url(&config.url)
            .with_user(&config.user)
            .with_compression(compression)
            .with_product_info("walhouse", env!("CARGO_PKG_VERSION"));
        if let Some(password) = &config.password {
            http = http.with_password(password.reveal());
        }
        Ok(Self { http, address: config.url.as_str().into(), compression, optional: Arc::default() })
    }

    /// The official client underneath.
    pub(crate) fn http(&self) -> clickhouse::Client {
        self.http.clone()
    }

    /// The server's URL.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Runs a statement without an answer. `action` says what for, after "cannot".
    pub(crate) async fn execute(&self, action: &str, sql: &str) -> Result<()> {
        let statement = self.http.query_raw(sql).with_setting("async_insert", "0").execute();
        self.in_time(action, statement).await
    }

    /// Asks for a sign of life: the least that a server can do, left out of its log of queries.
    pub(crate) async fn ping(&self) -> Result<()> {
        let asked = async {
            let query = self.http.query_raw("SELECT 1").with_setting("log_queries", "0");
            query.fetch_bytes("TabSeparated")?.collect().await
        };
        self.in_time_of("ask for a sign of life", PING_TIMEOUT, asked).await.map(drop)
    }

    /// Runs a query and reads its rows, which must be few.
    pub(crate) async fn rows<T: DeserializeOwned>(&self, action: &str, sql: &str) -> Result<Vec<T>> {
        let answer = async {
            let mut cursor = self.http.query_raw(sql).fetch_bytes("JSONEachRow")?;
            cursor.collect().await
        };
        let text = self.in_time(action, answer).await?;
        let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let parsed: Result<Vec<T>, _> = lines.map(serde_json::from_slice).collect();
        parsed.map_err(|error| Error::Answer {
            action: action.to_owned(),
            // the category and place only: serde's message may quote a value
            detail: format!("unexpected answer ({:?} error, column {})", error.classify(), error.column()),
        })
    }

    /// Runs a query and returns its answer in `format`.
    pub(crate) async fn bytes(&self, action: &str, sql: &str, format: &str) -> Result<bytes::Bytes> {
        let answer = async {
            let mut cursor = self.http.query_raw(sql).fetch_bytes(format)?;
            cursor.collect().await
        };
        self.in_time(action, answer).await
    }

    /// Inserts one row into a service table, durably.
    pub(crate) async fn insert_row(&self, action: &str, table: &str, row: &impl serde::Serialize) -> Result<()> {
        let row = serde_json::to_string(row).map_err(|error| Error::Misuse(format!("cannot {action}: {error}")))?;
        self.execute(action, &format!("INSERT INTO {table} FORMAT JSONEachRow\n{row}")).await
    }

    /// Version of the server; also the test of address, user and password.
    pub(crate) async fn version(&self) -> Result<String> {
        #[derive(Deserialize)]
        struct Row {
            version: String,
        }
        let rows: Vec<Row> = self.rows("connect to ClickHouse", "SELECT version() AS version").await?;
        Ok(rows.into_iter().next().map_or_else(String::new, |row| row.version))
    }

    /// Those of [`OPTIONAL_SETTINGS`] that the server knows.
    async fn optional_settings(&self) -> Result<&BTreeSet<String>> {
        #[derive(Deserialize)]
        struct Row {
            name: String,
        }
        self.optional
            .get_or_try_init(|| async {
                let names = OPTIONAL_SETTINGS.map(literal).join(", ");
                let sql = format!("SELECT name FROM system.settings WHERE name IN ({names})");
                let rows: Vec<Row> = self.rows("read the server's settings", &sql).await?;
                Ok(rows.into_iter().map(|row| row.name).collect())
            })
            .await
    }

    async fn in_time<T>(&self, action: &str, answer: impl Future<Output = clickhouse::error::Result<T>>) -> Result<T> {
        self.in_time_of(action, ANSWER_TIMEOUT, answer).await
    }

    async fn in_time_of<T>(
        &self,
        action: &str,
        limit: Duration,
        answer: impl Future<Output = clickhouse::error::Result<T>>,
    ) -> Result<T> {
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => answer.map_err(|error| Error::from_client(action, &self.address, error)),
            Err(_) => Err(Error::Timeout {
                action: action.to_owned(),
                address: self.address.to_string(),
                seconds: limit.as_secs(),
            }),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("address", &self.address).finish_non_exhaustive()
    }
}
