//! What a worker runs: the port between it and a connector's task.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;

use crate::task::{self, TaskContext, TaskFailure};

/// A connector's task and its checks.
pub trait Runner: Send + Sync + 'static {
    /// Checks what can only be checked by trying, such as reaching the database. Each fault names the option that it
    /// is shown at, in Connect's words.
    fn check<'a>(&'a self, config: &'a BTreeMap<String, String>) -> BoxFuture<'a, Vec<Fault>>;

    /// Runs a task until it is told to stop. Coming back without an error means that it has nothing more to do.
    fn run(&self, context: TaskContext) -> BoxFuture<'static, Result<(), TaskFailure>>;
}

/// An option that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The option.
    pub option: String,
    /// What is wrong with it.
    pub message: String,
}

/// Debezium's Postgres connector.
#[derive(Clone, Copy, Debug, Default)]
pub struct PostgresRunner;

impl Runner for PostgresRunner {
    fn check<'a>(&'a self, config: &'a BTreeMap<String, String>) -> BoxFuture<'a, Vec<Fault>> {
        Box::pin(super::probe::check(config))
    }

    fn run(&self, context: TaskContext) -> BoxFuture<'static, Result<(), TaskFailure>> {
        Box::pin(task::run_task(context))
    }
}
