//! Superset, for real: the demo installs and fills one, and its own API is asked what every chart shows.
//!
//! One Superset serves all that is to be shown: a start of it takes a while, and the first one of a machine installs
//! it. It is of no interest here which Postgres is the source, so it runs on the default one only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use walhouse_lab::superset::Superset;
use walhouse_lab::verify::until;

use crate::harness::{PROGRAM, Pipe};

/// Installing takes a minute on an idle machine with a near registry.
const FILLED: Duration = Duration::from_secs(900);

/// A running demo with a filled Superset; ended by a signal, and by force should a test fail.
struct Demo {
    folder: tempfile::TempDir,
    child: Option<Child>,
    addresses: Value,
}

impl Demo {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("demo.log")).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["demo", "--superset", "--customers", "300", "--sales", "2000", "--rate", "0", "--dir"]);
        command.arg(folder.path()).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut demo = Self { child: Some(command.spawn().unwrap()), addresses: Value::Null, folder };
        let file = demo.path().join("demo.json");
        let addresses = until("a filled Superset", FILLED, async || {
            let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
            serde_json::from_str::<Value>(&text).map_err(|error| error.to_string())
        });
        match addresses.await {
            Ok(addresses) => demo.addresses = addresses,
            Err(error) => panic!("{error}; its log: {}", demo.log()),
        }
        demo
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("demo.log")).unwrap()
    }

    fn address(&self, key: &str) -> &str {
        self.addresses[key].as_str().unwrap()
    }

    fn config(&self) -> PathBuf {
        self.path().join("walhouse.toml")
    }

    async fn session(&self) -> Superset {
        let (url, user) = (self.address("superset"), self.address("superset_user"));
        Superset::sign_in(url, user, self.address("superset_password")).await.unwrap()
    }

    /// `walhouse superset ...` on this Superset: exit code and output. The password never stands on a command line.
    fn superset(&self, command: &str, config: &Path, more: &[&str]) -> (Option<i32>, String) {
        let mut walhouse = Command::new(PROGRAM);
        walhouse
            .args(["superset", command, "--config"])
            .arg(config)
            .args(["--url", self.address("superset")])
            .args(more);
        walhouse.env("WALHOUSE_SUPERSET_PASSWORD", self.address("superset_password"));
        let output = walhouse.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    /// The end, by a signal: exit code, and what it printed.
    fn end(mut self) -> (Option<i32>, String) {
        let mut child = self.child.take().unwrap();
        kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::INT).unwrap();
        let status = child.wait().unwrap();
        (status.code(), self.log())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Name and number of every object, the demo's in database 1: what a second run must leave as it is.
async fn objects(superset: &mut Superset) -> BTreeMap<String, i64> {
    let (mut objects, mut databases) = (BTreeMap::new(), BTreeMap::new());
    for (kind, name) in
        [("database", "database_name"), ("dataset", "table_name"), ("chart", "slice_name"), ("dashboard", "slug")]
    {
        let listed = superset.get("listing", &format!("/api/v1/{kind}/?q=(page_size:100)")).await.unwrap();
        for object in listed["result"].as_array().unwrap() {
            let id = object["id"].as_i64().unwrap();
            let database = match kind {
                "dataset" => databases.entry(id).or_insert_with(|| object["database"]["id"].clone()).clone(),
                "chart" => databases[&object["datasource_id"].as_i64().unwrap()].clone(),
                _ => Value::Null,
            };
            let name = format!("{kind} {} of {database}", object[name].as_str().unwrap());
            let before = objects.insert(name.clone(), id);
            assert_eq!(before, None, "{name} is there twice");
        }
    }
    objects
}

/// Rows of a chart's stored query, one list per query.
async fn chart(superset: &mut Superset, id: i64) -> Vec<Vec<Value>> {
    let answer = superset.get("asking a chart", &format!("/api/v1/chart/{id}/data/?force=true")).await.unwrap();
    let results = answer["result"].as_array().unwrap();
    results.iter().map(|result| result["data"].as_array().unwrap().clone()).collect()
}

/// Rows of a query of ClickHouse as JSON objects.
async fn clickhouse(url: &str, sql: &str) -> Vec<Value> {
    let client = clickhouse::Client::default().with_url(url);
    let mut cursor = client.query(&sql.replace('?', "??")).fetch_bytes("JSONEachRow").unwrap();
    let bytes = cursor.collect().await.unwrap();
    String::from_utf8_lossy(&bytes).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Numbers as numbers, whether they came as texts or with a fraction; times in milliseconds as seconds.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.parse::<f64>().map_or_else(|_| text.clone(), |number| format!("{number:.2}")),
        Value::Number(number) => format!("{:.2}", number.as_f64().unwrap()),
        other => other.to_string(),
    }
}

/// The rows' values in the order of `keys`, sorted.
fn table(rows: &[Value], keys: &[&str]) -> Vec<Vec<String>> {
    let mut table: Vec<Vec<String>> =
        rows.iter().map(|row| keys.iter().map(|key| plain(&row[*key])).collect()).collect();
    table.sort();
    table
}

const SALES: &str = "view_sales_last_rec s LEFT JOIN view_customer_last_rec c ON s.customer_id = c.customer_id \
                     LEFT JOIN view_employees_last_rec e ON s.employee_id = e.employee_id \
                     LEFT JOIN view_sales_territory_last_rec t ON s.sales_territory_id = t.sales_territory_id";

/// The columns of one query of a chart, and plain SQL for the same.
type Plain = (&'static [&'static str], String);

/// What each chart is to show, per query of the chart.
fn expected() -> Vec<(&'static str, Vec<Plain>)> {
    const MONTH: &str = "toUnixTimestamp(toDateTime(toStartOfMonth(order_date), 'UTC')) * 1000 AS order_month";
    const RINGS: &str = "toString(toYear(order_date)) AS order_year, sales_territory_country AS sales_country, \
                         sales_territory_city AS sales_city, gender AS customer_gender";
    let by_month = |what: &str| format!("SELECT {MONTH}, {what} FROM {SALES} GROUP BY order_month");
    let rings = |what: &str| format!("SELECT {RINGS}, {what} FROM {SALES} GROUP BY ALL");
    let (amount, count) = ("sum(sales_amount) AS sales_total_amount", "count() AS sales_count");
    vec![
        ("Total Sales Amount", vec![(&["sales_total_amount"], format!("SELECT {amount} FROM {SALES}"))]),
        ("Total Sales Count", vec![(&["sales_count"], format!("SELECT {count} FROM {SALES}"))]),
        (
            "Sales Overview",
            vec![
                (&["order_month", "sales_total_amount"], by_month(amount)),
                (&["order_month", "sales_count"], by_month(count)),
            ],
        ),
        ("Sales / Month", vec![(&["order_month", "sales_total_amount"], by_month(amount))]),
        (
            "Sales Amount: Year / Country / City / Gender",
            vec![(
                &["order_year", "sales_country", "sales_city", "customer_gender", "sales_total_amount"],
                rings(amount),
            )],
        ),
        (
            "Sales Count: Year / Country / City / Gender",
            vec![(&["order_year", "sales_country", "sales_city", "customer_gender", "sales_count"], rings(count))],
        ),
        (
            "Employees Sales / City",
            vec![(
                &["employee_name", "sales_city", "sales_total_amount", "sales_count"],
                format!(
                    "SELECT employee_name, sales_territory_city AS sales_city, {amount}, {count} FROM {SALES} GROUP BY ALL"
                ),
            )],
        ),
        (
            "Recent Orders",
            vec![(
                &["sales_id", "sales_amount", "customer_first_name", "customer_last_name"],
                format!(
                    "SELECT sales_id, sales_amount, first_name AS customer_first_name, last_name AS customer_last_name \
                     FROM {SALES} ORDER BY order_date DESC LIMIT 100"
                ),
            )],
        ),
        ("Rows in ClickHouse", vec![(&["all_rows"], counts("sum(rows)"))]),
        ("Rows by table", vec![(&["source_table", "all_rows"], counts("source_table, rows"))]),
        ("Tables live", vec![(&["live_tables"], "SELECT 4 AS live_tables".to_owned())]),
        ("Tables stopped by an error", vec![(&["stopped_tables"], "SELECT 0 AS stopped_tables".to_owned())]),
    ]
}

fn counts(what: &str) -> String {
    let count = |(table, view): (&str, &str)| {
        format!("SELECT 'public.{table}' AS source_table, count() AS rows FROM view_{view}_last_rec")
    };
    let tables = [
        ("sales", "sales"),
        ("customer", "customer"),
        ("employee", "employees"),
        ("sales_territory", "sales_territory"),
    ];
    let (columns, all) = match what {
        "sum(rows)" => ("sum(rows) AS all_rows", ""),
        _ => ("source_table, rows AS all_rows", ""),
    };
    format!("SELECT {columns} FROM ({}){all}", tables.map(count).join(" UNION ALL "))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_chart_answers_what_plain_sql_answers() {
    if std::env::var_os("WALHOUSE_TEST_POSTGRES").is_some() {
        return;
    }
    let demo = Demo::start().await;
    let mut superset = demo.session().await;
    assert!(superset.version().starts_with("6.1."), "{}", superset.version());
    let first = objects(&mut superset).await;
    every_chart_is_right(&demo, &mut superset, &first).await;
    totals_are_those_of_postgres(&demo, &mut superset, &first).await;
    a_period_may_begin_within_a_month(&demo, &mut superset, &first).await;
    the_reader_may_not_write(&demo).await;
    provisioning_twice_changes_nothing(&demo, &mut superset, &first).await;
    sync_follows_the_tables(&demo, &mut superset).await;
    any_other_database_gets_a_starter(&demo, &mut superset).await;
    let url = demo.address("superset").to_owned();
    let (code, log) = demo.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("hush"), "{log}");
    let address = url.trim_start_matches("http://").to_owned();
    assert!(std::net::TcpStream::connect(address).is_err(), "Superset outlives its owner");
}

async fn every_chart_is_right(demo: &Demo, superset: &mut Superset, objects: &BTreeMap<String, i64>) {
    let expected: BTreeMap<_, _> = expected().into_iter().collect();
    let charts = objects
        .iter()
        .filter_map(|(name, id)| Some((name.strip_prefix("chart ")?.strip_suffix(" of 1")?.to_owned(), *id)));
    let charts: Vec<(String, i64)> = charts.collect();
    assert_eq!(charts.len(), 17, "{charts:?}");
    for name in expected.keys() {
        assert!(charts.iter().any(|(chart, _)| chart == name), "{name} is not there");
    }
    for (name, id) in &charts {
        let answers = chart(superset, *id).await;
        assert!(!answers.is_empty() && answers.iter().all(|rows| !rows.is_empty()), "{name} is empty");
        let Some(wanted) = expected.get(name.as_str()) else { continue };
        assert_eq!(answers.len(), wanted.len(), "{name}");
        for (rows, (keys, sql)) in answers.iter().zip(wanted) {
            let found = clickhouse(demo.address("clickhouse"), sql).await;
            assert_eq!(table(rows, keys), table(&found, keys), "{name}");
        }
    }
}

async fn totals_are_those_of_postgres(demo: &Demo, superset: &mut Superset, objects: &BTreeMap<String, i64>) {
    let postgres = walhouse_lab::postgres::connect(demo.address("postgres")).await.unwrap();
    for (name, key, sql) in [
        ("Total Sales Amount", "sales_total_amount", "SELECT sum(sales_amount)::text FROM sales"),
        ("Total Sales Count", "sales_count", "SELECT count(*)::text FROM sales"),
    ] {
        let wanted: String = postgres.query_one(sql, &[]).await.unwrap().get(0);
        let answers = chart(superset, objects[&format!("chart {name} of 1")]).await;
        assert_eq!(plain(&answers[0][0][key]), plain(&json!(wanted)), "{name}");
    }
}

/// Superset 6.1.0's trap: the axis is labelled like its column, and ClickHouse filters by the label. It must not catch
/// our charts, nor those that people make on our datasets.
async fn a_period_may_begin_within_a_month(demo: &Demo, superset: &mut Superset, objects: &BTreeMap<String, i64>) {
    let ids: BTreeMap<&str, i64> = objects
        .iter()
        .filter_map(|(name, id)| Some((name.strip_prefix("dataset ")?.split(' ').next()?, *id)))
        .collect();
    let sql = "SELECT toUnixTimestamp(toDateTime(toStartOfMonth(order_date), 'UTC')) * 1000 AS month, count() AS count \
               FROM view_sales_last_rec WHERE order_date >= '2025-03-15' AND order_date < '2025-05-20' GROUP BY month";
    let wanted = table(&clickhouse(demo.address("clickhouse"), sql).await, &["month", "count"]);
    assert_eq!(wanted.len(), 3, "{wanted:?}");
    for (dataset, axis, metric) in [
        ("sales_enriched", "order_month", "sales_count"),
        ("sales_enriched", "order_date", "sales_count"),
        ("view_sales_last_rec", "order_date", "row_count"),
    ] {
        let column = json!({"timeGrain": "P1M", "columnType": "BASE_AXIS", "sqlExpression": axis, "label": axis,
                            "expressionType": "SQL"});
        let period = json!({"col": "order_date", "op": "TEMPORAL_RANGE", "val": "2025-03-15 : 2025-05-20"});
        let query = json!({"filters": [period], "extras": {"time_grain_sqla": "P1M"}, "columns": [column],
                           "metrics": [metric], "row_limit": 1000, "orderby": []});
        let body = json!({"datasource": {"id": ids[dataset], "type": "table"}, "force": true, "queries": [query],
                          "result_format": "json", "result_type": "full"});
        let answer = superset.post("/api/v1/chart/data", &body).await.unwrap();
        let rows = answer["result"][0]["data"].as_array().unwrap();
        assert_eq!(table(rows, &[axis, metric]), wanted, "{dataset} by {axis}");
    }
}

async fn the_reader_may_not_write(demo: &Demo) {
    let reader = walhouse_lab::clickhouse_client(demo.address("clickhouse"), "superset", "", "default");
    let count: u64 = reader.query("SELECT count() FROM view_sales_last_rec").fetch_one().await.unwrap();
    assert_eq!(count, 2000);
    for sql in
        ["OPTIMIZE TABLE sales", "DROP TABLE sales", "INSERT INTO sales SELECT * FROM sales", "CREATE DATABASE d"]
    {
        assert!(reader.query(sql).execute().await.is_err(), "{sql}");
    }
}

async fn provisioning_twice_changes_nothing(demo: &Demo, superset: &mut Superset, first: &BTreeMap<String, i64>) {
    let id = first.iter().find(|(name, _)| name.starts_with("dataset sales_enriched")).map(|(_, id)| *id).unwrap();
    add_metric(superset, id).await;
    let made = json!({"dashboard_title": "Mine", "slug": "mine"});
    superset.post("/api/v1/dashboard/", &made).await.unwrap();
    for _ in 0..2 {
        let (code, text) = demo.superset("provision", &demo.config(), &[]);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("0 objects made, 27 updated, 1 metrics and columns of others kept"), "{text}");
        assert!(!text.contains(demo.address("superset_password")), "a password is printed: {text}");
    }
    let mut second = objects(superset).await;
    assert!(second.remove("dashboard mine of null").is_some(), "a dashboard of somebody else is gone");
    assert_eq!(&second, first);
    let dataset = superset.get("reading", &format!("/api/v1/dataset/{id}")).await.unwrap();
    let metrics = dataset["result"]["metrics"].as_array().unwrap();
    let names: Vec<_> = metrics.iter().map(|metric| metric["metric_name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names.contains(&"my_metric"), "a metric of somebody else is gone: {names:?}");
}

/// Adds a metric of a user's own, with all the others as the API demands.
async fn add_metric(superset: &mut Superset, id: i64) {
    let dataset = superset.get("reading", &format!("/api/v1/dataset/{id}")).await.unwrap();
    let keep = |metric: &Value| {
        let fields = ["id", "metric_name", "expression", "verbose_name", "description", "d3format", "extra"];
        fields.iter().map(|field| ((*field).to_owned(), metric[*field].clone())).collect::<Value>()
    };
    let mut metrics: Vec<Value> = dataset["result"]["metrics"].as_array().unwrap().iter().map(keep).collect();
    metrics.push(json!({"metric_name": "my_metric", "expression": "MAX(sales_amount)"}));
    superset.put(&format!("/api/v1/dataset/{id}"), &json!({"metrics": metrics})).await.unwrap();
}

async fn sync_follows_the_tables(demo: &Demo, superset: &mut Superset) {
    let (code, text) = demo.superset("sync", &demo.config(), &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("0 objects made, 0 updated"), "{text}");
    let postgres = walhouse_lab::postgres::connect(demo.address("postgres")).await.unwrap();
    postgres
        .batch_execute(
            "ALTER TABLE employee ADD COLUMN nickname text; COMMENT ON COLUMN employee.nickname IS 'What friends say';
             UPDATE employee SET nickname = 'Jo' WHERE employee_id = 1",
        )
        .await
        .unwrap();
    let url = demo.address("clickhouse");
    let arrived = until("the new column", Duration::from_secs(60), async || {
        let sql =
            "SELECT count() AS n FROM system.columns WHERE table = 'view_employees_last_rec' AND name = 'nickname'";
        let found = clickhouse(url, sql).await;
        if plain(&found[0]["n"]) == "1.00" { Ok(()) } else { Err(format!("{found:?}")) }
    });
    arrived.await.unwrap();
    let (code, text) = demo.superset("sync", &demo.config(), &["--json"]);
    assert_eq!(code, Some(0), "{text}");
    // Log lines follow the report.
    let done: Value = serde_json::Deserializer::from_str(&text).into_iter().next().unwrap().unwrap();
    assert_eq!(done["changes"]["view_employees_last_rec"], json!(["column nickname added"]), "{text}");
    let listed = superset.get("listing", "/api/v1/dataset/?q=(page_size:100)").await.unwrap();
    let datasets = listed["result"].as_array().unwrap();
    let id = datasets.iter().find(|found| found["table_name"] == "view_employees_last_rec").unwrap()["id"].clone();
    let dataset = superset.get("reading", &format!("/api/v1/dataset/{id}")).await.unwrap();
    let columns = dataset["result"]["columns"].as_array().unwrap();
    let column = columns.iter().find(|column| column["column_name"] == "nickname").unwrap();
    assert_eq!(
        (column["verbose_name"].as_str(), column["description"].as_str()),
        (Some("Nickname"), Some("What friends say"))
    );
}

/// Another warehouse in the same Superset: datasets for its tables and a starter dashboard, beside what is there.
async fn any_other_database_gets_a_starter(demo: &Demo, superset: &mut Superset) {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, price numeric(10, 2), created_at timestamptz, tags text[]);
               COMMENT ON TABLE item IS 'What we sell'; COMMENT ON COLUMN item.price IS 'in EUR';
               INSERT INTO item VALUES (1, 1.25, '2024-02-03', '{a}'), (2, 2.5, '2024-02-04', NULL)";
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "hush\n").unwrap();
    let engine = format!("reader = \"bi\"\nreader_password_file = {:?}\n", secret.path());
    let pipe = Pipe::start_with("superset_shop", sql, |builder| builder.engine(&engine)).await;
    let before = objects(superset).await;
    let more = ["--name", "shop"];
    let (code, text) = demo.superset("provision", &pipe.house.config_file(), &more);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("/superset/dashboard/shop-overview/") && text.contains("shop-pipeline"), "{text}");
    let after = objects(superset).await;
    assert!(before.iter().all(|(name, id)| after.get(name) == Some(id)), "{before:?} {after:?}");
    for (name, metric, wanted) in
        [("Rows of public.item", "row_count", json!(2)), ("Rows of public.item / day", "row_count", json!(1))]
    {
        let answers = chart(superset, after[&format!("chart {name} of 2")]).await;
        assert_eq!(plain(&answers[0][0][metric]), plain(&wanted), "{name}: {answers:?}");
    }
    // The password came with the first import and is kept; a name that somebody has is refused.
    let (code, text) = demo.superset("provision", &pipe.house.config_file(), &more);
    assert!(code == Some(0) && text.contains("0 objects made"), "{text}");
    let uri = demo.address("clickhouse").replace("http://", "clickhousedb://superset@") + "/default";
    let database = json!({"database_name": "taken", "sqlalchemy_uri": uri});
    superset.post("/api/v1/database/", &database).await.unwrap();
    let (code, text) = demo.superset("provision", &pipe.house.config_file(), &["--name", "taken"]);
    assert!(code == Some(1) && text.contains("walhouse did not make"), "{text}");
}
