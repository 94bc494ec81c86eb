//! The plan of one table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use walhouse_change::TableSchema;
use walhouse_value::Class;

use super::{ClickHouseType, Dates, MappingError, UnsupportedType, names};

/// What holds for all tables of a deployment.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Database of every table and view.
    pub database: String,
    /// Keep every version of a row (a table of its own beside the current state).
    pub history: bool,
    /// How long the history keeps a version after its arrival; for ever when absent.
    pub retention: Option<Duration>,
    /// What the server's calendar types hold.
    pub dates: Dates,
}

/// What the user wants otherwise for one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableOverride {
    /// The table's name in ClickHouse.
    pub name: Option<String>,
    /// Keep the history of this table.
    pub history: Option<bool>,
    /// How long.
    pub retention: Option<Duration>,
    /// Name of the view of the current state.
    pub view: Option<String>,
    /// ClickHouse type by column: `String`, `LowCardinality(String)` for text, wider integers,
    /// `Decimal(p, s)` for numerics. Anything that could round is refused.
    pub columns: BTreeMap<String, String>,
    /// The key's columns in the order to sort by; the key's own order when empty.
    pub order_by: Vec<String>,
}

/// A business column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnPlan {
    /// Name, the same on both sides.
    pub name: String,
    /// Type, without `Nullable`.
    pub ty: ClickHouseType,
    /// Belongs to the key: not `Nullable`, and every value must be representable.
    pub key: bool,
}

impl ColumnPlan {
    /// The full type as SQL and in a Native header.
    #[must_use]
    pub fn sql_type(&self) -> String {
        self.ty.sql(!self.key)
    }
}

/// A metadata column, the same in every table.
#[derive(Clone, Copy, Debug)]
pub struct MetaColumn {
    /// Its name.
    pub name: &'static str,
    /// Its full type.
    pub sql_type: &'static str,
    /// Its default clause, for a column that is not sent.
    pub default: Option<&'static str>,
    /// Shown in the views.
    pub in_views: bool,
}

const fn meta(name: &'static str, sql_type: &'static str) -> MetaColumn {
    MetaColumn { name, sql_type, default: None, in_views: true }
}

/// The metadata columns after the business columns, in order. Types are the data dictionary's.
pub const META_COLUMNS: [MetaColumn; 7] = [
    // the change's own LSN; orders nothing
    meta("record_version", "Int64"),
    MetaColumn { default: Some("DEFAULT now()"), ..meta("arrival_date_time_tz", "DateTime") },
    meta("source_updated_at_ms", "Nullable(Int64)"),
    meta("db_action", "Nullable(String)"),
    meta("is_deleted", "UInt8"),
    // by column name the text of a value that the column cannot hold; the column is NULL then
    meta("_unrepresentable", "Map(String, String)"),
    MetaColumn { in_views: false, ..meta("_version", "UInt128") },
];

/// What a table of the target keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableKind {
    /// Every version of every row.
    Log,
    /// The newest version of every row, deleted ones included.
    Current,
}

/// How one source table lies in ClickHouse. Immutable, shared behind an `Arc`.
#[derive(Clone, Debug)]
pub struct TablePlan {
    /// The source's shape that the plan was made for.
    pub schema: Arc<TableSchema>,
    /// Database of the tables and views.
    pub database: String,
    /// The table's name: the log with history, the current state without.
    pub name: String,
    /// The view of the current state.
    pub view: String,
    /// There is a log beside the current state.
    pub history: bool,
    /// How long the log keeps a version.
    pub retention: Option<Duration>,
    /// What the server's calendar types hold.
    pub dates: Dates,
    /// Business columns in source order: index `i` is the schema's column `i`.
    pub columns: Vec<ColumnPlan>,
    /// Indexes into `columns` of the sort key, a permutation of the schema's key.
    pub order_by: Vec<usize>,
}

impl TablePlan {
    /// Lays a table out.
    ///
    /// # Errors
    /// The table cannot be mapped or the override does not fit it: see [`MappingError`].
    pub fn new(schema: Arc<TableSchema>, overrides: &TableOverride, layout: &Layout) -> Result<Self, MappingError> {
        let table = &schema.name;
        let name = overrides.name.clone().unwrap_or_else(|| names::target_name(table));
        let view = overrides.view.clone().unwrap_or_else(|| format!("view_{name}_last_rec"));
        names::check(table, &name)?;
        names::check(table, &view)?;
        let columns = columns(&schema, overrides)?;
        let order_by = order_by(&schema, &overrides.order_by)?;
        Ok(Self {
            database: layout.database.clone(),
            name,
            view,
            history: overrides.history.unwrap_or(layout.history),
            retention: overrides.retention.or(layout.retention),
            dates: layout.dates,
            columns,
            order_by,
            schema,
        })
    }

    /// The tables that hold the rows: the log first, since inserts go to it first.
    #[must_use]
    pub fn tables(&self) -> &'static [TableKind] {
        if self.history { &[TableKind::Log, TableKind::Current] } else { &[TableKind::Current] }
    }

    /// A table's name in ClickHouse.
    #[must_use]
    pub fn table_name(&self, kind: TableKind) -> String {
        match kind {
            TableKind::Current if self.history => format!("{}__current", self.name),
            TableKind::Log | TableKind::Current => self.name.clone(),
        }
    }

    /// A table's name while its copy is in progress.
    #[must_use]
    pub fn staging_name(&self, kind: TableKind) -> String {
        format!("{}__copy", self.table_name(kind))
    }

    /// Name of the parameterised view of the state at a time; there is one only with history.
    #[must_use]
    pub fn at_view(&self) -> Option<String> {
        self.history.then(|| format!("{}_at", self.name))
    }

    /// Every table and view that is ever created for this plan, staging tables included.
    #[must_use]
    pub fn created_names(&self) -> Vec<String> {
        let tables = self.tables().iter().flat_map(|&kind| [self.table_name(kind), self.staging_name(kind)]);
        tables.chain([self.view.clone()]).chain(self.at_view()).collect()
    }

    /// Names of the columns that a row's versions are merged by, in sort order.
    pub fn sort_key(&self) -> impl Iterator<Item = &str> {
        self.order_by.iter().filter_map(|&index| self.columns.get(index)).map(|column| column.name.as_str())
    }

    /// Names of the columns that blocks carry, in block order: all but those with a default.
    pub fn sent_columns(&self) -> impl Iterator<Item = &str> {
        let business = self.columns.iter().map(|column| column.name.as_str());
        business.chain(META_COLUMNS.iter().filter(|column| column.default.is_none()).map(|column| column.name))
    }
}

fn columns(schema: &TableSchema, overrides: &TableOverride) -> Result<Vec<ColumnPlan>, MappingError> {
    let table = &schema.name;
    if schema.key.is_empty() {
        return Err(MappingError::NoKey { table: table.clone() });
    }
    if let Some(column) = overrides.columns.keys().find(|name| schema.column(name).is_none()) {
        return Err(MappingError::UnknownColumn { table: table.clone(), setting: "columns", column: column.clone() });
    }
    let plan = |(index, column): (usize, &walhouse_change::Column)| {
        let (name, key) = (column.name.clone(), schema.is_key(index));
        if META_COLUMNS.iter().any(|meta| meta.name == name) {
            return Err(MappingError::ReservedColumn { table: table.clone(), column: name });
        }
        let natural = ClickHouseType::natural(&column.ty);
        let ty = match overrides.columns.get(&name) {
            None => natural,
            Some(wanted) => ClickHouseType::chosen(&column.ty, wanted).ok_or_else(|| {
                MappingError::UnsupportedType(Box::new(UnsupportedType {
                    table: table.clone(),
                    column: name.clone(),
                    source_type: column.ty.sql_type(),
                    wanted: wanted.clone(),
                    default: natural.to_string(),
                }))
            })?,
        };
        let float = matches!(column.ty.class, Class::Float4 | Class::Float8) && ty != ClickHouseType::String;
        if key && float {
            return Err(MappingError::FloatKey { table: table.clone(), column: name });
        }
        Ok(ColumnPlan { name, ty, key })
    };
    schema.columns.iter().enumerate().map(plan).collect()
}

fn order_by(schema: &TableSchema, wanted: &[String]) -> Result<Vec<usize>, MappingError> {
    if wanted.is_empty() {
        return Ok(schema.key.clone());
    }
    let unknown = |column: &String| MappingError::UnknownColumn {
        table: schema.name.clone(),
        setting: "order_by",
        column: column.clone(),
    };
    let columns: Vec<usize> =
        wanted.iter().map(|name| schema.column(name).ok_or_else(|| unknown(name))).collect::<Result<_, _>>()?;
    let (mut sorted, mut key) = (columns.clone(), schema.key.clone());
    sorted.sort_unstable();
    key.sort_unstable();
    if sorted == key {
        return Ok(columns);
    }
    let names = schema.key.iter().filter_map(|&index| schema.columns.get(index)).map(|column| column.name.as_str());
    Err(MappingError::OrderBy { table: schema.name.clone(), key: names.collect::<Vec<_>>().join(", ") })
}

#[cfg(test)]
mod tests;
