//! The comparison as a job: one at a time, watched while it runs, remembered until the next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use walhouse_change::TableName;

use crate::live::now_ms;
use crate::ports::{Failure, FailureKind, Progress, Result, TableVerdict, Verifier};

/// How a comparison stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It runs.
    Running,
    /// It looked at everything.
    Done,
    /// It was ended by a user.
    Cancelled,
    /// It could not go on.
    Failed,
}

/// How one table of it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TableStep {
    /// Not begun.
    Waiting,
    /// Both sides sum up checksums, by bucket of the key's hash.
    Summing,
    /// Buckets whose sums differ are looked at row by row.
    Narrowing,
    /// Done.
    Done,
}

/// One table of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TableJob {
    /// Schema in the source.
    pub schema: String,
    /// Name in the source.
    pub name: String,
    /// How it stands.
    pub step: TableStep,
    /// Number of buckets; 0 before they are known.
    pub buckets: u32,
    /// Buckets whose sums differ.
    pub differing: Vec<u32>,
    /// Those of them that were looked at row by row.
    pub narrowed: Vec<u32>,
    /// What was found; null until it is done.
    pub verdict: Option<TableVerdict>,
}

/// A comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct VerifyJob {
    /// Its number.
    pub id: u64,
    /// How it stands.
    pub state: JobState,
    /// When it began, in milliseconds since 1970-01-01 UTC.
    pub started_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// Why it failed.
    pub error: Option<String>,
    /// Its tables, in name order.
    pub tables: Vec<TableJob>,
    /// True when all tables were looked at and none differs.
    pub equal: bool,
}

/// The newest comparison.
#[derive(Debug, Default)]
pub(crate) struct VerifyJobs(Mutex<Jobs>);

#[derive(Debug, Default)]
struct Jobs {
    last_id: u64,
    newest: Option<Running>,
}

#[derive(Debug)]
struct Running {
    cancel: CancellationToken,
    job: VerifyJob,
    tables: BTreeMap<TableName, TableJob>,
}

impl VerifyJobs {
    /// Begins a comparison of `tables`, all of `known` when none are named.
    pub(crate) fn begin(
        self: &Arc<Self>,
        verifier: Arc<dyn Verifier>,
        tables: Option<Vec<TableName>>,
        known: Vec<TableName>,
    ) -> Result<VerifyJob> {
        let cancel = CancellationToken::new();
        {
            let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if jobs.newest.as_ref().is_some_and(|running| running.job.state == JobState::Running) {
                return Err(Failure::new(FailureKind::Conflict, "a comparison is running").advise("cancel it first"));
            }
            jobs.last_id += 1;
            let rows = tables.clone().unwrap_or(known).into_iter().map(|name| (name.clone(), waiting(&name))).collect();
            let job = VerifyJob {
                id: jobs.last_id,
                state: JobState::Running,
                started_ms: now_ms(),
                ended_ms: None,
                error: None,
                tables: Vec::new(),
                equal: false,
            };
            jobs.newest = Some(Running { cancel: cancel.clone(), job, tables: rows });
        }
        let jobs = Arc::clone(self);
        tokio::spawn(async move {
            let progress = Arc::clone(&jobs) as Arc<dyn Progress>;
            let ended = tokio::select! {
                biased;
                () = cancel.cancelled() => None,
                ended = verifier.verify(tables.as_deref(), progress, cancel.clone()) => Some(ended),
            };
            jobs.end(ended);
        });
        self.newest().ok_or_else(|| Failure::new(FailureKind::Internal, "the comparison is gone"))
    }

    fn end(&self, ended: Option<Result<()>>) {
        self.change(|running| {
            running.job.ended_ms = Some(now_ms());
            running.job.state = match ended {
                None => JobState::Cancelled,
                Some(Ok(())) => JobState::Done,
                Some(Err(failure)) => {
                    running.job.error = Some(failure.message);
                    JobState::Failed
                }
            };
        });
    }

    /// The newest comparison, as it stands.
    pub(crate) fn newest(&self) -> Option<VerifyJob> {
        let jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let running = jobs.newest.as_ref()?;
        let tables: Vec<TableJob> = running.tables.values().cloned().collect();
        let is_equal = |table: &TableJob| table.verdict.as_ref().is_some_and(|verdict| verdict.equal);
        let equal = running.job.state == JobState::Done && tables.iter().all(is_equal);
        Some(VerifyJob { tables, equal, ..running.job.clone() })
    }

    /// Ends the comparison of that number, if it runs.
    pub(crate) fn cancel(&self, id: u64) -> Result<()> {
        let jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match jobs.newest.as_ref().filter(|running| running.job.id == id) {
            Some(running) => running.cancel.cancel(),
            None => return Err(Failure::not_found("comparison of that number")),
        }
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut Running)) {
        if let Some(running) = &mut self.0.lock().unwrap_or_else(PoisonError::into_inner).newest {
            change(running);
        }
    }

    fn change_table(&self, name: &TableName, change: impl FnOnce(&mut TableJob)) {
        self.change(|running| change(running.tables.entry(name.clone()).or_insert_with(|| waiting(name))));
    }
}

fn waiting(name: &TableName) -> TableJob {
    TableJob {
        schema: name.schema.clone(),
        name: name.name.clone(),
        step: TableStep::Waiting,
        buckets: 0,
        differing: Vec::new(),
        narrowed: Vec::new(),
        verdict: None,
    }
}

impl Progress for VerifyJobs {
    fn table_began(&self, table: &TableName) {
        self.change_table(table, |job| job.step = TableStep::Summing);
    }

    fn buckets_compared(&self, table: &TableName, total: u32, differing: &[u32]) {
        self.change_table(table, |job| {
            job.step = TableStep::Narrowing;
            job.buckets = total;
            job.differing = differing.to_vec();
        });
    }

    fn buckets_narrowed(&self, table: &TableName, narrowed: &[u32]) {
        self.change_table(table, |job| job.narrowed.extend_from_slice(narrowed));
    }

    fn table_ended(&self, table: &TableName, verdict: &TableVerdict) {
        self.change_table(table, |job| {
            job.step = TableStep::Done;
            job.verdict = Some(verdict.clone());
        });
    }
}
