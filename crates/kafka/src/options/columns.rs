//! Options that name columns: lists, keys, masks, propagated source types.

use std::collections::BTreeMap;

use regex::Regex;
use walhouse_change::TableName;

use super::lists::{self, Filter, Patterns};
use crate::error::{Error, Result};
use crate::java::digest;

/// What is done to a text column's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mask {
    /// Replaced by this many asterisks, nulls too.
    Asterisks(usize),
    /// Replaced by a digest; `java` hashes Java's serialised form (version 1 of the option).
    Hash { algorithm: String, salt: String, java: bool },
    /// Cut to so many UTF-16 units.
    Truncate(usize),
}

impl Mask {
    /// The masked text.
    pub(crate) fn apply(&self, text: &str) -> String {
        match self {
            Self::Asterisks(count) => "*".repeat(*count),
            Self::Truncate(limit) => {
                let mut units = 0;
                let within = |character: &char| {
                    units += character.len_utf16();
                    units <= *limit
                };
                text.chars().take_while(within).collect()
            }
            Self::Hash { algorithm, salt, java } => {
                let mut data = salt.as_bytes().to_vec();
                if *java {
                    data.extend_from_slice(&[0xac, 0xed, 0x00, 0x05, 0x74]);
                    data.extend_from_slice(&(text.len() as u16).to_be_bytes());
                }
                data.extend_from_slice(text.as_bytes());
                digest::hex_digest(algorithm, &data).unwrap_or_default()
            }
        }
    }
}

/// Options by column.
#[derive(Debug)]
pub(crate) struct Columns {
    filter: Filter,
    keys: Vec<(Regex, Vec<String>)>,
    masks: Vec<(Patterns, Mask)>,
    propagated: Patterns,
    propagated_types: Patterns,
}

impl Columns {
    pub(crate) fn parse(config: &BTreeMap<String, String>) -> Result<Self> {
        let patterns = |key: &str| match config.get(key) {
            Some(text) => Patterns::parse(key, text),
            None => Ok(Patterns::default()),
        };
        let mut masks = Vec::new();
        for (key, value) in config {
            if let Some(mask) = mask(key)? {
                masks.push((Patterns::parse(key, value)?, mask));
            }
        }
        Ok(Self {
            filter: Filter::parse(config, "column")?,
            keys: keys(config.get("message.key.columns").map_or("", String::as_str))?,
            masks,
            propagated: patterns("column.propagate.source.type")?,
            propagated_types: patterns("datatype.propagate.source.type")?,
        })
    }

    pub(crate) fn takes(&self, table: &TableName, column: &str) -> bool {
        self.filter.matches(&format!("{table}.{column}"))
    }

    /// Columns that replace the table's own key.
    pub(crate) fn key(&self, table: &TableName) -> Option<&[String]> {
        let name = table.to_string();
        self.keys.iter().find(|(pattern, _)| pattern.is_match(&name)).map(|(_, columns)| columns.as_slice())
    }

    pub(crate) fn mask(&self, table: &TableName, column: &str) -> Option<&Mask> {
        let name = format!("{table}.{column}");
        self.masks.iter().find(|(patterns, _)| patterns.matches(&name)).map(|(_, mask)| mask)
    }

    /// Whether the column's source type goes into its schema.
    pub(crate) fn propagates(&self, table: &TableName, column: &str, type_name: &str) -> bool {
        self.propagated.matches(&format!("{table}.{column}"))
            || self.propagated_types.matches(type_name)
            || self.propagated_types.matches(&format!("{table}.{type_name}"))
    }
}

/// The mask that an option's name spells, if it is one.
fn mask(key: &str) -> Result<Option<Mask>> {
    let count = |text: &str| {
        text.parse::<usize>().map_err(|_| Error::Option {
            key: key.to_owned(),
            problem: "a number of characters is expected".to_owned(),
        })
    };
    if let Some(number) = key.strip_prefix("column.truncate.to.").and_then(|rest| rest.strip_suffix(".chars")) {
        return count(number).map(|number| Some(Mask::Truncate(number)));
    }
    if let Some(number) = key.strip_prefix("column.mask.with.").and_then(|rest| rest.strip_suffix(".chars")) {
        return count(number).map(|number| Some(Mask::Asterisks(number)));
    }
    let (rest, java) = match key.strip_prefix("column.mask.hash.v2.") {
        Some(rest) => (rest, false),
        None => match key.strip_prefix("column.mask.hash.") {
            Some(rest) => (rest, true),
            None => return Ok(None),
        },
    };
    let Some((algorithm, salt)) = rest.split_once(".with.salt.") else { return Ok(None) };
    if digest::hex_digest(algorithm, b"").is_none() {
        return Err(Error::Option { key: key.to_owned(), problem: format!("no hash algorithm {algorithm}") });
    }
    Ok(Some(Mask::Hash { algorithm: algorithm.to_owned(), salt: salt.to_owned(), java }))
}

/// `schema.table:a,b;other:c`.
fn keys(text: &str) -> Result<Vec<(Regex, Vec<String>)>> {
    let key = "message.key.columns";
    let mut keys = Vec::new();
    for entry in lists::split(text, ';') {
        let Some((table, columns)) = entry.rsplit_once(':') else {
            return Err(Error::Option {
                key: key.to_owned(),
                problem: format!("{entry} has an invalid format (expecting '^\\s*([^\\s:]+):([^:\\s]+)\\s*$')"),
            });
        };
        keys.push((lists::anchored(key, table.trim())?, lists::split(columns, ',')));
    }
    Ok(keys)
}
