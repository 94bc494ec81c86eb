//! The statements of an import: see `target::kafka::import` for their order.

use super::feed::Feed;
use super::fill::UNKNOWN;
use super::statements::{create_table, key_list};
use crate::ddl::{identifier, literal, qualified};
use crate::mapping::{META_COLUMNS, TableKind};

/// The table that an import's rows are gathered in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Staging {
    /// Its name.
    pub(crate) name: String,
    /// Makes it.
    pub(crate) create: String,
    /// Whether it has rows, as `any`.
    pub(crate) any: String,
}

impl Staging {
    pub(crate) fn of(feed: &Feed) -> Self {
        let plan = &feed.plan;
        let kind = if plan.history { TableKind::Log } else { TableKind::Current };
        let name = plan.staging_name(kind);
        Self { create: create_table(feed, kind, &name), any: any(&qualified(&plan.database, &name)), name }
    }
}

/// What is done once all rows are gathered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImportStatements {
    /// Whether the log has rows of this epoch's import, as `any`.
    pub(crate) imported: String,
    /// Removes them.
    pub(crate) forget: String,
    /// Adds the rows to the current state, where newer ones win.
    pub(crate) to_current: String,
    /// Makes the gathered parts the log's, in one step.
    pub(crate) to_log: String,
    /// Deletes from the current state, and on record in the log, what only an earlier epoch had.
    pub(crate) bury: Vec<String>,
    /// Whether a current row lacks a value that the import has, as `any`.
    pub(crate) holes: String,
    /// Gives it to them; the log's row is added before the one with the hole goes.
    pub(crate) mend: Vec<String>,
}

fn any(from: &str) -> String {
    format!("SELECT toUInt8(count() > 0) AS any FROM (SELECT 1 FROM {from} LIMIT 1)")
}

pub(crate) fn import_statements(feed: &Feed) -> ImportStatements {
    let plan = &feed.plan;
    let table = |kind| qualified(&plan.database, &plan.table_name(kind));
    let (log, current) = (table(TableKind::Log), table(TableKind::Current));
    let staging = qualified(&plan.database, &Staging::of(feed).name);
    let columns = sent(feed);
    let version = format!("bitShiftLeft(toUInt128({}), 112)", feed.epochs.newest());
    ImportStatements {
        imported: any(&format!("{log} WHERE `_version` = {version}")),
        forget: format!("ALTER TABLE {log} DELETE WHERE `_version` = {version} SETTINGS mutations_sync = 1"),
        to_current: format!("INSERT INTO {current} ({columns}) SELECT {columns} FROM {staging}"),
        to_log: format!("ALTER TABLE {log} ATTACH PARTITION tuple() FROM {staging}"),
        bury: bury(feed, &current, &log, &version),
        holes: any(&format!(
            "{current} FINAL WHERE {} AND ({}) IN (SELECT {1} FROM {staging})",
            hole(feed),
            key_list(feed, "")
        )),
        mend: mend(feed, &current, &log, &staging),
    }
}

fn sent(feed: &Feed) -> String {
    feed.plan.sent_columns().map(identifier).collect::<Vec<_>>().join(", ")
}

/// Rows of earlier epochs that the import does not have. There are none in the first one.
fn bury(feed: &Feed, current: &str, log: &str, version: &str) -> Vec<String> {
    if feed.epochs.newest() == 0 {
        return Vec::new();
    }
    let key = key_list(feed, "");
    let others = feed.plan.columns.iter().filter(|column| !column.key).map(|column| identifier(&column.name));
    let others: String = others.map(|name| format!(", {name}")).collect();
    let into = |table: &str| {
        format!(
            "INSERT INTO {table} ({key}{others}, `record_version`, `source_updated_at_ms`, `db_action`, `is_deleted`, \
             `_unrepresentable`, `_version`) SELECT {key}{others}, `record_version`, toUnixTimestamp64Milli(now64(3)), 'delete', 1, \
             map(), {version} FROM {current} FINAL WHERE `is_deleted` = 0 AND `_version` < {version}"
        )
    };
    match feed.plan.history {
        // the log first: once the current state has them they are not found any more
        true => vec![into(log), into(current)],
        false => vec![into(current)],
    }
}

fn lacking(feed: &Feed) -> Vec<&str> {
    let columns = feed.plan.columns.iter().zip(&feed.columns);
    let lacking = columns.filter(|(column, sent)| sent.placeholder.is_some() && !column.key);
    lacking.map(|(column, _)| column.name.as_str()).collect()
}

fn unknown(name: &str, of: &str) -> String {
    format!("{of}`_unrepresentable`[{}] = {}", literal(name), literal(UNKNOWN))
}

fn hole(feed: &Feed) -> String {
    let each: Vec<String> = lacking(feed).into_iter().map(|name| unknown(name, "")).collect();
    if each.is_empty() { "false".to_owned() } else { format!("({})", each.join(" OR ")) }
}

fn mend(feed: &Feed, current: &str, log: &str, staging: &str) -> Vec<String> {
    let lacking = lacking(feed);
    if lacking.is_empty() {
        return Vec::new();
    }
    let key = key_list(feed, "");
    let into = |table: &str, read: &str| {
        let columns = feed.plan.columns.iter().map(|column| {
            let name = identifier(&column.name);
            match lacking.contains(&column.name.as_str()) {
                true => format!("if({}, s.{name}, c.{name}) AS {name}", unknown(&column.name, "c.")),
                false => format!("c.{name} AS {name}"),
            }
        });
        let kept = format!(
            "mapUpdate(mapFilter((name, text) -> text != {}, c.`_unrepresentable`), mapFilter((name, text) -> \
             c.`_unrepresentable`[name] = {0}, s.`_unrepresentable`)) AS `_unrepresentable`",
            literal(UNKNOWN)
        );
        let meta = META_COLUMNS.iter().filter(|meta| meta.default.is_none()).map(|meta| match meta.name {
            "_unrepresentable" => kept.clone(),
            name => format!("c.`{name}` AS `{name}`"),
        });
        let all: Vec<String> = columns.chain(meta).collect();
        let on = feed.plan.sort_key().map(|name| format!("c.{0} = s.{0}", identifier(name)));
        format!(
            "INSERT INTO {table} ({}) SELECT {} FROM (SELECT * FROM {read} WHERE {}) AS c INNER JOIN {staging} AS s ON {}",
            sent(feed),
            all.join(", "),
            hole(feed),
            on.collect::<Vec<_>>().join(" AND "),
        )
    };
    let mut statements = Vec::new();
    if feed.plan.history {
        statements.push(into(log, log));
        statements.push(format!(
            "ALTER TABLE {log} DELETE WHERE {} AND ({key}) IN (SELECT {key} FROM {staging}) SETTINGS mutations_sync = 1",
            hole(feed)
        ));
    }
    // the same versions again: of two alike the last one stays
    statements.push(into(current, &format!("{current} FINAL")));
    statements
}
