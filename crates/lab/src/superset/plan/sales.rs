//! The sample workload's dashboards: "[ Operations ]" and "[ Sales ]".

use super::Assets;
use crate::superset::chart::{ALWAYS, Chart, Grain, Visual, whole};
use crate::superset::dashboard::{Dashboard, Filter, Row};
use crate::superset::dataset::{CENTS, Column, Dataset, Metric, WHOLE};
use crate::superset::words::quoted;
use crate::warehouse::{Table, Warehouse};

const DATASET: &str = "sales_enriched";
const AMOUNT: &str = "sales_total_amount";
const COUNT: &str = "sales_count";
const AVERAGE: &str = "sales_average_amount";
/// What filters act on.
const TIME: &str = "order_date";
/// What axes show. It is another column than [`TIME`]: see `Dataset::expression`.
const MONTH: &str = "order_month";
const RINGS: [&str; 4] = ["order_year", "sales_country", "sales_city", "customer_gender"];
/// Height of a row of big numbers, of charts, and of tables.
const HEIGHTS: [u32; 3] = [26, 50, 54];

/// A column of the dataset: name, type, heading, description.
type Known = (&'static str, &'static str, &'static str, &'static str);

const COLUMNS: [Known; 15] = [
    ("sales_id", "Int32", "Sale", ""),
    (TIME, "DateTime64(6, 'UTC')", "Order date", "When the order was placed (UTC)"),
    (MONTH, "Date", "Month", "Axis of the charts by month; filters use the order date"),
    ("order_year", "String", "Year", "Year of the order date"),
    ("sales_amount", "Nullable(Int64)", "Amount", ""),
    ("order_quantity", "Nullable(Int32)", "Quantity", ""),
    ("customer_id", "Nullable(Int32)", "Customer", ""),
    ("customer_first_name", "Nullable(String)", "First name", ""),
    ("customer_last_name", "Nullable(String)", "Last name", ""),
    ("customer_gender", "Nullable(String)", "Gender", ""),
    ("employee_id", "Nullable(Int32)", "Employee id", ""),
    ("employee_name", "Nullable(String)", "Employee", ""),
    ("sales_country", "Nullable(String)", "Sales Country", "Country of the sale's territory"),
    ("sales_region", "Nullable(String)", "Sales Region", "Region of the sale's territory"),
    ("sales_city", "Nullable(String)", "Sales City", "City of the sale's territory"),
];

/// What of the workload's tables the dashboards use.
const NEEDED: [(&str, &[&str]); 4] = [
    (
        "public.sales",
        &["sales_id", TIME, "sales_amount", "order_quantity", "customer_id", "employee_id", "sales_territory_id"],
    ),
    ("public.customer", &["customer_id", "first_name", "last_name", "gender"]),
    ("public.employee", &["employee_id", "employee_name"]),
    (
        "public.sales_territory",
        &["sales_territory_id", "sales_territory_country", "sales_territory_region", "sales_territory_city"],
    ),
];

/// True for the sample workload.
pub(super) fn fits(warehouse: &Warehouse) -> bool {
    let has = |table: &Table, columns: &[&str]| columns.iter().all(|column| table.has(column));
    NEEDED.iter().all(|(name, columns)| warehouse.table(name).is_some_and(|table| has(table, columns)))
}

/// Adds dataset, charts and dashboards.
pub(super) fn add(assets: &mut Assets, warehouse: &Warehouse) {
    assets.add_dataset(dataset(warehouse));
    for (name, description, visual) in charts() {
        assets.add_chart(Chart {
            uuid: String::new(),
            name: name.to_owned(),
            description: description.to_owned(),
            dataset: DATASET.to_owned(),
            time: Some((TIME.to_owned(), ALWAYS)),
            visual,
        });
    }
    let [numbers, middle, tables] = HEIGHTS;
    let country = |within| values("Sales Country", "sales_country", within);
    let city = values("Sales City", "sales_city", Some("Sales Country"));
    assets.add_dashboard(
        "Operations",
        dashboard(
            "operations",
            "Sales at a glance",
            vec![
                Row::equal(numbers, &["Total Sales Amount", "Total Sales Count"]),
                Row::equal(middle, &["Sales Overview"]),
                Row::equal(
                    tables + 10,
                    &["Sales Amount: Year / Country / City / Gender", "Sales Count: Year / Country / City / Gender"],
                ),
            ],
            vec![country(None), city.clone()],
        ),
    );
    assets.add_dashboard(
        "Sales",
        dashboard(
            "sales",
            "Who sold what, where and to whom",
            vec![
                Row {
                    height: 40,
                    charts: [("Total Sales Count", 3), ("Total Sales Amount", 3), ("Sales / Month", 6)]
                        .map(|(name, width)| (name.to_owned(), width))
                        .into(),
                },
                Row::equal(tables, &["Recent Orders"]),
                Row::equal(tables, &["Employees Sales / City", "Sales / Customer / Location"]),
            ],
            vec![
                Filter::Period { name: "Period", first: ALWAYS },
                country(None),
                city,
                values("Employee", "employee_name", None),
            ],
        ),
    );
}

fn dashboard(slug: &str, description: &str, rows: Vec<Row>, filters: Vec<Filter>) -> Dashboard {
    Dashboard {
        uuid: String::new(),
        title: String::new(),
        slug: slug.to_owned(),
        description: description.to_owned(),
        rows,
        filters,
        refresh: 0,
    }
}

fn values(name: &'static str, column: &'static str, within: Option<&'static str>) -> Filter {
    Filter::Values { name, dataset: DATASET.to_owned(), column, within }
}

fn dataset(warehouse: &Warehouse) -> Dataset {
    Dataset {
        uuid: String::new(),
        name: DATASET.to_owned(),
        sql: Some(sql(warehouse)),
        description: "Sales as they are now, with customer, employee and territory".to_owned(),
        main_time: Some(TIME.to_owned()),
        columns: COLUMNS
            .iter()
            .map(|(name, ty, label, description)| Column::new(name, ty, label, description))
            .collect(),
        metrics: vec![
            Metric::new(AMOUNT, "SUM(sales_amount)", "Total Sales Amount", WHOLE, "Sum of the amounts of all sales"),
            Metric::new(COUNT, "COUNT(*)", "Total Sales Count", WHOLE, "Number of sales"),
            Metric::new(AVERAGE, "AVG(sales_amount)", "Average Sale", CENTS, "Mean amount of a sale"),
        ],
    }
}

fn sql(warehouse: &Warehouse) -> String {
    let view = |source: &str| {
        let name = warehouse.table(source).map(|table| table.source.view.as_str()).unwrap_or_default();
        format!("{}.{}", quoted(&warehouse.database), quoted(name))
    };
    format!(
        "SELECT
    s.sales_id AS sales_id, s.order_date AS order_date, toStartOfMonth(s.order_date) AS order_month,
    toString(toYear(s.order_date)) AS order_year, s.sales_amount AS sales_amount, s.order_quantity AS order_quantity,
    s.customer_id AS customer_id, c.first_name AS customer_first_name, c.last_name AS customer_last_name,
    c.gender AS customer_gender, s.employee_id AS employee_id, e.employee_name AS employee_name,
    t.sales_territory_country AS sales_country, t.sales_territory_region AS sales_region,
    t.sales_territory_city AS sales_city
FROM {} AS s
LEFT JOIN {} AS c ON s.customer_id = c.customer_id
LEFT JOIN {} AS e ON s.employee_id = e.employee_id
LEFT JOIN {} AS t ON s.sales_territory_id = t.sales_territory_id",
        view("public.sales"),
        view("public.customer"),
        view("public.employee"),
        view("public.sales_territory"),
    )
}

fn charts() -> [(&'static str, &'static str, Visual); 9] {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let sunburst = |metric: &str| Visual::Sunburst { rings: names(&RINGS), metric: metric.to_owned() };
    let month = || (MONTH.to_owned(), Grain::Month);
    let (axis, grain) = month();
    let overview = Visual::TwoLines { axis, grain, left: AMOUNT.to_owned(), right: COUNT.to_owned() };
    let (axis, grain) = month();
    let by_month = Visual::Line { axis, grain, metric: AMOUNT.to_owned(), series: None };
    [
        ("Total Sales Amount", "Sum of all sales", whole(AMOUNT)),
        ("Total Sales Count", "Number of all sales", whole(COUNT)),
        ("Sales Overview", "Amount and number of sales by month", overview),
        (
            "Sales Amount: Year / Country / City / Gender",
            "Amounts by year, then country, city and the customer's gender",
            sunburst(AMOUNT),
        ),
        (
            "Sales Count: Year / Country / City / Gender",
            "Numbers of sales by year, then country, city and the customer's gender",
            sunburst(COUNT),
        ),
        ("Sales / Month", "Amount by month", by_month),
        (
            "Recent Orders",
            "The last 100 orders",
            Visual::Rows {
                columns: names(&[TIME, "sales_id", "sales_amount", "customer_first_name", "customer_last_name"]),
                newest: TIME.to_owned(),
                limit: 100,
            },
        ),
        (
            "Employees Sales / City",
            "What each employee sold in each city",
            Visual::Sums { by: names(&["employee_name", "sales_city"]), metrics: names(&[AMOUNT, COUNT]) },
        ),
        (
            "Sales / Customer / Location",
            "What each customer bought in each city: the 1,000 largest sums",
            Visual::Sums {
                by: names(&["customer_first_name", "customer_last_name", "sales_country", "sales_city"]),
                metrics: names(&[AMOUNT, COUNT, AVERAGE]),
            },
        ),
    ]
}
