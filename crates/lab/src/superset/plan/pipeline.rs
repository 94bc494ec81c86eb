//! "[ Pipeline ]": how fresh the data is, how many rows each table has, what is wrong.
//!
//! It reads what walhouse keeps in ClickHouse beside the data, so it shows a walhouse that stands still as well as one
//! that runs.

use super::Assets;
use crate::clickhouse::literal;
use crate::superset::chart::{Chart, Grain, LAST_DAY, Visual, whole};
use crate::superset::dashboard::{Dashboard, Filter, Row};
use crate::superset::dataset::{Column, Dataset, Metric, WHOLE};
use crate::superset::words::quoted;
use crate::warehouse::{Table, Warehouse};

const TABLES: &str = "walhouse_tables_now";
const CHANGES: &str = "walhouse_changes";
/// What filters act on.
const TIME: &str = "committed_at";
/// What the axis shows.
const MINUTE: &str = "committed_minute";
/// Tables whose rows are counted at each look: with more, a look would take too long.
const COUNTED_TABLES: usize = 50;

/// Adds both datasets, the charts and the dashboard.
pub(super) fn add(assets: &mut Assets, warehouse: &Warehouse) {
    if warehouse.tables.is_empty() {
        return;
    }
    let counted = warehouse.tables.get(..COUNTED_TABLES).unwrap_or(&warehouse.tables);
    assets.add_dataset(tables(&assets.deployment.slot, &warehouse.database, counted));
    assets.add_dataset(changes(&warehouse.database, counted));
    for chart in charts() {
        assets.add_chart(chart);
    }
    let row = |height, charts: &[&str]| Row::equal(height, charts);
    assets.add_dashboard(
        "Pipeline",
        Dashboard {
            uuid: String::new(),
            title: String::new(),
            slug: "pipeline".to_owned(),
            description: "How fresh the data is, how many rows each table has, and what is wrong".to_owned(),
            rows: vec![
                row(
                    24,
                    &[
                        "Seconds since the newest change arrived",
                        "Rows in ClickHouse",
                        "Tables live",
                        "Tables stopped by an error",
                    ],
                ),
                row(44, &["Changes / minute", "Commit to arrival, seconds / minute"]),
                row(50, &["Tables", "Rows by table"]),
            ],
            filters: vec![Filter::Period { name: "Period of the changes", first: LAST_DAY }],
            refresh: 0,
        },
    );
}

/// The tables' states, with what a count finds now.
fn tables(slot: &str, database: &str, counted: &[Table]) -> Dataset {
    let looks = counted.iter().map(|table| {
        let (view, target) = (in_database(database, &table.source.view), in_database(database, &table.source.target));
        format!(
            "SELECT {name} AS table_name, (SELECT count() FROM {view}) AS row_count, max(source_updated_at_ms) AS \
             newest_ms, max(arrival_date_time_tz) AS newest_arrival FROM {target}",
            name = literal(&table.source.name),
        )
    });
    let looks = looks.collect::<Vec<_>>().join("\n    UNION ALL ");
    let sql = format!(
        "SELECT state.table_name AS source_table, state.phase AS phase, state.error AS stopped_by,
    state.rows_copied AS rows_copied, look.row_count AS rows_now,
    toDateTime64(look.newest_ms / 1000, 3, 'UTC') AS newest_change, look.newest_arrival AS newest_arrival
FROM (
    SELECT concat(schema, '.', name) AS table_name, argMax(phase, seq) AS phase, argMax(tuple(error), seq).1 AS error,
        argMax(rows_copied, seq) AS rows_copied
    FROM {states} WHERE slot = {slot} GROUP BY schema, name
) AS state
LEFT JOIN (
    {looks}
) AS look ON look.table_name = state.table_name",
        states = in_database(database, "walhouse_tables"),
        slot = literal(slot),
    );
    Dataset {
        uuid: String::new(),
        name: TABLES.to_owned(),
        sql: Some(sql),
        description: format!("The tables' states as they are now; rows of the first {COUNTED_TABLES} are counted"),
        main_time: Some("newest_change".to_owned()),
        columns: vec![
            Column::new("source_table", "String", "Table", "Name in Postgres"),
            Column::new("phase", "String", "Phase", "pending, copying, live or stopped"),
            Column::new("stopped_by", "Nullable(String)", "Stopped by", "The error that stopped the table"),
            Column::new("rows_copied", "UInt64", "Rows copied", "Rows of the first copy"),
            Column::new("rows_now", "UInt64", "Rows", "Rows that exist now"),
            Column::new("newest_change", "DateTime64(3, 'UTC')", "Newest change", "When it was committed in Postgres"),
            Column::new("newest_arrival", "DateTime", "Newest arrival", "When the newest change arrived in ClickHouse"),
        ],
        metrics: vec![
            Metric::new("all_rows", "SUM(rows_now)", "Rows", WHOLE, "Rows that exist now"),
            Metric::new("live_tables", "countIf(phase = 'live')", "Tables live", WHOLE, "Tables that follow the log"),
            Metric::new(
                "stopped_tables",
                "countIf(stopped_by IS NOT NULL)",
                "Tables stopped",
                WHOLE,
                "Tables that are stopped by an error of their own; the others go on",
            ),
            Metric::new(
                "seconds_since_arrival",
                "greatest(0, dateDiff('second', max(newest_arrival), now()))",
                "Seconds",
                WHOLE,
                "Time since anything arrived; large when nothing is written in Postgres, too",
            ),
        ],
    }
}

/// Every change that the history holds, or the newest of each row where there is none.
fn changes(database: &str, counted: &[Table]) -> Dataset {
    let looks = counted.iter().map(|table| {
        format!(
            "SELECT {name} AS source_table, db_action, source_updated_at_ms AS ms, arrival_date_time_tz AS arrived FROM \
             {target}",
            name = literal(&table.source.name),
            target = in_database(database, &table.source.target),
        )
    });
    let sql = format!(
        "SELECT source_table, db_action AS action, toDateTime64(ms / 1000, 3, 'UTC') AS {TIME}, \
         toStartOfMinute(toDateTime(intDiv(ms, 1000), 'UTC')) AS {MINUTE}, greatest(0, toUnixTimestamp(arrived) - ms / \
         1000) AS delay\nFROM (\n    {}\n)\nWHERE ms IS NOT NULL",
        looks.collect::<Vec<_>>().join("\n    UNION ALL ")
    );
    Dataset {
        uuid: String::new(),
        name: CHANGES.to_owned(),
        sql: Some(sql),
        description: "Changes as they came; a first copy's rows have the action read".to_owned(),
        main_time: Some(TIME.to_owned()),
        columns: vec![
            Column::new("source_table", "String", "Table", "Name in Postgres"),
            Column::new("action", "Nullable(String)", "Action", "read, insert, update, delete"),
            Column::new(TIME, "DateTime64(3, 'UTC')", "Committed", "When the change was committed in Postgres"),
            Column::new(MINUTE, "DateTime", "Minute", "Axis of the charts by minute; filters use the time itself"),
            Column::new(
                "delay",
                "Float64",
                "Delay",
                "Seconds from commit to arrival; an arrival is known to the second",
            ),
        ],
        metrics: vec![
            Metric::new("change_count", "COUNT(*)", "Changes", WHOLE, "Number of changes"),
            Metric::new(
                "delay_p99",
                "quantileIf(0.99)(delay, action != 'read')",
                "Commit to arrival p99",
                ",.1f",
                "99 of 100 changes took no longer, in seconds; an arrival is known to the second",
            ),
        ],
    }
}

fn charts() -> Vec<Chart> {
    let chart = |name: &str, dataset: &str, time: Option<&str>, description: &str, visual| Chart {
        uuid: String::new(),
        name: name.to_owned(),
        description: description.to_owned(),
        dataset: dataset.to_owned(),
        time: time.map(|time| (time.to_owned(), LAST_DAY)),
        visual,
    };
    let line = |metric: &str, series: Option<&str>| Visual::Line {
        axis: MINUTE.to_owned(),
        grain: Grain::Minute,
        metric: metric.to_owned(),
        series: series.map(str::to_owned),
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    vec![
        chart(
            "Seconds since the newest change arrived",
            TABLES,
            None,
            "Grows while nothing is written in Postgres, and while nothing arrives",
            whole("seconds_since_arrival"),
        ),
        chart("Rows in ClickHouse", TABLES, None, "Rows of all tables that exist now", whole("all_rows")),
        chart("Tables live", TABLES, None, "Tables that are copied and follow the log", whole("live_tables")),
        chart("Tables stopped by an error", TABLES, None, "The table below has the errors", whole("stopped_tables")),
        chart(
            "Changes / minute",
            CHANGES,
            Some(TIME),
            "Changes by the minute of their commit",
            line("change_count", Some("source_table")),
        ),
        chart(
            "Commit to arrival, seconds / minute",
            CHANGES,
            Some(TIME),
            "99 of 100 changes took no longer; an arrival is known to the second",
            line("delay_p99", None),
        ),
        chart(
            "Tables",
            TABLES,
            None,
            "State of each table",
            Visual::Sums {
                by: names(&["source_table", "phase", "newest_change", "stopped_by"]),
                metrics: names(&["all_rows"]),
            },
        ),
        chart(
            "Rows by table",
            TABLES,
            None,
            "Rows that exist now",
            Visual::Bars { by: "source_table".to_owned(), metric: "all_rows".to_owned() },
        ),
    ]
}

fn in_database(database: &str, name: &str) -> String {
    format!("{}.{}", quoted(database), quoted(name))
}
