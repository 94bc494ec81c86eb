//! Plans for the sample workload and for somebody's own tables.

use serde_json::Value;

use super::*;
use crate::superset::bundle::{Selection, bundles};
use crate::superset::connection::Connection;
use crate::warehouse::{Column, META_COLUMNS, SourceColumn, SourceTable, Table};

fn table(name: &str, columns: &[(&str, &str)]) -> Table {
    let own = |(name, ty): &(&str, &str)| SourceColumn {
        name: (*name).to_owned(),
        ty: (*ty).to_owned(),
        key: *name == "id",
        ..SourceColumn::default()
    };
    let source = SourceTable {
        name: format!("public.{name}"),
        target: name.to_owned(),
        view: format!("view_{name}_last_rec"),
        columns: columns.iter().map(own).collect(),
        ..SourceTable::default()
    };
    let column = |name: &str, ty: &str| Column { name: name.to_owned(), ty: ty.to_owned(), source: None };
    let business = columns.iter().map(|(name, ty)| column(name, ty));
    let meta = META_COLUMNS.iter().map(|meta| column(meta.name, "Int64"));
    Table::new(source, business.chain(meta).collect())
}

fn shop() -> Warehouse {
    let items = [("id", "Int32"), ("price", "Nullable(Decimal(10, 2))"), ("tags", "Array(String)"), ("total", "Int8")];
    let orders =
        [("id", "Int32"), ("total_of_price", "Int8"), ("made", "Nullable(DateTime64(6, 'UTC'))"), ("born", "Date32")];
    let tables = vec![table("items", &items), table("orders", &orders)];
    Warehouse { database: "shop".to_owned(), tables, absent: Vec::new() }
}

fn rembo() -> Warehouse {
    let sales = [
        ("sales_id", "Int32"),
        ("order_date", "DateTime64(6, 'UTC')"),
        ("sales_amount", "Nullable(Int64)"),
        ("order_quantity", "Nullable(Int32)"),
        ("customer_id", "Nullable(Int32)"),
        ("employee_id", "Nullable(Int32)"),
        ("sales_territory_id", "Nullable(Int32)"),
    ];
    let text = "Nullable(String)";
    let territory = ["country", "region", "city"].map(|part| format!("sales_territory_{part}"));
    let mut territory: Vec<(&str, &str)> = territory.iter().map(|name| (name.as_str(), text)).collect();
    territory.push(("sales_territory_id", "Int32"));
    let customer = [("customer_id", "Int32"), ("first_name", text), ("last_name", text), ("gender", text)];
    let tables = vec![
        table("customer", &customer),
        table("employee", &[("employee_id", "Int32"), ("employee_name", text)]),
        table("sales", &sales),
        table("sales_territory", &territory),
    ];
    Warehouse { database: "rembo".to_owned(), tables, absent: Vec::new() }
}

fn plan(name: &str, warehouse: &Warehouse) -> Assets {
    Assets::plan(Deployment { name: name.to_owned(), slot: "slot".to_owned() }, warehouse)
}

fn connection() -> Connection {
    Connection {
        url: "http://localhost:8123".to_owned(),
        user: "reader".to_owned(),
        password: "hush".to_owned(),
        database: "shop".to_owned(),
        set_utc: false,
    }
}

fn titles(assets: &Assets) -> Vec<&str> {
    assets.dashboards.iter().map(|dashboard| dashboard.title.as_str()).collect()
}

#[test]
fn the_sample_workload_has_its_dashboards() {
    let assets = plan("walhouse", &rembo());
    assert_eq!(titles(&assets), ["[ Operations ]", "[ Sales ]", "[ Pipeline ]"]);
    assert_eq!(assets.counts(), (7, 17, 3));
}

#[test]
fn any_other_database_has_a_starter() {
    let assets = plan("shop", &shop());
    assert_eq!(titles(&assets), ["[ Overview ] shop", "[ Pipeline ] shop"]);
    let slugs: Vec<_> = assets.dashboards.iter().map(|dashboard| dashboard.slug.as_str()).collect();
    assert_eq!(slugs, ["shop-overview", "shop-pipeline"]);
    let empty = Warehouse { database: "d".to_owned(), ..Warehouse::default() };
    assert_eq!(plan("walhouse", &empty).counts(), (0, 0, 0));
}

#[test]
fn a_dataset_knows_its_columns() {
    let assets = plan("walhouse", &shop());
    let dataset = |name: &str| assets.datasets.iter().find(|dataset| dataset.name == name).unwrap();
    let items = dataset("view_items_last_rec");
    let metrics: Vec<_> = items.metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(metrics, ["row_count", "total_of_price", "average_of_price", "total_of_total", "average_of_total"]);
    assert_eq!(items.main_time.as_deref(), Some("arrival_date_time_tz"));
    let tags = items.columns.iter().find(|column| column.name == "tags").unwrap();
    assert!(!tags.is_plain);
    let orders = dataset("view_orders_last_rec");
    assert_eq!(orders.main_time.as_deref(), Some("made"), "a month before 1970 wraps");
    let names: Vec<_> = orders.metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert!(names.contains(&"total_of_total_of_price"), "{names:?}");
}

/// Names decide, so a second run wants the same identifiers; another deployment wants others.
#[test]
fn identifiers_are_stable() {
    let uuids = |assets: &Assets| {
        let charts = assets.charts.iter().map(|chart| chart.uuid.clone());
        let datasets = assets.datasets.iter().map(|dataset| dataset.uuid.clone());
        let dashboards = assets.dashboards.iter().map(|dashboard| dashboard.uuid.clone());
        charts.chain(datasets).chain(dashboards).collect::<std::collections::BTreeSet<_>>()
    };
    let (first, second) = (plan("walhouse", &rembo()), plan("walhouse", &rembo()));
    assert_eq!(first, second);
    let (datasets, charts, dashboards) = first.counts();
    assert_eq!(uuids(&first).len(), datasets + charts + dashboards);
    assert!(uuids(&first).is_disjoint(&uuids(&plan("other", &rembo()))));
}

/// Superset 6.1.0 labels an axis like its column, and ClickHouse then filters by the label.
#[test]
fn no_axis_is_a_column_that_is_filtered() {
    for assets in [plan("walhouse", &rembo()), plan("shop", &shop())] {
        for chart in &assets.charts {
            let dataset = assets.dataset_uuid(&chart.dataset).unwrap();
            let content = chart.to_json(&dataset);
            let context: Value = serde_json::from_str(content["query_context"].as_str().unwrap()).unwrap();
            for query in context["queries"].as_array().unwrap() {
                let filtered: Vec<&str> =
                    query["filters"].as_array().unwrap().iter().filter_map(|f| f["col"].as_str()).collect();
                for column in query["columns"].as_array().unwrap() {
                    assert!(!filtered.iter().any(|name| column["label"] == **name), "{}", chart.name);
                }
                for metric in query["metrics"].as_array().into_iter().flatten() {
                    let columns = &assets.datasets.iter().find(|d| d.name == chart.dataset).unwrap().columns;
                    assert!(!columns.iter().any(|column| metric == column.name.as_str()), "{}", chart.name);
                }
            }
        }
    }
}

/// Both texts of a chart say the same, and name only what the dataset has.
#[test]
fn charts_use_what_their_datasets_have() {
    for assets in [plan("walhouse", &rembo()), plan("shop", &shop())] {
        for chart in &assets.charts {
            let dataset = assets.datasets.iter().find(|dataset| dataset.name == chart.dataset).unwrap();
            let names: Vec<&str> = dataset.columns.iter().map(|column| column.name.as_str()).collect();
            let metrics: Vec<&str> = dataset.metrics.iter().map(|metric| metric.name.as_str()).collect();
            let content = chart.to_json(&dataset.uuid);
            let context: Value = serde_json::from_str(content["query_context"].as_str().unwrap()).unwrap();
            for query in context["queries"].as_array().unwrap() {
                for column in query["columns"].as_array().unwrap() {
                    let name = column["sqlExpression"].as_str().or(column.as_str()).unwrap();
                    assert!(names.contains(&name), "{}: {name}", chart.name);
                }
                for metric in query["metrics"].as_array().into_iter().flatten() {
                    assert!(metrics.contains(&metric.as_str().unwrap()), "{}: {metric}", chart.name);
                }
            }
            for metric in chart.visual.metrics() {
                assert!(content["params"].to_string().contains(metric), "{}: {metric}", chart.name);
            }
        }
        for dashboard in &assets.dashboards {
            let named = dashboard.rows.iter().map(|row| row.charts.len()).sum::<usize>();
            assert_eq!(dashboard.charts(&assets.charts).count(), named, "{}", dashboard.title);
            assert!(dashboard.rows.iter().all(|row| row.charts.iter().map(|(_, width)| width).sum::<usize>() <= 12));
        }
    }
}

/// What a bundle's file looks like is Superset's contract; a change of it is seen here.
#[test]
fn bundles_hold_everything_and_no_secret() {
    let assets = plan("walhouse", &rembo());
    let bundles = bundles(&assets, &Selection::all(&assets), &connection());
    let objects: usize = bundles.iter().map(|bundle| bundle.objects).sum();
    let (datasets, charts, dashboards) = assets.counts();
    assert_eq!(objects, datasets + charts + dashboards);
    for bundle in &bundles {
        let text = format!("{:?}", bundle.files);
        assert!(!text.contains("hush") && text.contains("reader:XXXXXXXXXX@localhost:8123"), "{text}");
        assert!(!bundle.zip().unwrap().is_empty());
    }
}
