//! What the file says about tables, held against the tables that there are.

use std::sync::Arc;

use walhouse_change::{TableName, TableSchema};
use walhouse_clickhouse::mapping::{Dates, Layout, MappingError, TableOverride, TablePlan, collisions};

use super::{Config, ConfigError};

/// Holds the patterns and overrides of `config` against `tables`, all that were found in the source.
///
/// # Errors
/// A name without a table, an override that does not fit its table, or two tables that would share a name in
/// ClickHouse: the error names them.
pub(crate) fn check(config: &Config, tables: &[Arc<TableSchema>]) -> Result<(), ConfigError> {
    let fail = |message| Err(ConfigError::file(&config.path, message));
    let exists = |wanted: &dyn Fn(&TableName) -> bool| tables.iter().any(|table| wanted(&table.name));
    if tables.is_empty() {
        let patterns: Vec<_> =
            config.postgres.tables.iter().map(|pattern| format!("{:?}", pattern.to_string())).collect();
        return fail(format!("[postgres] tables: no table matches {}", patterns.join(", ")));
    }
    // A pattern with a star may wait for its first table.
    for pattern in config.postgres.tables.iter().filter(|pattern| pattern.is_literal()) {
        if !exists(&|name| pattern.matches(name)) {
            return fail(format!("[postgres] tables: there is no table {pattern}"));
        }
    }
    for name in config.clickhouse.tables.keys() {
        if !exists(&|table| table == name) {
            return fail(format!("[tables.\"{name}\"]: there is no such table"));
        }
    }
    let mut plans = Vec::with_capacity(tables.len());
    for table in tables {
        match plan(config, table) {
            Ok(plan) => plans.push(plan),
            Err(error) if error.is_configuration() => return fail(error.to_string()),
            // That table stops with this error; the others go on.
            Err(_) => {}
        }
    }
    collisions(&plans).map_err(|error| ConfigError::file(&config.path, error.to_string()))
}

/// True when two of `tables` would share a name in ClickHouse, or one does not fit its override.
pub(crate) fn names_collide(config: &Config, tables: &[Arc<TableSchema>]) -> bool {
    let plans: Result<Vec<_>, _> = tables.iter().map(|table| plan(config, table)).collect();
    plans.map_or_else(|error| error.is_configuration(), |plans| collisions(&plans).is_err())
}

/// How `table` will lie in ClickHouse, for its names: its types may depend on the server.
pub(crate) fn plan(config: &Config, table: &Arc<TableSchema>) -> Result<TablePlan, MappingError> {
    let layout = Layout {
        database: config.clickhouse.database.clone(),
        history: config.clickhouse.history,
        retention: config.clickhouse.retention,
        dates: Dates::default(),
    };
    let plain = TableOverride::default();
    TablePlan::new(Arc::clone(table), config.clickhouse.tables.get(&table.name).unwrap_or(&plain), &layout)
}
