//! A dataset: a view, or a query, with words for its columns and the sums that people want.

use serde_json::{Value, json};

use super::OURS;
use super::words::quoted;

/// What Superset calls a virtual dataset in the SQL that it writes.
const VIRTUAL_TABLE: &str = "virtual_table";

/// A dataset of Superset.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Dataset {
    pub(super) uuid: String,
    /// The view's name, or a name of its own.
    pub(super) name: String,
    /// None for a view of the database.
    pub(super) sql: Option<String>,
    pub(super) description: String,
    /// The time column that is offered first.
    pub(super) main_time: Option<String>,
    pub(super) columns: Vec<Column>,
    pub(super) metrics: Vec<Metric>,
}

/// A column of a dataset.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Column {
    pub(super) name: String,
    /// ClickHouse's type.
    pub(super) ty: String,
    pub(super) label: String,
    pub(super) description: Option<String>,
    /// May be filtered by a period.
    pub(super) is_time: bool,
    /// May be filtered and grouped by.
    pub(super) is_plain: bool,
    /// For a column that the view does not have: how to compute it.
    pub(super) expression: Option<String>,
}

/// A sum, a count, a mean.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) expression: String,
    pub(super) label: String,
    pub(super) description: String,
    pub(super) format: &'static str,
}

/// Whole numbers with separators.
pub(super) const WHOLE: &str = ",d";
/// Two decimals.
pub(super) const CENTS: &str = ",.2f";
/// As few figures as tell it: 12.3k.
pub(super) const SHORT: &str = "SMART_NUMBER";

impl Column {
    /// A column of a query of ours.
    pub(super) fn new(name: &str, ty: &str, label: &str, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            ty: ty.to_owned(),
            label: label.to_owned(),
            description: Some(description.to_owned()).filter(|text| !text.is_empty()),
            is_time: ty.contains("Date"),
            is_plain: true,
            expression: None,
        }
    }
}

impl Metric {
    pub(super) fn new(name: &str, expression: &str, label: &str, format: &'static str, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            expression: expression.to_owned(),
            label: label.to_owned(),
            description: description.to_owned(),
            format,
        }
    }
}

impl Dataset {
    /// As the importer wants it.
    pub(super) fn to_json(&self, database: &str, database_uuid: &str) -> Value {
        json!({
            "table_name": self.name,
            "main_dttm_col": self.main_time,
            "description": self.description,
            "default_endpoint": null,
            "offset": 0,
            "cache_timeout": null,
            "schema": database,
            "sql": self.sql,
            "params": null,
            "template_params": null,
            "filter_select_enabled": true,
            "fetch_values_predicate": null,
            "extra": certified(&self.description),
            "uuid": self.uuid,
            "version": super::bundle::VERSION,
            "database_uuid": database_uuid,
            "columns": self.columns.iter().map(|column| self.column(column)).collect::<Vec<_>>(),
            "metrics": self.metrics.iter().map(metric).collect::<Vec<_>>(),
        })
    }

    fn column(&self, column: &Column) -> Value {
        json!({
            "column_name": column.name,
            "type": column.ty,
            "is_dttm": column.is_time,
            "verbose_name": column.label,
            "description": column.description,
            "is_active": true,
            "groupby": column.is_plain,
            "filterable": column.is_plain,
            "expression": self.expression(column),
            "python_date_format": null,
            "extra": column.expression.as_ref().map(|_| certified("")),
        })
    }

    /// How Superset is to name the column in SQL.
    ///
    /// A time column goes by its table's name. Superset 6.1.0 labels an axis like its column (`toStartOfMonth(t) AS
    /// t`), and ClickHouse reads a bare `t` in WHERE as that label: a period that begins within a month then silently
    /// loses that month. A qualified name can only be the column.
    fn expression(&self, column: &Column) -> Option<String> {
        if column.expression.is_some() || !column.is_time {
            return column.expression.clone();
        }
        let table = if self.sql.is_some() { VIRTUAL_TABLE } else { self.name.as_str() };
        Some(format!("{}.{}", quoted(table), quoted(&column.name)))
    }
}

fn metric(metric: &Metric) -> Value {
    json!({
        "metric_name": metric.name,
        "expression": metric.expression,
        "verbose_name": metric.label,
        "metric_type": null,
        "description": metric.description,
        "d3format": metric.format,
        "extra": certified(""),
        "warning_text": null,
    })
}

/// The badge by which we know our own objects again.
fn certified(details: &str) -> Value {
    json!({"certification": {"certified_by": OURS, "details": details}})
}
