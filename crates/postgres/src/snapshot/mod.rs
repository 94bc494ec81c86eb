//! The snapshot: a consistent view of the tables that joins the stream without a gap or an overlap.
//!
//! The order is everything (each step held off a loss of data that was seen on a real server):
//! 1. a session without a transaction id locks all tables, so that no rewriting DDL can empty the view;
//! 2. the slot is created, which exports the snapshot and fixes the consistent point;
//! 3. each worker imports the snapshot as its first statement, and locks the tables again;
//! 4. only then the first locks and the exporting session go.
//!
//! A lasting slot whose snapshot did not come about is dropped again.

pub(crate) mod copy;
mod locks;
mod parts;
mod pool;
pub(crate) mod slot;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use walhouse_change::{BoxFuture, Budget, CopyPart, Lsn, SlotKind, Source, TableSchema, Transaction};

use crate::background::Stop;
use crate::catalog::tables;
use crate::claim::License;
use crate::endpoint::Endpoint;
use crate::wire::Malformed;
use crate::wire::connection::{Connection, Mode};
use crate::{Error, Result, publication};

use pool::Pool;
pub(crate) use slot::Guard;

/// What a snapshot needs to know.
pub(crate) struct Plan {
    pub(crate) endpoint: Endpoint,
    pub(crate) slot: String,
    pub(crate) kind: SlotKind,
    pub(crate) publication: String,
    pub(crate) tables: Vec<Arc<TableSchema>>,
    pub(crate) workers: usize,
    pub(crate) slot_wait: Duration,
    pub(crate) lock_wait: Duration,
    pub(crate) budget: Budget,
    pub(crate) license: License,
    /// `tables` name every column of theirs; else some may be left out, and new ones are no change.
    pub(crate) whole: bool,
}

/// The view, with the sessions that hold it.
pub(crate) struct Snapshot {
    transaction: Transaction,
    parts: Vec<CopyPart>,
    statements: HashMap<(u32, u32), String>,
    pool: Arc<Pool>,
    budget: Budget,
    license: License,
}

impl walhouse_change::Snapshot for Snapshot {
    fn consistent_point(&self) -> Lsn {
        self.transaction.commit_lsn
    }

    fn parts(&self) -> &[CopyPart] {
        &self.parts
    }

    fn open<'a>(&'a self, part: &'a CopyPart) -> BoxFuture<'a, walhouse_change::Result<Box<dyn Source>>> {
        Box::pin(async move {
            let statement = self.statements.get(&(part.schema.relid, part.number));
            let statement = statement.ok_or_else(|| Error::later("the part belongs to another snapshot"))?;
            let worker = self.pool.take().await?;
            let job = copy::Job {
                schema: Arc::clone(&part.schema),
                statement: statement.clone(),
                transaction: self.transaction,
                budget: self.budget.clone(),
                license: self.license.clone(),
            };
            copy::open(job, worker)
        })
    }
}

/// Takes the snapshot. Blocking. The guard drops the slot unless it is told to keep it.
pub(crate) fn take(plan: Plan, stop: &Stop) -> Result<(Snapshot, Guard)> {
    let mut first = Connection::open(&plan.endpoint, Mode::Sql)?;
    first.query("begin a transaction", "BEGIN")?;
    locks::take(&mut first, &plan.tables, plan.lock_wait)?;
    let generated = publication::read(&mut first, &plan.publication)?.is_some_and(|found| found.generated);
    check_unchanged(&mut first, &plan, generated)?;

    let request = slot::Request { endpoint: &plan.endpoint, slot: &plan.slot, kind: plan.kind, wait: plan.slot_wait };
    let stopped = || stop.is_set() || plan.license.check().is_err();
    let created = slot::create(&request, &mut first, &stopped);
    let created = created.map_err(|error| plan.license.check().err().unwrap_or(error))?;
    let commit_time = clock(&mut first)?;
    tracing::info!(consistent_point = %created.consistent_point, tables = plan.tables.len(), "took the snapshot");

    let mut worker = worker(&plan, &created.snapshot)?;
    let relids: Vec<u32> = plan.tables.iter().map(|schema| schema.relid).collect();
    let storages = tables::storages(&mut worker, &relids)?;
    let planned = parts::plan(&plan.tables, &storages, plan.workers, generated);
    let mut workers = vec![worker];
    while workers.len() < plan.workers.min(planned.len()) && !stop.is_set() {
        match self::worker(&plan, &created.snapshot) {
            Ok(worker) => workers.push(worker),
            // Fewer will do.
            Err(error) if error.code() == Some("53300") => {
                tracing::warn!(error = %error, workers = workers.len(), "copying with fewer sessions");
                break;
            }
            Err(error) => return Err(error),
        }
    }
    first.query("release the first locks", "COMMIT")?;
    first.close();

    let transaction = Transaction { xid: 0, commit_lsn: created.consistent_point, commit_time };
    let statements = planned.iter().map(|(part, sql)| ((part.schema.relid, part.number), sql.clone())).collect();
    let parts = planned.into_iter().map(|(part, _)| part).collect();
    let Plan { budget, license, .. } = plan;
    let snapshot = Snapshot { transaction, parts, statements, pool: Pool::new(workers), budget, license };
    Ok((snapshot, created.guard))
}

/// A session that sees the snapshot.
fn worker(plan: &Plan, snapshot: &str) -> Result<Connection> {
    let mut worker = Connection::open(&plan.endpoint, Mode::Sql)?;
    // Without the last setting a policy would filter the copy in silence; with it the copy is refused.
    let begin = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}; SET LOCAL row_security = off",
        crate::sql::literal(snapshot)
    );
    worker.query("import the snapshot", &begin)?;
    locks::take(&mut worker, &plan.tables, plan.lock_wait)?;
    Ok(worker)
}

/// The tables must be what was surveyed: a column that came in between would be missing in the copy, and no event
/// would ever bring it.
fn check_unchanged(connection: &mut Connection, plan: &Plan, generated: bool) -> Result<()> {
    let relids: Vec<u32> = plan.tables.iter().map(|schema| schema.relid).collect();
    let found = tables::reread(connection, &relids, generated)?;
    let same = |wanted: &&Arc<TableSchema>| {
        found.iter().any(|it| if plan.whole { *it.schema == ***wanted } else { only(&it.schema, wanted) == ***wanted })
    };
    match plan.tables.iter().find(|schema| !same(schema)) {
        None => Ok(()),
        Some(schema) => Err(Error::later(format!("table {} changed while its copy was prepared", schema.name))),
    }
}

/// The table with those columns alone that are `wanted`.
fn only(table: &TableSchema, wanted: &TableSchema) -> TableSchema {
    let mut it = table.clone();
    let key: Vec<_> = it.key.iter().filter_map(|&index| it.columns.get(index)).map(|it| it.name.clone()).collect();
    it.columns.retain(|column| wanted.column(&column.name).is_some());
    it.key = key.iter().filter_map(|name| it.column(name)).collect();
    it
}

/// The server's clock, microseconds since 1970-01-01.
fn clock(connection: &mut Connection) -> Result<i64> {
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8";
    let rows = connection.query("read the server's clock", sql)?;
    Ok(rows.first().ok_or(Malformed("answer about the time"))?.parse(0)?)
}
