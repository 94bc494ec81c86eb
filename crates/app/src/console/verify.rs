//! The proof that the target is the source, for the console: the instrument of `walhouse verify`.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use walhouse_change::{BoxFuture, TableName};
use walhouse_lab::verify::{self, Differences, TableReport, Watch};
use walhouse_server::ports::{DifferingKeys, Failure, FailureKind, Progress, Result, TableVerdict, Verifier};

use crate::commands::verify::{connect, tables};
use crate::config::Config;
use crate::wiring;

/// The instrument.
pub(super) struct Instrument {
    pub(super) config: Config,
}

impl Verifier for Instrument {
    fn verify<'a>(
        &'a self,
        wanted: Option<&'a [TableName]>,
        progress: Arc<dyn Progress>,
        cancel: CancellationToken,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let compare = async {
                let all = tables(&self.config).await.map_err(|error| failed(&error))?;
                let is_wanted = |table: &verify::Table| {
                    wanted.is_none_or(|wanted| {
                        wanted.iter().any(|name| name.schema == table.schema && name.name == table.name)
                    })
                };
                let tables: Vec<verify::Table> = all.into_iter().filter(is_wanted).collect();
                let mut postgres = connect(&self.config).await.map_err(|error| failed(&error))?;
                let clickhouse = wiring::client(&self.config);
                let watch = Told(progress);
                let compared = verify::verify_watched(&mut postgres, &clickhouse, &tables, &watch).await;
                compared.map(|_| ()).map_err(|error| failed(&anyhow::Error::new(error)))
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => Ok(()),
                compared = compare => compared,
            }
        })
    }
}

fn failed(error: &anyhow::Error) -> Failure {
    Failure::new(FailureKind::Unavailable, format!("{error:#}").replace('\n', " "))
}

/// Passes on what the instrument sees.
struct Told(Arc<dyn Progress>);

fn name(table: &verify::Table) -> TableName {
    TableName::new(&table.schema, &table.name)
}

impl Watch for Told {
    fn began(&self, table: &verify::Table) {
        self.0.table_began(&name(table));
    }

    fn compared(&self, table: &verify::Table, buckets: u32, differing: &[u32]) {
        self.0.buckets_compared(&name(table), buckets, differing);
    }

    fn narrowed(&self, table: &verify::Table, buckets: &[u32]) {
        self.0.buckets_narrowed(&name(table), buckets);
    }

    fn ended(&self, table: &verify::Table, report: &TableReport) {
        self.0.table_ended(&name(table), &verdict(report));
    }
}

fn verdict(report: &TableReport) -> TableVerdict {
    let keys = |found: &Differences| DifferingKeys { count: found.count, keys: found.keys.clone() };
    let history = report.history.clone().unwrap_or_default();
    TableVerdict {
        equal: report.is_equal(),
        rows_source: report.rows_source,
        rows_target: report.rows_target,
        absent_columns: report.absent_columns.clone(),
        missing: keys(&report.missing),
        extra: keys(&report.extra),
        different: keys(&report.different),
        versions: report.history.as_ref().map(|history| history.versions),
        repeated_versions: history.repeated,
        stale: keys(&history.stale),
    }
}
