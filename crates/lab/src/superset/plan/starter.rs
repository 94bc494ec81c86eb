//! The starter dashboard of any database: how many rows, and how they grew.

use super::{Assets, tables};
use crate::superset::chart::{ALWAYS, Chart, Grain, Visual, whole};
use crate::superset::dashboard::{Dashboard, Filter, Row};
use crate::warehouse::{Table, Warehouse};

/// Tables with charts of their own: more would make the dashboard slow and nobody's.
const SHOWN_TABLES: usize = 12;
/// Big numbers side by side.
const NUMBERS_IN_ROW: usize = 4;
/// Lines side by side.
const LINES_IN_ROW: usize = 2;

/// Adds charts of the first tables, and the dashboard.
pub(super) fn add(assets: &mut Assets, warehouse: &Warehouse) {
    let shown: Vec<&Table> = warehouse.tables.iter().take(SHOWN_TABLES).collect();
    if shown.is_empty() {
        return;
    }
    let (mut numbers, mut lines) = (Vec::new(), Vec::new());
    for table in shown {
        let [number, line] = charts(table);
        numbers.push(number.name.clone());
        lines.push(line.name.clone());
        assets.add_chart(number);
        assets.add_chart(line);
    }
    let rows = |height, names: &[String], count| {
        let row = |names: &[String]| Row::equal(height, &names.iter().map(String::as_str).collect::<Vec<_>>());
        names.chunks(count).map(row).collect::<Vec<_>>()
    };
    assets.add_dashboard(
        "Overview",
        Dashboard {
            uuid: String::new(),
            title: String::new(),
            slug: "overview".to_owned(),
            description: "How many rows there are, and when they came to be".to_owned(),
            rows: [rows(24, &numbers, NUMBERS_IN_ROW), rows(40, &lines, LINES_IN_ROW)].concat(),
            filters: vec![Filter::Period { name: "Period", first: ALWAYS }],
            refresh: 0,
        },
    );
}

fn charts(table: &Table) -> [Chart; 2] {
    let (name, metric) = (&table.source.name, tables::count(table));
    let chart = |title: String, description: String, visual| Chart {
        uuid: String::new(),
        name: title,
        description,
        dataset: table.source.view.clone(),
        time: Some((tables::main_time(table).to_owned(), ALWAYS)),
        visual,
    };
    let day = tables::day(table);
    let by_day = Visual::Line { axis: day, grain: Grain::Day, metric: metric.clone(), series: None };
    [
        chart(format!("Rows of {name}"), format!("How many rows of {name} there are"), whole(&metric)),
        chart(
            format!("Rows of {name} / day"),
            format!("Rows of {name} by the day of {}", tables::main_time(table)),
            by_day,
        ),
    ]
}
