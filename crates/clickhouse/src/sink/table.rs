//! One table's part of the stream, in order, in a task of its own.
//!
//! Rows are gathered as they come and sent when an insert may start: at once after quiet, later
//! at the table's distance, or as soon as the block is full. A TRUNCATE, a new shape and a row
//! with missing values are barriers: everything before them is made durable first.
//!
//! An error of this table alone stops it: the observer is told, later changes are dropped, and
//! the batches' other tables go on. Every other error ends the sink.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use walhouse_change::{
    Change, ChangeBatch, Domain, Error, Lsn, Observer, Op, Permit, Result, Retry, Row, RowChange, TableSchema,
    Truncate, Version,
};

use super::flight::Flight;
use super::gather::{Gather, Sealed, stored};
use super::holes::ReadBack;
use super::inserter::{Destination, Inserter};
use super::pace::Pace;
use crate::block::RowInput;
use crate::client::Client;
use crate::ddl::{TRUNCATES, qualified};
use crate::mapping::{TableKind, TablePlan};
use crate::target::{Tables, delete_up_to};

/// Where a table's stream begins.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// How the table lies in ClickHouse.
    pub(crate) plan: Arc<TablePlan>,
    /// Highest version in the log, where there is one.
    pub(crate) log: Option<Version>,
    /// Highest version in the current state.
    pub(crate) current: Version,
    /// Version of the newest TRUNCATE marker.
    pub(crate) truncated: Version,
    /// Events with a commit LSN below are in the copy.
    pub(crate) from: Lsn,
}

/// A batch's changes of one table.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) batch: Arc<ChangeBatch>,
    /// Indexes into the batch's changes.
    pub(super) changes: Vec<u32>,
    /// Told when they are durable.
    pub(super) done: Done,
}

/// Told when a batch's part is durable. The last part of a batch gives its bytes back, whether or
/// not anybody polls the batch's commit.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) tell: oneshot::Sender<Result<()>>,
    pub(super) held_until_durable: Arc<Permit>,
}

impl Done {
    /// Nobody waits any longer when the batch's commit was dropped.
    fn tell(self, result: Result<()>) {
        let Self { tell, held_until_durable } = self;
        drop(held_until_durable);
        let _ = tell.send(result);
    }
}

/// Why gathering paused before a change.
enum Pause {
    /// All changes of the part are gathered.
    End,
    /// The block must be sent first.
    Room,
    /// The table was emptied.
    Truncate(Truncate),
    /// The table has another shape from here on.
    Shape(Arc<TableSchema>),
    /// A row lacks values.
    Holes,
}

/// The task's state.
pub(super) struct Table {
    pub(super) start: Start,
    pub(super) plan: Arc<TablePlan>,
    pub(super) epoch: u16,
    pub(super) gather: Gather,
    pub(super) read_back: ReadBack,
    pub(super) client: Client,
    flight: Flight,
    tables: Tables,
    observer: Arc<dyn Observer>,
    pace: Arc<Pace>,
    last_sent: Option<Instant>,
    /// Number of the block that was sent last, and of the last that is durable.
    sent: u64,
    durable: u64,
    /// The part that is being gathered.
    taking: Option<Done>,
    /// Parts whose rows end in the block of that number.
    waiting: VecDeque<(u64, Done)>,
}

impl Table {
    pub(super) fn new(
        start: Start,
        inserter: Inserter,
        tables: Tables,
        epoch: u16,
        observer: Arc<dyn Observer>,
        pace: Arc<Pace>,
    ) -> Self {
        let plan = Arc::clone(&start.plan);
        let client = inserter.client.clone();
        let (log, current) = destinations(&plan);
        Self {
            gather: Gather::new(Arc::clone(&plan), epoch),
            read_back: ReadBack::default(),
            flight: Flight::new(inserter.for_table(&plan.name), log, current),
            client,
            tables,
            observer,
            pace,
            epoch,
            plan,
            start,
            last_sent: None,
            sent: 0,
            durable: 0,
            taking: None,
            waiting: VecDeque::new(),
        }
    }

    /// Follows the queue to its end.
    pub(super) async fn run(mut self, mut parts: mpsc::Receiver<Part>) -> Result<()> {
        let Err(error) = self.follow(&mut parts).await else { return Ok(()) };
        let stops = matches!(error.retry(), Retry::StopTable(_));
        if stops {
            let name = &self.start.plan.schema.name;
            tracing::error!(table = %name, error = error.one_line(), "the table is stopped");
            // told before any batch counts as durable without this table's rows
            self.observer.table_stopped(name, &error);
        }
        // what is under way ends with the flight: it comes again, or the table is copied anew
        let Self { waiting, taking, .. } = self;
        for done in waiting.into_iter().map(|(_, done)| done).chain(taking) {
            done.tell(if stops { Ok(()) } else { Err(error.clone()) });
        }
        if !stops {
            return Err(error);
        }
        while let Some(part) = parts.recv().await {
            part.done.tell(Ok(()));
        }
        Ok(())
    }

    async fn follow(&mut self, parts: &mut mpsc::Receiver<Part>) -> Result<()> {
        loop {
            self.send_if_due();
            let due = self.due();
            tokio::select! {
                // an insert that ended makes room, so it comes before more rows
                biased;
                landed = self.flight.next() => self.landed(landed?),
                () = until(due) => {}
                part = parts.recv() => match part {
                    Some(part) => self.take(part).await?,
                    None => return self.flush().await,
                },
            }
        }
    }

    /// Gathers a part, stopping at its barriers.
    async fn take(&mut self, part: Part) -> Result<()> {
        let Part { batch, changes, done } = part;
        self.taking = Some(done);
        let mut at = 0;
        loop {
            let pause = self.gather_from(&batch, &changes, &mut at)?;
            match pause {
                Pause::End => break,
                Pause::Room => self.make_room().await?,
                Pause::Holes => at = Box::pin(self.fill_from(&batch, &changes, at)).await?,
                Pause::Shape(schema) => {
                    Box::pin(self.reshape(schema)).await?;
                }
                Pause::Truncate(truncate) => {
                    Box::pin(self.truncate(&batch, &truncate)).await?;
                    at += 1;
                }
            }
        }
        let last = if self.gather.is_empty() { self.sent } else { self.sent + 1 };
        self.waiting.extend(self.taking.take().map(|done| (last, done)));
        self.tell_durable();
        Ok(())
    }

    /// Gathers rows from `at` on, without waiting; leaves `at` at the change that paused it.
    fn gather_from(&mut self, batch: &ChangeBatch, changes: &[u32], at: &mut usize) -> Result<Pause> {
        while let Some(change) = changes.get(*at).and_then(|&index| batch.changes().get(index as usize)) {
            match change {
                Change::Row(change) => {
                    let row = batch.row(change);
                    if self.is_known(&row) {
                        *at += 1;
                        continue;
                    }
                    if !Arc::ptr_eq(row.schema(), &self.plan.schema) {
                        return Ok(Pause::Shape(Arc::clone(row.schema())));
                    }
                    let to_log = self.goes_to_log(&row);
                    if !self.gather.has_room(to_log) {
                        return Ok(Pause::Room);
                    }
                    if self.has_holes(change, &row) {
                        return Ok(Pause::Holes);
                    }
                    stored(&self.plan, self.gather.push(&row, to_log, None))?;
                }
                Change::Truncate(truncate) => return Ok(Pause::Truncate(truncate.clone())),
                Change::Schema { table } => {
                    if let Some(schema) = batch.schemas().get(*table as usize)
                        && !Arc::ptr_eq(schema, &self.plan.schema)
                    {
                        return Ok(Pause::Shape(Arc::clone(schema)));
                    }
                }
                Change::Begin { .. } | Change::Commit { .. } | Change::Message(_) => {}
            }
            *at += 1;
        }
        Ok(Pause::End)
    }

    /// True for a row that the tables hold already.
    pub(super) fn is_known(&self, row: &Row<'_>) -> bool {
        row.transaction().commit_lsn < self.start.from || self.gather.version(row) <= self.start.current
    }

    /// False for a row that was written to the log before a crash and not yet to the current state.
    pub(super) fn goes_to_log(&self, row: &Row<'_>) -> bool {
        self.start.log.is_some_and(|log| self.gather.version(row) > log)
    }

    /// True if the row lacks values that its old image does not have either.
    pub(super) fn has_holes(&self, change: &RowChange, row: &Row<'_>) -> bool {
        change.op == Op::Update
            && row.new_image().is_some_and(|image| {
                let input = RowInput { image, old: row.old_image(), fill: None, stamp: NO_STAMP };
                input.has_holes(&self.plan)
            })
    }

    /// When the gathered rows may set off; `None` while they cannot or there are none.
    fn due(&self) -> Option<Instant> {
        if self.gather.is_empty() || !self.flight.has_room() {
            return None;
        }
        let now = Instant::now();
        let at_once = self.gather.is_full() && !self.pace.is_stretched();
        Some(self.last_sent.filter(|_| !at_once).map_or(now, |last| last + self.pace.spacing()))
    }

    fn send_if_due(&mut self) {
        if self.due().is_some_and(|due| due <= Instant::now()) {
            self.send();
        }
    }

    fn send(&mut self) {
        if let Some(sealed) = self.gather.seal() {
            self.sent += 1;
            self.last_sent = Some(Instant::now());
            self.pace.started();
            self.flight.send(sealed);
        }
    }

    /// Waits until the gathered rows have set off.
    pub(super) async fn make_room(&mut self) -> Result<()> {
        while !self.gather.is_empty() {
            self.send_if_due();
            if self.gather.is_empty() {
                break;
            }
            let due = self.due();
            tokio::select! {
                biased;
                landed = self.flight.next() => self.landed(landed?),
                () = until(due) => {}
            }
        }
        Ok(())
    }

    /// Waits until everything is durable, at no distance.
    pub(super) async fn flush(&mut self) -> Result<()> {
        loop {
            if self.flight.has_room() {
                self.send();
            }
            if self.flight.is_idle() {
                return Ok(());
            }
            let landed = self.flight.next().await?;
            self.landed(landed);
        }
    }

    fn landed(&mut self, sealed: Option<Sealed>) {
        let Some(sealed) = sealed else { return };
        self.durable += 1;
        self.observer.visible(&self.start.plan.schema.name, sealed.changes, sealed.block.newest_commit_us);
        self.tell_durable();
    }

    fn tell_durable(&mut self) {
        while let Some((block, done)) = self.waiting.pop_front() {
            if block > self.durable {
                self.waiting.push_front((block, done));
                return;
            }
            done.tell(Ok(()));
        }
    }

    /// Hides every row up to the TRUNCATE by a marker, durably; then lets them be deleted.
    async fn truncate(&mut self, batch: &ChangeBatch, truncate: &Truncate) -> Result<()> {
        #[derive(Serialize)]
        struct Marker<'a> {
            table: &'a str,
            version: String,
            source_updated_at_ms: i64,
        }
        let Some(transaction) = batch.transactions().get(truncate.transaction as usize) else { return Ok(()) };
        let position = walhouse_change::Position { commit_lsn: transaction.commit_lsn, index: truncate.index };
        let version = Version::row(self.epoch, position);
        if transaction.commit_lsn < self.start.from || version <= self.start.truncated {
            return Ok(());
        }
        self.flush().await?;
        let marker = Marker {
            table: &self.plan.name,
            version: version.0.to_string(),
            source_updated_at_ms: transaction.commit_time.div_euclid(1000),
        };
        let table = qualified(&self.plan.database, TRUNCATES);
        let name = Some(&self.plan.schema.name);
        self.client.insert_row("mark a TRUNCATE", &table, &marker).await.map_err(|error| error.outward(name))?;
        self.start.truncated = version;
        // the rows are hidden already: deleting them can fail and be begun again at the next start
        if let Err(error) = self.client.execute("delete truncated rows", &delete_up_to(&self.plan, version)).await {
            tracing::warn!(table = %self.plan.schema.name, error = %error, "truncated rows are hidden but not deleted");
        }
        Ok(())
    }

    /// Goes on with another shape of the table.
    async fn reshape(&mut self, schema: Arc<TableSchema>) -> Result<()> {
        self.flush().await?;
        let before = &self.plan.schema;
        if schema.name != before.name {
            return Err(Error::new(
                Domain::Target,
                Retry::StopTable(before.name.clone()),
                format!("table {} was renamed to {} in Postgres", before.name, schema.name),
            )
            .with_remedy("have it copied anew under its new name"));
        }
        let same = *schema == **before;
        let plan = self.tables.plan(&schema)?;
        if !same {
            self.tables.adapt_now(&plan).await?;
        }
        let (log, current) = destinations(&plan);
        self.flight.redirect(log, current);
        self.gather = Gather::new(Arc::clone(&plan), self.epoch);
        self.plan = plan;
        Ok(())
    }
}

/// For looking at a row's values only.
const NO_STAMP: crate::block::Stamp = crate::block::Stamp {
    version: Version(0),
    record_version: Lsn::ZERO,
    commit_time_us: 0,
    action: crate::block::Action::Update,
};

fn destinations(plan: &TablePlan) -> (Option<Destination>, Destination) {
    let log = plan.history.then(|| Destination::live(plan, TableKind::Log));
    (log, Destination::live(plan, TableKind::Current))
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
