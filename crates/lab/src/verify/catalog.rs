//! The columns of both sides, from both catalogs.

use std::collections::HashMap;

use tokio_postgres::Transaction;

use super::canonical::{Form, UNREPRESENTABLE};
use super::table::Table;
use crate::clickhouse::{self as target, literal};
use crate::error::{Attempt, Error, Result};

/// A column of both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// Postgres' type under all domains.
    pub(super) ty: String,
    pub(super) form: Form,
    pub(super) key: bool,
}

/// What a comparison of one table needs to know.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) columns: Vec<Column>,
    /// Columns that ClickHouse does not have.
    pub(super) absent: Vec<String>,
    /// Whether ClickHouse's rows have the map of unrepresentable values.
    pub(super) map: bool,
}

/// Name, base type (through domains of domains) and place in the primary key.
const COLUMNS: &str = "
WITH RECURSIVE base (attnum, oid, typtype, typbasetype, typname) AS (
    SELECT a.attnum, t.oid, t.typtype, t.typbasetype, t.typname
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT b.attnum, t.oid, t.typtype, t.typbasetype, t.typname
    FROM base b JOIN pg_type t ON t.oid = b.typbasetype
    WHERE b.typtype = 'd'
)
SELECT a.attname::text, b.typname::text, coalesce(a.attnum = ANY (i.indkey), false)
FROM base b
JOIN pg_attribute a ON a.attrelid = $1::text::regclass AND a.attnum = b.attnum
LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE b.typtype <> 'd'
ORDER BY a.attnum";

impl Shape {
    pub(super) async fn read(source: &Transaction<'_>, clickhouse: &clickhouse::Client, table: &Table) -> Result<Self> {
        let there = target_columns(clickhouse, &table.view).await?;
        let name = postgres_name(table);
        let rows = source.query(COLUMNS, &[&name]).await.attempt("reading the catalog")?;
        let mut columns = Vec::new();
        let mut absent = Vec::new();
        for row in rows {
            let (name, ty, primary): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
            if !table.columns.is_empty() && !table.columns.contains(&name) {
                continue;
            }
            let key = if table.key.is_empty() { primary } else { table.key.contains(&name) };
            match there.get(&name) {
                Some(kept) => columns.push(Column { form: Form::of(&ty, bare(kept)), name, ty, key }),
                None => absent.push(name),
            }
        }
        if columns.is_empty() && absent.is_empty() {
            return Err(Error::Invalid(format!("{name} has no columns to compare")));
        }
        Ok(Self { columns, absent, map: there.contains_key(UNREPRESENTABLE) })
    }
}

/// Schema and name, quoted.
pub(super) fn postgres_name(table: &Table) -> String {
    let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    format!("{}.{}", quote(&table.schema), quote(&table.name))
}

async fn target_columns(clickhouse: &clickhouse::Client, view: &str) -> Result<HashMap<String, String>> {
    let sql = format!(
        "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {}",
        literal(view)
    );
    let mut columns = HashMap::new();
    for row in target::rows(clickhouse, &sql, "reading the catalog").await? {
        if let [Some(name), Some(ty)] = row.as_slice() {
            columns.insert(name.clone(), ty.clone());
        }
    }
    if columns.is_empty() {
        return Err(Error::Invalid(format!("ClickHouse has no table or view {view}")));
    }
    Ok(columns)
}

/// A type without what wraps it.
fn bare(mut ty: &str) -> &str {
    for wrapper in ["LowCardinality(", "Nullable("] {
        ty = ty.strip_prefix(wrapper).and_then(|inner| inner.strip_suffix(')')).unwrap_or(ty);
    }
    ty
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_wrappers() {
        assert_eq!(bare("LowCardinality(Nullable(String))"), "String");
        assert_eq!(bare("Nullable(DateTime64(6, 'UTC'))"), "DateTime64(6, 'UTC')");
        assert_eq!(bare("Decimal(12, 2)"), "Decimal(12, 2)");
    }
}
