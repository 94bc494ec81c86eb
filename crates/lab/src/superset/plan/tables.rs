//! A dataset per table, on its view of current rows.

use crate::superset::dataset::{CENTS, Column, Dataset, Metric, SHORT, WHOLE};
use crate::superset::words::{free_name, label, quoted};
use crate::warehouse::{self, Table};

/// How many rows there are.
pub(super) const COUNT: &str = "row_count";
/// The day of a table's main time column, for an axis.
pub(super) const DAY: &str = "day_of_main_time";
/// When a row arrived, which every table knows.
const ARRIVED: &str = "arrival_date_time_tz";

/// The dataset of a table; it gets its identifier later.
pub(super) fn dataset(table: &Table) -> Dataset {
    let main_time = main_time(table);
    let mut columns: Vec<Column> = table.columns.iter().map(column).collect();
    columns.push(Column {
        expression: Some(format!("toStartOfDay({}.{})", quoted(&table.source.view), quoted(main_time))),
        ..Column::new(
            &free_name(DAY, |name| table.has(name)),
            "DateTime",
            &format!("{}, day", label(main_time)),
            "Axis of the charts by day; filters use the time itself",
        )
    });
    Dataset {
        uuid: String::new(),
        name: table.source.view.clone(),
        sql: None,
        description: description(table),
        main_time: Some(main_time.to_owned()),
        metrics: metrics(table),
        columns,
    }
}

/// Name of the dataset's count.
pub(super) fn count(table: &Table) -> String {
    free_name(COUNT, |name| table.has(name))
}

/// Name of the dataset's axis by day.
pub(super) fn day(table: &Table) -> String {
    free_name(DAY, |name| table.has(name))
}

/// The time column that a person would look at first. Not a `Date32`: a month's start before 1970 or after 2106 wraps.
pub(super) fn main_time(table: &Table) -> &str {
    const FIRST: [&str; 6] = ["created_at", "created", "inserted_at", "order_date", "occurred_at", "time"];
    let business = table.columns.iter().filter(|column| column.meta().is_none());
    let times: Vec<&str> = business
        .filter(|column| column.plain_type().starts_with("DateTime") || column.plain_type() == "Date")
        .map(|column| column.name.as_str())
        .collect();
    let known = FIRST.iter().find(|name| times.contains(name)).copied();
    known.or_else(|| times.first().copied()).unwrap_or(ARRIVED)
}

fn description(table: &Table) -> String {
    let what = format!("Rows of {} as they are now, deleted rows left out", table.source.name);
    match &table.source.description {
        Some(comment) => format!("{comment}\n\n{what}"),
        None => what,
    }
}

fn column(column: &warehouse::Column) -> Column {
    let ty = column.plain_type();
    let is_composite = ["Array(", "Map(", "Tuple(", "Nested(", "JSON", "Variant(", "Dynamic"]
        .iter()
        .any(|composite| ty.starts_with(composite));
    Column {
        name: column.name.clone(),
        ty: column.ty.clone(),
        label: column.meta().map_or_else(|| label(&column.name), |meta| meta.label.to_owned()),
        description: column.description().map(str::to_owned),
        is_time: ty.starts_with("Date"),
        // a filter on such a value is an error of the server
        is_plain: !is_composite,
        expression: None,
    }
}

/// Named apart from all columns: in ClickHouse a metric named like its column takes the column's place in a filter.
fn metrics(table: &Table) -> Vec<Metric> {
    let mut metrics = vec![Metric::new(&count(table), "COUNT(*)", "Rows", WHOLE, "Number of rows that exist now")];
    for column in table.columns.iter().filter(|column| is_amount(column)) {
        let (name, words) = (&column.name, label(&column.name).to_lowercase());
        for (kind, function, word, format) in [("total", "SUM", "Total", SHORT), ("average", "AVG", "Average", CENTS)] {
            metrics.push(Metric::new(
                &free_name(&format!("{kind}_of_{name}"), |taken| table.has(taken)),
                &format!("{function}({})", quoted(name)),
                &format!("{word} {words}"),
                format,
                column.description().unwrap_or_default(),
            ));
        }
    }
    metrics
}

/// A number that is worth adding up: not a key, not a reference.
fn is_amount(column: &warehouse::Column) -> bool {
    let Some(source) = &column.source else { return false };
    let number = ["Int", "UInt", "Float", "Decimal"].iter().any(|number| column.plain_type().starts_with(number));
    let reference = ["id", "key", "code", "number"]
        .iter()
        .any(|word| column.name == *word || column.name.ends_with(&format!("_{word}")));
    number && !source.key && !reference
}
