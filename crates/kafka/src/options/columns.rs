//! Options that name columns: lists, keys, masks, propagated source types.

use std::collections::BTreeMap;

use regex::Regex;
use walhouse_change::TableName;

use super::lists::{self, Filter, Patterns};
use crate::error::{Error, Result};
use crate::java::digest;

/// What is done to a column's texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mask {
    /// Replaced by this many asterisks, nulls too.
    Asterisks(usize),
    /// Replaced by a digest, of which so many characters are kept as the column is long; `java` hashes Java's
    /// serialised form (version 1 of the option).
    Hash { algorithm: String, salt: String, java: bool, limit: usize },
    /// Cut to so many UTF-16 units.
    Truncate(usize),
}

impl Mask {
    /// Its place among the masks that match a column.
    fn rank(&self) -> u8 {
        match self {
            Self::Truncate(_) => 0,
            Self::Asterisks(_) => 1,
            Self::Hash { .. } => 2,
        }
    }

    /// The mask of a column of this length.
    pub(crate) fn within(mut self, length: usize) -> Self {
        if let Self::Hash { limit, .. } = &mut self {
            *limit = length;
        }
        self
    }

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
            Self::Hash { algorithm, salt, java, limit } => {
                let mut data = salt.as_bytes().to_vec();
                if *java {
                    data.extend_from_slice(&[0xac, 0xed, 0x00, 0x05, 0x74]);
                    data.extend_from_slice(&(text.len() as u16).to_be_bytes());
                }
                data.extend_from_slice(text.as_bytes());
                let mut digest = digest::hex_digest(algorithm, &data).unwrap_or_default();
                digest.truncate(*limit);
                digest
            }
        }
    }
}

/// Options by column.
#[derive(Debug)]
pub(crate) struct Columns {
    filter: Filter,
    /// `schema.table.column` of columns that make up keys.
    keys: Vec<Regex>,
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
        // The first that matches counts; Debezium asks them in this order.
        masks.sort_by_key(|(_, mask)| mask.rank());
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

    /// Those of a table's columns that replace its own key, in their order. None where no column is named: then the
    /// table has its own.
    pub(crate) fn key<'a>(&self, table: &TableName, columns: impl Iterator<Item = &'a str>) -> Option<Vec<String>> {
        let named = |column: &&str| {
            let name = format!("{table}.{column}");
            self.keys.iter().any(|pattern| pattern.is_match(&name))
        };
        let key: Vec<String> = columns.filter(named).map(str::to_owned).collect();
        (!key.is_empty()).then_some(key)
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
    Ok(Some(Mask::Hash { algorithm: algorithm.to_owned(), salt: salt.to_owned(), java, limit: usize::MAX }))
}

/// `schema.table:a,b;other:c`; tables and columns are patterns.
fn keys(text: &str) -> Result<Vec<Regex>> {
    let key = "message.key.columns";
    let mut keys = Vec::new();
    for entry in lists::split(text, ';') {
        let Some((table, columns)) = entry.rsplit_once(':') else {
            return Err(Error::Option {
                key: key.to_owned(),
                problem: format!("{entry} has an invalid format (expecting '^\\s*([^\\s:]+):([^:\\s]+)\\s*$')"),
            });
        };
        for column in lists::split(columns, ',') {
            keys.push(lists::anchored(key, &format!("{}.{column}", table.trim()))?);
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_the_columns_that_are_there() {
        let options = [("message.key.columns".to_owned(), "public.t.:a,B;.*.t2:id".to_owned())];
        let columns = Columns::parse(&options.into()).unwrap();
        let key = |table: &str, names: &[&str]| columns.key(&TableName::new("public", table), names.iter().copied());
        assert_eq!(key("t1", &["b", "c", "a"]).unwrap(), ["b", "a"], "in the table's order");
        assert_eq!(key("t2", &["id", "a"]).unwrap(), ["id", "a"], "every entry counts");
        assert_eq!(key("t1", &["renamed"]), None, "a column that is gone leaves the table its own key");
        assert_eq!(key("u", &["a"]), None);
    }
}
