//! The source, with what the configuration says of its tables held against what is found.
//!
//! The first survey decides: a name without a table, or two tables that claim one name in
//! ClickHouse, is a wrong configuration and ends the start. A table that appears later and does
//! not fit is stopped alone: a stranger's CREATE TABLE must not end a pipeline that runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use walhouse_change::{
    BoxFuture, Domain, Error, Lsn, Origin, Result, Retry, SlotKind, Snapshot, Source, Survey, SurveyedTable,
    TableSchema,
};

use crate::config::{Config, check_tables};

/// An origin whose surveys are checked.
pub(crate) struct Selection {
    origin: Arc<dyn Origin>,
    config: Config,
    accepted: AtomicBool,
}

impl Selection {
    pub(crate) fn new(origin: Arc<dyn Origin>, config: Config) -> Self {
        Self { origin, config, accepted: AtomicBool::new(false) }
    }

    fn check(&self, survey: &mut Survey) -> Result<()> {
        let schemas: Vec<_> = survey.tables.iter().map(|table| Arc::clone(&table.schema)).collect();
        match check_tables(&self.config, &schemas) {
            Ok(()) => self.accepted.store(true, Ordering::Relaxed),
            Err(error) if !self.accepted.load(Ordering::Relaxed) => {
                return Err(Error::new(Domain::Internal, Retry::Never, error.to_string()));
            }
            Err(error) => self.stop_misfits(&mut survey.tables, &error.to_string()),
        }
        Ok(())
    }

    /// Stops every table that does not fit beside those before it; name order decides which.
    fn stop_misfits(&self, tables: &mut [SurveyedTable], message: &str) {
        let mut fitting = Vec::new();
        for table in tables {
            fitting.push(Arc::clone(&table.schema));
            if crate::config::names_collide(&self.config, &fitting) {
                fitting.pop();
                let stop = Retry::StopTable(table.schema.name.clone());
                table.problem.get_or_insert_with(|| Error::new(Domain::Internal, stop, message));
            }
        }
    }
}

impl Origin for Selection {
    fn survey(&self) -> BoxFuture<'_, Result<Survey>> {
        Box::pin(async {
            let mut survey = self.origin.survey().await?;
            self.check(&mut survey)?;
            Ok(survey)
        })
    }

    fn publish<'a>(&'a self, tables: &'a [Arc<TableSchema>]) -> BoxFuture<'a, Result<()>> {
        self.origin.publish(tables)
    }

    fn snapshot<'a>(
        &'a self,
        tables: &'a [Arc<TableSchema>],
        slot: SlotKind,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>>> {
        self.origin.snapshot(tables, slot)
    }

    fn drop_slot(&self) -> BoxFuture<'_, Result<()>> {
        self.origin.drop_slot()
    }

    fn stream<'a>(&'a self, from: Lsn, tables: &'a [Arc<TableSchema>]) -> BoxFuture<'a, Result<Box<dyn Source>>> {
        self.origin.stream(from, tables)
    }
}
