//! The Grafana dashboard: its queries parse, and name only metrics that a running walhouse has.

use std::collections::BTreeSet;

use promql_parser::label::MatchOp;
use promql_parser::parser::{self, Expr, VectorSelector};

use crate::harness::Pipe;

const DASHBOARD: &str = include_str!("../../../../packaging/grafana/walhouse.json");
/// Where metrics are named that appear only once something goes wrong.
const NAMED: [&str; 2] =
    [include_str!("../../../pipeline/src/metrics.rs"), include_str!("../../../clickhouse/src/metrics.rs")];

/// The dashboard's queries, its variables' queries included, with Grafana's variables filled in.
fn queries() -> Vec<String> {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let mut queries: Vec<String> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["definition"].as_str() {
            let inside = query.strip_prefix("label_values(").and_then(|query| query.strip_suffix(')')).unwrap();
            queries.push(inside.rsplit_once(", ").unwrap().0.to_owned());
        }
    }
    let fill = |query: String| {
        let query = query.replace("$__rate_interval", "1m");
        ["$job", "$instance", "$table"].iter().fold(query, |query, variable| query.replace(variable, ".*"))
    };
    queries.into_iter().map(fill).collect()
}

fn selectors(expr: &Expr, found: &mut Vec<VectorSelector>) {
    match expr {
        Expr::VectorSelector(selector) => found.push(selector.clone()),
        Expr::MatrixSelector(matrix) => found.push(matrix.vs.clone()),
        Expr::Aggregate(aggregate) => selectors(&aggregate.expr, found),
        Expr::Unary(unary) => selectors(&unary.expr, found),
        Expr::Paren(paren) => selectors(&paren.expr, found),
        Expr::Subquery(subquery) => selectors(&subquery.expr, found),
        Expr::Call(call) => call.args.args.iter().for_each(|argument| selectors(argument, found)),
        Expr::Binary(binary) => {
            selectors(&binary.lhs, found);
            selectors(&binary.rhs, found);
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_parses_and_names_metrics_that_are_there() {
    let mut found = Vec::new();
    for query in queries() {
        let expr = parser::parse(&query).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert!(!query.contains('$'), "{query} has a variable that nobody fills in");
        selectors(&expr, &mut found);
    }
    let mut pipe = Pipe::start("grafana", "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    pipe.execute("INSERT INTO t VALUES (2)").await;
    pipe.until_equal(&["t"]).await;
    let (_, metrics) = pipe.house.get("/metrics").await.unwrap();
    let lines: Vec<&str> = metrics.lines().filter(|line| !line.starts_with('#')).collect();
    let live: BTreeSet<&str> = lines.iter().filter_map(|line| line.split(['{', ' ']).next()).collect();

    let names: BTreeSet<String> = found.iter().filter_map(|selector| selector.name.clone()).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in &names {
        let named = NAMED.iter().any(|source| source.contains(&format!("\"{name}\"")));
        assert!(live.contains(name.as_str()) || named, "{name} is not a metric of walhouse");
    }
    let essential = ["walhouse_state", "walhouse_lag_seconds", "walhouse_commit_to_visible_seconds_bucket"];
    assert!(essential.iter().all(|name| names.contains(*name) && live.contains(name)), "{live:?}");

    // A label that a metric does not have would make an empty panel.
    for selector in &found {
        let name = selector.name.as_deref().unwrap_or_default();
        for matcher in &selector.matchers.matchers {
            let given_by_prometheus = ["job", "instance"].contains(&matcher.name.as_str());
            let has = lines.iter().any(|line| line.starts_with(name) && line.contains(&format!("{}=\"", matcher.name)));
            let absent = !live.contains(name);
            assert!(given_by_prometheus || has || absent, "{name} has no label {}", matcher.name);
            assert!(!matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotRe(_)), "{name}");
        }
    }
}
