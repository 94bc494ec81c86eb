//! The session's loop: read, parse, hand over, keep alive.
//!
//! Nothing lingers: at a transaction's end, with every received byte parsed and the consumer waiting, the batch goes
//! over at once, a single row included. While the consumer is busy the loop goes on reading, until the batch is full;
//! then it waits for room. Whatever it waits for, the server hears from it in time.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};
use postgres_protocol::message::frontend;
use walhouse_change::{Budget, Lsn, Permit, Span, Transaction};
use walhouse_value::Kind;

use super::clock::{Clock, Due, PROGRESS_INTERVAL};
use super::relations::Relations;
use super::watch::Watch;
use super::{Marks, publication_lost, refined_in_stream};
use crate::assembly::Assembly;
use crate::claim::License;
use crate::handover::Handover;
use crate::wire::Malformed;
use crate::wire::connection::{Connection, Received};
use crate::wire::inbox::Frame;
use crate::wire::pgoutput::{self, Envelope, Message};
use crate::{Error, Result};

/// Size of the buffer, so of the largest ordinary batch.
const BUFFER: usize = 8 << 20;
/// How long a read waits when nothing is pending: bounds the delay of an acknowledgement.
const READ_WAIT: Duration = Duration::from_millis(100);
/// How long a read waits while a batch is ready and the consumer was busy: bounds the delay of that batch.
const BUSY_WAIT: Duration = Duration::from_millis(2);
/// Slice of a wait for room or budget, between looks at the clock.
const ROOM_WAIT: Duration = Duration::from_millis(20);
/// From 1970-01-01 to Postgres' epoch.
const POSTGRES_EPOCH: Duration = Duration::from_secs(946_684_800);
/// How long the server may take to answer the farewell; within a large transaction it does not listen.
const FAREWELL_PATIENCE: Duration = Duration::from_millis(500);
const ATTEMPT: &str = "read the replication stream";

/// What the thread shares with others.
pub(super) struct Shared {
    pub(super) handover: Arc<Handover>,
    pub(super) marks: Arc<Marks>,
    pub(super) budget: Budget,
    pub(super) license: License,
}

/// The thread's state.
pub(super) struct Session {
    connection: Connection,
    shared: Shared,
    relations: Relations,
    watch: Watch,
    clock: Clock,
    assembly: Assembly,
    /// The one whose Commit has not come.
    transaction: Option<Transaction>,
    /// Index of its last row message, counted before any filter.
    index: u64,
    /// Everything up to here is in batches, the one under way included.
    progress: Lsn,
    /// The last progress handed over, and when.
    reported: (Lsn, Instant),
    reply_requested: bool,
    /// The server wants the progress confirmed, not only an answer (it may be shutting down).
    progress_requested: bool,
    /// Charge of a buffer beyond the usual size.
    permit: Option<Permit>,
    spans: Vec<Span>,
}

impl Session {
    pub(super) fn new(
        mut connection: Connection,
        shared: Shared,
        relations: Relations,
        watch: Watch,
        clock: Clock,
    ) -> Self {
        connection.inbox.resize(BUFFER);
        Self {
            connection,
            shared,
            relations,
            watch,
            clock,
            assembly: Assembly::default(),
            transaction: None,
            index: 0,
            progress: Lsn::ZERO,
            reported: (Lsn::ZERO, Instant::now()),
            reply_requested: true,
            progress_requested: false,
            permit: None,
            spans: Vec::new(),
        }
    }

    /// Runs until the consumer goes away or something is wrong.
    pub(super) fn run(mut self) -> Result<()> {
        self.clock.heard(Instant::now());
        let outcome = self.follow();
        if self.shared.handover.is_closed() {
            self.farewell();
            return Ok(());
        }
        let publication = &self.watch.known.name;
        let whole_log = self.relations.whole_log();
        outcome.map_err(|error| if whole_log { error } else { refined_in_stream(error, publication) })
    }

    fn follow(&mut self) -> Result<()> {
        let mut received = Received::Nothing;
        while !self.shared.handover.is_closed() {
            self.parse_received()?;
            let full = self.assembly.is_full() || !self.connection.inbox.has_room();
            let due = self.is_due(received == Received::Nothing);
            let mut wait = READ_WAIT;
            if full && !self.assembly.is_empty() {
                self.hand_over_patiently()?;
            } else if due && !self.try_hand_over() {
                wait = BUSY_WAIT;
            }
            self.keep_alive()?;
            self.watch.look()?;
            self.charge_large_buffer()?;
            if full && self.connection.inbox.has_frame() {
                continue;
            }
            received = self.connection.receive(ATTEMPT, wait)?;
            match received {
                Received::Bytes => self.clock.heard(Instant::now()),
                Received::Nothing => {}
                Received::End => {
                    let reason = "it was closed without a word (wal_sender_timeout, or the server went away)";
                    return Err(Error::broken(ATTEMPT, io::Error::new(io::ErrorKind::UnexpectedEof, reason)));
                }
            }
        }
        Ok(())
    }

    /// Parses whole frames until the batch is full.
    fn parse_received(&mut self) -> Result<()> {
        while !self.assembly.is_full() {
            let Some(frame) = self.connection.inbox.next_frame()? else { break };
            self.frame(frame)?;
        }
        if self.assembly.is_empty() {
            self.connection.inbox.forget();
        }
        Ok(())
    }

    #[inline]
    fn frame(&mut self, frame: Frame) -> Result<()> {
        match frame.tag {
            b'd' => match pgoutput::envelope(self.connection.inbox.body(frame))? {
                Envelope::Data { lsn, payload } => self.message(Frame { start: frame.start + payload, ..frame }, lsn),
                Envelope::Keepalive { end, reply_requested } => {
                    // What is committed later has a commit LSN beyond it; what came before is in batches.
                    if self.transaction.is_none() {
                        self.progress = self.progress.max(end);
                    }
                    self.reply_requested |= reply_requested;
                    self.progress_requested |= reply_requested;
                    Ok(())
                }
            },
            b'N' => self.notice(frame),
            b'E' => Err(self.connection.refused(ATTEMPT, frame)),
            b'c' | b'C' => Err(Error::later("the server ended the replication stream: it is shutting down")),
            b'S' | b'A' => Ok(()),
            _ => Err(Malformed("message within the replication stream").into()),
        }
    }

    fn notice(&self, frame: Frame) -> Result<()> {
        let notice = self.connection.refusal(frame);
        // Postgres 18 warns that it skips a publication that it does not find, and goes on without its changes.
        if notice.code == "55000" {
            return Err(publication_lost(&self.watch.known.name, &notice.to_string()));
        }
        tracing::warn!(notice = %notice, "the replication session was told");
        Ok(())
    }

    #[inline]
    fn message(&mut self, payload: Frame, lsn: Lsn) -> Result<()> {
        let bytes = self.connection.inbox.body(payload);
        match pgoutput::parse(bytes)? {
            Message::Row { kind, relid } => {
                self.index += 1;
                let Some(table) = self.relations.get(relid) else { return Ok(()) };
                let (Some(transaction), true) = (&self.transaction, table.is_described()) else {
                    return Err(Malformed("row outside of its transaction, or before its relation").into());
                };
                self.spans.clear();
                let images = pgoutput::images(bytes, payload.start, &mut self.spans)?;
                let change = (kind, lsn, self.index);
                self.assembly.row(transaction, &mut table.slot, change, &images, &self.spans)?;
            }
            Message::Begin { commit_lsn, commit_time, xid } => {
                let transaction = Transaction { xid, commit_lsn, commit_time };
                self.transaction = Some(transaction);
                self.index = 0;
                self.assembly.transaction_changed();
                if self.relations.whole_log() {
                    self.assembly.edge_begin(&transaction, lsn);
                }
            }
            Message::Commit { commit_lsn, end_lsn } => {
                let transaction = self.transaction.take().filter(|transaction| transaction.commit_lsn == commit_lsn);
                let transaction = transaction.ok_or(Malformed("commit of another transaction"))?;
                if self.relations.whole_log() {
                    self.assembly.edge_commit(&transaction, end_lsn);
                }
                self.progress = self.progress.max(end_lsn);
            }
            Message::Relation(relation) => {
                if let Some(schema) = self.relations.describe(&relation, &mut self.watch)? {
                    tracing::info!(table = %schema.name, columns = schema.columns.len(), "the table changed its shape");
                    self.assembly.schema_changed(&schema);
                }
            }
            Message::Truncate { relids } => {
                self.index += 1;
                let mut tables = Vec::new();
                for relid in relids {
                    let Some(table) = self.relations.get(relid) else { continue };
                    let index = self.assembly.index(&mut table.slot);
                    if !tables.contains(&index) {
                        tables.push(index);
                    }
                }
                if !tables.is_empty() {
                    let transaction = self.transaction.ok_or(Malformed("truncate outside of a transaction"))?;
                    self.assembly.truncate(&transaction, tables, lsn, self.index);
                }
            }
            Message::Logical { transactional, prefix, content } => {
                if self.relations.whole_log() {
                    self.logical(transactional, lsn, span(payload, &prefix), span(payload, &content))?;
                }
            }
            Message::Other => {}
        }
        Ok(())
    }

    fn logical(&mut self, transactional: bool, lsn: Lsn, prefix: Span, content: Span) -> Result<()> {
        if transactional {
            let transaction = self.transaction.ok_or(Malformed("message outside of its transaction"))?;
            self.assembly.message(Some(&transaction), lsn, prefix, content);
            return Ok(());
        }
        self.assembly.message(None, lsn, prefix, content);
        // It comes between transactions: whatever was committed before it is in batches.
        self.progress = self.progress.max(lsn);
        Ok(())
    }

    /// Whether there is something that the consumer should have now if it waits. Within a transaction the rest is on
    /// its way, unless nothing came.
    fn is_due(&self, quiet: bool) -> bool {
        if !self.assembly.is_empty() {
            return self.transaction.is_none() || quiet;
        }
        let (reported, at) = self.reported;
        self.progress > reported && (self.progress_requested || at.elapsed() >= PROGRESS_INTERVAL)
    }

    /// Hands the batch over if the consumer and the budget have room for it.
    fn try_hand_over(&mut self) -> bool {
        if !self.shared.handover.has_room() {
            return false;
        }
        // A batch without changes leaves the buffer, and its charge, where they are.
        let permit = if self.assembly.is_empty() {
            Some(Permit::default())
        } else {
            self.permit.take().or_else(|| self.try_charge())
        };
        permit.map(|permit| self.hand_over(permit)).is_some()
    }

    /// Hands the batch over as soon as there is room for it. Nothing is read meanwhile, which is what slows the
    /// server down.
    fn hand_over_patiently(&mut self) -> Result<()> {
        while !self.try_hand_over() {
            if self.shared.handover.is_closed() {
                return Ok(());
            }
            if self.shared.handover.wait_room(ROOM_WAIT) && !self.shared.handover.is_closed() {
                // Room, so it is the budget that lacks.
                std::thread::sleep(BUSY_WAIT);
            }
            self.clock.heard(Instant::now());
            self.keep_alive()?;
        }
        Ok(())
    }

    /// Memory that the batch holds once it is handed over.
    fn try_charge(&self) -> Option<Permit> {
        self.shared.budget.try_charge(self.connection.inbox.take_cost() + self.assembly.overhead())
    }

    fn hand_over(&mut self, permit: Permit) {
        let data = if self.assembly.is_empty() { Bytes::new() } else { self.connection.inbox.take() };
        let batch = self.assembly.finish(self.progress, data, permit);
        self.reported = (self.progress, Instant::now());
        self.progress_requested = false;
        // Before the consumer can acknowledge it.
        self.shared.marks.handed_over.fetch_max(self.progress.0, std::sync::atomic::Ordering::AcqRel);
        self.shared.handover.put(batch);
    }

    /// A buffer beyond the usual size is charged before it is filled: until then it is only addresses.
    fn charge_large_buffer(&mut self) -> Result<()> {
        let size = self.connection.inbox.capacity();
        while size > BUFFER && self.permit.is_none() && !self.shared.handover.is_closed() {
            self.permit = self.shared.budget.try_charge(size);
            if self.permit.is_none() {
                std::thread::sleep(ROOM_WAIT);
                self.clock.heard(Instant::now());
                self.keep_alive()?;
            }
        }
        Ok(())
    }

    /// Sends a status when the server must hear from us. Every wait comes through here, so the claim is looked at here.
    fn keep_alive(&mut self) -> Result<()> {
        self.shared.license.check()?;
        let acknowledged = self.shared.marks.acknowledged();
        match self.clock.due(Instant::now(), acknowledged, self.reply_requested) {
            Due::Nothing => Ok(()),
            Due::Status { ask } => self.send_status(acknowledged, ask),
            Due::Dead => {
                let source = io::Error::new(io::ErrorKind::TimedOut, "the server says nothing");
                Err(Error::broken(ATTEMPT, source))
            }
        }
    }

    fn send_status(&mut self, flush: Lsn, ask: bool) -> Result<()> {
        const BODY: usize = 1 + 4 * 8 + 1;
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + POSTGRES_EPOCH).unwrap_or_default();
        let mut out = BytesMut::with_capacity(5 + BODY);
        out.put_u8(b'd');
        out.put_u32(4 + BODY as u32);
        out.put_u8(b'r');
        // written, flushed, applied
        for _ in 0..3 {
            out.put_u64(flush.0);
        }
        out.put_i64(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX));
        out.put_u8(ask.into());
        self.connection.send(&out)?;
        self.reply_requested = false;
        self.clock.sent(Instant::now(), flush, ask);
        Ok(())
    }

    /// The last acknowledgement, and leave. Once the server has answered, the acknowledgement counts and the slot is
    /// free. The other end may be gone, which is as good.
    fn farewell(mut self) {
        let acknowledged = self.shared.marks.acknowledged();
        if self.send_status(acknowledged, false).is_ok() {
            let mut out = BytesMut::new();
            frontend::copy_done(&mut out);
            if self.connection.send(&out).is_ok() {
                self.connection.finish(ATTEMPT, FAREWELL_PATIENCE);
                self.connection.close();
            }
        }
    }
}

/// Where a part of a payload lies in the buffer.
fn span(payload: Frame, part: &std::ops::Range<usize>) -> Span {
    let offset = u32::try_from(payload.start + part.start).unwrap_or(u32::MAX);
    Span { offset, len: part.len() as u32, kind: Kind::Text }
}
