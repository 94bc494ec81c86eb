//! A connector's configuration, in the order in which it was written, and Java's way of printing such maps.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value as Json};
use walhouse_kafka::{copied_map_order, hash_map_order};

/// Option names and their values in order; a null value is kept, because Connect tells it from a missing one.
/// Debug output shows names only: values may be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConfigMap(Vec<(String, Option<String>)>);

impl ConfigMap {
    /// A value; none when it is missing or null.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.as_deref())
    }

    /// Sets a value; a key that is there keeps its place.
    pub fn set(&mut self, key: &str, value: Option<String>) {
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some(entry) => entry.1 = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// All pairs in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_deref()))
    }

    /// Pairs that have a value, by name.
    #[must_use]
    pub fn values(&self) -> BTreeMap<String, String> {
        self.pairs().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))).collect()
    }

    /// The same pairs as a `java.util.HashMap` that they were put into walks them.
    #[must_use]
    pub fn in_hash_order(&self) -> Self {
        let mut pairs = self.0.clone();
        hash_map_order(&mut pairs, |(key, _)| key);
        Self(pairs)
    }

    /// `{a=b, c=d}`, in the order of a `java.util.HashMap` made as a copy.
    #[must_use]
    pub fn to_java_text(&self) -> String {
        let mut pairs = self.0.clone();
        copied_map_order(&mut pairs, |(key, _)| key);
        let pairs: Vec<String> =
            pairs.iter().map(|(key, value)| format!("{key}={}", value.as_deref().unwrap_or("null"))).collect();
        format!("{{{}}}", pairs.join(", "))
    }

    /// As a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let pairs = self.pairs().map(|(key, value)| (key.to_owned(), value.map_or(Json::Null, Json::from)));
        Json::Object(pairs.collect())
    }

    /// From a JSON object of texts; scalars of another kind become texts, as Connect's own converter reads them.
    #[must_use]
    pub fn from_json(object: &Map<String, Json>) -> Self {
        let text = |value: &Json| match value {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        Self(object.iter().map(|(key, value)| (key.clone(), text(value))).collect())
    }
}

impl FromIterator<(String, Option<String>)> for ConfigMap {
    fn from_iter<T: IntoIterator<Item = (String, Option<String>)>>(pairs: T) -> Self {
        let mut map = Self::default();
        for (key, value) in pairs {
            map.set(&key, value);
        }
        map
    }
}

impl fmt::Debug for ConfigMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> ConfigMap {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned()))).collect()
    }

    #[test]
    fn orders_are_javas() {
        assert_eq!(map(&[("tasks.max", "1"), ("name", "x")]).to_java_text(), "{name=x, tasks.max=1}");
        assert_eq!(map(&[("a", "b"), ("name", "orders-src")]).to_java_text(), "{name=orders-src, a=b}");
        let names = ["connector.class", "plugin.name", "database.hostname", "database.port", "slot.name", "name"];
        let config = map(&names.map(|name| (name, ""))).in_hash_order();
        assert_eq!(config.pairs().next().map(|(key, _)| key), Some("connector.class"));
    }

    #[test]
    fn a_key_keeps_its_place_and_values_are_not_shown() {
        let mut config = map(&[("name", "x"), ("database.password", "hunter2")]);
        config.set("name", Some("y".to_owned()));
        config.set("last", None);
        let json = config.to_json().to_string();
        assert_eq!(json, r#"{"name":"y","database.password":"hunter2","last":null}"#);
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
