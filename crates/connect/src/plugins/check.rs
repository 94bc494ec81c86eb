//! Checks a connector's configuration as Connect's `validate` does, and shows what walhouse has to say beyond it.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::parts::{self, PREDICATES, TRANSFORMS};
use super::{CATALOG, Checking, POSTGRES, rules};
use crate::map::ConfigMap;
use crate::worker::Worker;

/// Options that must be right before the database is asked.
const CONNECTION: [&str; 5] =
    ["database.hostname", "database.port", "database.user", "database.password", "database.dbname"];

/// A checked configuration.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The class as the configuration names it.
    class: String,
    groups: Vec<String>,
    options: Vec<Checking>,
}

impl Checked {
    /// All errors in the order in which they are shown.
    pub(crate) fn errors(&self) -> Vec<&str> {
        self.options.iter().flat_map(|option| &option.errors).map(String::as_str).collect()
    }

    /// What has no effect, one line each.
    pub(crate) fn warnings(&self) -> Vec<&str> {
        self.options.iter().flat_map(|option| &option.warnings).map(String::as_str).collect()
    }

    /// As `validate` shows it.
    pub(crate) fn to_json(&self) -> Json {
        let configs: Vec<Json> = self.options.iter().map(Checking::to_json).collect();
        json!({
            "name": self.class,
            "error_count": self.errors().len(),
            "groups": self.groups,
            "configs": configs,
        })
    }
}

/// Why a configuration is not even checked.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It names no class; the text is Connect's.
    NoClass(String),
    /// Its class is not there, or a reference leads nowhere; the text is Connect's.
    Failed(String),
}

/// Checks a configuration: option by option, then by connecting to the database.
pub(crate) async fn check(worker: &Worker, config: &ConfigMap) -> Result<Checked, Refused> {
    let resolved = worker.resolve(config).map_err(Refused::Failed)?;
    let Some(class) = resolved.get("connector.class") else {
        return Err(Refused::NoClass(format!("Connector config {} contains no connector type", config.to_java_text())));
    };
    let Some(plugin) = CATALOG.resolve(class, &["source", "sink"]) else {
        return Err(Refused::Failed(CATALOG.not_found(class)));
    };
    let values = resolved.values();
    let mut options = own(worker, &values);
    if plugin.class != POSTGRES {
        let problem = format!("{} is not implemented by walhouse, which runs {POSTGRES}", plugin.class);
        push(&mut options, "connector.class", problem);
        return Ok(Checked { class: class.to_owned(), groups: groups(&[]), options });
    }
    let (transforms, transform_groups) = TRANSFORMS.check(&values);
    let (predicates, predicate_groups) = PREDICATES.check(&values);
    options.extend(transforms);
    options.extend(predicates);
    options.extend(debezium(&values));
    overrides(&values, &mut options);
    ours(worker, &values, &mut options);
    nulls(config, &mut options);
    let sound = |name: &str| options.iter().any(|option| option.name == name && option.errors.is_empty());
    if CONNECTION.iter().all(|name| sound(name)) {
        for fault in worker.runner().check(&values).await {
            push(&mut options, &fault.option, fault.message);
        }
    }
    let groups = groups(&[transform_groups, predicate_groups].concat());
    Ok(Checked { class: class.to_owned(), groups, options })
}

fn own(worker: &Worker, config: &BTreeMap<String, String>) -> Vec<Checking> {
    let mut options: Vec<Checking> = CATALOG.own().iter().map(|definition| parts::read(definition, config)).collect();
    for option in &mut options {
        if option.errors.is_empty() || option.name == "tasks.max" {
            parts::validate_own(option, config);
        }
    }
    let says = |key: &str, word: &str| config.get(key).is_some_and(|value| value.trim().eq_ignore_ascii_case(word));
    if says("exactly.once.support", "required") && !worker.settings().exactly_once {
        let problem = "This worker does not have exactly-once source support enabled.";
        push(&mut options, "exactly.once.support", problem.to_owned());
    }
    if says("transaction.boundary", "connector") {
        let problem = "The connector does not support connector-defined transaction boundaries with the given \
                       configuration. Please reconfigure it to use a different transaction boundary definition.";
        push(&mut options, "transaction.boundary", problem.to_owned());
    }
    // Connect shows a class by the name that was given.
    if let Some(option) = options.iter_mut().find(|option| option.name == "connector.class") {
        option.value = config.get("connector.class").cloned();
    }
    options
}

fn debezium(config: &BTreeMap<String, String>) -> Vec<Checking> {
    let check = |definition: &super::Definition| {
        let mut option = Checking::of(definition.clone());
        let choices = rules::choices(&option.name);
        option.recommended = choices.iter().map(|choice| (*choice).to_owned()).collect();
        option.errors = rules::faults(&option.name, config);
        option.visible = option.name != "schema.exclude.list";
        option
    };
    CATALOG.debezium().iter().map(check).collect()
}

/// `producer.override.*` is shown behind everything else.
fn overrides(config: &BTreeMap<String, String>, options: &mut Vec<Checking>) {
    for (key, value) in config.iter().filter(|(key, _)| key.starts_with("producer.override.")) {
        let mut option = Checking::undefined(key.clone());
        option.value = Some(value.clone());
        options.push(option);
    }
}

/// What the encoder refuses or leaves out beyond Debezium's own rules. Options of transformations are not checked, as
/// in Connect: a task says what is wrong with them.
fn ours(worker: &Worker, config: &BTreeMap<String, String>, options: &mut [Checking]) {
    use walhouse_kafka::{Error, Options};
    match Options::parse(config, worker.settings().properties()) {
        Ok(parsed) => {
            for warning in parsed.warnings() {
                let named = warning.split(' ').nth(1).unwrap_or_default();
                if let Some(option) = options.iter_mut().find(|option| option.name == named) {
                    option.warnings.push(warning.clone());
                }
            }
        }
        Err(Error::Option { key, problem }) if CATALOG.debezium().iter().any(|it| it.name == key) => {
            if options.iter().any(|option| option.name == key && option.errors.is_empty()) {
                push(options, &key, format!("The '{key}' value is invalid: {problem}"));
            }
        }
        Err(_) => {}
    }
}

/// A null is refused for Connect's own options and for those that nobody defines; these come first.
fn nulls(config: &ConfigMap, options: &mut Vec<Checking>) {
    const REFUSED: &str = "Null value can not be supplied as the configuration value.";
    let mut unknown = Vec::new();
    for (key, _) in config.pairs().filter(|(_, value)| value.is_none()) {
        if CATALOG.own().iter().any(|definition| definition.name == key) {
            push(options, key, REFUSED.to_owned());
        } else if !options.iter().any(|option| option.name == key) {
            let mut option = Checking::undefined(key.to_owned());
            option.errors.push(REFUSED.to_owned());
            unknown.push(option);
        }
    }
    options.splice(..0, unknown);
}

fn push(options: &mut [Checking], name: &str, error: String) {
    if let Some(option) = options.iter_mut().find(|option| option.name == name) {
        option.errors.push(error);
    }
}

/// Groups in the order of their options: Connect's own, those of `parts`, Debezium's.
fn groups(parts: &[String]) -> Vec<String> {
    let named = |definitions: &'static [super::Definition]| definitions.iter().filter_map(|it| it.group.clone());
    let all = named(CATALOG.own()).chain(parts.iter().cloned()).chain(named(CATALOG.debezium()));
    let mut groups: Vec<String> = Vec::new();
    for group in all {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}
