//! The catalog between its two recordings: the scenario's DDL applied to what it was at the start.
//!
//! The connector reads the catalog when a Relation message arrives, which is at the first change of
//! a table after its DDL. So a table has one version per such change.

use walhouse_kafka::{ColumnFacts, TableFacts};

/// One table through the scenario.
pub(crate) struct Lineage {
    name: String,
    facts: TableFacts,
    /// Changed since the last version.
    dirty: bool,
    versions: Vec<(String, TableFacts)>,
}

impl Lineage {
    pub(crate) fn new(name: &str, facts: TableFacts) -> Self {
        Self { name: name.to_owned(), versions: vec![(name.to_owned(), facts.clone())], facts, dirty: false }
    }

    /// The version that a Relation message of this name and these columns belongs to: the first
    /// one after `seen` that fits, or `seen` itself.
    pub(crate) fn version(&self, seen: Option<usize>, name: &str, columns: &[String]) -> Option<usize> {
        let fits = |index: &usize| {
            let (known, facts) = &self.versions[*index];
            known == name && columns.iter().all(|column| facts.columns.iter().any(|known| known.name == *column))
        };
        (seen.map_or(0, |seen| seen + 1)..self.versions.len()).find(fits).or_else(|| seen.filter(fits))
    }

    pub(crate) fn facts(&self, version: usize) -> TableFacts {
        self.versions[version].1.clone()
    }

    fn settle(&mut self) {
        if std::mem::take(&mut self.dirty) {
            self.versions.push((self.name.clone(), self.facts.clone()));
        }
    }
}

/// Runs the statements of `sql` over `tables`. `end` gives a column's default as the catalog had it
/// at the end, to be taken where it is what a statement sets.
pub(crate) fn run(sql: &str, tables: &mut [Lineage], end: impl Fn(&str, &str) -> Option<String>) {
    let mut changed = false;
    for statement in statements(sql) {
        let words = words(&statement);
        let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
        let at = |index: usize| lower.get(index).map_or("", String::as_str);
        match (at(0), at(1)) {
            ("alter", "table") => {
                let skip = if at(2) == "only" { 3 } else { 2 };
                let Some(table) = words.get(skip).map(|name| unquoted(name)) else { continue };
                let Some(lineage) = tables.iter_mut().find(|lineage| lineage.name == table) else { continue };
                for action in words[skip + 1..].split(|word| word == ",") {
                    apply(lineage, action, &end);
                }
                lineage.dirty = true;
                changed = true;
            }
            ("insert", "into") | ("delete", "from") | ("update", _) => {
                let position = if at(0) == "update" { 1 } else { 2 };
                let table = words.get(position).map(|name| unquoted(name)).unwrap_or_default();
                tables.iter_mut().filter(|lineage| lineage.name == table).for_each(Lineage::settle);
            }
            ("begin", _) => changed = false,
            // What a transaction changed is announced once more after it.
            ("commit", _) if changed => {
                for lineage in tables.iter_mut().filter(|lineage| lineage.versions.len() > 1) {
                    lineage.dirty = true;
                }
            }
            _ => {}
        }
    }
}

fn apply(lineage: &mut Lineage, action: &[String], end: &impl Fn(&str, &str) -> Option<String>) {
    let lower: Vec<String> = action.iter().map(|word| word.to_lowercase()).collect();
    let words: Vec<&str> = lower.iter().map(String::as_str).collect();
    let name = |index: usize| action.get(index).map(|name| unquoted(name)).unwrap_or_default();
    let table = lineage.name.clone();
    let default = |column: &str, start: usize| {
        let stop = words.iter().skip(start).position(|word| *word == "not").map_or(action.len(), |at| start + at);
        let text = action[start.min(stop)..stop].join(" ").replace(" (", "(").replace("( ", "(").replace(" )", ")");
        Some(end(&table, column).filter(|known| known.starts_with(&text)).unwrap_or(text))
    };
    let facts = &mut lineage.facts;
    match words.as_slice() {
        ["rename", "to", _] => lineage.name = name(2),
        ["rename", "column", _, "to", _] => rename(facts, &name(2), &name(4)),
        ["rename", _, "to", _] => rename(facts, &name(1), &name(3)),
        ["add", "primary", "key", ..] => primary_key(facts, &action[3..]),
        ["add", "constraint", _, "primary", "key", ..] => primary_key(facts, &action[5..]),
        ["add", "constraint" | "unique" | "check" | "foreign", ..] => {}
        ["add", rest @ ..] => {
            let position = if rest.first() == Some(&"column") { 2 } else { 1 };
            let column = name(position);
            let start = words.iter().position(|word| *word == "default");
            let not_null = words.windows(2).any(|pair| pair == ["not", "null"]);
            let default = start.and_then(|start| default(&column, start + 1));
            facts.columns.push(ColumnFacts { name: column, not_null, default });
        }
        ["drop", "constraint", constraint, ..] if constraint.contains("pkey") => facts.primary_key.clear(),
        ["drop", "column", ..] => facts.columns.retain(|column| column.name != name(2)),
        ["alter", rest @ ..] => {
            let position = if rest.first() == Some(&"column") { 2 } else { 1 };
            let column_name = name(position);
            let Some(column) = facts.columns.iter_mut().find(|column| column.name == column_name) else { return };
            match &words[position + 1..] {
                ["set", "default", ..] => column.default = default(&column_name, position + 3),
                ["drop", "default"] => column.default = None,
                ["set", "not", "null"] => column.not_null = true,
                ["drop", "not", "null"] => column.not_null = false,
                _ => {}
            }
        }
        _ => {}
    }
}

fn rename(facts: &mut TableFacts, from: &str, to: &str) {
    let columns = facts.columns.iter_mut().map(|column| &mut column.name);
    for name in columns.chain(&mut facts.primary_key).filter(|name| *name == from) {
        *name = to.to_owned();
    }
}

/// `( a , b )`.
fn primary_key(facts: &mut TableFacts, words: &[String]) {
    let names = words.iter().filter(|word| !matches!(word.as_str(), "(" | ")" | ","));
    facts.primary_key = names.map(|name| unquoted(name)).collect();
    for column in &mut facts.columns {
        column.not_null |= facts.primary_key.contains(&column.name);
    }
}

/// The last part of a name, without quotes.
fn unquoted(name: &str) -> String {
    let last = if name.ends_with('"') { name } else { name.rsplit('.').next().unwrap_or(name) };
    let last = last.rsplit("\".\"").next().unwrap_or(last);
    last.trim_matches('"').to_owned()
}

fn statements(sql: &str) -> Vec<String> {
    let lines: Vec<&str> = sql.lines().filter(|line| !line.starts_with("--")).collect();
    let mut statements = vec![String::new()];
    let mut quote = None;
    for character in lines.join("\n").chars() {
        match quote {
            Some(open) if open == character => quote = None,
            None if matches!(character, '\'' | '"') => quote = Some(character),
            None if character == ';' => {
                statements.push(String::new());
                continue;
            }
            _ => {}
        }
        statements.last_mut().unwrap().push(character);
    }
    statements
}

/// Words, quoted texts, and commas outside of brackets as words of their own; what is in brackets
/// behind a word belongs to it, except a list of columns.
fn words(statement: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut depth = 0;
    for character in statement.trim().chars() {
        let last = words.last_mut().unwrap();
        if let Some(open) = quote {
            last.push(character);
            if character == open {
                quote = None;
            }
            continue;
        }
        match character {
            '\'' | '"' => {
                quote = Some(character);
                last.push(character);
            }
            '(' if last.is_empty() || depth > 0 => {
                depth += 1;
                words.extend(["(".to_owned(), String::new()]);
            }
            '(' => {
                depth += 1;
                last.push(character);
            }
            ')' => {
                depth -= 1;
                if last.contains('(') {
                    last.push(character);
                } else {
                    words.extend([")".to_owned(), String::new()]);
                }
            }
            ',' if depth == 0 => words.extend([",".to_owned(), String::new()]),
            ',' => words.push(String::new()),
            character if character.is_whitespace() => words.push(String::new()),
            other => last.push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
