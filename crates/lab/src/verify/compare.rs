//! The comparison of one table, and of its history.

use std::collections::HashSet;

use tokio_postgres::{Client, IsolationLevel, Transaction};

use super::canonical::unframe;
use super::catalog::{Shape, postgres_name};
use super::report::{Differences, HistoryReport, Report, TableReport};
use super::side::{Rows, Side, Sum};
use super::table::Table;
use crate::clickhouse::{self as target, identifier, literal};
use crate::error::{Attempt, Result};

/// Buckets whose rows are read at a time, so that two databases that have nothing in common fit in memory.
const BUCKETS_AT_A_TIME: usize = 16;

/// The table of TRUNCATE markers: `table` is the target's name, versions up to `version` are gone.
const TRUNCATES: &str = "walhouse_truncates";

/// How Postgres prints in the transaction of a comparison. The last one is what the replication session has, on
/// which the text of types such as `regclass` depends.
const PRINTING: &str = "SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL timezone = 'UTC'; \
    SET LOCAL intervalstyle = 'postgres'; SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; \
    SET LOCAL statement_timeout = 0; SET LOCAL search_path = pg_catalog";

/// Compares tables with their targets in the ClickHouse client's database.
///
/// Postgres is read at one snapshot, ClickHouse as it is meanwhile: a target that is still catching up shows
/// differences that time mends ([`until_equal`](super::until_equal)).
///
/// # Errors
/// A table is not there, or a database refuses or goes away. Differences are no error.
pub async fn verify(postgres: &mut Client, clickhouse: &clickhouse::Client, tables: &[Table]) -> Result<Report> {
    let transaction = postgres
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .attempt("opening a snapshot")?;
    transaction.batch_execute(PRINTING).await.attempt("opening a snapshot")?;
    let mut report = Report::default();
    for table in tables {
        report.tables.push(verify_table(&transaction, clickhouse, table).await?);
    }
    transaction.commit().await.attempt("closing a snapshot")?;
    Ok(report)
}

async fn verify_table(
    transaction: &Transaction<'_>,
    clickhouse: &clickhouse::Client,
    table: &Table,
) -> Result<TableReport> {
    let shape = Shape::read(transaction, clickhouse, table).await?;
    let mut report = TableReport {
        table: format!("{}.{}", table.schema, table.name),
        absent_columns: shape.absent.clone(),
        ..TableReport::default()
    };
    if !shape.absent.is_empty() {
        return Ok(report);
    }
    let source = Side::Postgres { transaction, from: postgres_name(table) };
    let view = Side::ClickHouse { client: clickhouse, from: identifier(&table.view) };
    let found = compare(&source, &view, &shape).await?;
    report.rows_source = found.rows.0;
    report.rows_target = found.rows.1;
    report.missing = found.only_first;
    report.extra = found.only_second;
    report.different = found.different;
    if let Some(history) = &table.history {
        report.history = Some(check_history(clickhouse, table, history, &view, &shape).await?);
    }
    Ok(report)
}

/// What differs between two sides.
#[derive(Debug, Default)]
struct Found {
    rows: (u64, u64),
    only_first: Differences,
    only_second: Differences,
    different: Differences,
}

async fn compare(first: &Side<'_>, second: &Side<'_>, shape: &Shape) -> Result<Found> {
    let (first_sums, second_sums) = (first.sums(shape).await?, second.sums(shape).await?);
    let rows = |sums: &std::collections::HashMap<u32, Sum>| sums.values().map(|sum| sum.rows).sum();
    let mut found = Found { rows: (rows(&first_sums), rows(&second_sums)), ..Found::default() };
    let buckets: HashSet<u32> = first_sums.keys().chain(second_sums.keys()).copied().collect();
    let mut differing: Vec<u32> =
        buckets.into_iter().filter(|bucket| first_sums.get(bucket) != second_sums.get(bucket)).collect();
    differing.sort_unstable();
    for buckets in differing.chunks(BUCKETS_AT_A_TIME) {
        let (first, second) = (first.rows(shape, buckets).await?, second.rows(shape, buckets).await?);
        found.narrow(first, second);
    }
    Ok(found)
}

impl Found {
    /// Sorts the keys of some buckets into what they are.
    fn narrow(&mut self, first: Rows, mut second: Rows) {
        let mut first: Vec<_> = first.into_iter().collect();
        first.sort_unstable();
        for (key, mut hashes) in first {
            let Some(mut others) = second.remove(&key) else {
                self.only_first.add(|| unframe(&key));
                continue;
            };
            hashes.sort_unstable();
            others.sort_unstable();
            if hashes != others {
                self.different.add(|| unframe(&key));
            }
        }
        let mut second: Vec<_> = second.into_keys().collect();
        second.sort_unstable();
        for key in second {
            self.only_second.add(|| unframe(&key));
        }
    }
}

async fn check_history(
    clickhouse: &clickhouse::Client,
    table: &Table,
    history: &str,
    view: &Side<'_>,
    shape: &Shape,
) -> Result<HistoryReport> {
    let keys: Vec<String> = shape.columns.iter().filter(|it| it.key).map(|it| identifier(&it.name)).collect();
    if keys.is_empty() {
        return Ok(HistoryReport::default());
    }
    let (keys, log) = (keys.join(", "), identifier(history));
    let counts = format!(
        "SELECT sum(copies), countIf(copies > 1) FROM (SELECT count() AS copies FROM {log} GROUP BY {keys}, _version)"
    );
    let counts = target::rows(clickhouse, &counts, "looking for repeated versions").await?;
    let count = |index: usize| -> u64 {
        let text = counts.first().and_then(|row| row.get(index)?.as_deref());
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let marker = truncated_version(clickhouse, &table.target).await?;
    let newest = Side::ClickHouse {
        client: clickhouse,
        from: format!(
            "(SELECT * FROM (SELECT * FROM {log} WHERE _version > {marker} ORDER BY {keys}, _version DESC \
             LIMIT 1 BY {keys}) WHERE is_deleted = 0)"
        ),
    };
    let found = compare(&newest, view, shape).await?;
    let mut stale = found.different;
    stale.count += found.only_first.count + found.only_second.count;
    stale.keys.extend(found.only_first.keys);
    stale.keys.extend(found.only_second.keys);
    Ok(HistoryReport { versions: count(0), repeated: count(1), stale })
}

/// The version below which a TRUNCATE removed everything, as an expression; 0 when there was none.
async fn truncated_version(clickhouse: &clickhouse::Client, target_name: &str) -> Result<String> {
    let there = format!("EXISTS TABLE {TRUNCATES}");
    let there = target::rows(clickhouse, &there, "looking for truncates").await?;
    if there.first().and_then(|row| row.first()?.as_deref()) != Some("1") {
        return Ok("0".into());
    }
    Ok(format!("(SELECT max(version) FROM {TRUNCATES} WHERE table = {})", literal(target_name)))
}
