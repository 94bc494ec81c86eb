//! Lists of regular expressions: anchored, case-insensitive, split at commas.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use walhouse_change::TableName;

use crate::error::{Error, Result};

/// Patterns of which one must match the whole text, in any case.
#[derive(Clone, Debug, Default)]
pub struct Patterns(Vec<Regex>);

impl Patterns {
    /// Splits at commas (`\,` is a comma of the pattern) and compiles.
    ///
    /// # Errors
    /// One of them is no regular expression; `key` names the option.
    pub fn parse(key: &str, text: &str) -> Result<Self> {
        split(text, ',').iter().map(|pattern| anchored(key, pattern)).collect::<Result<Vec<_>>>().map(Self)
    }

    /// Whether one of them matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.iter().any(|pattern| pattern.is_match(text))
    }

    /// Which of them is the first to match.
    #[must_use]
    pub fn place(&self, text: &str) -> Option<usize> {
        self.0.iter().position(|pattern| pattern.is_match(text))
    }
}

/// Parts between separators that are not escaped, trimmed; empty parts are left out.
pub(crate) fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == separator {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            let escaped = character == '\\' && characters.peek() == Some(&separator);
            part.push(if escaped { characters.next().unwrap_or(separator) } else { character });
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// A pattern that must match all of a text, in any case.
pub(crate) fn anchored(key: &str, pattern: &str) -> Result<Regex> {
    compile(key, &format!("^(?:{pattern})$"), true)
}

pub(crate) fn compile(key: &str, pattern: &str, any_case: bool) -> Result<Regex> {
    RegexBuilder::new(pattern).case_insensitive(any_case).build().map_err(|_| Error::Option {
        key: key.to_owned(),
        problem: "A comma-separated list of valid regular expressions is expected".to_owned(),
    })
}

/// An include or an exclude list; neither takes everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    include: Option<Patterns>,
    exclude: Option<Patterns>,
}

impl Filter {
    /// Reads `<stem>.include.list` and `<stem>.exclude.list`.
    pub(crate) fn parse(config: &BTreeMap<String, String>, stem: &str) -> Result<Self> {
        let list = |kind: &str| {
            let key = format!("{stem}.{kind}.list");
            match config.get(&key).filter(|text| !text.trim().is_empty()) {
                Some(text) => Patterns::parse(&key, text).map(Some),
                None => Ok(None),
            }
        };
        let filter = Self { include: list("include")?, exclude: list("exclude")? };
        if filter.include.is_some() && filter.exclude.is_some() {
            return Err(Error::Option {
                key: format!("{stem}.exclude.list"),
                problem: format!("\"{stem}.include.list\" is already specified"),
            });
        }
        Ok(filter)
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        match (&self.include, &self.exclude) {
            (Some(include), _) => include.matches(text),
            (None, Some(exclude)) => !exclude.matches(text),
            (None, None) => true,
        }
    }
}

/// Which tables are taken.
#[derive(Debug)]
pub(crate) struct TableFilter {
    schemas: Filter,
    tables: Filter,
    signals: Option<String>,
}

impl TableFilter {
    pub(crate) fn parse(config: &BTreeMap<String, String>) -> Result<Self> {
        Ok(Self {
            schemas: Filter::parse(config, "schema")?,
            tables: Filter::parse(config, "table")?,
            signals: config.get("signal.data.collection").cloned(),
        })
    }

    pub(crate) fn matches(&self, table: &TableName) -> bool {
        let name = table.to_string();
        if self.signals.as_deref() == Some(name.as_str()) {
            return true;
        }
        let system = matches!(table.schema.as_str(), "pg_catalog" | "information_schema");
        !system && self.schemas.matches(&table.schema) && self.tables.matches(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_anchors() {
        assert_eq!(split(r"a\,b, c ,,", ','), ["a,b", "c"]);
        let patterns = Patterns::parse("x", "public.a.*,s.b").unwrap();
        assert!(patterns.matches("PUBLIC.abc"));
        assert!(!patterns.matches("s.bb"));
    }
}
