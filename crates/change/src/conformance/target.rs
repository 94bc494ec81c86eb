//! What every [`Target`] and its sinks do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{COPIED_AT, EPOCH, TargetFixture, schema, slot};
use crate::memory::RowBatch;
use crate::{
    Budget, ChangeBatch, Checkpoint, Error, Lsn, Observer, OldImage, Opening, Permit, Phase, Sink, SlotPhase,
    TableName, TableSchema, TableState, Target, Transaction,
};

/// Generous: a real server on a busy machine may take a while.
const PATIENCE: Duration = Duration::from_secs(60);

/// One case's table and slot.
struct Case<'a> {
    fixture: &'a dyn TargetFixture,
    slot: String,
    schema: Arc<TableSchema>,
    observer: Arc<Told>,
}

/// What the observer was told: visible rows, and stopped tables.
#[derive(Debug, Default)]
struct Told {
    rows: Mutex<u64>,
    stopped: Mutex<Vec<TableName>>,
}

impl Observer for Told {
    fn table_stopped(&self, table: &TableName, _: &Error) {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).push(table.clone());
    }

    fn visible(&self, _: &TableName, rows: u64, _: i64) {
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) += rows;
    }
}

/// A transaction: its commit LSN and its changes, which are numbered from 1.
type Written<'a> = (u64, &'a [Edit<'a>]);

/// A change of a transaction.
#[derive(Clone, Copy)]
enum Edit<'a> {
    Put(i64, &'a str),
    Move(i64, i64, &'a str),
    Delete(i64),
    Truncate,
}

use Edit::{Delete, Move, Put, Truncate};

impl<'a> Case<'a> {
    fn new(fixture: &'a dyn TargetFixture, name: &str) -> Self {
        Self { fixture, slot: slot(name), schema: schema(name), observer: Arc::default() }
    }

    async fn target(&self) -> Arc<dyn Target> {
        let target = self.fixture.target(&self.slot).await.expect("make a target");
        target.load().await.expect("load");
        target
    }

    /// Copies rows into the table, as a whole.
    async fn copy(&self, rows: &[(i64, &str)]) {
        let target = self.target().await;
        target.begin_copy(&self.schema).await.expect("begin a copy");
        let mut sink = target.copy_sink(&self.schema, EPOCH).await.expect("open a copy's sink");
        let commit = sink.enqueue(self.copied(rows)).await.expect("enqueue");
        sink.close().await.expect("close");
        commit.await.expect("the copy is durable");
        target.finish_copy(&self.schema).await.expect("finish the copy");
    }

    async fn open(&self, target: &dyn Target) -> Box<dyn Sink> {
        let opening = Opening { schema: Arc::clone(&self.schema), from: COPIED_AT };
        let observer = Arc::clone(&self.observer) as Arc<dyn Observer>;
        target.open(&[opening], EPOCH, observer).await.expect("open a stream's sink")
    }

    /// Applies transactions, a batch each, in a process of its own.
    async fn apply(&self, transactions: &[Written<'_>]) {
        let target = self.target().await;
        let mut sink = self.open(&*target).await;
        let mut commits = Vec::new();
        for transaction in transactions {
            commits.push(sink.enqueue(self.streamed(&[*transaction])).await.expect("enqueue"));
        }
        for commit in commits {
            commit.await.expect("a batch is durable");
        }
        sink.close().await.expect("close");
    }

    fn copied(&self, rows: &[(i64, &str)]) -> ChangeBatch {
        self.copied_with(rows, Permit::default())
    }

    fn copied_with(&self, rows: &[(i64, &str)], permit: Permit) -> ChangeBatch {
        let mut batch = RowBatch::default();
        batch.builder.begin(Transaction { xid: 0, commit_lsn: COPIED_AT, commit_time: 1_700_000_000_000_000 });
        let table = batch.builder.schema(&self.schema);
        for (id, value) in rows {
            let row = batch.row(*id, Some(value));
            batch.builder.read(table, COPIED_AT, &row);
        }
        batch.finish(permit)
    }

    fn streamed(&self, transactions: &[Written<'_>]) -> ChangeBatch {
        self.streamed_with(transactions, Permit::default())
    }

    fn streamed_with(&self, transactions: &[Written<'_>], permit: Permit) -> ChangeBatch {
        let mut batch = RowBatch::default();
        for (commit_lsn, edits) in transactions {
            let commit_time = 1_700_000_000_000_000 + *commit_lsn as i64;
            batch.builder.begin(Transaction { xid: 7, commit_lsn: Lsn(*commit_lsn), commit_time });
            for (edit, index) in edits.iter().zip(1..) {
                self.add(&mut batch, *edit, Lsn(commit_lsn - 1), index);
            }
            batch.builder.progress(Lsn(commit_lsn + 8));
        }
        batch.finish(permit)
    }

    fn add(&self, batch: &mut RowBatch, edit: Edit<'_>, lsn: Lsn, index: u64) {
        let table = batch.builder.schema(&self.schema);
        match edit {
            Put(id, value) => {
                let row = batch.row(id, Some(value));
                batch.builder.insert(table, lsn, index, &row);
            }
            Move(from, to, value) => {
                let (old, new) = (batch.row(from, None), batch.row(to, Some(value)));
                batch.builder.update(table, lsn, index, &new, Some((OldImage::Key, &old)));
            }
            Delete(id) => {
                let old = batch.row(id, None);
                batch.builder.delete(table, lsn, index, (OldImage::Key, &old));
            }
            Truncate => batch.builder.truncate(vec![table], lsn, index),
        }
    }

    /// The table shows exactly these rows, and holds no version of a row twice.
    async fn expect(&self, rows: &[(i64, &str)]) {
        let wanted: BTreeMap<_, _> = rows.iter().map(|(id, value)| (*id, Some((*value).to_owned()))).collect();
        let found = self.fixture.rows(&self.schema.name).await.expect("read the rows");
        assert_eq!(found, wanted, "rows of {}", self.schema.name);
        let duplicates = self.fixture.duplicates(&self.schema.name).await.expect("count duplicates");
        assert_eq!(duplicates, 0, "rows stored twice in {}", self.schema.name);
    }
}

/// Checkpoint and table states come back as they were stored, for this slot only.
pub async fn remembers_its_state(fixture: &dyn TargetFixture) {
    let case = Case::new(fixture, "state");
    let target = case.target().await;
    let empty = target.load().await.expect("load");
    assert!(empty.checkpoint.is_none() && empty.tables.is_empty(), "a slot that was never used: {empty:?}");
    let mut checkpoint = Checkpoint {
        phase: SlotPhase::Creating,
        epoch: EPOCH,
        lsn: Lsn::ZERO,
        system_identifier: u64::MAX - 5,
        timeline: 3,
    };
    let mut table = TableState::pending(case.schema.name.clone(), u32::MAX);
    target.save_checkpoint(&checkpoint).await.expect("save a checkpoint");
    target.save_table(&table).await.expect("save a table's state");
    for step in 1..=3 {
        checkpoint = Checkpoint { phase: SlotPhase::Ready, lsn: Lsn(u64::MAX - 100 + step), ..checkpoint };
        table.phase = if step == 3 { Phase::Stopped } else { Phase::Live };
        table.consistent_point = Lsn(u64::MAX - 7);
        table.rows_copied = step;
        table.error = (step == 3).then(|| "it's a \"reason\"\\ with\nquotes".to_owned());
        target.save_checkpoint(&checkpoint).await.expect("save a checkpoint");
        target.save_table(&table).await.expect("save a table's state");
        let state = case.target().await.load().await.expect("load");
        assert_eq!(
            (state.checkpoint.as_ref(), state.tables.as_slice()),
            (Some(&checkpoint), [table.clone()].as_slice())
        );
    }
    let other = fixture.target(&slot("state_other")).await.expect("make a target").load().await.expect("load");
    assert!(other.checkpoint.is_none() && other.tables.is_empty(), "another slot's state: {other:?}");
}

/// An unfinished copy is begun anew; a finished one takes the place of what was there at once.
pub async fn shows_a_copy_when_it_is_finished(fixture: &dyn TargetFixture) {
    let case = Case::new(fixture, "copy");
    case.copy(&[(1, "old"), (2, "old")]).await;
    let target = case.target().await;
    target.begin_copy(&case.schema).await.expect("begin a copy");
    let mut sink = target.copy_sink(&case.schema, EPOCH).await.expect("open a copy's sink");
    sink.enqueue(case.copied(&[(8, "unfinished")])).await.expect("enqueue").await.expect("a batch is durable");
    sink.close().await.expect("close");
    case.expect(&[(1, "old"), (2, "old")]).await;
    // Begun again, with two workers.
    let target = case.target().await;
    target.begin_copy(&case.schema).await.expect("begin a copy again");
    let mut one = target.copy_sink(&case.schema, EPOCH).await.expect("open a copy's sink");
    let mut two = target.copy_sink(&case.schema, EPOCH).await.expect("open another");
    let first = one.enqueue(case.copied(&[(1, "new")])).await.expect("enqueue");
    let second = two.enqueue(case.copied(&[(3, "new"), (4, "it's")])).await.expect("enqueue");
    one.close().await.expect("close");
    two.close().await.expect("close");
    first.await.expect("a batch is durable");
    second.await.expect("a batch is durable");
    case.expect(&[(1, "old"), (2, "old")]).await;
    target.finish_copy(&case.schema).await.expect("finish the copy");
    case.expect(&[(1, "new"), (3, "new"), (4, "it's")]).await;
}

/// Inserts, updates, key changes and deletes, in one transaction and across several.
pub async fn applies_changes_in_order(fixture: &dyn TargetFixture) {
    let case = Case::new(fixture, "changes");
    case.copy(&[(1, "copied"), (2, "copied"), (3, "copied")]).await;
    case.apply(&[
        (2000, &[Put(4, "new"), Put(1, "updated"), Put(1, "again")]),
        (2100, &[Delete(2), Move(3, 5, "moved"), Put(6, ""), Delete(6)]),
        (2200, &[Put(2, "back")]),
    ])
    .await;
    case.expect(&[(1, "again"), (2, "back"), (4, "new"), (5, "moved")]).await;
    assert!(*case.observer.rows.lock().unwrap_or_else(PoisonError::into_inner) > 0, "the observer was told of rows");
}

/// 1 -> -1, 2 -> 1, -1 -> 2 swaps two rows.
pub async fn rotates_keys_within_a_transaction(fixture: &dyn TargetFixture) {
    let case = Case::new(fixture, "rotation");
    case.copy(&[(1, "one"), (2, "two")]).await;
    case.apply(&[(2000, &[Move(1, -1, "one"), Move(2, 1, "two"), Move(-1, 2, "one")])]).await;
    case.expect(&[(1, "two"), (2, "one")]).await;
}

/// A truncation empties the table of what came before it, not of what comes after.
pub async fn truncates_what_is_older(fixture: &dyn TargetFixture) {
    let case = Case::new(fixture, "truncate");
    case.copy(&[(1, "copied"), (2, "copied")]).await;
    let transactions: [Written<'_>; 2] =
        [(2000, &[Put(3, "gone"), Truncate, Put(1, "after")]), (2100, &[Put(4, "later")])];
    case.apply(&transactions).await;
    case.expect(&[(1, "after"), (4, "later")]).await;
    // The same again does not empty it again.
    case.apply(&transactions).await;
    case.expect(&[(1, "after"), (4, "later")]).await;
}

/// Changes below the copy's consistent point are in it; one at that very LSN is not.
pub async fn drops_what_the_copy_has(fixture: &dyn TargetFixture) {
    let case = Case::new(fixture, "below");
    case.copy(&[(1, "copied"), (2, "copied")]).await;
    case.apply(&[
        (COPIED_AT.0 - 100, &[Put(1, "older"), Delete(2), Put(3, "older"), Truncate]),
        (COPIED_AT.0, &[Put(2, "at the point")]),
    ])
    .await;
    case.expect(&[(1, "copied"), (2, "at the point")]).await;
}

/// What is sent again after a restart, cut elsewhere, changes nothing.
pub async fn drops_what_comes_again(fixture: &dyn TargetFixture) {
    let case = Case::new(fixture, "again");
    case.copy(&[(1, "copied")]).await;
    let transactions: [Written<'_>; 3] = [
        (2000, &[Put(1, "a"), Put(2, "a"), Move(1, 3, "a")]),
        (2100, &[Put(1, "b"), Delete(2)]),
        (2200, &[Put(2, "c")]),
    ];
    case.apply(&transactions[..2]).await;
    let target = case.target().await;
    let mut sink = case.open(&*target).await;
    let commit = sink.enqueue(case.streamed(&transactions)).await.expect("enqueue");
    sink.close().await.expect("close");
    commit.await.expect("the batch is durable");
    case.expect(&[(1, "b"), (2, "c"), (3, "a")]).await;
    case.apply(&transactions).await;
    case.expect(&[(1, "b"), (2, "c"), (3, "a")]).await;
}

/// Closing waits for everything that was taken over, whether or not anybody polled its commits.
pub async fn keeps_all_when_closed(fixture: &dyn TargetFixture) {
    let case = Case::new(fixture, "close");
    case.copy(&[]).await;
    let target = case.target().await;
    let mut sink = case.open(&*target).await;
    let mut commits = Vec::new();
    let values: Vec<_> = (0..40).map(|id| (id, format!("v{id}"))).collect();
    for (id, value) in &values {
        let batch = case.streamed(&[(2000 + 10 * *id as u64, &[Put(*id, value)])]);
        commits.push(sink.enqueue(batch).await.expect("enqueue"));
    }
    sink.close().await.expect("close");
    let wanted: Vec<_> = values.iter().map(|(id, value)| (*id, value.as_str())).collect();
    case.expect(&wanted).await;
    for commit in commits {
        commit.await.expect("a batch of a closed sink is durable");
    }
}

/// A batch's bytes come back once it is durable, and not before, whether its commit is held without being
/// polled or was dropped: who holds it may be waiting for a source that waits for those bytes.
pub async fn gives_bytes_back_when_durable(fixture: &dyn TargetFixture) {
    let case = Case::new(fixture, "bytes");
    let budget = Budget::new(1 << 20);
    let charge = || budget.try_charge(4096).expect("the budget has room");
    let target = case.target().await;
    target.begin_copy(&case.schema).await.expect("begin a copy");
    let mut sink = target.copy_sink(&case.schema, EPOCH).await.expect("open a copy's sink");
    let held = sink.enqueue(case.copied_with(&[(1, "copied")], charge())).await.expect("enqueue");
    drop(sink.enqueue(case.copied_with(&[(2, "copied")], charge())).await.expect("enqueue"));
    is_given_back(&budget).await;
    sink.close().await.expect("close");
    drop(held);
    target.finish_copy(&case.schema).await.expect("finish the copy");

    let mut sink = case.open(&*target).await;
    let held = sink.enqueue(case.streamed_with(&[(2000, &[Put(1, "new")])], charge())).await.expect("enqueue");
    drop(sink.enqueue(case.streamed_with(&[(2100, &[Put(3, "new")])], charge())).await.expect("enqueue"));
    is_given_back(&budget).await;
    // What gave its bytes back is there, though the sink is open and nobody asked.
    case.expect(&[(1, "new"), (2, "copied"), (3, "new")]).await;
    sink.close().await.expect("close");
    drop(held);
}

async fn is_given_back(budget: &Budget) {
    let given_back = async {
        while budget.in_flight() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, given_back).await.expect("the batches' bytes come back unasked");
}

/// A sink that is dropped may leave anything undone; the next process gets it right.
pub async fn survives_being_dropped(fixture: &dyn TargetFixture) {
    let case = Case::new(fixture, "dropped");
    case.copy(&[(0, "copied")]).await;
    let edits: Vec<_> = (0..30).map(|id| [Put(id, "row"), Put(id + 100, "gone"), Delete(id + 100)]).collect();
    let transactions: Vec<Written<'_>> =
        edits.iter().zip(0u64..).map(|(edits, n)| (2000 + 10 * n, &edits[..])).collect();
    for taken in [1, 7, 20] {
        let target = case.target().await;
        let mut sink = case.open(&*target).await;
        for transaction in transactions.iter().take(taken) {
            drop(sink.enqueue(case.streamed(&[*transaction])).await.expect("enqueue"));
        }
        drop(sink);
    }
    case.apply(&transactions).await;
    let wanted: Vec<_> = (0..30).map(|id| (id, "row")).collect();
    case.expect(&wanted).await;
}
