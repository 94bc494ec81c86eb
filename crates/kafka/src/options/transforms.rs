//! The chain of single message transformations and its predicates.

use std::collections::BTreeMap;

use regex::Regex;

use super::lists;
use crate::error::{Error, Result};

/// One link of the chain.
#[derive(Debug)]
pub(crate) struct Transform {
    pub(crate) name: String,
    pub(crate) kind: TransformKind,
    pub(crate) predicate: Option<Predicate>,
}

/// Decides whether a transformation sees a record.
#[derive(Debug)]
pub(crate) struct Predicate {
    pub(crate) negate: bool,
    pub(crate) kind: PredicateKind,
}

#[derive(Debug)]
pub(crate) enum PredicateKind {
    TopicNameMatches(Regex),
    RecordIsTombstone,
    HasHeaderKey(String),
}

/// What is done with a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeleteMode {
    Drop,
    Rewrite,
    None,
}

/// A field to add: where it is, and its name there and afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddedField {
    /// The struct, where one is named.
    pub(crate) parent: Option<String>,
    pub(crate) name: String,
    pub(crate) target: String,
}

/// Options of `ExtractNewRecordState`.
#[derive(Debug)]
pub(crate) struct Unwrap {
    pub(crate) deletes: DeleteMode,
    pub(crate) drop_tombstones: bool,
    pub(crate) fields: Vec<AddedField>,
    pub(crate) headers: Vec<AddedField>,
    pub(crate) header_prefix: String,
    pub(crate) route_by: Option<String>,
    pub(crate) drop_header: Option<String>,
    pub(crate) drop_from_key: bool,
    pub(crate) keep_compatible: bool,
}

/// Options of `ByLogicalTableRouter`.
#[derive(Debug)]
pub(crate) struct LogicalTable {
    pub(crate) topic: Regex,
    pub(crate) replacement: String,
    pub(crate) key_unique: bool,
    pub(crate) key_name: String,
    pub(crate) key_field: Option<(Regex, String)>,
    pub(crate) envelope_name: Option<String>,
}

#[derive(Debug)]
pub(crate) enum TransformKind {
    Unwrap(Unwrap),
    RegexRouter { topic: Regex, replacement: String },
    LogicalTable(LogicalTable),
    InsertHeader { name: String, literal: String },
    DropHeaders(Vec<String>),
    ExtractKeyField(String),
}

/// Reads `transforms` and `predicates`.
pub(crate) fn parse(config: &BTreeMap<String, String>, warnings: &mut Vec<String>) -> Result<Vec<Transform>> {
    let list = config.get("transforms").map_or("", String::as_str);
    let mut transforms = Vec::new();
    for name in lists::split(list, ',') {
        let scope = Scope { config, prefix: format!("transforms.{name}.") };
        let class = scope.text("type", "");
        let Some(kind) = kind(&scope, &class)? else {
            let known = class.starts_with("org.apache.kafka.connect.transforms.") || class.starts_with("io.debezium.");
            if !known {
                return Err(Error::UnknownClass { key: scope.key("type"), class });
            }
            warnings.push(format!("transformation {name} ({class}) is known and not implemented: it has no effect"));
            continue;
        };
        let predicate = predicate(config, &scope)?;
        transforms.push(Transform { name, kind, predicate });
    }
    Ok(transforms)
}

/// Options below a prefix.
struct Scope<'a> {
    config: &'a BTreeMap<String, String>,
    prefix: String,
}

impl Scope<'_> {
    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.config.get(&self.key(key)).map(String::as_str)
    }

    fn text(&self, key: &str, default: &str) -> String {
        self.get(key).unwrap_or(default).trim().to_owned()
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        self.get(key).map_or(default, |text| text.trim().eq_ignore_ascii_case("true"))
    }

    fn regex(&self, key: &str) -> Result<Regex> {
        lists::compile(&self.key(key), &format!("^(?:{})$", self.text(key, "")), false)
    }
}

fn kind(scope: &Scope<'_>, class: &str) -> Result<Option<TransformKind>> {
    Ok(Some(match class {
        "io.debezium.transforms.ExtractNewRecordState" => TransformKind::Unwrap(unwrap(scope)?),
        "org.apache.kafka.connect.transforms.RegexRouter" => TransformKind::RegexRouter {
            topic: scope.regex("regex")?,
            replacement: replacement(&scope.text("replacement", "")),
        },
        "io.debezium.transforms.ByLogicalTableRouter" => {
            let key_field = match scope.get("key.field.regex") {
                Some(_) => {
                    let text = replacement(&scope.text("key.field.replacement", ""));
                    Some((scope.regex("key.field.regex")?, text))
                }
                None => None,
            };
            TransformKind::LogicalTable(LogicalTable {
                topic: scope.regex("topic.regex")?,
                replacement: replacement(&scope.text("topic.replacement", "")),
                key_unique: scope.flag("key.enforce.uniqueness", true),
                key_name: scope.text("key.field.name", "__dbz__physicalTableIdentifier"),
                key_field,
                envelope_name: scope.get("schema.name.adjustment.mode").map(str::to_owned),
            })
        }
        "org.apache.kafka.connect.transforms.InsertHeader" => {
            TransformKind::InsertHeader { name: scope.text("header", ""), literal: scope.text("value.literal", "") }
        }
        "org.apache.kafka.connect.transforms.DropHeaders" => {
            TransformKind::DropHeaders(lists::split(&scope.text("headers", ""), ','))
        }
        "org.apache.kafka.connect.transforms.ExtractField$Key" => {
            TransformKind::ExtractKeyField(scope.text("field", ""))
        }
        _ => return Ok(None),
    }))
}

fn unwrap(scope: &Scope<'_>) -> Result<Unwrap> {
    let mode = scope.text("delete.handling.mode", "drop").to_ascii_lowercase();
    let deletes = match mode.as_str() {
        "drop" => DeleteMode::Drop,
        "rewrite" => DeleteMode::Rewrite,
        "none" => DeleteMode::None,
        _ => {
            return Err(Error::Option {
                key: scope.key("delete.handling.mode"),
                problem: "Value must be one of drop, rewrite, none".to_owned(),
            });
        }
    };
    let non_empty = |key: &str| Some(scope.text(key, "")).filter(|text| !text.is_empty());
    let prefix = |key: &str| scope.get(key).unwrap_or("__").trim().to_owned();
    let header_prefix = prefix("add.headers.prefix");
    Ok(Unwrap {
        deletes,
        drop_tombstones: scope.flag("drop.tombstones", true),
        fields: added(&scope.text("add.fields", ""), &prefix("add.fields.prefix")),
        headers: added(&scope.text("add.headers", ""), &header_prefix),
        header_prefix,
        route_by: non_empty("route.by.field"),
        drop_header: non_empty("drop.fields.header.name"),
        drop_from_key: scope.flag("drop.fields.from.key", false),
        keep_compatible: scope.flag("drop.fields.keep.schema.compatible", true),
    })
}

/// `name`, `struct.name`, each with an optional `:newname`.
fn added(list: &str, prefix: &str) -> Vec<AddedField> {
    let field = |item: String| {
        let (source, renamed) = match item.split_once(':') {
            Some((source, renamed)) => (source.trim().to_owned(), Some(renamed.trim().to_owned())),
            None => (item, None),
        };
        let (parent, name) = match source.split_once('.') {
            Some((parent, name)) => (Some(parent.to_owned()), name.to_owned()),
            None => (None, source.clone()),
        };
        let target = renamed.unwrap_or_else(|| source.replace('.', "_"));
        AddedField { parent, name, target: format!("{prefix}{target}") }
    };
    lists::split(list, ',').into_iter().map(field).collect()
}

fn predicate(config: &BTreeMap<String, String>, transform: &Scope<'_>) -> Result<Option<Predicate>> {
    let Some(alias) = transform.get("predicate").map(str::trim) else { return Ok(None) };
    let scope = Scope { config, prefix: format!("predicates.{alias}.") };
    let class = scope.text("type", "");
    let kind = match class.as_str() {
        "org.apache.kafka.connect.transforms.predicates.TopicNameMatches" => {
            PredicateKind::TopicNameMatches(scope.regex("pattern")?)
        }
        "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone" => PredicateKind::RecordIsTombstone,
        "org.apache.kafka.connect.transforms.predicates.HasHeaderKey" => {
            PredicateKind::HasHeaderKey(scope.text("name", ""))
        }
        _ => return Err(Error::UnknownClass { key: scope.key("type"), class }),
    };
    Ok(Some(Predicate { negate: transform.flag("negate", false), kind }))
}

/// Java's `$1` in the notation of this crate's engine, where `$1a` would be a group named `1a`.
fn replacement(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('$') => out.push_str("$$"),
                Some(other) => out.push(other),
                None => {}
            },
            '$' if characters.peek() == Some(&'{') => out.push('$'),
            '$' => {
                let mut group = String::new();
                while let Some(digit) = characters.next_if(char::is_ascii_digit) {
                    group.push(digit);
                }
                out.push_str(&format!("${{{group}}}"));
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_added_fields() {
        let fields = added("table, source.ts_ms:when,transaction.id", "__");
        let names: Vec<&str> = fields.iter().map(|field| field.target.as_str()).collect();
        assert_eq!(names, ["__table", "__when", "__transaction_id"]);
        assert_eq!(replacement("flat-$2a"), "flat-${2}a");
    }
}
