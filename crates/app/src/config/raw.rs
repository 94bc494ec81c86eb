//! The file as it is written: every key optional that has a default, every value with its place
//! in the file, so that an error can name the line.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) postgres: Postgres,
    pub(super) clickhouse: Option<ClickHouse>,
    pub(super) engine: Option<Engine>,
    #[serde(default)]
    pub(super) console: Console,
    pub(super) kafka: Option<Kafka>,
    #[serde(default)]
    pub(super) tables: BTreeMap<Spanned<String>, Table>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Postgres {
    pub(super) url: Spanned<String>,
    pub(super) password_file: Option<Spanned<String>>,
    pub(super) tables: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) slot: Option<Spanned<String>>,
    pub(super) publication: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClickHouse {
    pub(super) url: Option<Spanned<String>>,
    pub(super) ca_file: Option<Spanned<String>>,
    pub(super) user: Option<Spanned<String>>,
    pub(super) password_file: Option<Spanned<String>>,
    pub(super) database: Option<Spanned<String>>,
    pub(super) history: Option<bool>,
    pub(super) retention: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Engine {
    pub(super) data: Option<Spanned<String>>,
    pub(super) listen: Option<Spanned<String>>,
    pub(super) password_file: Option<Spanned<String>>,
    pub(super) reader: Option<Spanned<String>>,
    pub(super) reader_password_file: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Console {
    pub(super) listen: Option<Spanned<String>>,
    pub(super) password_file: Option<Spanned<String>>,
    pub(super) token_file: Option<Spanned<String>>,
    pub(super) tls_cert: Option<Spanned<String>>,
    pub(super) tls_key: Option<Spanned<String>>,
    pub(super) insecure: Option<bool>,
    pub(super) hosts: Option<Vec<String>>,
    pub(super) data: Option<bool>,
    pub(super) allow: Option<Vec<Spanned<String>>>,
    pub(super) audit_file: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kafka {
    pub(super) bootstrap: Spanned<String>,
    pub(super) topic_prefix: Option<Spanned<String>>,
    pub(super) connector: Option<Spanned<toml::Value>>,
    pub(super) client: Option<Spanned<toml::Value>>,
    pub(super) connect: Option<Spanned<String>>,
    pub(super) registry: Option<Spanned<String>>,
    pub(super) registry_user: Option<String>,
    pub(super) registry_password_file: Option<Spanned<String>>,
}

impl std::fmt::Debug for Kafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kafka").field("bootstrap", &self.bootstrap).finish_non_exhaustive()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pub(super) name: Option<Spanned<String>>,
    pub(super) history: Option<bool>,
    pub(super) view: Option<Spanned<String>>,
    pub(super) retention: Option<Spanned<String>>,
    pub(super) columns: Option<BTreeMap<String, String>>,
    pub(super) order_by: Option<Spanned<Vec<String>>>,
}
