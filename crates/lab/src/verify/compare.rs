//! The comparison of one table, and of its history.

use std::collections::HashSet;

use tokio_postgres::{Client, IsolationLevel, Transaction};

use super::canonical::unframe;
use super::catalog::{Shape, postgres_name};
use super::report::{Differences, HistoryReport, Report, TableReport};
use super::side::{BUCKETS, Rows, Side, Sums};
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
    verify_watched(postgres, clickhouse, tables, &Unwatched).await
}

/// Told while tables are compared.
pub trait Watch: Sync {
    /// A table is looked at.
    fn began(&self, table: &Table);
    /// The sums of its rows are known: how many buckets they lie in, and which of them differ.
    fn compared(&self, table: &Table, buckets: u32, differing: &[u32]);
    /// The rows of these buckets were compared one by one.
    fn narrowed(&self, table: &Table, buckets: &[u32]);
    /// The table is done.
    fn ended(&self, table: &Table, report: &TableReport);
}

struct Unwatched;

impl Watch for Unwatched {
    fn began(&self, _: &Table) {}
    fn compared(&self, _: &Table, _: u32, _: &[u32]) {}
    fn narrowed(&self, _: &Table, _: &[u32]) {}
    fn ended(&self, _: &Table, _: &TableReport) {}
}

/// As [`verify`], telling `watch` how far it is.
///
/// # Errors
/// As [`verify`].
pub async fn verify_watched(
    postgres: &mut Client,
    clickhouse: &clickhouse::Client,
    tables: &[Table],
    watch: &dyn Watch,
) -> Result<Report> {
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
        watch.began(table);
        let found = verify_table(&transaction, clickhouse, table, watch).await?;
        watch.ended(table, &found);
        report.tables.push(found);
    }
    transaction.commit().await.attempt("closing a snapshot")?;
    Ok(report)
}

async fn verify_table(
    transaction: &Transaction<'_>,
    clickhouse: &clickhouse::Client,
    table: &Table,
    watch: &dyn Watch,
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
    let (source_sums, view_sums) = tokio::try_join!(source.sums(&shape), view.sums(&shape))?;
    watch.compared(table, BUCKETS, &differing(&source_sums, &view_sums));
    let narrowed = |buckets: &[u32]| watch.narrowed(table, buckets);
    let found = compare((&source, &source_sums), (&view, &view_sums), &shape, narrowed).await?;
    report.rows_source = found.rows.0;
    report.rows_target = found.rows.1;
    report.missing = found.only_first;
    report.extra = found.only_second;
    report.different = found.different;
    if let Some(history) = &table.history {
        let look = History { clickhouse, table, log: identifier(history), shape: &shape };
        report.history = Some(look.check((&view, &view_sums)).await?);
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

/// A side and what was read of it; where the sums differ, rows are read anew.
type Summed<'a> = (&'a Side<'a>, &'a Sums);

/// Buckets whose sums are not the same.
fn differing(first: &Sums, second: &Sums) -> Vec<u32> {
    let buckets: HashSet<u32> = first.keys().chain(second.keys()).copied().collect();
    let mut differing: Vec<u32> =
        buckets.into_iter().filter(|bucket| first.get(bucket) != second.get(bucket)).collect();
    differing.sort_unstable();
    differing
}

async fn compare(first: Summed<'_>, second: Summed<'_>, shape: &Shape, narrowed: impl Fn(&[u32])) -> Result<Found> {
    let ((first, first_sums), (second, second_sums)) = (first, second);
    let rows = |sums: &Sums| sums.values().map(|sum| sum.rows).sum();
    let mut found = Found { rows: (rows(first_sums), rows(second_sums)), ..Found::default() };
    for buckets in differing(first_sums, second_sums).chunks(BUCKETS_AT_A_TIME) {
        let (first, second) = (first.rows(shape, buckets).await?, second.rows(shape, buckets).await?);
        found.narrow(first, second);
        narrowed(buckets);
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

/// Looks at the log of one table.
struct History<'a> {
    clickhouse: &'a clickhouse::Client,
    table: &'a Table,
    /// The log's name, quoted.
    log: String,
    shape: &'a Shape,
}

impl History<'_> {
    async fn check(&self, view: Summed<'_>) -> Result<HistoryReport> {
        let keys = self.shape.columns.iter().filter(|it| it.key);
        let keys: Vec<String> = keys.map(|it| identifier(&it.name)).collect();
        if keys.is_empty() {
            return Ok(HistoryReport::default());
        }
        let keys = keys.join(", ");
        let (versions, repeated) = self.count_versions(&keys).await?;
        let (marker, position) = (self.truncated_version().await?, self.position().await?);
        let log = &self.log;
        let newest = Side::ClickHouse {
            client: self.clickhouse,
            from: format!(
                "(SELECT * FROM (SELECT * FROM {log} WHERE {position} > {marker} OR {marker} = 0 ORDER BY {keys}, \
                 _version DESC LIMIT 1 BY {keys}) WHERE is_deleted = 0)"
            ),
        };
        let sums = newest.sums(self.shape).await?;
        let found = compare((&newest, &sums), view, self.shape, |_| {}).await?;
        let mut stale = found.different;
        stale.merge(found.only_first);
        stale.merge(found.only_second);
        Ok(HistoryReport { versions, repeated, stale })
    }

    /// How many versions there are, and how many of them more than once.
    async fn count_versions(&self, keys: &str) -> Result<(u64, u64)> {
        let sql = format!(
            "SELECT sum(copies), countIf(copies > 1) FROM \
             (SELECT count() AS copies FROM {} GROUP BY {keys}, _version)",
            self.log
        );
        let rows = target::rows(self.clickhouse, &sql, "looking for repeated versions").await?;
        let count = |index: usize| {
            let text = rows.first().and_then(|row| row.get(index)?.as_deref());
            text.and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        Ok((count(0), count(1)))
    }

    /// The version up to which a TRUNCATE removed everything, as an expression; 0 when there was none.
    async fn truncated_version(&self) -> Result<String> {
        let there = format!("EXISTS TABLE {TRUNCATES}");
        let there = target::rows(self.clickhouse, &there, "looking for truncates").await?;
        if there.first().and_then(|row| row.first()?.as_deref()) != Some("1") {
            return Ok("0".into());
        }
        let name = literal(&self.table.target);
        Ok(format!("(SELECT max(version) FROM {TRUNCATES} WHERE table = {name})"))
    }

    /// What a TRUNCATE's version is compared with. In a table that is fed by Kafka versions count offsets, which say
    /// nothing about a TRUNCATE in another partition: there it is the epoch and the source's position.
    async fn position(&self) -> Result<&'static str> {
        let sql = format!(
            "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = {} AND comment LIKE '%(kafka %'",
            literal(&self.table.target)
        );
        let fed = target::rows(self.clickhouse, &sql, "looking how the history is fed").await?;
        Ok(match fed.first().and_then(|row| row.first()?.as_deref()) {
            Some("1") => {
                "bitOr(bitShiftLeft(bitShiftRight(_version, 112), 112), bitShiftLeft(toUInt128(record_version), 48))"
            }
            _ => "_version",
        })
    }
}
