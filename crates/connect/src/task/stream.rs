//! Along the log: each change becomes records; signals, heartbeats and incremental snapshots come in between.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use walhouse_change::{Change, ChangeBatch, Lsn, Op, RowChange, Source};
use walhouse_kafka::{Encoder, Incremental as StoredIncremental, Offset};
use walhouse_postgres::{Database, Session};

use super::failure::TaskFailure;
use super::incremental::{Incremental, Means};
use super::outbox::{Closed, Outbox};
use super::ports::SignalRecord;
use super::resume::Resume;
use super::settings::{OnFailure, Settings};
use super::signal::{NotASignal, Request, Signal};
use super::snapshot::{self, Selection, View};
use super::tables::{self, Labels};
use super::thread::{Ended, open_session};

/// How long a wait for changes lasts before the clocks are looked at.
const WAIT: Duration = Duration::from_millis(100);

/// The stream's state.
pub(super) struct Stream {
    database: Database,
    session: Session,
    /// Of `heartbeat.action.query`.
    action: Option<Session>,
    encoder: Encoder,
    outbox: Outbox,
    settings: Arc<Settings>,
    labels: Labels,
    resume: Option<Resume>,
    incremental: Incremental,
    /// Blocking snapshots that wait for the end of the transaction under way.
    blocking: Vec<Request>,
    beat: Instant,
    group: Group,
}

/// Changes that have one position: an offset is only good behind all of them.
#[derive(Default)]
struct Group {
    lsn: Option<Lsn>,
    count: u32,
    /// The offset behind the last group that is complete.
    sealed: Option<Offset>,
}

impl Stream {
    pub(super) fn new(
        database: Database,
        session: Session,
        encoder: Encoder,
        outbox: Outbox,
        settings: Arc<Settings>,
        labels: Labels,
    ) -> Self {
        Self {
            database,
            session,
            action: None,
            encoder,
            outbox,
            settings,
            labels,
            resume: None,
            incremental: Incremental::default(),
            blocking: Vec::new(),
            beat: Instant::now(),
            group: Group::default(),
        }
    }

    /// What is left over from a former run.
    pub(super) fn begin(
        &mut self,
        resume: Option<Resume>,
        incremental: Option<StoredIncremental>,
    ) -> Result<(), TaskFailure> {
        self.resume = resume;
        self.labels.refresh(&mut self.session, &mut self.encoder)?;
        if let Some(stored) = incremental {
            tracing::info!("going on with an incremental snapshot");
            self.incremental = Incremental::resume(stored);
            self.with_means(|incremental, means| incremental.read_chunk(means))?;
        }
        Ok(())
    }

    /// Follows until nobody takes records any more.
    pub(super) fn run(
        &mut self,
        source: &mut dyn Source,
        runtime: &Handle,
        mut signals: Option<mpsc::Receiver<SignalRecord>>,
    ) -> Result<(), Ended> {
        while !self.outbox.is_closed() {
            let next = runtime.block_on(async { tokio::time::timeout(WAIT, source.next()).await });
            if let Ok(next) = next {
                let batch = next?;
                let Some(batch) = batch else { return Ok(()) };
                let outcome = self.batch(&batch);
                if let Err(Ended::Failed(failure)) = outcome {
                    // What came before it is good.
                    self.hand_over(None)?;
                    return Err(Ended::Failed(failure));
                }
                outcome?;
            }
            if let Some(signals) = &mut signals {
                while let Ok(record) = signals.try_recv() {
                    self.signal_record(&record)?;
                }
            }
            self.idle()?;
        }
        Err(Ended::Closed)
    }

    /// Between batches.
    fn idle(&mut self) -> Result<(), Ended> {
        if self.group.lsn.is_none() {
            self.run_blocking_snapshots()?;
            self.heartbeat()?;
        }
        self.hand_over(None)
    }

    fn batch(&mut self, batch: &ChangeBatch) -> Result<(), Ended> {
        for change in batch.changes() {
            let at = match change {
                Change::Row(row) => Some(row.lsn),
                Change::Truncate(truncate) => Some(truncate.lsn),
                Change::Message(message) => Some(message.lsn),
                Change::Begin { .. } | Change::Commit { .. } => None,
                Change::Schema { table } => {
                    self.describe(batch, *table)?;
                    continue;
                }
            };
            if at != self.group.lsn {
                self.seal();
                self.group = Group { lsn: at, count: 0, sealed: self.group.sealed.take() };
                if self.outbox.is_full() {
                    self.hand_over(None)?;
                }
            }
            self.group.count += 1;
            self.change(batch, change)?;
            let ends = matches!(change, Change::Commit { .. })
                || matches!(change, Change::Message(message) if message.transaction.is_none());
            if ends {
                self.seal();
                self.group.lsn = None;
                self.run_blocking_snapshots()?;
                self.heartbeat()?;
            }
        }
        self.hand_over(Some(batch.progress()))
    }

    /// The last group is complete: its records' offset is good.
    fn seal(&mut self) {
        let Some(offset) = self.encoder.offset() else { return };
        let mut offset = offset.clone();
        offset.position.whole = self.group.count > 1 && self.group.lsn.map(|lsn| lsn.0) == offset.position.processed;
        self.group.sealed = Some(offset);
    }

    /// Hands over what waits. `progress`: everything up to it is in there or before.
    fn hand_over(&mut self, progress: Option<Lsn>) -> Result<(), Ended> {
        self.outbox.held = !self.blocking.is_empty();
        if let Some(mut offset) = self.group.sealed.take() {
            offset.incremental = self.incremental.stored();
            self.outbox.reached = Some(offset);
        }
        if self.outbox.records.is_empty() {
            // An offset moves with a record only.
            self.group.sealed = self.outbox.reached.take();
        }
        self.outbox.flush(progress).map_err(|Closed| Ended::Closed)
    }

    /// A table is described anew: the catalog says the rest.
    fn describe(&mut self, batch: &ChangeBatch, table: u32) -> Result<(), TaskFailure> {
        let Some(schema) = batch.schemas().get(table as usize) else { return Ok(()) };
        let relid = [schema.relid];
        let found = match self.session.tables(Some(&relid)) {
            Ok(found) => found,
            Err(walhouse_postgres::Error::Broken { .. }) => {
                self.session = open_session(&self.database, &self.settings)?;
                self.session.tables(Some(&relid))?
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(table) = found.first() {
            self.encoder.set_table(tables::facts(table));
        }
        self.labels.refresh(&mut self.session, &mut self.encoder)
    }

    fn change(&mut self, batch: &ChangeBatch, change: &Change) -> Result<(), Ended> {
        if let Some(resume) = &mut self.resume {
            let skips = resume.skips(batch, change);
            if resume.is_done() {
                self.resume = None;
            }
            if skips {
                return Ok(self.encoder.skip(batch, change)?);
            }
        }
        if let Change::Row(row) = change
            && row.op == Op::Insert
            && let Some(table) = self.settings.signals.table.clone()
        {
            self.signal_row(batch, row, &table)?;
        }
        let Err(error) = self.encoder.change(batch, change, &mut self.outbox.records) else { return Ok(()) };
        match (self.settings.on_failure, &error) {
            (OnFailure::Fail, _) | (_, walhouse_kafka::Error::Transform { .. }) => Err(error.into()),
            (OnFailure::Warn, _) => {
                tracing::warn!(error = %error, "a change is left out");
                Ok(())
            }
            (OnFailure::Skip, _) => Ok(()),
        }
    }

    /// A new row of the signal table is a signal.
    fn signal_row(&mut self, batch: &ChangeBatch, row: &RowChange, table: &str) -> Result<(), Ended> {
        let row = batch.row(row);
        let name = &row.schema().name;
        if !table.split_once('.').is_some_and(|(schema, table)| schema == name.schema && table == name.name) {
            return Ok(());
        }
        let Some(image) = row.new_image() else { return Ok(()) };
        let text = |index: usize| String::from_utf8_lossy(image.value(index).bytes()).into_owned();
        let (id, kind, data) = (text(0), text(1), text(2));
        let signal = Signal::parse(&kind, Some(&data));
        self.signal(&id, signal)
    }

    fn signal_record(&mut self, record: &SignalRecord) -> Result<(), Ended> {
        let prefix = self.encoder.options().prefix();
        match Signal::of_record(prefix, record.key.as_deref(), record.value.as_deref()) {
            Some((id, signal)) => self.signal(&id, signal),
            None => Ok(()),
        }
    }

    fn signal(&mut self, id: &str, signal: Result<Signal, NotASignal>) -> Result<(), Ended> {
        let signal = match signal {
            Ok(signal) => signal,
            Err(error) => {
                tracing::warn!(id, error = %error, "a signal was received that is not understood");
                return Ok(());
            }
        };
        match signal {
            Signal::Log { message } => {
                let offset = self.encoder.offset().map_or_else(|| "<none>".to_owned(), Offset::to_json);
                tracing::info!(id, "{}", message.replacen("{}", &offset, 1));
            }
            Signal::Execute { blocking: true, request } => {
                tracing::info!(id, "a blocking snapshot is asked for");
                self.blocking.push(request);
            }
            Signal::WindowOpen => self.incremental.opened(id, &mut self.encoder),
            Signal::WindowClose => {
                let mut records = std::mem::take(&mut self.outbox.records);
                let outcome = self.with_means(|incremental, means| incremental.closed(id, means, &mut records));
                self.outbox.records = records;
                outcome?;
            }
            other if self.settings.signal_table.is_none() => {
                tracing::warn!(id, signal = ?other, "incremental snapshots need signal.data.collection");
            }
            Signal::Execute { request, .. } => {
                tracing::info!(id, "an incremental snapshot is asked for");
                self.with_means(|incremental, means| incremental.add(id, &request, means))?;
            }
            Signal::Stop { collections } => {
                self.with_means(|incremental, means| incremental.stop(&collections, means))?;
            }
            Signal::Pause => self.incremental.pause(),
            Signal::Resume => self.with_means(Incremental::unpause)?,
        }
        Ok(())
    }

    /// Lets the incremental snapshot do something.
    fn with_means(
        &mut self,
        step: impl FnOnce(&mut Incremental, &mut Means<'_>) -> Result<(), TaskFailure>,
    ) -> Result<(), TaskFailure> {
        let signals = self.settings.signal_table.clone().unwrap_or_default();
        let mut means = Means {
            session: &mut self.session,
            encoder: &mut self.encoder,
            signals: &signals,
            chunk_size: self.settings.chunk_size,
        };
        step(&mut self.incremental, &mut means)
    }

    /// Takes the blocking snapshots that were asked for. Until they are delivered the offset stays before the signal,
    /// so that a crash brings it again.
    fn run_blocking_snapshots(&mut self) -> Result<(), Ended> {
        if self.blocking.is_empty() {
            return Ok(());
        }
        self.hand_over(None)?;
        while let Some(request) = self.blocking.first().cloned() {
            let pattern = request.collections.iter().map(|it| it.replace(',', "\\,")).collect::<Vec<_>>().join(",");
            let tables = (!request.collections.is_empty())
                .then(|| walhouse_kafka::Patterns::parse("data-collections", &pattern))
                .transpose()?;
            let overrides = request.conditions.into_iter().collect();
            let selection = Selection { tables: tables.as_ref(), overrides: &overrides, blocking: true };
            let mut session = open_session(&self.database, &self.settings)?;
            let means = (&mut self.encoder, &mut self.outbox, &mut self.labels);
            snapshot::take(&mut session, &View::Now, &selection, &self.settings, means)?;
            session.close();
            self.blocking.remove(0);
        }
        self.seal();
        self.outbox.held = false;
        self.outbox.reached =
            self.group.sealed.take().map(|offset| Offset { incremental: self.incremental.stored(), ..offset });
        self.outbox.flush(None).map_err(|Closed| Ended::Closed)
    }

    /// Beats if it is time to.
    fn heartbeat(&mut self) -> Result<(), Ended> {
        let Some(interval) = self.settings.heartbeat else { return Ok(()) };
        if self.beat.elapsed() < interval {
            return Ok(());
        }
        self.beat = Instant::now();
        if let Some(query) = self.settings.heartbeat_query.clone() {
            self.act(&query)?;
        }
        self.encoder.heartbeat(&mut self.outbox.records)?;
        self.seal();
        Ok(())
    }

    /// Runs `heartbeat.action.query` on a connection of its own.
    fn act(&mut self, query: &str) -> Result<(), TaskFailure> {
        let mut session = match self.action.take() {
            Some(session) => session,
            None => open_session(&self.database, &self.settings)?,
        };
        match session.rows("run heartbeat.action.query", query) {
            Ok(_) => self.action = Some(session),
            Err(error) if matches!(error.code(), Some("57P01" | "57P03")) => return Err(error.into()),
            Err(error) => tracing::error!(error = %error, "heartbeat.action.query failed"),
        }
        Ok(())
    }
}
