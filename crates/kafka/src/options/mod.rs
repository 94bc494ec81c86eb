//! A connector's configuration as Debezium 2.4.2 and Connect 3.5.1 read it.
//!
//! Values are text, as Connect hands them over. Unknown options are accepted; an option that
//! Debezium knows and this crate does not act on is a warning that names it.

mod columns;
mod lists;
mod transforms;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use columns::{Columns, Mask};
pub use lists::Patterns;
pub(crate) use transforms::{
    AddedField, DeleteMode, LogicalTable, Predicate, PredicateKind, Transform, TransformKind, Unwrap,
};

use crate::convert::Converter;
use crate::error::{Error, Result};

/// How decimals are represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecimalMode {
    Precise,
    Double,
    Text,
}

/// How dates and times are represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeMode {
    Adaptive,
    AdaptiveMicros,
    Connect,
}

/// How binary values are represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryMode {
    Bytes,
    Base64,
    Base64UrlSafe,
    Hex,
}

/// How names are made acceptable to a schema registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adjustment {
    None,
    Avro,
    AvroUnicode,
}

/// Everything that decides a column's schema and its values.
#[derive(Clone, Debug)]
pub(crate) struct TypeOptions {
    pub(crate) decimal: DecimalMode,
    pub(crate) time: TimeMode,
    pub(crate) interval_text: bool,
    pub(crate) hstore_map: bool,
    pub(crate) binary: BinaryMode,
    pub(crate) money_scale: i32,
    pub(crate) unknown: bool,
    pub(crate) placeholder: Vec<u8>,
    pub(crate) oddities: bool,
    /// The values are a snapshot's: 2.4.2 reads those through JDBC.
    pub(crate) snapshot: bool,
}

/// A connector's options.
#[derive(Debug)]
pub struct Options {
    pub(crate) prefix: String,
    pub(crate) database: String,
    pub(crate) delimiter: String,
    pub(crate) types: TypeOptions,
    pub(crate) tombstones: bool,
    pub(crate) tables: lists::TableFilter,
    pub(crate) columns: Columns,
    pub(crate) skipped: BTreeSet<u8>,
    pub(crate) skip_unchanged: bool,
    pub(crate) schema_names: Adjustment,
    pub(crate) field_names: Adjustment,
    pub(crate) transaction_metadata: bool,
    pub(crate) transaction_topic: String,
    pub(crate) heartbeat_topic: String,
    pub(crate) messages: lists::Filter,
    pub(crate) transforms: Vec<Transform>,
    pub(crate) key: Converter,
    pub(crate) value: Converter,
    pub(crate) header: Converter,
    pub(crate) oddities: bool,
    heartbeat_interval: u64,
    warnings: Vec<String>,
}

/// Options that Debezium knows, that would change messages, and that nothing here acts on.
const NOT_IMPLEMENTED: [&str; 7] = [
    "converters",
    "post.processors",
    "sourceinfo.struct.maker",
    "topic.naming.strategy",
    "xmin.fetch.interval.ms",
    "notification.enabled.channels",
    "custom.sanitize.pattern",
];

/// Values of those options that ask for nothing beyond what is done anyway.
const HARMLESS: [&str; 5] = [
    "",
    "0",
    "io.debezium.schema.SchemaTopicNamingStrategy",
    "io.debezium.connector.postgresql.PostgresSourceInfoStructMaker",
    "log",
];

impl Options {
    /// Reads `config`; converters that it does not set are `worker`'s.
    ///
    /// # Errors
    /// A value that Connect would refuse too.
    pub fn parse(config: &BTreeMap<String, String>, worker: &BTreeMap<String, String>) -> Result<Self> {
        let read = Reader(config);
        let prefix = read.text("topic.prefix", "");
        if prefix.trim().is_empty() {
            return Err(read.invalid("topic.prefix", "A value is required"));
        }
        let oddities = read.flag("walhouse.oddities", false)?;
        let mut warnings = Vec::new();
        for key in NOT_IMPLEMENTED {
            if config.get(key).is_some_and(|value| !HARMLESS.contains(&value.trim())) {
                warnings.push(format!("option {key} is known and not implemented: it has no effect"));
            }
        }
        let transforms = transforms::parse(config, &mut warnings)?;
        Ok(Self {
            database: read.text("database.dbname", ""),
            delimiter: read.text("topic.delimiter", "."),
            types: read.types(oddities)?,
            tombstones: read.flag("tombstones.on.delete", true)?,
            tables: lists::TableFilter::parse(config)?,
            columns: Columns::parse(config)?,
            skipped: read.skipped()?,
            skip_unchanged: read.flag("skip.messages.without.change", false)?,
            schema_names: read.adjustment("schema.name.adjustment.mode")?,
            field_names: read.adjustment("field.name.adjustment.mode")?,
            transaction_metadata: read.flag("provide.transaction.metadata", false)?,
            transaction_topic: read.text("topic.transaction", "transaction"),
            heartbeat_topic: read.text("topic.heartbeat.prefix", "__debezium-heartbeat"),
            messages: lists::Filter::parse(config, "message.prefix")?,
            transforms,
            key: Converter::parse("key.converter", config, worker)?,
            value: Converter::parse("value.converter", config, worker)?,
            header: Converter::parse("header.converter", config, worker)?,
            heartbeat_interval: read.number("heartbeat.interval.ms", 0)?,
            oddities,
            warnings,
            prefix,
        })
    }

    /// One line per option that is known and has no effect here.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Milliseconds between heartbeats, 0 for none.
    #[must_use]
    pub fn heartbeat_interval(&self) -> u64 {
        self.heartbeat_interval
    }

    /// Whether records tell where transactions begin and end.
    #[must_use]
    pub fn transaction_metadata(&self) -> bool {
        self.transaction_metadata
    }

    /// `topic.prefix`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Those of a table's columns that `message.key.columns` makes its key; none leaves the table its own.
    #[must_use]
    pub fn key_columns<'a>(
        &self,
        table: &walhouse_change::TableName,
        columns: impl Iterator<Item = &'a str>,
    ) -> Option<Vec<String>> {
        self.columns.key(table, columns)
    }

    /// Whether the connector takes this table's changes.
    #[must_use]
    pub fn captures(&self, table: &walhouse_change::TableName) -> bool {
        self.tables.matches(table)
    }
}

/// Typed access to a configuration.
struct Reader<'a>(&'a BTreeMap<String, String>);

impl Reader<'_> {
    fn text(&self, key: &str, default: &str) -> String {
        self.0.get(key).map_or(default, String::as_str).to_owned()
    }

    fn invalid(&self, key: &str, problem: &str) -> Error {
        Error::Option { key: key.to_owned(), problem: problem.to_owned() }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.0.get(key).map(|value| value.trim().to_ascii_lowercase()).as_deref() {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(self.invalid(key, "Expected value to be either true or false")),
        }
    }

    fn number(&self, key: &str, default: u64) -> Result<u64> {
        match self.0.get(key) {
            None => Ok(default),
            Some(value) => value.trim().parse().map_err(|_| self.invalid(key, "A long value is expected")),
        }
    }

    /// The choice that `key` names, or `default`.
    fn choice<T: Copy>(&self, key: &str, default: T, choices: &[(&str, T)]) -> Result<T> {
        let Some(value) = self.0.get(key) else { return Ok(default) };
        let value = value.trim();
        let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.invalid(key, &format!("Value must be one of {}", names.join(", ")))
        })
    }

    fn adjustment(&self, key: &str) -> Result<Adjustment> {
        let choices =
            [("none", Adjustment::None), ("avro", Adjustment::Avro), ("avro_unicode", Adjustment::AvroUnicode)];
        self.choice(key, Adjustment::None, &choices)
    }

    fn types(&self, oddities: bool) -> Result<TypeOptions> {
        let decimals =
            [("precise", DecimalMode::Precise), ("double", DecimalMode::Double), ("string", DecimalMode::Text)];
        let times = [
            ("adaptive", TimeMode::Adaptive),
            ("adaptive_time_microseconds", TimeMode::AdaptiveMicros),
            ("connect", TimeMode::Connect),
        ];
        let binaries = [
            ("bytes", BinaryMode::Bytes),
            ("base64", BinaryMode::Base64),
            ("base64-url-safe", BinaryMode::Base64UrlSafe),
            ("hex", BinaryMode::Hex),
        ];
        let placeholder = self.text("unavailable.value.placeholder", "__debezium_unavailable_value");
        Ok(TypeOptions {
            decimal: self.choice("decimal.handling.mode", DecimalMode::Precise, &decimals)?,
            time: self.choice("time.precision.mode", TimeMode::Adaptive, &times)?,
            interval_text: self.choice("interval.handling.mode", false, &[("numeric", false), ("string", true)])?,
            hstore_map: self.choice("hstore.handling.mode", false, &[("json", false), ("map", true)])?,
            binary: self.choice("binary.handling.mode", BinaryMode::Bytes, &binaries)?,
            money_scale: self.number("money.fraction.digits", 2)?.min(18) as i32,
            unknown: self.flag("include.unknown.datatypes", false)?,
            placeholder: placeholder_bytes(&placeholder),
            oddities,
            snapshot: false,
        })
    }

    fn skipped(&self) -> Result<BTreeSet<u8>> {
        let text = self.text("skipped.operations", "t");
        let mut skipped = BTreeSet::new();
        for operation in text.split(',').map(|part| part.trim().to_ascii_lowercase()) {
            match operation.as_str() {
                "none" => return Ok(BTreeSet::new()),
                "c" | "r" | "u" | "d" | "t" => skipped.extend(operation.bytes()),
                _ => return Err(self.invalid("skipped.operations", "Value must be one of c, u, d, t, none")),
            }
        }
        Ok(skipped)
    }
}

/// `hex:` in front gives bytes, anything else stands for itself.
fn placeholder_bytes(text: &str) -> Vec<u8> {
    let Some(digits) = text.strip_prefix("hex:") else { return text.as_bytes().to_vec() };
    let nibbles: Vec<u8> = digits.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    nibbles.chunks(2).map(|pair| pair.iter().fold(0, |byte, nibble| byte << 4 | nibble)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Options> {
        let pairs = pairs.iter().chain(&[("topic.prefix", "p")]);
        let config = pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Options::parse(&config, &BTreeMap::new())
    }

    #[test]
    fn choices_are_trimmed_and_in_any_case() {
        let options = parse(&[("decimal.handling.mode", " String "), ("skipped.operations", "none")]).unwrap();
        assert_eq!(options.types.decimal, DecimalMode::Text);
        assert!(options.skipped.is_empty());
        let error = parse(&[("decimal.handling.mode", "exact")]).unwrap_err().to_string();
        assert!(error.ends_with("value is invalid: Value must be one of precise, double, string"), "{error}");
    }

    #[test]
    fn unknown_options_are_accepted_and_those_without_effect_are_named() {
        let options = parse(&[
            ("no.such.option", "x"),
            ("converters", "mine"),
            ("topic.naming.strategy", "io.debezium.schema.SchemaTopicNamingStrategy"),
            ("transforms", "t"),
            ("transforms.t.type", "org.apache.kafka.connect.transforms.ReplaceField$Value"),
        ])
        .unwrap();
        let named: Vec<bool> = ["converters", "ReplaceField"]
            .iter()
            .map(|name| options.warnings().iter().any(|warning| warning.contains(name)))
            .collect();
        assert_eq!((options.warnings().len(), named), (2, vec![true, true]));
    }

    #[test]
    fn classes_that_are_not_there_are_refused() {
        for key in ["value.converter", "key.converter", "header.converter"] {
            assert!(matches!(parse(&[(key, "com.example.Mine")]), Err(Error::UnknownClass { .. })));
        }
        let class = [("transforms", "t"), ("transforms.t.type", "com.example.Mine")];
        assert!(matches!(parse(&class), Err(Error::UnknownClass { .. })));
        let both = [("table.include.list", "a"), ("table.exclude.list", "b")];
        assert!(matches!(parse(&both), Err(Error::Option { .. })));
        assert!(matches!(Options::parse(&BTreeMap::new(), &BTreeMap::new()), Err(Error::Option { .. })));
    }
}
