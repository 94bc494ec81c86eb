//! `[kafka]`: the brokers, and the connector whose messages are in their topics.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use toml::Spanned;

use super::ConfigError;
use super::raw;
use super::resolve::Resolver;

/// Brokers and the connector.
#[derive(Clone, Debug)]
pub(crate) struct Kafka {
    /// `host:port` of some brokers, with commas.
    pub(crate) bootstrap: String,
    /// Options of the connector as Connect takes them, `topic.prefix` among them.
    pub(crate) connector: Properties,
    /// Name of the connector, where its file says one.
    pub(crate) name: Option<String>,
    /// Properties of Kafka's clients, such as `security.protocol`.
    pub(crate) client: Properties,
    /// Where the Connect worker's REST interface answers.
    pub(crate) connect: Option<String>,
    /// The schema registry of the topics.
    pub(crate) registry: Option<Registry>,
}

/// A schema registry of Confluent's kind.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    /// Its address, with a path if it has one.
    pub(crate) url: String,
    /// Who asks it, with the password.
    pub(crate) login: Option<(String, walhouse_postgres::Secret)>,
}

/// Keys and values, some of which may be secrets: only the keys are ever printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Properties(pub(crate) BTreeMap<String, String>);

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl Resolver<'_> {
    pub(super) fn kafka(&self, raw: Option<raw::Kafka>) -> Result<Option<Kafka>, ConfigError> {
        let Some(raw) = raw else { return Ok(None) };
        let brokers = raw.bootstrap.get_ref();
        if brokers.split(',').any(|broker| !matches!(broker.trim().rsplit_once(':'), Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok()))
        {
            return self.fail(raw.bootstrap.span(), "[kafka] bootstrap must be of the form host:port, with commas between");
        }
        let (name, mut connector) = match &raw.connector {
            Some(connector) => self.connector(connector)?,
            None => (None, BTreeMap::new()),
        };
        if let Some(prefix) = &raw.topic_prefix {
            connector.insert("topic.prefix".to_owned(), prefix.get_ref().clone());
        }
        if connector.get("topic.prefix").is_none_or(|prefix| prefix.trim().is_empty()) {
            let message = "[kafka] needs topic_prefix, or a connector with topic.prefix";
            return self.fail(raw.bootstrap.span(), message);
        }
        let registry = self.registry(&raw)?;
        let client = self.plain("[kafka] client", raw.client)?;
        let connect = raw.connect.as_ref().map(|url| self.web("[kafka] connect", url)).transpose()?;
        let bootstrap = raw.bootstrap.into_inner();
        Ok(Some(Kafka { bootstrap, connector: Properties(connector), name, client, connect, registry }))
    }

    fn registry(&self, raw: &raw::Kafka) -> Result<Option<Registry>, ConfigError> {
        let password = self.secret("[kafka] registry_password_file", raw.registry_password_file.as_ref())?;
        let login = match (&raw.registry_user, password) {
            (None, None) => None,
            (Some(user), Some(password)) => Some((user.clone(), walhouse_postgres::Secret::new(password))),
            _ => {
                let message = "[kafka] registry_user and registry_password_file go together";
                return self.fail(raw.bootstrap.span(), message);
            }
        };
        let Some(url) = &raw.registry else { return Ok(None) };
        Ok(Some(Registry { url: self.web("[kafka] registry", url)?, login }))
    }

    fn web(&self, key: &str, url: &Spanned<String>) -> Result<String, ConfigError> {
        let text = url.get_ref().trim_end_matches('/');
        match text.starts_with("http://") || text.starts_with("https://") {
            true => Ok(text.to_owned()),
            false => self.fail(url.span(), format!("{key} must be of the form http://host:port or https://host:port")),
        }
    }

    /// A file as it is posted to Connect, or the options themselves.
    fn connector(&self, raw: &Spanned<toml::Value>) -> Result<(Option<String>, BTreeMap<String, String>), ConfigError> {
        let toml::Value::String(file) = raw.get_ref() else {
            return Ok((None, self.options("[kafka] connector", raw)?));
        };
        let path = self.existing("[kafka] connector", &Spanned::new(raw.span(), file.clone()))?;
        let text = std::fs::read_to_string(&path)
            .map_err(|error| self.error(raw.span(), format!("[kafka] connector {}: {error}", path.display())))?;
        let wrong = |what: &str| self.error(raw.span(), format!("[kafka] connector {}: {what}", path.display()));
        let json: Value = serde_json::from_str(&text)
            .map_err(|error| wrong(&format!("not JSON, line {} column {}", error.line(), error.column())))?;
        let name = json.get("name").and_then(Value::as_str).map(str::to_owned);
        let options = json.get("config").unwrap_or(&json).as_object().ok_or_else(|| wrong("not an object"))?;
        let mut connector = BTreeMap::new();
        for (key, value) in options {
            let value = match value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                Value::Array(_) | Value::Object(_) => return Err(wrong(&format!("{key} is not a plain value"))),
            };
            connector.insert(key.clone(), value);
        }
        Ok((name, connector))
    }

    fn plain(&self, key: &str, raw: Option<Spanned<toml::Value>>) -> Result<Properties, ConfigError> {
        raw.map_or_else(|| Ok(Properties::default()), |raw| self.options(key, &raw).map(Properties))
    }

    fn options(&self, key: &str, raw: &Spanned<toml::Value>) -> Result<BTreeMap<String, String>, ConfigError> {
        let Some(table) = raw.get_ref().as_table() else {
            return self.fail(raw.span(), format!("{key} must be a table of options"));
        };
        let plain = |(name, value): (&String, &toml::Value)| match value {
            toml::Value::String(text) => Ok((name.clone(), text.clone())),
            toml::Value::Integer(_) | toml::Value::Boolean(_) | toml::Value::Float(_) => {
                Ok((name.clone(), value.to_string()))
            }
            _ => self.fail(raw.span(), format!("{key}: quote the name of option {name:?}, and give it a plain value")),
        };
        table.iter().map(plain).collect()
    }
}
