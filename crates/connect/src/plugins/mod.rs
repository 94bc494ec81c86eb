//! The classes and options that Connect 3.5.1 with Debezium 2.4.2 knows, as its REST API shows them.
//!
//! The files in `data` are what such a worker answered: its list of classes, the options of the connector, of every
//! transformation, predicate and converter, and the names of its loggers. So a tool that asks sees what it is used to.
//! Of the connectors only Debezium's for Postgres can be run here.

mod check;
mod parts;
mod rules;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

pub(crate) use check::{Refused, check};

/// The connector.
pub(crate) const POSTGRES: &str = "io.debezium.connector.postgresql.PostgresConnector";

/// A class in the list of `/connector-plugins`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plugin {
    pub(crate) class: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
}

/// An option of a class.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Definition {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) required: bool,
    pub(crate) default_value: Option<String>,
    pub(crate) importance: String,
    documentation: String,
    pub(crate) group: Option<String>,
    width: String,
    display_name: String,
    dependents: Vec<String>,
    pub(crate) order: i32,
}

#[derive(Deserialize)]
struct Part {
    class: String,
    definitions: Vec<Definition>,
}

/// Everything that is known.
pub(crate) struct Catalog {
    plugins: Vec<Plugin>,
    /// Connect's own options first, then Debezium's.
    connector: Vec<Definition>,
    parts: Vec<Part>,
    loggers: Vec<String>,
}

/// How many of the connector's options are Connect's own.
const OWN: usize = 19;

pub(crate) static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog {
    plugins: read(include_str!("data/plugins.json")),
    connector: read(include_str!("data/connector.json")),
    parts: read(include_str!("data/parts.json")),
    loggers: read(include_str!("data/loggers.json")),
});

/// The files are part of the program, and a test reads them all.
fn read<T: for<'a> Deserialize<'a> + Default>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_default()
}

impl Catalog {
    /// The list of classes; connectors only, unless `all`.
    pub(crate) fn list(&self, all: bool) -> Vec<&Plugin> {
        self.plugins.iter().filter(|plugin| all || matches!(plugin.kind.as_str(), "source" | "sink")).collect()
    }

    /// The class that a name or an alias stands for, among classes of these kinds.
    pub(crate) fn resolve(&self, name: &str, kinds: &[&str]) -> Option<&Plugin> {
        let of_kind = |plugin: &&Plugin| kinds.contains(&plugin.kind.as_str());
        let full = self.plugins.iter().filter(of_kind).find(|plugin| plugin.class == name);
        full.or_else(|| {
            self.plugins.iter().filter(of_kind).find(|plugin| {
                let simple = plugin.class.rsplit('.').next().unwrap_or_default();
                let pruned = ["Connector", "Converter"].iter().find_map(|suffix| simple.strip_suffix(suffix));
                simple == name && !simple.contains('$') || pruned == Some(name)
            })
        })
    }

    /// The options of a class; none when nothing is known about it.
    pub(crate) fn options(&self, name: &str) -> Option<Vec<&Definition>> {
        let kinds = ["source", "sink", "transformation", "predicate", "converter", "header_converter"];
        let class = &self.resolve(name, &kinds)?.class;
        if class == POSTGRES {
            let (own, debezium) = self.connector.split_at_checked(OWN)?;
            return Some(debezium.iter().chain(own).collect());
        }
        self.parts.iter().find(|part| part.class == *class).map(|part| part.definitions.iter().collect())
    }

    fn own(&self) -> &[Definition] {
        self.connector.get(..OWN).unwrap_or_default()
    }

    fn debezium(&self) -> &[Definition] {
        self.connector.get(OWN..).unwrap_or_default()
    }

    fn part(&self, class: &str) -> &[Definition] {
        self.parts.iter().find(|part| part.class == class).map_or(&[], |part| part.definitions.as_slice())
    }

    fn classes(&self, kind: &str) -> Vec<String> {
        self.plugins.iter().filter(|plugin| plugin.kind == kind).map(|plugin| plugin.class.clone()).collect()
    }

    /// Names of loggers, sorted.
    pub(crate) fn loggers(&self) -> &[String] {
        &self.loggers
    }

    /// What Connect says to a connector's class that is not there.
    pub(crate) fn not_found(&self, class: &str) -> String {
        let tools = ["MockSink", "MockSource", "SchemaSource", "VerifiableSink", "VerifiableSource"];
        let tools = tools.iter().map(|tool| {
            let kind = if tool.ends_with("Sink") { "sink" } else { "source" };
            (format!("org.apache.kafka.connect.tools.{tool}Connector"), "3.5.1", kind, "classpath")
        });
        let listed = self.plugins.iter().filter(|plugin| plugin.kind == "source").map(|plugin| {
            let location =
                if plugin.class == POSTGRES { "file:/kafka/connect/debezium-connector-postgres/" } else { "classpath" };
            (plugin.class.clone(), plugin.version.as_deref().unwrap_or_default(), "source", location)
        });
        let described: Vec<String> = listed
            .chain(tools)
            .map(|(class, version, kind, location)| {
                format!(
                    "PluginDesc{{klass=class {class}, name='{class}', version='{version}', encodedVersion={version}, \
                     type={kind}, typeName='{kind}', location='{location}'}}"
                )
            })
            .collect();
        format!(
            "Failed to find any class that implements Connector and which name matches {class}, available connectors \
             are: {}",
            described.join(", ")
        )
    }
}

/// An option with what is given for it, as `validate` shows them.
#[derive(Clone, Debug)]
pub(crate) struct Checking {
    /// None for an option that no class defines.
    pub(crate) definition: Option<Definition>,
    pub(crate) name: String,
    pub(crate) value: Option<String>,
    pub(crate) recommended: Vec<String>,
    pub(crate) errors: Vec<String>,
    pub(crate) visible: bool,
    /// What walhouse has to say that is no error: shown among the errors, and not counted.
    pub(crate) warnings: Vec<String>,
}

impl Checking {
    fn of(definition: Definition) -> Self {
        Self { name: definition.name.clone(), definition: Some(definition), ..Self::undefined(String::new()) }
    }

    fn undefined(name: String) -> Self {
        Self {
            definition: None,
            name,
            value: None,
            recommended: Vec::new(),
            errors: Vec::new(),
            visible: true,
            warnings: Vec::new(),
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        let errors: Vec<&String> = self.errors.iter().chain(&self.warnings).collect();
        json!({
            "definition": self.definition,
            "value": {
                "name": self.name,
                "value": self.value,
                "recommended_values": self.recommended,
                "errors": errors,
                "visible": self.visible,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_is_read() {
        assert_eq!(CATALOG.list(false).len(), 4);
        assert!(CATALOG.list(true).len() > 60);
        assert_eq!(CATALOG.connector.len(), 104);
        assert_eq!(CATALOG.own().last().map(|definition| definition.name.as_str()), Some("offsets.storage.topic"));
        assert!(CATALOG.parts.len() > 40 && CATALOG.loggers.len() > 100);
        for name in [POSTGRES, "PostgresConnector", "Postgres", "ExtractNewRecordState", "Json", "RegexRouter"] {
            assert!(CATALOG.options(name).is_some_and(|options| !options.is_empty()), "{name}");
        }
        assert!(CATALOG.options("Nope").is_none());
        assert!(CATALOG.options("Cast$Key").is_none());
    }
}
