//! What people wrote about tables and columns (COMMENT ON), and the types as Postgres writes them: for the data
//! dictionary and for dashboards. Nothing of it steers the pipeline.

use walhouse_change::TableName;

use crate::wire::connection::Connection;
use crate::{Result, sql};

/// A table in its owner's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableNotes {
    /// `pg_class.oid`.
    pub relid: u32,
    /// COMMENT ON TABLE.
    pub comment: Option<String>,
    /// In the table's order, generated and unpublished ones included.
    pub columns: Vec<ColumnNotes>,
}

/// A column in its owner's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnNotes {
    /// Its name.
    pub name: String,
    /// Its type with modifiers, such as `numeric(10,2)`; a type of the user's with its schema.
    pub ty: String,
    /// NOT NULL is not declared.
    pub nullable: bool,
    /// COMMENT ON COLUMN.
    pub comment: Option<String>,
}

/// Reads the notes of tables; one that is gone is left out.
pub(crate) fn read(connection: &mut Connection, relids: &[u32]) -> Result<Vec<(TableName, TableNotes)>> {
    let sql = format!(
        "SELECT c.oid, n.nspname, c.relname, obj_description(c.oid, 'pg_class'),
                a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, col_description(c.oid, a.attnum)
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.oid IN ({}) ORDER BY n.nspname, c.relname, a.attnum",
        sql::oids(relids.iter().copied())
    );
    let mut tables: Vec<(TableName, TableNotes)> = Vec::with_capacity(relids.len());
    for row in connection.query("read the tables' comments", &sql)? {
        let relid = row.parse(0)?;
        if tables.last().is_none_or(|(_, notes)| notes.relid != relid) {
            let comment = row.optional(3).map(str::to_owned);
            let notes = TableNotes { relid, comment, columns: Vec::new() };
            tables.push((TableName::new(row.text(1), row.text(2)), notes));
        }
        if let Some((_, notes)) = tables.last_mut() {
            notes.columns.push(ColumnNotes {
                name: row.text(4).to_owned(),
                ty: row.text(5).to_owned(),
                nullable: row.flag(6),
                comment: row.optional(7).map(str::to_owned),
            });
        }
    }
    Ok(tables)
}
