//! One side of a comparison: sums per bucket, then keys and hashes of some buckets.

use std::collections::HashMap;

use tokio_postgres::{SimpleQueryMessage, Transaction};

use super::canonical::{framed_clickhouse, framed_postgres};
use super::catalog::Shape;
use crate::clickhouse as target;
use crate::error::{Attempt, Result};

/// Buckets that rows are spread over. With half a million rows a bucket has two thousand, which is what a single
/// differing row costs to find.
pub(super) const BUCKETS: u32 = 256;

/// Where rows come from.
pub(super) enum Side<'a> {
    /// A table of Postgres, in the transaction's snapshot.
    Postgres { transaction: &'a Transaction<'a>, from: String },
    /// A view, a table or a subquery of ClickHouse.
    ClickHouse { client: &'a clickhouse::Client, from: String },
}

/// Number of rows and the sum of their hashes, which is compared as text only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) rows: u64,
    hashes: String,
}

/// The sums of a side's buckets; empty buckets are not there.
pub(super) type Sums = HashMap<u32, Sum>;

/// Hashes by framed key; several where a key is there several times.
pub(super) type Rows = HashMap<String, Vec<String>>;

impl Side<'_> {
    /// The sums of all buckets that have rows.
    pub(super) async fn sums(&self, shape: &Shape) -> Result<Sums> {
        let hashed = self.hashed(shape);
        let sql = match self {
            Self::Postgres { .. } => {
                format!("SELECT bucket, count(*), sum(hash) FROM ({hashed}) hashed GROUP BY bucket")
            }
            Self::ClickHouse { .. } => {
                format!("SELECT bucket, count(), sum(toInt128(hash)) FROM ({hashed}) GROUP BY bucket")
            }
        };
        let mut sums = Sums::new();
        for row in self.query(&sql).await? {
            if let [Some(bucket), Some(rows), Some(hashes)] = row.as_slice() {
                let sum = Sum { rows: rows.parse().unwrap_or(0), hashes: hashes.clone() };
                sums.insert(bucket.parse().unwrap_or(u32::MAX), sum);
            }
        }
        Ok(sums)
    }

    /// Keys and hashes of the rows in `buckets`.
    pub(super) async fn rows(&self, shape: &Shape, buckets: &[u32]) -> Result<Rows> {
        let list: Vec<String> = buckets.iter().map(u32::to_string).collect();
        let sql = format!(
            "SELECT key, hash FROM ({}) {} WHERE bucket IN ({})",
            self.hashed(shape),
            if matches!(self, Self::Postgres { .. }) { "hashed" } else { "" },
            list.join(", ")
        );
        let mut rows = Rows::new();
        for row in self.query(&sql).await? {
            if let [Some(key), Some(hash)] = row.as_slice() {
                rows.entry(key.clone()).or_default().push(hash.clone());
            }
        }
        Ok(rows)
    }

    /// A subquery of `key`, `hash`, `bucket` for every row.
    fn hashed(&self, shape: &Shape) -> String {
        let columns = &shape.columns;
        let names: Vec<String> = (0..columns.len()).map(|index| format!("c{index}_")).collect();
        let numbered = columns.iter().enumerate();
        let (from, texts, frame): (_, Vec<String>, fn(&str) -> String) = match self {
            Self::Postgres { from, .. } => {
                (from, columns.iter().map(|it| it.form.postgres(&it.name, &it.ty)).collect(), framed_postgres)
            }
            Self::ClickHouse { from, .. } => (
                from,
                numbered.map(|(index, it)| it.form.clickhouse(&it.name, index, shape.map)).collect(),
                framed_clickhouse,
            ),
        };
        let named: Vec<String> = texts.iter().zip(&names).map(|(text, name)| format!("{text} AS {name}")).collect();
        let all: Vec<String> = names.iter().map(|name| frame(name)).collect();
        let key: Vec<String> = columns.iter().zip(&all).filter(|(it, _)| it.key).map(|(_, it)| it.clone()).collect();
        // Without a key, rows are told apart by all they have, but not shown.
        let (row, named) = (join(&all), named.join(", "));
        match self {
            Self::Postgres { .. } => {
                let hash = |text: &str| format!("('x' || substr(md5({text}), 1, 15))::bit(60)::bigint");
                let key = if key.is_empty() { format!("md5({row})") } else { join(&key) };
                format!(
                    "SELECT key, {} AS hash, {} % {BUCKETS} AS bucket FROM (SELECT {key} AS key, {row} AS line \
                     FROM (SELECT {named} FROM {from}) texts) lines",
                    hash("line"),
                    hash("key"),
                )
            }
            Self::ClickHouse { .. } => {
                let hash = |text: &str| {
                    format!("bitShiftRight(reinterpretAsUInt64(reverse(substring(MD5({text}), 1, 8))), 4)")
                };
                let key = if key.is_empty() { format!("lower(hex(MD5({row})))") } else { join(&key) };
                format!(
                    "SELECT key, {} AS hash, {} % {BUCKETS} AS bucket FROM (SELECT {key} AS key, {row} AS line \
                     FROM (SELECT {named} FROM {from}))",
                    hash("line"),
                    hash("key"),
                )
            }
        }
    }

    async fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        match self {
            Self::ClickHouse { client, .. } => target::rows(client, sql, "comparing rows").await,
            Self::Postgres { transaction, .. } => {
                let messages = transaction.simple_query(sql).await.attempt("comparing rows")?;
                let row = |message| match message {
                    SimpleQueryMessage::Row(row) => {
                        Some((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect())
                    }
                    _ => None,
                };
                Ok(messages.into_iter().filter_map(row).collect())
            }
        }
    }
}

/// `a || b`, which both databases understand.
fn join(texts: &[String]) -> String {
    texts.join(" || ")
}
