//! Tables as the catalog describes them: what a stream's description leaves out.

use std::collections::HashMap;

use walhouse_change::TableName;
use walhouse_value::PgType;

use crate::catalog::types::Types;
use crate::wire::Malformed;
use crate::wire::connection::Connection;
use crate::{Result, sql};

/// An ordinary or a partitioned table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogTable {
    /// `pg_class.oid`.
    pub relid: u32,
    /// Qualified name.
    pub name: TableName,
    /// A partitioned table, whose rows are in its partitions.
    pub partitioned: bool,
    /// Whether its changes are in the log: not so for unlogged and temporary tables.
    pub logged: bool,
    /// Columns in their order.
    pub columns: Vec<CatalogColumn>,
    /// Columns of the primary key in the key's order, empty without one.
    pub primary_key: Vec<String>,
    /// The other unique indexes, in the order of their names.
    pub unique_indexes: Vec<CatalogIndex>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: PgType,
    /// Whether it, or its domain, refuses nulls.
    pub not_null: bool,
    /// The default's expression as `pg_get_expr` prints it, none for a generated column.
    pub default: Option<String>,
    /// Whether it is generated, so that the log may leave it out.
    pub generated: bool,
    /// The function that prints its values, quoted.
    pub output: String,
}

/// A unique index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogIndex {
    /// Its name.
    pub name: String,
    /// Its columns in order; none if it has an expression.
    pub columns: Option<Vec<String>>,
}

impl CatalogColumn {
    /// An expression that gives the column's values as Postgres prints them.
    #[must_use]
    pub fn printed(&self) -> String {
        let name = sql::identifier(&self.name);
        // text, varchar, bpchar and json go over the wire as they are printed
        if matches!(self.ty.oid, 25 | 1043 | 1042 | 114) {
            return name;
        }
        let base = if self.ty.base.is_some() { format!("::{}", self.ty.base().name) } else { String::new() };
        format!("{}({name}{base})", self.output)
    }
}

/// Which tables: all, or these.
fn chosen(column: &str, relids: Option<&[u32]>) -> String {
    relids.map_or_else(String::new, |relids| format!("AND {column} IN ({})", sql::oids(relids.iter().copied())))
}

pub(super) fn tables(connection: &mut Connection, relids: Option<&[u32]>) -> Result<Vec<CatalogTable>> {
    let statement = format!(
        "SELECT c.oid, n.nspname, c.relname, c.relkind = 'p', c.relpersistence = 'p'
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
           AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') {}",
        chosen("c.oid", relids)
    );
    let mut tables = Vec::new();
    for row in connection.query("read the catalog", &statement)? {
        tables.push(CatalogTable {
            relid: row.parse(0)?,
            name: TableName::new(row.text(1), row.text(2)),
            partitioned: row.flag(3),
            logged: row.flag(4),
            columns: Vec::new(),
            primary_key: Vec::new(),
            unique_indexes: Vec::new(),
        });
    }
    let found: Vec<u32> = tables.iter().map(|table| table.relid).collect();
    let mut by_relid: HashMap<u32, &mut CatalogTable> = tables.iter_mut().map(|it| (it.relid, it)).collect();
    columns(connection, &found, &mut by_relid)?;
    indexes(connection, &found, &mut by_relid)?;
    Ok(tables)
}

fn columns(connection: &mut Connection, relids: &[u32], tables: &mut HashMap<u32, &mut CatalogTable>) -> Result<()> {
    let statement = format!(
        "SELECT a.attrelid, a.attname, a.atttypid, a.atttypmod, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull),
                pg_catalog.pg_get_expr(d.adbin, d.adrelid), a.attgenerated <> '', n.nspname, p.proname
         FROM pg_catalog.pg_attribute a
         JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
         JOIN pg_catalog.pg_proc p ON p.oid = t.typoutput
         JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
         LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE a.attrelid IN ({}) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum",
        sql::oids(relids.iter().copied())
    );
    let rows = connection.query("read the columns of the tables", &statement)?;
    let oids: Vec<u32> = rows.iter().map(|row| row.parse(2)).collect::<Result<_, Malformed>>()?;
    let mut types = Types::default();
    types.read(connection, oids)?;
    for row in rows {
        let generated = row.flag(6);
        let Some(table) = tables.get_mut(&row.parse(0)?) else { continue };
        table.columns.push(CatalogColumn {
            name: row.text(1).to_owned(),
            ty: types.resolve(row.parse(2)?, row.parse(3)?),
            not_null: row.flag(4),
            default: row.optional(5).filter(|_| !generated).map(str::to_owned),
            generated,
            output: format!("{}.{}", sql::identifier(row.text(7)), sql::identifier(row.text(8))),
        });
    }
    Ok(())
}

fn indexes(connection: &mut Connection, relids: &[u32], tables: &mut HashMap<u32, &mut CatalogTable>) -> Result<()> {
    // indkey counts from 0, names included columns behind the key's own, and has 0 for an expression
    let statement = format!(
        "SELECT i.indrelid, c.relname, i.indisprimary, a.attname
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
         CROSS JOIN LATERAL unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(number, place)
         LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
         WHERE i.indrelid IN ({}) AND i.indisunique AND i.indisvalid ORDER BY i.indrelid, c.relname, k.place",
        sql::oids(relids.iter().copied())
    );
    for row in connection.query("read the keys of the tables", &statement)? {
        let Some(table) = tables.get_mut(&row.parse(0)?) else { continue };
        let column = row.optional(3).map(str::to_owned);
        if row.flag(2) {
            table.primary_key.extend(column);
            continue;
        }
        if table.unique_indexes.last().is_none_or(|index| index.name != row.text(1)) {
            table.unique_indexes.push(CatalogIndex { name: row.text(1).to_owned(), columns: Some(Vec::new()) });
        }
        let Some(index) = table.unique_indexes.last_mut() else { continue };
        match (column, &mut index.columns) {
            (Some(column), Some(columns)) => columns.push(column),
            _ => index.columns = None,
        }
    }
    Ok(())
}

pub(super) fn enum_labels(connection: &mut Connection) -> Result<Vec<(u32, Vec<String>)>> {
    let statement = "SELECT enumtypid, enumlabel FROM pg_catalog.pg_enum ORDER BY enumtypid, enumsortorder";
    let mut labels: Vec<(u32, Vec<String>)> = Vec::new();
    for row in connection.query("read the labels of enum types", statement)? {
        let oid = row.parse(0)?;
        match labels.last_mut() {
            Some((known, list)) if *known == oid => list.push(row.text(1).to_owned()),
            _ => labels.push((oid, vec![row.text(1).to_owned()])),
        }
    }
    Ok(labels)
}
