//! The task's thread: from the start, through a snapshot where one is due, along the log. Everything here blocks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use walhouse_change::{Acknowledge, Budget, Lsn, SlotKind, Source};
use walhouse_kafka::{Encoder, Offset, Options};
use walhouse_postgres::{Database, Exported, Log, Session, SlotFacts};

use super::TaskEvent;
use super::failure::TaskFailure;
use super::outbox::{Closed, Outbox, Parcel};
use super::ports::SignalRecord;
use super::publication;
use super::resume::Resume;
use super::settings::{Settings, SnapshotMode};
use super::snapshot::{self, Selection, View};
use super::stream::Stream;
use super::tables::Labels;

/// Bytes of the log in flight between Postgres and the encoder: two of its batches, and a large value.
const BUDGET: usize = 64 << 20;
/// How long a slot's creation waits for running transactions: longer than an ordinary batch job.
const SLOT_WAIT: Duration = Duration::from_secs(600);
/// How often a wait looks whether the task is to end.
const LOOK: Duration = Duration::from_millis(100);

/// Why the thread's work ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Nobody takes its records any more.
    Closed,
    Failed(TaskFailure),
}

impl<E: Into<TaskFailure>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// The stream's handle by which progress is confirmed, once there is a stream.
#[derive(Clone, Default)]
pub(super) struct Confirm(Arc<Mutex<Option<Acknowledge>>>);

impl Confirm {
    fn set(&self, acknowledge: Acknowledge) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(acknowledge);
    }

    /// Tells Postgres that it may forget what is before.
    pub(super) fn confirm(&self, upto: Lsn) {
        if let Some(acknowledge) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            acknowledge(upto);
        }
    }
}

/// What the thread begins with.
pub(super) struct Job {
    pub(super) settings: Arc<Settings>,
    pub(super) config: BTreeMap<String, String>,
    pub(super) worker: BTreeMap<String, String>,
    pub(super) offset: Option<Offset>,
    pub(super) offset_key: String,
    pub(super) parcels: mpsc::Sender<Parcel>,
    pub(super) signals: Option<mpsc::Receiver<SignalRecord>>,
    pub(super) confirm: Confirm,
    pub(super) observer: Arc<dyn Fn(TaskEvent) + Send + Sync>,
    pub(super) runtime: Handle,
}

/// What is left when it ended: the stream is kept until what was sent is confirmed.
pub(super) struct Finished {
    pub(super) outcome: Result<(), TaskFailure>,
    pub(super) stream: Option<Box<dyn Source>>,
}

impl Job {
    /// Runs until nobody takes records any more, or the task has nothing left to do, or it fails.
    pub(super) fn run(mut self) -> Finished {
        let mut stream = None;
        let outcome = match self.work(&mut stream) {
            Ok(()) | Err(Ended::Closed) => Ok(()),
            Err(Ended::Failed(failure)) => Err(failure),
        };
        Finished { outcome, stream }
    }

    fn work(&mut self, stream: &mut Option<Box<dyn Source>>) -> Result<(), Ended> {
        let settings = Arc::clone(&self.settings);
        let options = || Options::parse(&self.config, &self.worker);
        let filter = Arc::new(options()?);
        filter.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
        let mut encoder = Encoder::new(options()?, []);
        let database = Database::new(&settings.database, Budget::new(BUDGET))?;
        let max_batch = settings.max_batch;
        let mut outbox = Outbox::new(self.parcels.clone(), self.offset_key.clone(), max_batch);

        let mut session = open_session(&database, &settings)?;
        (self.observer)(TaskEvent::Running);
        let start = Start::new(&database, &mut session, &settings, &filter, self.offset.take(), &outbox)?;
        let mut labels = Labels::default();
        let mut from = start.from();
        let streams = settings.snapshot_mode != SnapshotMode::InitialOnly;
        let mut resume = None;
        if start.snapshot {
            (self.observer)(TaskEvent::Snapshotting);
            from = start.take(&database, &mut session, &settings, (&mut encoder, &mut outbox, &mut labels))?;
        } else if let Some(offset) = &start.offset {
            encoder.resume(offset);
            resume = Resume::new(offset);
        }
        if !streams {
            tracing::info!("the snapshot is all that is asked for");
            return Ok(());
        }
        let log = Log {
            slot: settings.slot.clone(),
            publication: settings.publication.clone(),
            from,
            options: settings.stream_options.clone(),
            wanted: Arc::new({
                let filter = Arc::clone(&filter);
                move |table| filter.captures(table)
            }),
        };
        let source = stream.insert(follow(&database, log, &settings, &outbox)?);
        self.confirm.set(source.acknowledger());
        (self.observer)(TaskEvent::Streaming);
        let incremental = start.offset.and_then(|offset| offset.incremental).filter(|_| !start.snapshot);
        let mut stream = Stream::new(database, session, encoder, outbox, settings, labels);
        stream.begin(resume, incremental)?;
        stream.run(&mut **source, &self.runtime, self.signals.take())
    }
}

/// A session for statements, prepared as the configuration asks for.
pub(super) fn open_session(database: &Database, settings: &Settings) -> Result<Session, TaskFailure> {
    let mut session = database.session()?;
    for statement in &settings.initial_statements {
        session.rows("run database.initial.statements", statement)?;
    }
    Ok(session)
}

/// What is to be done, decided from offset and slot.
struct Start {
    offset: Option<Offset>,
    /// The slot that was made just now.
    created: Option<Exported>,
    slot_exists: bool,
    snapshot: bool,
}

impl Start {
    fn new(
        database: &Database,
        session: &mut Session,
        settings: &Settings,
        options: &Options,
        offset: Option<Offset>,
        outbox: &Outbox,
    ) -> Result<Self, Ended> {
        let slot = database.slot(&settings.slot)?;
        let snapshot = snapshot_is_due(settings, offset.as_ref(), slot.as_ref())?;
        if settings.snapshot_mode == SnapshotMode::InitialOnly {
            return Ok(Self { offset, created: None, slot_exists: slot.is_some(), snapshot });
        }
        let slot = usable(slot, settings, snapshot)?;
        if slot.is_none() && offset.is_some() && !snapshot && !settings.drop_slot {
            return Err(slot_is_gone(settings).into());
        }
        publication::prepare(session, settings, options)?;
        publication::identities(session, settings, options)?;
        let created = match slot {
            Some(_) => None,
            None => {
                let stopped = || outbox.is_closed();
                let created = database.create_slot(&settings.slot, SlotKind::Lasting, SLOT_WAIT, &stopped)?;
                tracing::info!(slot = settings.slot, at = %created.consistent_point, "created the replication slot");
                Some(created)
            }
        };
        Ok(Self { offset, slot_exists: created.is_none(), created, snapshot })
    }

    /// Where the stream begins if no snapshot is taken.
    fn from(&self) -> Lsn {
        match (&self.offset, &self.created) {
            // A new slot has nothing before its own beginning.
            (Some(offset), _) => Resume::start(offset),
            (None, Some(created)) => created.consistent_point,
            // What the slot has confirmed is where the server begins then.
            (None, None) => Lsn::ZERO,
        }
    }

    /// Takes the snapshot; where the stream goes on.
    fn take(
        &self,
        database: &Database,
        session: &mut Session,
        settings: &Settings,
        (encoder, outbox, labels): (&mut Encoder, &mut Outbox, &mut Labels),
    ) -> Result<Lsn, Ended> {
        pause(settings.snapshot_delay, outbox)?;
        let joins = self.slot_exists && settings.snapshot_mode != SnapshotMode::InitialOnly;
        let temporary = if joins { self.temporary(database, settings, outbox)? } else { None };
        let view = match self.created.as_ref().or(temporary.as_ref()) {
            Some(exported) => View::Exported { snapshot: &exported.snapshot, at: exported.consistent_point },
            None => View::Now,
        };
        let selection =
            Selection { tables: settings.snapshot_tables.as_ref(), overrides: &settings.overrides, blocking: false };
        let taken = snapshot::take(session, &view, &selection, settings, (encoder, outbox, labels))?;
        encoder.snapshot_ended(taken.at, taken.xid, taken.time);
        if settings.heartbeat.is_some() {
            encoder.heartbeat(&mut outbox.records)?;
            outbox.reached = encoder.offset().cloned();
            outbox.flush(None).map_err(|Closed| Ended::Closed)?;
        }
        // Without a snapshot of the log's own, what the slot has kept comes again: better twice than never.
        Ok(if matches!(view, View::Now) { Lsn::ZERO } else { taken.at })
    }

    /// A temporary slot, for the sake of its snapshot. None where the server has no room for one.
    fn temporary(&self, database: &Database, settings: &Settings, outbox: &Outbox) -> Result<Option<Exported>, Ended> {
        let stopped = || outbox.is_closed();
        match database.create_slot(&settings.slot, SlotKind::Temporary, SLOT_WAIT, &stopped) {
            Ok(exported) => Ok(Some(exported)),
            Err(error) if error.code() == Some("53400") => {
                tracing::warn!(
                    "no replication slot is free to join the snapshot to the stream: changes that the \
                                slot has kept will be sent after the snapshot, though it holds them"
                );
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn snapshot_is_due(
    settings: &Settings,
    offset: Option<&Offset>,
    slot: Option<&SlotFacts>,
) -> Result<bool, TaskFailure> {
    let unfinished = offset.is_some_and(|offset| offset.snapshot == Some(false));
    Ok(match settings.snapshot_mode {
        SnapshotMode::Always => true,
        SnapshotMode::Initial | SnapshotMode::InitialOnly => offset.is_none() || unfinished,
        SnapshotMode::Never if unfinished => {
            return Err(TaskFailure::connect(
                "The connector previously stopped while taking a snapshot, but now the connector is configured to \
                 never allow snapshots. Reconfigure the connector to use snapshots initially or when needed.",
            ));
        }
        SnapshotMode::Never => false,
        SnapshotMode::WhenNeeded => {
            let lost = slot.is_none_or(SlotFacts::is_lost);
            offset.is_none() || unfinished || lost
        }
    })
}

/// The slot if it can be used; none if it is to be made.
fn usable(slot: Option<SlotFacts>, settings: &Settings, snapshot: bool) -> Result<Option<SlotFacts>, TaskFailure> {
    let Some(slot) = slot else { return Ok(None) };
    if slot.plugin != "pgoutput" || !slot.of_this_database {
        return Err(TaskFailure::debezium(format!(
            "Creation of replication slot failed; when setting up multiple connectors for the same database host, \
             please make sure to use a distinct replication slot name for each. Slot '{}' is not a pgoutput slot of \
             this database.",
            settings.slot
        )));
    }
    if slot.is_lost() && !snapshot {
        return Err(TaskFailure::debezium(
            "The offset to start reading from has been removed from the database write-ahead log. Create a new \
             snapshot and consider setting of PostgreSQL parameter wal_keep_segments = 0.",
        ));
    }
    Ok(Some(slot))
}

/// What Debezium makes anew without a word, though what was committed meanwhile never comes.
fn slot_is_gone(settings: &Settings) -> TaskFailure {
    TaskFailure::debezium(format!(
        "Replication slot '{}' is gone, and with it the changes since the stored offset. Take a new snapshot: set \
         'snapshot.mode' to 'when_needed' or 'always', or reset the connector's offsets.",
        settings.slot
    ))
}

/// Waits that long, unless nobody wants the messages any more.
fn pause(mut left: Duration, outbox: &Outbox) -> Result<(), Ended> {
    while !left.is_zero() {
        if outbox.is_closed() {
            return Err(Ended::Closed);
        }
        let step = left.min(LOOK);
        std::thread::sleep(step);
        left -= step;
    }
    Ok(())
}

/// Begins to follow the log; a slot that somebody still holds is waited for.
fn follow(database: &Database, log: Log, settings: &Settings, outbox: &Outbox) -> Result<Box<dyn Source>, Ended> {
    let Log { slot, publication, from, options, wanted } = log;
    let mut tries = 0;
    loop {
        let log = Log {
            slot: slot.clone(),
            publication: publication.clone(),
            from,
            options: options.clone(),
            wanted: Arc::clone(&wanted),
        };
        let error = match database.follow(log) {
            Ok(source) => return Ok(source),
            Err(error) => error,
        };
        let held = error.code() == Some("55006");
        if !held || tries >= settings.slot_retries {
            let mut message = format!("Failed to start replication stream at LSN{{{from}}}");
            if held {
                message.push_str(
                    "; when setting up multiple connectors for the same database host, please make sure to use a \
                     distinct replication slot name for each.",
                );
            }
            return Err(TaskFailure::debezium(message).caused_by(&error.into()).into());
        }
        tries += 1;
        tracing::warn!(error = %error, tries, "the slot is held by somebody: trying again");
        pause(settings.slot_retry_delay, outbox)?;
    }
}
