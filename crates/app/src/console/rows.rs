//! The history of rows as before and after, from the log of a table in ClickHouse.
//!
//! The log is sorted by key, so its newest rows are found by reading the versions alone; then only
//! the rows of those keys are read, each with its predecessor.

use std::collections::HashMap;
use std::sync::Arc;

use clickhouse::Client;
use serde_json::{Map, Value};
use walhouse_change::{BoxFuture, Version};
use walhouse_clickhouse::ddl::{identifier, literal, qualified};
use walhouse_clickhouse::mapping::{TableKind, TablePlan};
use walhouse_server::ports::{
    ChangesReply, ChangesRequest, ColumnChange, Failure, FailureKind, Result, RowAction, RowChange, Rows,
};

use super::catalog::Tables;
use super::target;

/// The rows of the target.
pub(super) struct History {
    pub(super) tables: Arc<Tables>,
    pub(super) client: Client,
}

/// Names of our own columns in the answer; no column of a table begins like this.
const VERSION: &str = "#version";
const KEY: &str = "#key";
const WANTED: &str = "#wanted";
const CHANGED: &str = "#changed";
const ARRIVED: &str = "#arrived";
const ACTION: &str = "#action";
const DELETED: &str = "#deleted";
const UNREPRESENTABLE: &str = "#unrepresentable";

type Row = Map<String, Value>;

impl Rows for History {
    fn changes<'a>(&'a self, request: &'a ChangesRequest) -> BoxFuture<'a, Result<ChangesReply>> {
        Box::pin(async move {
            let plan = self.tables.plan(&request.table).await?;
            let plan =
                plan.ok_or_else(|| Failure::not_found(format_args!("table {} in the selection", request.table)))?;
            if !plan.history {
                let failure = Failure::new(FailureKind::Conflict, format!("{} keeps no history", request.table));
                return Err(failure.advise("history = true keeps every version, from the next copy on"));
            }
            let rows: Vec<Row> = target::rows(&self.client, &statement(&plan, request)?).await?;
            Ok(reply(&plan, &rows, request.limit))
        })
    }
}

/// The wanted versions, and of each key the one before them.
fn statement(plan: &TablePlan, request: &ChangesRequest) -> Result<String> {
    let log = qualified(&plan.database, &plan.table_name(TableKind::Log));
    let before = match &request.before {
        Some(text) => {
            let version: u128 =
                text.parse().map_err(|_| Failure::new(FailureKind::Invalid, "before is no version of a row"))?;
            format!(" AND `_version` < toUInt128('{version}')")
        }
        None => String::new(),
    };
    let condition = match &request.key {
        Some(key) => key_condition(plan, key)?,
        None => "1".to_owned(),
    };
    let key: Vec<String> = plan.sort_key().map(identifier).collect();
    let key = key.join(", ");
    let columns: Vec<String> = plan.columns.iter().map(|column| identifier(&column.name)).collect();
    let limit = request.limit;
    Ok(format!(
        "WITH newest AS (SELECT {key}, `_version` FROM {log} WHERE {condition}{before} ORDER BY `_version` DESC LIMIT {limit}) \
         SELECT toString(`_version`) AS `{VERSION}`, toString(tuple({key})) AS `{KEY}`, \
         ({key}, `_version`) IN (SELECT * FROM newest) AS `{WANTED}`, `source_updated_at_ms` AS `{CHANGED}`, \
         toUnixTimestamp(`arrival_date_time_tz`) AS `{ARRIVED}`, `db_action` AS `{ACTION}`, \
         `is_deleted` AS `{DELETED}`, `_unrepresentable` AS `{UNREPRESENTABLE}`, {} FROM {log} \
         WHERE ({key}) IN (SELECT {key} FROM newest){before} ORDER BY {key}, `_version` DESC LIMIT {} BY {key} \
         SETTINGS output_format_json_quote_64bit_integers = 1, output_format_json_quote_decimals = 1, \
         output_format_json_quote_denormals = 1, max_execution_time = 30",
        columns.join(", "),
        limit + 1,
    ))
}

/// All columns of the key, each by its text.
fn key_condition(plan: &TablePlan, key: &[(String, String)]) -> Result<String> {
    let mut conditions = Vec::new();
    for name in plan.sort_key() {
        let Some((_, text)) = key.iter().find(|(column, _)| column == name) else {
            let columns: Vec<&str> = plan.sort_key().collect();
            let failure = Failure::new(FailureKind::Invalid, format!("the key lacks column {name}"));
            return Err(failure.advise(format!("its columns are {}", columns.join(", "))));
        };
        let ty = plan.columns.iter().find(|column| column.name == name).map(|column| column.sql_type());
        let ty = ty.unwrap_or_else(|| "String".to_owned());
        conditions.push(format!("{} = CAST({} AS {ty})", identifier(name), literal(text)));
    }
    Ok(conditions.join(" AND "))
}

/// Rows come by key, newest first: the predecessor of a version is the next row of its key.
fn reply(plan: &TablePlan, rows: &[Row], limit: usize) -> ChangesReply {
    let mut older: HashMap<usize, &Row> = HashMap::new();
    for (index, pair) in rows.windows(2).enumerate() {
        if let [row, next] = pair
            && row.get(KEY) == next.get(KEY)
        {
            older.insert(index, next);
        }
    }
    let wanted = rows.iter().enumerate().filter(|(_, row)| number(row, WANTED) == Some(1));
    let mut changes: Vec<(u128, RowChange)> =
        wanted.filter_map(|(index, row)| change(plan, row, older.get(&index).copied())).collect();
    changes.sort_by(|(one, _), (other, _)| other.cmp(one));
    let next_before = if changes.len() < limit { None } else { changes.last().map(|(version, _)| version.to_string()) };
    ChangesReply { changes: changes.into_iter().map(|(_, change)| change).collect(), next_before }
}

fn change(plan: &TablePlan, row: &Row, older: Option<&Row>) -> Option<(u128, RowChange)> {
    let version: u128 = row.get(VERSION)?.as_str()?.parse().ok()?;
    // What was deleted is not what was there before.
    let older = older.filter(|older| number(older, DELETED) != Some(1));
    let is_deleted = number(row, DELETED) == Some(1);
    let action = match row.get(ACTION).and_then(Value::as_str) {
        Some("insert") => RowAction::Insert,
        Some("update") => RowAction::Update,
        Some("delete") => RowAction::Delete,
        _ if is_deleted => RowAction::Delete,
        _ => RowAction::Read,
    };
    let column = |name: &str| {
        let before = older.map_or(Value::Null, |older| value(older, name));
        // A tombstone's other values are those of the key's old row, which is what was there before.
        let after = if is_deleted { Value::Null } else { value(row, name) };
        let changed = before != after;
        ColumnChange { name: name.to_owned(), before, after, changed }
    };
    let parts = Version(version);
    let key = plan.sort_key().map(|name| (name.to_owned(), value(row, name))).collect();
    let change = RowChange {
        version: version.to_string(),
        lsn: parts.commit_lsn().to_string(),
        ordinal: u32::try_from(parts.ordinal() / 2).unwrap_or(u32::MAX),
        action,
        changed_ms: number(row, CHANGED),
        arrived_ms: number(row, ARRIVED).map(|seconds| seconds * 1000),
        key: Value::Object(key),
        columns: plan.columns.iter().map(|plan| column(&plan.name)).collect(),
    };
    Some((version, change))
}

/// A column's value; Postgres' text where the column could not hold it.
fn value(row: &Row, name: &str) -> Value {
    match row.get(name) {
        None | Some(Value::Null) => {
            let text = row.get(UNREPRESENTABLE).and_then(|map| map.get(name));
            text.cloned().unwrap_or(Value::Null)
        }
        Some(value) => value.clone(),
    }
}

fn number(row: &Row, name: &str) -> Option<i64> {
    match row.get(name)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        Value::Bool(flag) => Some((*flag).into()),
        _ => None,
    }
}
