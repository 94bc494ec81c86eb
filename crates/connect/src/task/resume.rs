//! Going on from a stored offset: which of what the server sends again was sent by a former run.
//!
//! The server sends whole transactions that were committed at or after the offset's last commit. Only one of them
//! can have been sent in part: the one whose id the offset has. Of it, changes before the offset's position are
//! skipped, and the change at it.
//!
//! Several changes can have one position (rows of a COPY). Debezium skips them all, and loses those that it had not
//! sent. Here the others are sent again, unless the offset says that all were sent.

use walhouse_change::{Change, ChangeBatch, Lsn};
use walhouse_kafka::{MessageKind, Offset, Position};

/// What is skipped until the stream has reached new ground.
#[derive(Debug)]
pub(super) struct Resume {
    /// Everything committed up to here was sent.
    commit: u64,
    /// The transaction that was sent in part.
    partial: Option<Partial>,
    /// Position of the logical message that the offset is of, which belongs to no transaction.
    message: Option<u64>,
    /// What was sent of the transaction under way in the stream.
    within: Within,
    /// A change at the offset's very position was skipped.
    met: bool,
    done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Nothing,
    Part,
    All,
}

#[derive(Debug)]
struct Partial {
    xid: u32,
    lsn: u64,
    /// Only its beginning was sent.
    begin_only: bool,
    whole: bool,
}

impl Resume {
    /// None where nothing can have been sent twice: after a snapshot, and without an offset.
    pub(super) fn new(offset: &Offset) -> Option<Self> {
        let Position { lsn, processed, commit, xid, kind, whole, .. } = offset.position;
        let (lsn, kind) = (processed.or(lsn)?, kind?);
        let partial = xid.filter(|_| kind != MessageKind::Commit).map(|xid| Partial {
            xid,
            lsn,
            begin_only: kind == MessageKind::Begin,
            whole,
        });
        let message = (kind == MessageKind::Message && xid.is_none()).then_some(lsn);
        // Without a commit the offset's transaction is the first one, and it was sent in part at most.
        Some(Self { commit: commit.unwrap_or(0), partial, message, within: Within::Nothing, met: false, done: false })
    }

    /// Where the stream is to begin.
    pub(super) fn start(offset: &Offset) -> Lsn {
        let Position { lsn, processed, commit, .. } = offset.position;
        Lsn(commit.or(processed).or(lsn).unwrap_or(0))
    }

    /// Whether there is nothing left to skip.
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Whether this change was sent by a former run.
    pub(super) fn skips(&mut self, batch: &ChangeBatch, change: &Change) -> bool {
        match change {
            Change::Begin { transaction, .. } => {
                let Some(transaction) = batch.transactions().get(*transaction as usize) else { return false };
                let part = self.partial.as_ref().is_some_and(|partial| partial.xid == transaction.xid);
                self.within = if transaction.commit_lsn.0 < self.commit {
                    Within::All
                } else if part {
                    Within::Part
                } else {
                    Within::Nothing
                };
                self.done = self.within == Within::Nothing;
                self.within != Within::Nothing
            }
            Change::Commit { .. } => {
                let all = std::mem::replace(&mut self.within, Within::Nothing) == Within::All;
                // What follows a transaction that was sent in part is new.
                self.done = !all;
                all
            }
            Change::Row(row) => self.skips_at(row.lsn.0),
            Change::Truncate(truncate) => self.skips_at(truncate.lsn.0),
            Change::Message(message) if message.transaction.is_some() => self.skips_at(message.lsn.0),
            Change::Message(message) => {
                let at = message.lsn.0;
                let sent = at < self.commit || self.message == Some(at);
                self.done |= !sent;
                sent
            }
            Change::Schema { .. } => false,
        }
    }

    fn skips_at(&mut self, lsn: u64) -> bool {
        let Some(partial) = self.partial.as_ref().filter(|partial| self.within == Within::Part && !partial.begin_only)
        else {
            return self.within == Within::All;
        };
        if lsn != partial.lsn {
            return lsn < partial.lsn;
        }
        // One of them at least was sent.
        !std::mem::replace(&mut self.met, true) || partial.whole
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use walhouse_change::{BatchBuilder, Permit, ReplicaIdentity, Span, TableName, TableSchema, Transaction};
    use walhouse_value::Kind;

    use super::*;

    /// Transactions as (xid, begin, rows, commit record, its end), and messages outside as (position).
    enum Part {
        Tx(u32, u64, &'static [u64], u64, u64),
        Message(u64),
    }
    use Part::{Message, Tx};

    fn batch(parts: &[Part]) -> ChangeBatch {
        let schema = Arc::new(TableSchema {
            relid: 1,
            name: TableName::new("public", "t"),
            identity: ReplicaIdentity::Default,
            columns: Vec::new(),
            key: Vec::new(),
        });
        let mut builder = BatchBuilder::default();
        for part in parts {
            match part {
                Tx(xid, begin, rows, commit, end) => {
                    let transaction = Transaction { xid: *xid, commit_lsn: Lsn(*commit), commit_time: 0 };
                    builder.begin_at(transaction, Lsn(*begin));
                    let table = builder.schema(&schema);
                    for row in *rows {
                        builder.insert(table, Lsn(*row), 1, &[]);
                    }
                    builder.commit_at(Lsn(*end));
                }
                Message(lsn) => {
                    let empty = Span { offset: 0, len: 0, kind: Kind::Text };
                    builder.message(false, Lsn(*lsn), empty, empty);
                }
            }
        }
        builder.finish(Bytes::new(), Permit::default())
    }

    /// Positions of rows and messages that are sent.
    fn sent(offset: Position, parts: &[Part]) -> Vec<u64> {
        let mut resume = Resume::new(&Offset { position: offset, ..Offset::default() });
        let batch = batch(parts);
        let mut sent = Vec::new();
        for change in batch.changes() {
            let skip = resume.as_mut().is_some_and(|resume| resume.skips(&batch, change));
            if resume.as_ref().is_some_and(Resume::is_done) {
                resume = None;
            }
            match change {
                Change::Row(row) if !skip => sent.push(row.lsn.0),
                Change::Message(message) if !skip => sent.push(message.lsn.0),
                _ => {}
            }
        }
        sent
    }

    fn position(lsn: u64, commit: Option<u64>, xid: Option<u32>, kind: MessageKind) -> Position {
        Position { lsn: Some(lsn), processed: Some(lsn), commit, xid, time: Some(0), kind: Some(kind), whole: false }
    }

    #[test]
    fn an_interrupted_transaction_goes_on_where_it_was() {
        let stream = [Tx(7, 100, &[100, 110, 120, 130], 140, 150), Tx(8, 150, &[150, 160], 170, 180)];
        let at = |lsn| position(lsn, Some(100), Some(7), MessageKind::Insert);
        assert_eq!(sent(at(100), &stream), [110, 120, 130, 150, 160]);
        assert_eq!(sent(at(120), &stream), [130, 150, 160]);
        assert_eq!(sent(at(130), &stream), [150, 160]);
        // Of a fresh start, before any commit was seen.
        assert_eq!(sent(position(120, None, Some(7), MessageKind::Update), &stream), [130, 150, 160]);
    }

    #[test]
    fn a_row_that_begins_where_a_commit_ended_is_told_apart() {
        let next = [Tx(8, 150, &[150, 160], 170, 180)];
        // A heartbeat after transaction 7, whose commit ended at 150.
        assert_eq!(sent(position(150, Some(150), Some(7), MessageKind::Insert), &next), [150, 160]);
        // The first row of transaction 8.
        assert_eq!(sent(position(150, Some(150), Some(8), MessageKind::Insert), &next), [160]);
        // The end of transaction 7, as transaction metadata has it.
        assert_eq!(sent(position(150, Some(150), Some(7), MessageKind::Commit), &next), [150, 160]);
        // The beginning of transaction 8.
        assert_eq!(sent(position(150, Some(150), Some(8), MessageKind::Begin), &next), [150, 160]);
    }

    #[test]
    fn rows_of_one_position_are_never_lost() {
        let copy = [Tx(7, 100, &[100, 100, 100, 110, 110, 120], 130, 140)];
        let at = |lsn, whole| Position { whole, ..position(lsn, Some(100), Some(7), MessageKind::Insert) };
        assert_eq!(sent(at(100, false), &copy), [100, 100, 110, 110, 120]);
        assert_eq!(sent(at(100, true), &copy), [110, 110, 120]);
        assert_eq!(sent(at(110, false), &copy), [110, 120]);
        assert!(sent(at(120, false), &copy).is_empty());
    }

    #[test]
    fn a_message_between_transactions_skips_no_row_behind_it() {
        // Transaction 7 began before the message at 125 and was committed after it.
        let stream = [Message(125), Tx(7, 100, &[100, 130], 140, 150)];
        assert_eq!(sent(position(125, Some(125), None, MessageKind::Message), &stream), [100, 130]);
        // The message begins where a commit ended, and that commit is what the offset is of.
        assert_eq!(sent(position(125, Some(125), Some(6), MessageKind::Insert), &stream), [125, 100, 130]);
        // Within transaction 7 the message was the last commit.
        assert_eq!(sent(position(100, Some(125), Some(7), MessageKind::Insert), &stream[1..]), [130]);
    }

    #[test]
    fn what_was_committed_before_is_skipped_whole() {
        let stream = [Tx(6, 90, &[90, 95], 96, 100), Message(97), Tx(7, 100, &[100, 110], 140, 150)];
        assert_eq!(sent(position(100, Some(100), Some(7), MessageKind::Insert), &stream), [110]);
        assert_eq!(Resume::start(&Offset::default()), Lsn(0));
    }
}
