//! Incremental snapshots: tables are read in chunks beside the stream, each chunk between two signals that the task
//! itself writes into the signal table. What the stream says of a row between the two is newer than what was read.

use std::collections::VecDeque;
use std::sync::Arc;

use walhouse_change::{ChangeBatch, Lsn, TableSchema, Transaction};
use walhouse_kafka::{Collection, Encoder, Incremental as Stored, KeyPart, Patterns, Record};
use walhouse_postgres::{CatalogTable, Session, identifier, literal};
use walhouse_value::Class;

use super::failure::TaskFailure;
use super::signal::Request;
use super::tables;

/// The table under way.
struct Current {
    schema: Arc<TableSchema>,
    columns: String,
    /// Indexes and quoted names of the columns that order it.
    keys: Vec<(usize, String)>,
}

/// What a step needs of the task.
pub(super) struct Means<'a> {
    pub(super) session: &'a mut Session,
    pub(super) encoder: &'a mut Encoder,
    /// `schema.table` of the signal table.
    pub(super) signals: &'a str,
    pub(super) chunk_size: usize,
}

/// The incremental snapshot under way, if one is.
#[derive(Default)]
pub(super) struct Incremental {
    collections: VecDeque<Collection>,
    current: Option<Current>,
    /// Key of the last row that was read.
    position: Option<Vec<KeyPart>>,
    /// Key of the last row that was sent.
    sent: Option<Vec<KeyPart>>,
    maximum: Option<Vec<KeyPart>>,
    /// Id of the chunk under way.
    chunk: Option<String>,
    paused: bool,
    correlation: Option<String>,
}

impl Incremental {
    /// Goes on with what an offset says.
    pub(super) fn resume(stored: Stored) -> Self {
        Self {
            collections: stored.collections.into(),
            position: stored.sent.clone(),
            sent: stored.sent,
            maximum: stored.maximum,
            correlation: stored.correlation,
            ..Self::default()
        }
    }

    /// Whether tables are left.
    pub(super) fn is_running(&self) -> bool {
        !self.collections.is_empty()
    }

    /// What an offset says of it.
    pub(super) fn stored(&self) -> Option<Stored> {
        self.is_running().then(|| Stored {
            sent: self.sent.clone(),
            maximum: self.maximum.clone(),
            collections: self.collections.iter().cloned().collect(),
            correlation: self.correlation.clone(),
        })
    }

    /// Adds tables, and begins if nothing was under way.
    pub(super) fn add(&mut self, id: &str, request: &Request, means: &mut Means<'_>) -> Result<(), TaskFailure> {
        let begins = !self.is_running();
        for name in expanded(&request.collections, means)? {
            let condition = request.conditions.iter().find(|(pattern, _)| {
                Patterns::parse("additional-conditions", pattern).is_ok_and(|pattern| pattern.matches(&name))
            });
            self.collections.push_back(Collection {
                id: name,
                condition: condition.map(|(_, condition)| condition.clone()),
                surrogate_key: request.surrogate_key.clone(),
            });
        }
        self.correlation = Some(id.to_owned());
        if begins { self.read_chunk(means) } else { Ok(()) }
    }

    /// Gives up tables; all of them where none is named.
    pub(super) fn stop(&mut self, collections: &[String], means: &mut Means<'_>) -> Result<(), TaskFailure> {
        if !self.is_running() {
            tracing::warn!("no incremental snapshot to stop");
            return Ok(());
        }
        if collections.is_empty() {
            self.collections.clear();
            self.correlation = None;
            self.forget_table(means);
            return Ok(());
        }
        let names = expanded(collections, means)?;
        let current = self.collections.front().map(|collection| collection.id.clone());
        self.collections.retain(|collection| !names.contains(&collection.id));
        if current.is_some_and(|current| names.contains(&current)) {
            // The chunk's second signal is on its way, and begins the next table.
            self.forget_table(means);
        }
        Ok(())
    }

    pub(super) fn pause(&mut self) {
        self.paused |= self.is_running();
    }

    pub(super) fn unpause(&mut self, means: &mut Means<'_>) -> Result<(), TaskFailure> {
        if std::mem::take(&mut self.paused) { self.read_chunk(means) } else { Ok(()) }
    }

    fn expects(&self, id: &str) -> bool {
        self.chunk.as_ref().is_some_and(|chunk| id.starts_with(chunk))
    }

    /// The stream shows the chunk's first signal.
    pub(super) fn opened(&self, id: &str, encoder: &mut Encoder) {
        if self.expects(id) {
            encoder.window_open();
        }
    }

    /// The stream shows the chunk's second signal: what is left of the chunk is sent, and the next one is read.
    pub(super) fn closed(&mut self, id: &str, means: &mut Means<'_>, out: &mut Vec<Record>) -> Result<(), TaskFailure> {
        if !self.expects(id) {
            return Ok(());
        }
        means.encoder.window_close(out)?;
        self.sent.clone_from(&self.position);
        self.read_chunk(means)
    }

    /// Reads the next chunk between two signals. Tables that cannot be read are left out.
    pub(super) fn read_chunk(&mut self, means: &mut Means<'_>) -> Result<(), TaskFailure> {
        if !self.is_running() || self.paused {
            return Ok(());
        }
        let chunk = uuid::Uuid::new_v4().to_string();
        self.chunk = Some(chunk.clone());
        signal(means, &chunk, "open")?;
        while let Some(collection) = self.collections.front().cloned() {
            if self.current.is_none() {
                self.current = current(&collection, means)?;
            }
            let is_there = self.current.is_some();
            let has_rows = is_there && (self.maximum.is_some() || self.find_maximum(&collection, means)?);
            let rows = if has_rows { self.read(&collection, means)? } else { Vec::new() };
            if !rows.is_empty() {
                means.encoder.window_fill(rows);
                break;
            }
            tracing::info!(table = collection.id, "the incremental snapshot of the table is over");
            self.next_table(means);
        }
        signal(means, &chunk, "close")
    }

    fn next_table(&mut self, means: &mut Means<'_>) {
        self.collections.pop_front();
        self.forget_table(means);
        if self.collections.is_empty() {
            self.correlation = None;
        }
    }

    fn forget_table(&mut self, means: &mut Means<'_>) {
        means.encoder.window_clear();
        (self.current, self.position, self.sent, self.maximum) = (None, None, None, None);
    }

    /// The largest key; false for an empty table.
    fn find_maximum(&mut self, collection: &Collection, means: &mut Means<'_>) -> Result<bool, TaskFailure> {
        let Some(current) = &self.current else { return Ok(false) };
        let order: Vec<String> = current.keys.iter().map(|(_, name)| format!("{name} DESC")).collect();
        let filter = collection.condition.as_ref().map_or_else(String::new, |it| format!(" WHERE ({it})"));
        let query = format!(
            "SELECT {} FROM {}{filter} ORDER BY {} LIMIT 1",
            current.columns,
            tables::quoted(&current.schema.name),
            order.join(", ")
        );
        let rows = rows(current, &query, means)?;
        self.maximum = last_key(current, &rows);
        Ok(self.maximum.is_some())
    }

    fn read(&mut self, collection: &Collection, means: &mut Means<'_>) -> Result<Vec<ChangeBatch>, TaskFailure> {
        let Some(current) = &self.current else { return Ok(Vec::new()) };
        let mut conditions = Vec::new();
        if let (Some(position), Some(maximum)) = (&self.position, &self.maximum) {
            conditions.push(format!("{} AND NOT {}", beyond(current, position), beyond(current, maximum)));
        }
        conditions.extend(collection.condition.as_ref().map(|condition| format!("({condition})")));
        let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        let order: Vec<&str> = current.keys.iter().map(|(_, name)| name.as_str()).collect();
        let query = format!(
            "SELECT {} FROM {}{filter} ORDER BY {} LIMIT {}",
            current.columns,
            tables::quoted(&current.schema.name),
            order.join(", "),
            means.chunk_size
        );
        let rows = rows(current, &query, means)?;
        if let Some(key) = last_key(current, &rows) {
            self.position = Some(key);
        }
        Ok(rows)
    }
}

/// The tables that names and patterns of names stand for, each once.
fn expanded(collections: &[String], means: &mut Means<'_>) -> Result<Vec<String>, TaskFailure> {
    let tables = means.session.tables(None)?;
    let mut known: Vec<String> = tables
        .iter()
        .filter(|table| means.encoder.options().captures(&table.name))
        .map(|table| table.name.to_string())
        .collect();
    known.sort();
    let mut names: Vec<String> = Vec::new();
    for collection in collections {
        let pattern = Patterns::parse("data-collections", &collection.replace(',', "\\,")).ok();
        let matching = known.iter().filter(|name| pattern.as_ref().is_some_and(|pattern| pattern.matches(name)));
        let mut found: Vec<String> = matching.cloned().collect();
        if found.is_empty() {
            found.push(collection.clone());
        }
        for name in found {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Ok(names)
}

/// The table as it is read; none if it is not there or has no key.
fn current(collection: &Collection, means: &mut Means<'_>) -> Result<Option<Current>, TaskFailure> {
    let found = means.session.tables(None)?;
    let captured = |table: &&CatalogTable| {
        table.name.to_string() == collection.id && means.encoder.options().captures(&table.name)
    };
    let Some(table) = found.iter().find(captured) else {
        tracing::warn!(table = collection.id, "no such table: it is left out of the incremental snapshot");
        return Ok(None);
    };
    let facts = tables::facts(table);
    let names: Vec<String> = match &collection.surrogate_key {
        Some(column) => vec![column.clone()],
        None => {
            let columns = facts.columns.iter().map(|column| column.name.as_str());
            means.encoder.options().key_columns(&table.name, columns).unwrap_or_else(|| facts.key().to_vec())
        }
    };
    let place = |name: &String| {
        let index = table.columns.iter().position(|column| column.name == *name)?;
        Some((index, identifier(name)))
    };
    let Some(keys) = names.iter().map(place).collect::<Option<Vec<_>>>().filter(|keys| !keys.is_empty()) else {
        tracing::warn!(table = collection.id, "the table has no key: it is left out of the incremental snapshot");
        return Ok(None);
    };
    means.encoder.set_table(facts);
    Ok(Some(Current { schema: tables::schema(table), columns: tables::columns(table), keys }))
}

fn rows(current: &Current, query: &str, means: &mut Means<'_>) -> Result<Vec<ChangeBatch>, TaskFailure> {
    let mut batches = Vec::new();
    let transaction = Transaction { xid: 0, commit_lsn: Lsn::ZERO, commit_time: 0 };
    let mut take = |batch: Option<ChangeBatch>| {
        batches.extend(batch);
        true
    };
    means.session.copy(&current.schema, query, transaction, &mut take)?;
    Ok(batches)
}

/// The key of the last row.
fn last_key(current: &Current, batches: &[ChangeBatch]) -> Option<Vec<KeyPart>> {
    let batch = batches.last()?;
    let walhouse_change::Change::Row(change) = batch.changes().last()? else { return None };
    let image = batch.row(change).new_image()?;
    let part = |(index, _): &(usize, String)| {
        let text = String::from_utf8_lossy(image.value(*index).bytes()).into_owned();
        if image.value(*index).is_null() {
            return KeyPart::Null;
        }
        let class = current.schema.columns.get(*index).map(|column| &column.ty.base().class);
        let number = match class {
            Some(Class::Int2 | Class::Int4) => text.parse().ok().map(KeyPart::Int),
            Some(Class::Int8) => text.parse().ok().map(KeyPart::Long),
            Some(Class::Uuid) => u128::from_str_radix(&text.replace('-', ""), 16).ok().map(KeyPart::Uuid),
            _ => None,
        };
        number.unwrap_or(KeyPart::Text(text))
    };
    Some(current.keys.iter().map(part).collect())
}

/// `(k1 > a) OR (k1 = a AND k2 > b)`
fn beyond(current: &Current, key: &[KeyPart]) -> String {
    let value = |part: &KeyPart| part.text().map_or_else(|| "NULL".to_owned(), |text| literal(&text));
    let pairs: Vec<(&str, String)> =
        current.keys.iter().zip(key).map(|((_, name), part)| (name.as_str(), value(part))).collect();
    let mut terms = Vec::new();
    for (index, (name, value)) in pairs.iter().enumerate() {
        let equal = pairs.iter().take(index).map(|(name, value)| format!("{name} = {value} AND "));
        terms.push(format!("({}{name} > {value})", equal.collect::<String>()));
    }
    format!("({})", terms.join(" OR "))
}

/// Writes one of the two signals around a chunk.
fn signal(means: &mut Means<'_>, chunk: &str, which: &str) -> Result<(), TaskFailure> {
    let (schema, table) = means.signals.split_once('.').unwrap_or(("public", means.signals));
    let statement = format!(
        "INSERT INTO {}.{} VALUES ('{chunk}-{which}', 'snapshot-window-{which}', NULL)",
        identifier(schema),
        identifier(table)
    );
    means.session.rows("write a signal", &statement)?;
    Ok(())
}
