//! What the database holds: tables, their comments and columns. Read only.

use std::collections::HashMap;

use serde::Deserialize;

use crate::client::Client;
use crate::ddl::{MERGE_SETTING, literal};
use crate::error::Result;
use crate::mapping::{META_COLUMNS, TableKind, TablePlan};

/// One table or view as found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) engine: String,
    pub(super) comment: String,
    /// Its parts are merged rarely, as those of a copy under way.
    pub(super) merged_rarely: bool,
    /// `a, b`, unquoted as ClickHouse prints it.
    pub(super) sorting_key: String,
    /// Name and full type, in order.
    pub(super) columns: Vec<(String, String)>,
}

/// Tables and views by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Inventory(HashMap<String, Found>);

impl Inventory {
    /// Reads the whole database, or those of `names` only.
    pub(super) async fn read(client: &Client, database: &str, names: Option<&[String]>) -> Result<Self> {
        #[derive(Deserialize)]
        struct Table {
            name: String,
            engine: String,
            comment: String,
            sorting_key: String,
            merged_rarely: u8,
        }
        #[derive(Deserialize)]
        struct Column {
            table: String,
            name: String,
            r#type: String,
        }
        let only = |column: &str| match names {
            Some(names) => {
                format!(" AND {column} IN ({})", names.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", "))
            }
            None => String::new(),
        };
        let of = literal(database);
        let sql = format!(
            "SELECT name, engine, comment, sorting_key, toUInt8(position(engine_full, {}) > 0) AS merged_rarely \
             FROM system.tables WHERE database = {of}{}",
            literal(MERGE_SETTING),
            only("name")
        );
        let tables: Vec<Table> = client.rows("read the list of tables", &sql).await?;
        let sql = format!(
            "SELECT table, name, type FROM system.columns WHERE database = {of}{} ORDER BY table, position",
            only("table")
        );
        let columns: Vec<Column> = client.rows("read the tables' columns", &sql).await?;
        let mut found: HashMap<String, Found> = HashMap::with_capacity(tables.len());
        for Table { name, engine, comment, sorting_key, merged_rarely } in tables {
            let (merged_rarely, columns) = (merged_rarely == 1, Vec::new());
            found.insert(name, Found { engine, comment, merged_rarely, sorting_key, columns });
        }
        for Column { table, name, r#type } in columns {
            if let Some(table) = found.get_mut(&table) {
                table.columns.push((name, r#type));
            }
        }
        Ok(Self(found))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Found> {
        self.0.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Found)> {
        self.0.iter().map(|(name, found)| (name.as_str(), found))
    }
}

/// How a table differs from what its plan says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Indexes into the plan of columns that are missing.
    pub(super) missing: Vec<usize>,
    /// Columns that the plan does not have: gone from the source, or added by somebody.
    pub(super) extra: Vec<String>,
    /// What cannot be mended by adding columns, in words.
    pub(super) conflict: Option<String>,
}

impl Found {
    /// Compares with the plan's table of that kind.
    pub(super) fn difference(&self, plan: &TablePlan, kind: TableKind) -> Difference {
        let engine = match kind {
            TableKind::Log => "MergeTree",
            TableKind::Current => "ReplacingMergeTree",
        };
        self.difference_from(plan, engine, &plan.sort_key().collect::<Vec<_>>().join(", "))
    }

    /// Compares with a table of the plan's columns, stored by `wanted` and sorted by `sorted_by`.
    pub(super) fn difference_from(&self, plan: &TablePlan, wanted: &str, sorted_by: &str) -> Difference {
        let type_of = |name: &str| self.columns.iter().find(|(have, _)| have == name).map(|(_, ty)| ty.as_str());
        let mut difference = Difference::default();
        // a server may make a Replicated or Shared table of it
        if !self.engine.ends_with(wanted) || (wanted == "MergeTree" && self.engine.contains("Replacing")) {
            difference.conflict = Some(format!("it is a {}, not a {wanted}", self.engine));
            return difference;
        }
        let key = self.sorting_key.replace('`', "");
        // a key of one column is kept with the parentheses it was written in
        let key = key.strip_prefix('(').and_then(|key| key.strip_suffix(')')).unwrap_or(&key);
        if key != sorted_by {
            difference.conflict = Some(format!("it is sorted by ({key}), the source's key is another"));
            return difference;
        }
        for (index, column) in plan.columns.iter().enumerate() {
            match type_of(&column.name) {
                None => difference.missing.push(index),
                Some(ty) if ty != column.sql_type() => {
                    difference.conflict =
                        Some(format!("its column {} is {ty}, the source's is {}", column.name, column.sql_type()));
                }
                Some(_) => {}
            }
        }
        if let Some(meta) = META_COLUMNS.iter().find(|meta| type_of(meta.name) != Some(meta.sql_type)) {
            difference.conflict = Some(format!("its column {} is missing or is not {}", meta.name, meta.sql_type));
        }
        let known = |name: &str| {
            plan.columns.iter().any(|column| column.name == name) || META_COLUMNS.iter().any(|meta| meta.name == name)
        };
        difference.extra = self.columns.iter().map(|(name, _)| name).filter(|name| !known(name)).cloned().collect();
        difference
    }
}
