//! One piece's copy, on a thread of its own: from the socket to batches of rows.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use walhouse_change::{
    Acknowledge, BoxFuture, Budget, ChangeBatch, Lsn, Permit, Retry, Source, Span, TableSchema, Transaction,
};
use walhouse_value::Kind;

use super::pool::Lent;
use crate::assembly::{Assembly, TableSlot};
use crate::claim::License;
use crate::handover::{self, Handover};
use crate::wire::Malformed;
use crate::wire::connection::{Connection, Received};
use crate::wire::copy::CopyReader;
use crate::wire::inbox::Frame;
use crate::{Error, Result};

/// Size of a worker's buffer, so of its batches: several workers have one each, and one more under way.
pub(crate) const BUFFER: usize = 4 << 20;
/// Buffer of a session that is idle.
pub(crate) const IDLE_BUFFER: usize = 16 << 10;
/// How often a copy that gets nothing looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(200);

/// What to copy.
pub(super) struct Job {
    pub(super) schema: Arc<TableSchema>,
    pub(super) statement: String,
    pub(super) transaction: Transaction,
    pub(super) budget: Budget,
    pub(super) license: License,
}

struct Copy {
    handover: Arc<Handover>,
}

impl Source for Copy {
    fn next(&mut self) -> BoxFuture<'_, walhouse_change::Result<Option<ChangeBatch>>> {
        Box::pin(self.handover.next())
    }

    fn acknowledger(&self) -> Acknowledge {
        Arc::new(|_: Lsn| {})
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        self.handover.close();
    }
}

/// Starts the copy on a lent session, which goes back when the copy ends in whatever way but a broken connection.
pub(super) fn open(job: Job, mut worker: Lent) -> walhouse_change::Result<Box<dyn Source>> {
    let handover = Arc::new(Handover::default());
    let shared = Arc::clone(&handover);
    handover::spawn("walhouse-copy", &handover, move || {
        let outcome = copy(&mut worker.session, &job, &shared);
        match rewind(&mut worker.session) {
            Ok(()) => worker.give_back(),
            Err(error) => {
                tracing::debug!(error = %error, "lost a session of the snapshot");
                worker.lose();
            }
        }
        outcome.map_err(|error| of_table(error, &job.schema).into())
    })?;
    Ok(Box::new(Copy { handover }))
}

/// Savepoints keep the transaction, so the snapshot, through whatever happens to a copy.
fn rewind(session: &mut Connection) -> Result<()> {
    session.inbox.resize(IDLE_BUFFER);
    session.query("end a copy", "ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part").map(|_| ())
}

/// A refusal concerns this table alone.
fn of_table(error: Error, schema: &TableSchema) -> Error {
    let stops = error.code().is_some_and(|code| ["42", "22", "54", "XX"].iter().any(|class| code.starts_with(class)));
    if !stops {
        return error;
    }
    let remedy = match error.code() {
        Some("42501") => "grant SELECT on it, and BYPASSRLS if row security is the reason",
        _ => "mend what the message names; the table is copied anew then",
    };
    Error::finding(Retry::StopTable(schema.name.clone()), error.to_string(), remedy)
}

fn copy(session: &mut Connection, job: &Job, handover: &Handover) -> Result<()> {
    let attempt = format!("copy {}", job.schema.name);
    session.query("begin a copy", "SAVEPOINT part")?;
    session.inbox.resize(BUFFER);
    session.start_copy(&attempt, &job.statement)?;
    let kind = |column: &walhouse_change::Column| {
        if column.ty.binary_decodable() { Kind::Binary } else { Kind::Text }
    };
    let kinds = job.schema.columns.iter().map(kind).collect();
    let mut reading = Reading::new(&job.schema, kinds, job.transaction);
    loop {
        if let Err(lost) = job.license.check() {
            session.cancel_and_finish(&attempt);
            return Err(lost);
        }
        let ended = reading.parse(session, &attempt)?;
        if reading.is_due(session, ended) && !reading.hand_over(session, job, handover) {
            break;
        }
        if ended {
            return reading.refused.map_or(Ok(()), Err);
        }
        if session.inbox.has_frame() {
            continue;
        }
        match session.receive(&attempt, LOOK)? {
            Received::Bytes => {}
            Received::Nothing if handover.is_closed() => break,
            Received::Nothing => {}
            Received::End => {
                return Err(Error::broken(attempt, io::Error::new(io::ErrorKind::UnexpectedEof, "it was closed")));
            }
        }
    }
    // Nobody wants the rest.
    session.cancel_and_finish(&attempt);
    Ok(())
}

/// A copy under way.
pub(crate) struct Reading {
    reader: CopyReader,
    assembly: Assembly,
    table: TableSlot,
    transaction: Transaction,
    spans: Vec<Span>,
    pub(crate) refused: Option<Error>,
}

impl Reading {
    /// Rows of `schema`, whose values are of these kinds.
    pub(crate) fn new(schema: &Arc<TableSchema>, kinds: Vec<Kind>, transaction: Transaction) -> Self {
        Self {
            reader: CopyReader::new(kinds),
            assembly: Assembly::default(),
            table: TableSlot::new(Arc::clone(schema)),
            transaction,
            spans: Vec::new(),
            refused: None,
        }
    }

    /// Reads whole frames until the batch is full; true at the end of the statement.
    pub(crate) fn parse(&mut self, session: &mut Connection, attempt: &str) -> Result<bool> {
        while !self.assembly.is_full() {
            let Some(frame) = session.inbox.next_frame()? else { break };
            match frame.tag {
                b'd' => self.row(session, frame)?,
                b'E' => self.refused = Some(session.refused(attempt, frame)),
                b'Z' => return Ok(true),
                _ => {}
            }
        }
        if self.assembly.is_empty() {
            session.inbox.forget();
        }
        Ok(false)
    }

    /// Whether the batch must be handed over now.
    pub(crate) fn is_due(&self, session: &Connection, ended: bool) -> bool {
        let full = self.assembly.is_full() || !session.inbox.has_room();
        !self.assembly.is_empty() && (full || ended)
    }

    #[inline]
    fn row(&mut self, session: &Connection, frame: Frame) -> Result<(), Malformed> {
        if self.reader.row(session.inbox.body(frame), frame.start, &mut self.spans)? {
            self.assembly.read(&self.transaction, &mut self.table, &self.spans);
        }
        Ok(())
    }

    /// The batch, which takes the buffer along.
    pub(crate) fn batch(&mut self, session: &mut Connection, permit: Permit) -> ChangeBatch {
        let data = session.inbox.take();
        self.assembly.finish(Lsn::ZERO, data, permit)
    }

    /// Hands the batch over, waiting for budget and room; false when nobody wants it.
    fn hand_over(&mut self, session: &mut Connection, job: &Job, handover: &Handover) -> bool {
        let cost = session.inbox.take_cost() + self.assembly.overhead();
        let Some(permit) = handover.charge(&job.budget, cost) else { return false };
        while !handover.wait_room(LOOK) {
            if handover.is_closed() {
                return false;
            }
        }
        handover.put(self.batch(session, permit));
        !handover.is_closed()
    }
}
