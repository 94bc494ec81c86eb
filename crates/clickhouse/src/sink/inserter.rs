//! Inserts one block into one table, and tries again for a while.
//!
//! Only a refusal is tried again: then nothing was written. An insert whose fate is unknown (the
//! connection broke, no answer came, the query was killed) ends the sink. What is in the tables is read when the next
//! one is opened, and tells what comes again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use walhouse_change::{Result, TableName};

use crate::block::Block;
use crate::client::{Client, Insert};
use crate::ddl;
use crate::mapping::{TableKind, TablePlan};
use crate::metrics;

/// Bridges a merge backlog or a short memory peak. What lasts longer is the business of the
/// pipeline, which shows it and opens the sink again.
const RETRY_FOR: Duration = Duration::from_secs(10);

/// First wait before another try; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Writes blocks, some of them at a time.
#[derive(Clone, Debug)]
pub(crate) struct Inserter {
    pub(crate) client: Client,
    pub(crate) permits: Arc<Semaphore>,
    /// Numbers the inserts of this process.
    pub(crate) numbers: Arc<AtomicU64>,
    /// Begin of every query id.
    pub(crate) prefix: Arc<str>,
    pub(crate) slot: Arc<str>,
}

/// A table to write to.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    /// The source table, for errors.
    pub(super) table: TableName,
    /// Name in ClickHouse.
    pub(super) name: String,
    sql: String,
    /// A copy's rows have each key once.
    unique: bool,
    /// Of the columns and their types: other columns make other bytes.
    fingerprint: u64,
}

impl Destination {
    /// The plan's finished table of that kind.
    pub(super) fn live(plan: &TablePlan, kind: TableKind) -> Self {
        Self::new(plan, plan.table_name(kind), false)
    }

    /// The plan's copy in progress.
    pub(super) fn staging(plan: &TablePlan, kind: TableKind) -> Self {
        Self::new(plan, plan.staging_name(kind), true)
    }

    fn new(plan: &TablePlan, name: String, unique: bool) -> Self {
        let sql = ddl::insert(plan, &name);
        let types = plan.columns.iter().map(|column| column.sql_type());
        let fingerprint = types.chain([sql.clone()]).fold(FNV_OFFSET, |hash, text| fnv(hash, text.as_bytes()));
        Self { table: plan.schema.name.clone(), name, sql, unique, fingerprint }
    }
}

impl Inserter {
    /// Token of a block of the stream: names exactly the events that are in it.
    pub(super) fn stream_token(&self, to: &Destination, block: &Block) -> String {
        let Block { first, last, rows, .. } = block;
        format!("{}|{}|{}|{}|{rows}|{:016x}", self.slot, to.name, first.0, last.0, to.fingerprint)
    }

    /// Token of a block of a copy, all rows of which have one version. The table is new with the
    /// copy, so numbers of this process are enough.
    pub(super) fn copy_token(&self, to: &Destination) -> String {
        format!("{}|{}|copy|{}", self.slot, to.name, self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    /// Writes a block; returns when it is durable.
    pub(super) async fn insert(&self, to: &Destination, block: &Block, token: String) -> Result<()> {
        let Ok(_permit) = self.permits.acquire().await else { return Ok(()) };
        let action = format!("insert into {}", to.name);
        let mut insert = Insert { sql: to.sql.clone(), query_id: self.query_id(), token, unique: to.unique };
        let (mut wait, mut give_up) = (FIRST_WAIT, None);
        loop {
            let started = Instant::now();
            let error = match self.client.insert(&action, &insert, &block.chunks).await {
                Ok(()) => {
                    metrics::inserted(&to.name, block.rows, block.uncompressed_bytes, started.elapsed());
                    return Ok(());
                }
                Err(error) => error,
            };
            let give_up = *give_up.get_or_insert_with(|| Instant::now() + RETRY_FOR);
            if !error.is_refusal() || Instant::now() + wait >= give_up {
                return Err(error.outward(Some(&to.table)));
            }
            if wait == FIRST_WAIT {
                tracing::warn!(table = to.name, query_id = insert.query_id, error = %error, "an insert was refused, trying again");
            } else {
                tracing::debug!(table = to.name, query_id = insert.query_id, error = %error, "it was refused again");
            }
            metrics::retried(&to.name);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
            insert.query_id = self.query_id();
        }
    }

    fn query_id(&self) -> String {
        format!("{}{}", self.prefix, self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    /// The same for one table's inserts.
    pub(super) fn for_table(&self, name: &str) -> Self {
        Self { prefix: format!("{}{name}-", self.prefix).into(), ..self.clone() }
    }
}

/// FNV-1a: the same on every run and version, unlike the standard library's.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
