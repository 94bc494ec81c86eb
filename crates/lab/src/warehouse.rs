//! What the target holds, for a reader: every table with its columns, their types on both sides and what people wrote
//! about them. The data dictionary is this as a document; Superset's datasets are this as a bundle.
//!
//! The source's half comes from the caller ([`SourceTable`]); ClickHouse's half is read here, from the views of current
//! rows, which have the columns that anybody queries.

use std::collections::HashMap;

use crate::clickhouse::{self as target, literal};
use crate::error::Result;

/// A table as the source and the configuration have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceTable {
    /// `schema.name` in Postgres.
    pub name: String,
    /// The table in ClickHouse: the log with history, the current state without.
    pub target: String,
    /// The view of the current rows.
    pub view: String,
    /// The target keeps every version.
    pub history: bool,
    /// COMMENT ON TABLE.
    pub description: Option<String>,
    /// In the table's order.
    pub columns: Vec<SourceColumn>,
}

/// A column as the source has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceColumn {
    /// Its name.
    pub name: String,
    /// Postgres' type, such as `numeric(10,2)`.
    pub ty: String,
    /// NOT NULL is not declared.
    pub nullable: bool,
    /// Belongs to the key.
    pub key: bool,
    /// COMMENT ON COLUMN.
    pub description: Option<String>,
}

/// Everything of one database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Warehouse {
    /// The database in ClickHouse.
    pub database: String,
    /// Tables that are there, in the order in which they were given.
    pub tables: Vec<Table>,
    /// Names in the source of tables whose view is not there, because they are not copied yet or are stopped.
    pub absent: Vec<String>,
}

/// A table of the target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Where it comes from.
    pub source: SourceTable,
    /// Columns of the view of current rows.
    pub columns: Vec<Column>,
}

/// A column of the target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Column {
    /// Its name, the same on both sides.
    pub name: String,
    /// ClickHouse's type in full.
    pub ty: String,
    /// What the source says of it; nothing of a metadata column, or of one that is gone from the source.
    pub source: Option<SourceColumn>,
}

/// A metadata column: its name, what to call it, what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetaColumn {
    /// Its name in every table.
    pub name: &'static str,
    /// A heading for people.
    pub label: &'static str,
    /// What it means.
    pub description: &'static str,
}

/// The columns that walhouse adds.
pub const META_COLUMNS: [MetaColumn; 6] = [
    MetaColumn {
        name: "record_version",
        label: "Record version",
        description: "Position of the change in Postgres' log (its LSN as a number)",
    },
    MetaColumn {
        name: "arrival_date_time_tz",
        label: "Arrived",
        description: "When the row arrived in ClickHouse, to the second",
    },
    MetaColumn {
        name: "source_updated_at_ms",
        label: "Committed (ms)",
        description: "When the change was committed in Postgres, in milliseconds since 1970-01-01 UTC",
    },
    MetaColumn {
        name: "db_action",
        label: "Action",
        description: "What was done to the row: read (the first copy), insert, update or delete",
    },
    MetaColumn { name: "is_deleted", label: "Deleted", description: "1 for a deleted row, else 0" },
    MetaColumn {
        name: "_unrepresentable",
        label: "Unrepresentable values",
        description: "By column name, the text of a value that the column's type cannot hold; the column is NULL then",
    },
];

impl Warehouse {
    /// Reads ClickHouse's half for `tables`, with the rights of `clickhouse`'s user.
    ///
    /// # Errors
    /// ClickHouse refuses, or went away.
    pub async fn read(clickhouse: &clickhouse::Client, database: &str, tables: Vec<SourceTable>) -> Result<Self> {
        let sql = format!(
            "SELECT table, name, type FROM system.columns WHERE database = {} ORDER BY table, position",
            literal(database)
        );
        let mut found: HashMap<String, Vec<Column>> = HashMap::new();
        for row in target::rows(clickhouse, &sql, "reading the tables' columns").await? {
            let [Some(table), Some(name), Some(ty)] = row.as_slice() else { continue };
            let column = Column { name: name.clone(), ty: ty.clone(), source: None };
            found.entry(table.clone()).or_default().push(column);
        }
        let mut warehouse = Self { database: database.to_owned(), ..Self::default() };
        for source in tables {
            match found.remove(&source.view) {
                None => warehouse.absent.push(source.name),
                Some(columns) => warehouse.tables.push(Table::new(source, columns)),
            }
        }
        Ok(warehouse)
    }

    /// The table that comes from `source`, such as `public.sales`.
    #[must_use]
    pub fn table(&self, source: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.source.name == source)
    }
}

impl Table {
    /// Joins both halves.
    #[must_use]
    pub fn new(source: SourceTable, mut columns: Vec<Column>) -> Self {
        for column in &mut columns {
            if column.meta().is_none() {
                column.source = source.columns.iter().find(|known| known.name == column.name).cloned();
            }
        }
        Self { source, columns }
    }

    /// True when the view has a column of that name.
    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|known| known.name == column)
    }
}

impl Column {
    /// What a metadata column means; none for a business column.
    #[must_use]
    pub fn meta(&self) -> Option<&'static MetaColumn> {
        META_COLUMNS.iter().find(|meta| meta.name == self.name)
    }

    /// What the column means, as far as anybody wrote it down.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.meta().map(|meta| meta.description).or_else(|| self.source.as_ref()?.description.as_deref())
    }

    /// The type without `Nullable` and `LowCardinality`.
    #[must_use]
    pub fn plain_type(&self) -> &str {
        let mut ty = self.ty.as_str();
        while let Some(inner) = ["Nullable(", "LowCardinality("].iter().find_map(|wrapper| ty.strip_prefix(wrapper)) {
            ty = inner.strip_suffix(')').unwrap_or(inner);
        }
        ty
    }

    /// NULL is possible in ClickHouse.
    #[must_use]
    pub fn is_nullable(&self) -> bool {
        self.ty.contains("Nullable(") && !self.ty.starts_with("Array(") && !self.ty.starts_with("Map(")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_without_their_wrappers() {
        let column = |ty: &str| Column { ty: ty.to_owned(), ..Column::default() };
        assert_eq!(column("LowCardinality(Nullable(String))").plain_type(), "String");
        assert_eq!(column("Nullable(DateTime64(6, 'UTC'))").plain_type(), "DateTime64(6, 'UTC')");
        assert_eq!(column("Array(Nullable(Int32))").plain_type(), "Array(Nullable(Int32))");
        assert!(column("Nullable(Int8)").is_nullable() && !column("Array(Nullable(Int8))").is_nullable());
    }

    #[test]
    fn a_metadata_column_is_not_the_sources() {
        let own = |name: &str| SourceColumn { name: name.to_owned(), ..SourceColumn::default() };
        let source = SourceTable { columns: vec![own("id"), own("is_deleted")], ..SourceTable::default() };
        let column = |name: &str| Column { name: name.to_owned(), ..Column::default() };
        let table = Table::new(source, vec![column("id"), column("is_deleted")]);
        let halves: Vec<bool> = table.columns.iter().map(|column| column.source.is_some()).collect();
        assert_eq!(halves, [true, false]);
    }
}
