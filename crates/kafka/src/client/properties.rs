//! A client's properties as a user writes them.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use crate::client::error::{Error, Result};
use crate::client::java::{self, Role};

/// Properties of a Kafka client, under the names that Java clients or librdkafka give them. Debug output shows names
/// only: values may be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Of a cluster at `bootstrap`, a list of `host:port` with commas.
    #[must_use]
    pub fn new(bootstrap: &str) -> Self {
        Self(BTreeMap::from([("bootstrap.servers".to_owned(), bootstrap.to_owned())]))
    }

    /// With this property set, in place of a former value.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    /// With all of these set, in place of former values.
    #[must_use]
    pub fn with_all<K: Into<String>, V: Into<String>>(mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        self.0.extend(pairs.into_iter().map(|(key, value)| (key.into(), value.into())));
        self
    }

    /// A property's value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The cluster's addresses.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        self.get("bootstrap.servers").or_else(|| self.get("metadata.broker.list")).unwrap_or_default()
    }

    /// Names of properties that Java clients know and that have no effect here.
    #[must_use]
    pub fn without_effect(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).filter(|key| java::is_without_effect(key)).collect()
    }

    /// Without those that no client knows, and the names of these: Java clients say that they are unused and go on.
    #[must_use]
    pub fn without_unknown(mut self) -> (Self, Vec<String>) {
        let unknown = |key: &&String| {
            let mut config = ClientConfig::new();
            config.set(key.as_str(), "");
            let error = config.create_native_config().err();
            let no_such = |text: &str| text.contains("No such configuration property");
            matches!(error, Some(KafkaError::ClientConfig(_, text, _, _)) if no_such(&text))
        };
        let known = |key: &&String| java::is_known(key);
        let unknown: Vec<String> = self.0.keys().filter(|key| !known(key) && unknown(key)).cloned().collect();
        self.0.retain(|key, _| !unknown.contains(key));
        (self, unknown)
    }

    /// Whether they can be used, for a message before anything is started.
    ///
    /// # Errors
    /// [`Error::Property`] names the first that cannot.
    pub fn check(&self) -> Result<()> {
        for role in [Role::Producer, Role::Consumer, Role::Admin] {
            let config = self.config(role, &[])?;
            config.create_native_config().map_err(|error| property_error(&error))?;
        }
        Ok(())
    }

    /// For librdkafka: `defaults` under what the user set.
    pub(crate) fn config(&self, role: Role, defaults: &[(&str, String)]) -> Result<ClientConfig> {
        if self.bootstrap().trim().is_empty() {
            return Err(property("bootstrap.servers", "a value is required, such as 127.0.0.1:9092"));
        }
        let mut config = ClientConfig::new();
        for (key, value) in defaults {
            config.set(*key, value);
        }
        for (key, value) in java::translate(&self.0, role)? {
            config.set(key, value);
        }
        Ok(config)
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

pub(crate) fn property(key: &str, problem: impl Into<String>) -> Error {
    Error::Property { key: key.to_owned(), problem: problem.into() }
}

/// The library's complaint about a property; its text may repeat the value, which is left out for secrets.
pub(crate) fn property_error(error: &KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(_, text, key, _) if java::is_secret(key) => {
            property(key, if text.contains("No such") { "no such property" } else { "its value cannot be used" })
        }
        KafkaError::ClientConfig(_, text, key, _) => property(key, super::error::lower(text)),
        other => property("(client)", super::error::lower(&other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_shown() {
        let properties = Properties::new("b:9092")
            .with("sasl.jaas.config", "hunter2")
            .with("ssl.key.pem", "hunter2")
            .with("sasl.password", "hunter2");
        assert!(!format!("{properties:?}").contains("hunter2"));
        assert!(!format!("{:?} {}", properties.check(), properties.check().unwrap_err()).contains("hunter2"));
        let unreadable = Properties::new("b:9092").with("ssl.key.pem", "hunter2").with("sasl.passwort", "hunter2");
        assert!(!format!("{:?}", unreadable.check()).contains("hunter2"));
    }

    #[test]
    fn what_no_client_knows_is_named() {
        let error = Properties::new("b:9092").with("lingre.ms", "5").check().unwrap_err();
        assert!(error.to_string().starts_with("client property lingre.ms: no such"), "{error}");
        let error = Properties::new("b:9092").with("linger.ms", "soon").check().unwrap_err();
        assert!(error.to_string().starts_with("client property linger.ms: "), "{error}");
        assert!(Properties::new(" ").check().is_err());
        let java = Properties::new("b:9092").with("lingre.ms", "5").with("buffer.memory", "1").with("linger.ms", "x");
        let (known, unknown) = java.without_unknown();
        assert_eq!((unknown, known.get("linger.ms")), (vec!["lingre.ms".to_owned()], Some("x")));
    }
}
