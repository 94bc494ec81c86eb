//! The data dictionary: what every table of the target holds, as a document.
//!
//! It is written from the live schemas of both sides ([`Warehouse`]), so it is never out of date. Both forms are pure
//! functions of it: two runs on the same tables give the same bytes.

mod html;
mod markdown;

use crate::warehouse::{Column, Table, Warehouse};

pub use html::html;
pub use markdown::markdown;

/// What stands above the tables.
const INTRODUCTION: &str = "Every table carries the columns of its table in Postgres, under their names, and the \
    columns that walhouse adds. Read the current rows from the view; with history, the table itself holds every version \
    of every row.";
/// What the columns that every table has are called.
const META_HEADING: &str = "Columns of every table";
/// The column that only tables have.
const VERSION: (&str, &str, &str) = (
    "_version",
    "UInt128",
    "Orders a row's versions: epoch, position of the commit in Postgres' log, place in the transaction. Not in the views",
);

/// One line of a table of columns.
struct Line<'a> {
    name: &'a str,
    ty: &'a str,
    source: &'a str,
    nullable: &'static str,
    description: String,
}

impl<'a> Line<'a> {
    fn new(column: &'a Column) -> Self {
        let source = column.source.as_ref();
        let mut description = column.description().unwrap_or_default().to_owned();
        if source.is_some_and(|source| source.key) {
            let stop = if description.is_empty() { "" } else { ". " };
            description = format!("Key{stop}{description}");
        }
        if column.meta().is_none() && source.is_none() {
            description = "Gone from the source; NULL in rows written since".to_owned();
        }
        Self {
            name: &column.name,
            ty: &column.ty,
            source: source.map_or("", |source| source.ty.as_str()),
            nullable: if column.is_nullable() { "yes" } else { "no" },
            description,
        }
    }
}

/// The table's own columns.
fn business(table: &Table) -> impl Iterator<Item = Line<'_>> {
    table.columns.iter().filter(|column| column.meta().is_none()).map(Line::new)
}

/// The columns that walhouse adds, as some table has them.
fn meta(warehouse: &Warehouse) -> Vec<Line<'_>> {
    let Some(table) = warehouse.tables.first() else { return Vec::new() };
    let mut lines: Vec<Line<'_>> =
        table.columns.iter().filter(|column| column.meta().is_some()).map(Line::new).collect();
    let (name, ty, description) = VERSION;
    lines.push(Line { name, ty, source: "", nullable: "no", description: description.to_owned() });
    lines
}

/// Where a table's rows are, in words.
fn places(table: &Table) -> String {
    let source = &table.source;
    let holds = if source.history { "every version of every row" } else { "the current rows" };
    format!("From {}; table {} holds {holds}; view {} shows the current rows.", source.name, source.target, source.view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warehouse::{SourceColumn, SourceTable};

    fn warehouse() -> Warehouse {
        let own = |name: &str, ty: &str, key: bool, description: Option<&str>| SourceColumn {
            name: name.to_owned(),
            ty: ty.to_owned(),
            nullable: !key,
            key,
            description: description.map(str::to_owned),
        };
        let source = SourceTable {
            name: "public.item".to_owned(),
            target: "item".to_owned(),
            view: "view_item_last_rec".to_owned(),
            history: true,
            description: Some("What we sell | <b>all</b> of it".to_owned()),
            columns: vec![
                own("id", "integer", true, None),
                own("a|b", "numeric(10,2)", false, Some("in EUR,\n\"net\" & more")),
            ],
        };
        let column = |name: &str, ty: &str| Column { name: name.to_owned(), ty: ty.to_owned(), source: None };
        let columns = vec![
            column("id", "Int32"),
            column("a|b", "Nullable(Decimal(10, 2))"),
            column("old", "Nullable(String)"),
            column("record_version", "Int64"),
            column("is_deleted", "UInt8"),
        ];
        let tables = vec![Table::new(source, columns)];
        Warehouse { database: "shop".to_owned(), tables, absent: vec!["public.later".to_owned()] }
    }

    #[test]
    fn as_markdown() {
        insta::assert_snapshot!(markdown(&warehouse()));
    }

    #[test]
    fn as_html() {
        let page = html(&warehouse());
        assert!(!page.contains("<b>all") && page.contains("&quot;net&quot; &amp; more"), "{page}");
        insta::assert_snapshot!(page);
    }
}
