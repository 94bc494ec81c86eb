//! Values of options that Connect itself defines: of connectors, transformations and predicates.

use std::collections::{BTreeMap, BTreeSet};

use super::{CATALOG, Checking, Definition};

/// What an option's value was read as.
struct Read {
    /// As it is shown; none when there is none, or it cannot be read.
    value: Option<String>,
    errors: Vec<String>,
}

/// Reads an option under its full name.
pub(super) fn read(definition: &Definition, config: &BTreeMap<String, String>) -> Checking {
    let name = &definition.name;
    let mut checking = Checking::of(definition.clone());
    let read = match config.get(name) {
        Some(text) => parse(name, &definition.kind, text),
        None if definition.required => Read {
            value: None,
            errors: vec![format!("Missing required configuration \"{name}\" which has no default value.")],
        },
        None => Read { value: definition.default_value.clone(), errors: Vec::new() },
    };
    checking.value = read.value;
    checking.errors = read.errors;
    checking
}

fn parse(name: &str, kind: &str, text: &str) -> Read {
    let trimmed = text.trim();
    let good = |value: String| Read { value: Some(value), errors: Vec::new() };
    let bad = |problem: &str| Read {
        value: None,
        errors: vec![format!("Invalid value {text} for configuration {name}: {problem}")],
    };
    match kind {
        "INT" => trimmed.parse::<i32>().map_or_else(|_| bad("Not a number of type INT"), |n| good(n.to_string())),
        "LONG" => trimmed.parse::<i64>().map_or_else(|_| bad("Not a number of type LONG"), |n| good(n.to_string())),
        "BOOLEAN" if trimmed.eq_ignore_ascii_case("true") => good("true".to_owned()),
        "BOOLEAN" if trimmed.eq_ignore_ascii_case("false") => good("false".to_owned()),
        "BOOLEAN" => bad("Expected value to be either true or false"),
        "LIST" => good(list(text).join(",")),
        "CLASS" => {
            let kinds = ["source", "sink", "transformation", "predicate", "converter", "header_converter"];
            match CATALOG.resolve(text, &kinds) {
                Some(plugin) => good(plugin.class.clone()),
                None => bad(&format!("Class {text} could not be found.")),
            }
        }
        "PASSWORD" => good("[hidden]".to_owned()),
        _ => good(trimmed.to_owned()),
    }
}

/// A list's items; empty ones count, as in Connect.
pub(super) fn list(text: &str) -> Vec<String> {
    let text = text.trim();
    if text.is_empty() { Vec::new() } else { text.split(',').map(|item| item.trim().to_owned()).collect() }
}

/// Adds what Connect's validators say about one of a connector's own options.
pub(super) fn validate_own(checking: &mut Checking, config: &BTreeMap<String, String>) {
    let name = checking.name.clone();
    let value = checking.value.clone();
    let mut say = |value: &str, problem: String| {
        checking.errors.push(format!("Invalid value {value} for configuration {name}: {problem}"));
    };
    let number = value.as_deref().and_then(|value| value.parse::<i64>().ok());
    match (name.as_str(), value.as_deref()) {
        ("name", Some(value)) => {
            if let Some(problem) = name_problem(value) {
                say(value, problem);
            }
        }
        ("tasks.max", None) => say("null", "Value must be non-null".to_owned()),
        ("tasks.max", Some(value)) if number < Some(1) => say(value, "Value must be at least 1".to_owned()),
        ("transaction.boundary.interval.ms", Some(value)) if number < Some(0) => {
            say(value, "Value must be at least 0".to_owned());
        }
        ("transforms" | "predicates" | "topic.creation.groups", Some(_)) => {
            let items = config.get(&name).map(|text| list(text)).unwrap_or_default();
            if items.iter().collect::<BTreeSet<_>>().len() < items.len() {
                say(&format!("[{}]", items.join(", ")), "Duplicate alias provided.".to_owned());
            }
        }
        ("config.action.reload", Some(value)) => one_of(&["none", "restart"], value, false, say),
        ("errors.tolerance", Some(value)) => one_of(&["none", "all"], value, false, say),
        ("exactly.once.support", Some(value)) => one_of(&["REQUIRED", "REQUESTED"], value, true, say),
        ("transaction.boundary", Some(value)) => one_of(&["INTERVAL", "POLL", "CONNECTOR"], value, true, say),
        ("offsets.storage.topic", Some("")) => say("", "String must be non-empty".to_owned()),
        _ => {}
    }
}

fn one_of(choices: &[&str], value: &str, any_case: bool, mut say: impl FnMut(&str, String)) {
    let is = |choice: &&&str| if any_case { choice.eq_ignore_ascii_case(value) } else { **choice == value };
    if choices.iter().find(is).is_none() {
        let case = if any_case { " (case insensitive)" } else { "" };
        say(value, format!("String must be one of{case}: {}", choices.join(", ")));
    }
}

/// Why a connector cannot have this name.
fn name_problem(name: &str) -> Option<String> {
    let controls: Vec<String> =
        name.chars().filter(|letter| letter.is_control()).map(|letter| u32::from(letter).to_string()).collect();
    if name.is_empty() {
        return Some("String may not be empty".to_owned());
    }
    let said = "String may not contain control sequences but had the following ASCII chars";
    (!controls.is_empty()).then(|| format!("{said}: {}", controls.join(", ")))
}

/// What transformations and predicates have in common.
pub(super) struct Family {
    /// The option that names them, and the prefix of theirs.
    list: &'static str,
    /// The kind of class.
    kind: &'static str,
    /// How Connect calls one.
    title: &'static str,
    group: &'static str,
    /// Options that each has beside its class's own.
    common: &'static [(&'static str, &'static str, Option<&'static str>, &'static str)],
}

pub(super) const TRANSFORMS: Family = Family {
    list: "transforms",
    kind: "transformation",
    title: "Transformation",
    group: "Transforms",
    common: &[
        ("negate", "BOOLEAN", Some("false"), "Whether the configured predicate should be negated."),
        (
            "predicate",
            "STRING",
            None,
            "The alias of a predicate used to determine whether to apply this transformation.",
        ),
    ],
};

pub(super) const PREDICATES: Family =
    Family { list: "predicates", kind: "predicate", title: "Predicate", group: "Predicates", common: &[] };

impl Family {
    /// The options of all that the configuration names, and their groups.
    pub(super) fn check(&self, config: &BTreeMap<String, String>) -> (Vec<Checking>, Vec<String>) {
        let mut seen = BTreeSet::new();
        let mut checked = Vec::new();
        let mut groups = Vec::new();
        for alias in list(config.get(self.list).map_or("", String::as_str)) {
            if seen.insert(alias.clone()) {
                groups.push(format!("{}: {alias}", self.group));
                checked.extend(self.one(&alias, config));
            }
        }
        (checked, groups)
    }

    fn one(&self, alias: &str, config: &BTreeMap<String, String>) -> Vec<Checking> {
        let group = format!("{}: {alias}", self.group);
        let key = format!("{}.{alias}.type", self.list);
        let lower = self.title.to_lowercase();
        let mut class = read(&self.type_definition(&key, &group, alias, &lower), config);
        class.recommended = CATALOG.classes(self.kind);
        let resolved = class.value.clone();
        match &resolved {
            None => {
                let problem = format!("Invalid value null for configuration {key}: Not a {}", self.title);
                class.errors.push(problem);
            }
            Some(found) if !class.recommended.contains(found) => {
                let problem = format!("Invalid value class {found} for configuration {key}: Not a {}", self.title);
                class.errors.push(problem);
            }
            Some(found) if self.list == "transforms" && !IMPLEMENTED.contains(&found.as_str()) => {
                let problem = "this transformation is not implemented by walhouse, and records would lack it";
                class.errors.push(format!("Invalid value {found} for configuration {key}: {problem}"));
            }
            Some(_) => {}
        }
        let known = resolved.filter(|found| class.recommended.contains(found));
        let mut checked = vec![class];
        for (place, mut definition) in known.iter().flat_map(|found| self.definitions(found)).enumerate() {
            let short = definition.name.clone();
            definition.name = format!("{}.{alias}.{short}", self.list);
            definition.group = Some(group.clone());
            definition.order = i32::try_from(place).unwrap_or(0) + 1;
            let mut option = read(&definition, config);
            validate_regex(&short, &mut option);
            checked.push(option);
        }
        checked
    }

    /// A class's options in the order in which Connect embeds them.
    fn definitions(&self, class: &str) -> Vec<Definition> {
        let common = self.common.iter().map(|(name, kind, default, documentation)| Definition {
            name: (*name).to_owned(),
            kind: (*kind).to_owned(),
            required: false,
            default_value: default.map(str::to_owned),
            importance: "MEDIUM".to_owned(),
            documentation: (*documentation).to_owned(),
            group: None,
            width: "NONE".to_owned(),
            display_name: (*name).to_owned(),
            dependents: Vec::new(),
            order: -1,
        });
        let mut definitions: Vec<Definition> = common.chain(CATALOG.part(class).iter().cloned()).collect();
        let importance = |definition: &Definition| match definition.importance.as_str() {
            "HIGH" => 0,
            "MEDIUM" => 1,
            _ => 2,
        };
        definitions.sort_by(|one, other| {
            let key = |it: &Definition| (it.order, !it.required, importance(it));
            key(one).cmp(&key(other)).then_with(|| one.name.cmp(&other.name))
        });
        definitions
    }

    fn type_definition(&self, key: &str, group: &str, alias: &str, lower: &str) -> Definition {
        Definition {
            name: key.to_owned(),
            kind: "CLASS".to_owned(),
            required: true,
            default_value: None,
            importance: "HIGH".to_owned(),
            documentation: format!("Class for the '{alias}' {lower}."),
            group: Some(group.to_owned()),
            width: "LONG".to_owned(),
            display_name: format!("{} type for {alias}", self.title),
            dependents: Vec::new(),
            order: 0,
        }
    }
}

/// Transformations that records are sent through here.
const IMPLEMENTED: [&str; 6] = [
    "io.debezium.transforms.ByLogicalTableRouter",
    "io.debezium.transforms.ExtractNewRecordState",
    "org.apache.kafka.connect.transforms.DropHeaders",
    "org.apache.kafka.connect.transforms.ExtractField$Key",
    "org.apache.kafka.connect.transforms.InsertHeader",
    "org.apache.kafka.connect.transforms.RegexRouter",
];

/// `RegexRouter` and `TopicNameMatches` check their expressions.
fn validate_regex(name: &str, option: &mut Checking) {
    let required = option.definition.as_ref().is_some_and(|definition| definition.required);
    if !required || !matches!(name, "regex" | "pattern") {
        return;
    }
    let invalid =
        |value: &str, cause: &str| format!("Invalid value {value} for configuration {name}: Invalid regex: {cause}");
    match &option.value {
        None => {
            let cause = "Cannot invoke \"String.isEmpty()\" because \"this.pattern\" is null";
            option.errors.push(invalid("null", cause));
        }
        Some(value) => {
            if let Err(error) = regex::Regex::new(value) {
                let cause = error.to_string().lines().last().unwrap_or_default().to_owned();
                option.errors.push(invalid(value, &cause));
            }
        }
    }
}
