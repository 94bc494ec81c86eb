//! The tests of the contracts, written once: every implementation passes all of them.
//!
//! An adapter's test implements [`OriginFixture`] or [`TargetFixture`] over its real database and
//! calls [`check_origin`] or [`check_target`], or the cases one by one. Every case takes a fresh
//! slot and fresh tables `(id bigint primary key, v text)` of its own, named after the case, so
//! that cases may share a server and run in parallel. A case panics with what it found.

mod origin;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::memory::Write;
use crate::{BoxFuture, Lsn, Origin, Result, TableName, TableSchema, Target};

/// A real source of changes, for tests.
pub trait OriginFixture: Sync {
    /// Creates these empty tables and an origin whose selection they are and whose slot and
    /// publication, both absent, are named `slot`.
    fn create<'a>(&'a self, slot: &'a str, tables: &'a [TableName]) -> BoxFuture<'a, Result<Arc<dyn Origin>>>;

    /// Runs these writes in one transaction, by other means than the origin. [`Write::Put`] of a
    /// row that is there is an update.
    fn transact<'a>(&'a self, writes: &'a [(TableName, Write)]) -> BoxFuture<'a, Result<()>>;
}

/// A real target of changes, for tests.
pub trait TargetFixture: Sync {
    /// A target as a new process would make it, for the state of this slot. Several may be made
    /// for the same slot, one after the other.
    fn target<'a>(&'a self, slot: &'a str) -> BoxFuture<'a, Result<Arc<dyn Target>>>;

    /// The rows that are there now, as a user sees them.
    fn rows<'a>(&'a self, table: &'a TableName) -> BoxFuture<'a, Result<BTreeMap<i64, Option<String>>>>;

    /// Number of (key, version) pairs that are stored more than once.
    fn duplicates<'a>(&'a self, table: &'a TableName) -> BoxFuture<'a, Result<u64>>;
}

/// All cases for an origin, one after the other.
pub async fn check_origin(fixture: &dyn OriginFixture) {
    origin::surveys_what_is_there(fixture).await;
    origin::joins_snapshot_and_stream(fixture).await;
    origin::numbers_changes_in_commit_order(fixture).await;
    origin::sends_again_what_was_not_acknowledged(fixture).await;
    origin::tells_progress_without_changes(fixture).await;
    origin::refuses_a_second_reader(fixture).await;
    origin::leaves_no_temporary_slot(fixture).await;
    origin::joins_a_table_later(fixture).await;
}

/// All cases for a target, one after the other.
pub async fn check_target(fixture: &dyn TargetFixture) {
    target::remembers_its_state(fixture).await;
    target::shows_a_copy_when_it_is_finished(fixture).await;
    target::applies_changes_in_order(fixture).await;
    target::rotates_keys_within_a_transaction(fixture).await;
    target::truncates_what_is_older(fixture).await;
    target::drops_what_the_copy_has(fixture).await;
    target::drops_what_comes_again(fixture).await;
    target::keeps_all_when_closed(fixture).await;
    target::gives_bytes_back_when_durable(fixture).await;
    target::survives_being_dropped(fixture).await;
}

fn table(case: &str) -> TableName {
    TableName::new("public", format!("conformance_{case}"))
}

fn slot(case: &str) -> String {
    format!("conformance_{case}")
}

/// The epoch of all cases.
const EPOCH: u16 = 1;

/// Where copies of the target's cases stand.
const COPIED_AT: Lsn = Lsn(1000);

fn schema(case: &str) -> Arc<TableSchema> {
    // Any number does: a target only compares it.
    crate::memory::table_schema(4711, table(case))
}

pub use origin::{
    joins_a_table_later, joins_snapshot_and_stream, leaves_no_temporary_slot, numbers_changes_in_commit_order,
    refuses_a_second_reader, sends_again_what_was_not_acknowledged, surveys_what_is_there,
    tells_progress_without_changes,
};
pub use target::{
    applies_changes_in_order, drops_what_comes_again, drops_what_the_copy_has, gives_bytes_back_when_durable,
    keeps_all_when_closed, remembers_its_state, rotates_keys_within_a_transaction, shows_a_copy_when_it_is_finished,
    survives_being_dropped, truncates_what_is_older,
};
