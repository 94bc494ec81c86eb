//! What every [`Origin`] and its sources do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{OriginFixture, slot, table};
use crate::memory::{Seen, Write, read};
use crate::{ChangeBatch, Lsn, Origin, Retry, SlotKind, SlotState, Snapshot, Source, TableName, TableSchema};

/// Generous: a real server on a busy machine may take a while, and a failing case ends all.
const PATIENCE: Duration = Duration::from_secs(60);

/// One case's origin, whose tables have been created.
struct Case<'a> {
    fixture: &'a dyn OriginFixture,
    origin: Arc<dyn Origin>,
    tables: Vec<TableName>,
}

impl<'a> Case<'a> {
    async fn new(fixture: &'a dyn OriginFixture, name: &str, tables: &[&str]) -> Self {
        let tables: Vec<_> = tables.iter().map(|suffix| table(&format!("{name}_{suffix}"))).collect();
        let origin = fixture.create(&slot(name), &tables).await.expect("create tables and an origin");
        Self { fixture, origin, tables }
    }

    async fn write(&self, writes: &[(usize, Write)]) {
        let writes: Vec<_> = writes.iter().map(|(table, write)| (self.tables[*table].clone(), write.clone())).collect();
        self.fixture.transact(&writes).await.expect("run a transaction");
    }

    async fn put(&self, table: usize, id: i64, value: &str) {
        self.write(&[(table, Write::Put(id, value.to_owned()))]).await;
    }

    async fn schemas(&self) -> Vec<Arc<TableSchema>> {
        let survey = self.origin.survey().await.expect("survey");
        survey.tables.into_iter().map(|found| found.schema).collect()
    }

    /// Publishes all tables, creates the slot and drops its snapshot.
    async fn start(&self) -> (Vec<Arc<TableSchema>>, Lsn) {
        let schemas = self.schemas().await;
        self.origin.publish(&schemas).await.expect("publish");
        let snapshot = self.origin.snapshot(&schemas, SlotKind::Lasting).await.expect("snapshot");
        (schemas, snapshot.consistent_point())
    }

    /// Streams, waiting for a former walsender to go.
    async fn stream(&self, from: Lsn, schemas: &[Arc<TableSchema>]) -> Box<dyn Source> {
        let patient = async {
            loop {
                match self.origin.stream(from, schemas).await {
                    Ok(source) => return source,
                    Err(error) if *error.retry() == Retry::Later => tokio::time::sleep(Duration::from_millis(50)).await,
                    Err(error) => panic!("cannot stream: {}", error.one_line()),
                }
            }
        };
        tokio::time::timeout(PATIENCE, patient).await.expect("the stream opens in time")
    }
}

/// Reads from the log until `enough` says so of all that was seen; every progress is checked.
async fn read_until(source: &mut dyn Source, mut enough: impl FnMut(&[Seen], Lsn) -> bool) -> (Vec<Seen>, Lsn) {
    let (mut seen, mut progress) = (Vec::new(), Lsn::ZERO);
    let reading = async {
        while !enough(&seen, progress) {
            let batch = source.next().await.expect("the next batch").expect("the log has no end");
            assert!(
                batch.is_empty() || batch.progress().is_zero() || batch.progress() >= progress,
                "progress moved back"
            );
            progress = progress.max(batch.progress());
            check_indexes(&batch);
            seen.extend(read(&batch));
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the changes come in time");
    (seen, progress)
}

/// Reads `count` changes, and on until their transaction is whole.
async fn read_changes(source: &mut dyn Source, count: usize) -> (Vec<Seen>, Lsn) {
    read_until(source, |seen, progress| {
        seen.len() >= count && seen.last().is_none_or(|last| progress > last.position().commit_lsn)
    })
    .await
}

fn check_indexes(batch: &ChangeBatch) {
    for seen in read(batch) {
        assert!(seen.position().index >= 1, "a change of the log has an index from 1");
    }
}

/// Reads all parts of a snapshot.
async fn copy(snapshot: &dyn Snapshot) -> BTreeMap<(TableName, i64), Option<String>> {
    let mut rows = BTreeMap::new();
    for part in snapshot.parts() {
        let mut source = snapshot.open(part).await.expect("open a part");
        while let Some(batch) = source.next().await.expect("the next batch of a part") {
            for seen in read(&batch) {
                let Seen::Put { table, id, value, at, .. } = seen else { panic!("a copy has rows only") };
                assert_eq!((at.commit_lsn, at.index), (snapshot.consistent_point(), 0), "where a copied row stands");
                assert_eq!(rows.insert((table, id), value), None, "a row was copied twice");
            }
        }
    }
    rows
}

fn values(seen: &[Seen]) -> Vec<String> {
    let value = |seen: &Seen| match seen {
        Seen::Put { value, .. } => value.clone(),
        _ => None,
    };
    seen.iter().filter_map(value).collect()
}

/// A survey tells tables, keys, slot and publication, before and after they are there.
pub async fn surveys_what_is_there(fixture: &dyn OriginFixture) {
    let case = Case::new(fixture, "survey", &["a", "b"]).await;
    let before = case.origin.survey().await.expect("survey");
    let names: Vec<_> = before.tables.iter().map(|found| found.schema.name.clone()).collect();
    assert_eq!(names, case.tables, "tables in name order");
    for found in &before.tables {
        assert_eq!(found.schema.key, [0], "the primary key");
        assert_eq!(found.schema.columns.len(), 2);
        assert!(found.problem.is_none(), "{:?}", found.problem);
    }
    assert_eq!((before.slot, before.published), (SlotState::Missing, None));
    let (schemas, consistent_point) = case.start().await;
    let after = case.origin.survey().await.expect("survey");
    let SlotState::Present { confirmed, .. } = after.slot else { panic!("the slot is {:?}", after.slot) };
    assert!(confirmed <= consistent_point && consistent_point <= after.current);
    let mut published = after.published.expect("there is a publication");
    let mut wanted: Vec<_> = schemas.iter().map(|schema| schema.relid).collect();
    published.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(published, wanted);
    case.origin.drop_slot().await.expect("drop the slot");
    case.origin.drop_slot().await.expect("drop a slot that is gone");
    assert_eq!(case.origin.survey().await.expect("survey").slot, SlotState::Missing);
}

/// Rows from before are in the copy, changes from after in the stream, none in both.
pub async fn joins_snapshot_and_stream(fixture: &dyn OriginFixture) {
    let case = Case::new(fixture, "join", &["a", "b"]).await;
    for id in 0..20 {
        case.put((id % 2) as usize, id, "before").await;
    }
    let schemas = case.schemas().await;
    case.origin.publish(&schemas).await.expect("publish");
    let snapshot = case.origin.snapshot(&schemas, SlotKind::Lasting).await.expect("snapshot");
    case.put(0, 100, "after").await;
    case.put(1, 1, "after").await;
    let rows = copy(&*snapshot).await;
    assert_eq!(rows.len(), 20, "all rows of before");
    assert!(rows.values().all(|value| value.as_deref() == Some("before")), "no row of after");
    let point = snapshot.consistent_point();
    drop(snapshot);
    let mut source = case.stream(point, &schemas).await;
    let (seen, _) = read_changes(&mut *source, 2).await;
    assert_eq!(values(&seen), ["after", "after"]);
    assert!(seen.iter().all(|seen| seen.position().commit_lsn >= point));
    drop(source);
    case.origin.drop_slot().await.expect("drop the slot");
}

/// Commit LSNs grow from transaction to transaction, indexes within one; every kind of change
/// comes as what it is.
pub async fn numbers_changes_in_commit_order(fixture: &dyn OriginFixture) {
    let case = Case::new(fixture, "order", &["a", "b"]).await;
    let (schemas, point) = case.start().await;
    let put = |id, value: &str| Write::Put(id, value.to_owned());
    case.write(&[(0, put(1, "one")), (1, put(1, "other")), (0, put(2, "two"))]).await;
    case.write(&[(0, Write::Move(1, 3, "moved".to_owned())), (0, Write::Delete(2))]).await;
    case.write(&[(1, Write::Truncate), (1, put(9, "last"))]).await;
    let mut source = case.stream(point, &schemas).await;
    let (seen, progress) = read_changes(&mut *source, 7).await;
    let positions: Vec<_> = seen.iter().map(Seen::position).collect();
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    assert!(positions.last().is_some_and(|last| progress > last.commit_lsn), "progress is behind the commit");
    let kinds: Vec<_> = seen.iter().map(describe).collect();
    assert_eq!(kinds, ["put 1 one", "put 1 other", "put 2 two", "move 1 3 moved", "gone 2", "emptied", "put 9 last"]);
    drop(source);
    case.origin.drop_slot().await.expect("drop the slot");
}

fn describe(seen: &Seen) -> String {
    match seen {
        Seen::Put { old: Some(old), id, value, .. } => {
            format!("move {old} {id} {}", value.as_deref().unwrap_or("null"))
        }
        Seen::Put { id, value, .. } => format!("put {id} {}", value.as_deref().unwrap_or("null")),
        Seen::Gone { id, .. } => format!("gone {id}"),
        Seen::Emptied { .. } => "emptied".to_owned(),
    }
}

/// After a reconnect comes what was not acknowledged, at its old place, and nothing else.
pub async fn sends_again_what_was_not_acknowledged(fixture: &dyn OriginFixture) {
    let case = Case::new(fixture, "again", &["a"]).await;
    let (schemas, point) = case.start().await;
    case.put(0, 1, "first").await;
    let mut source = case.stream(point, &schemas).await;
    let (first, acknowledged) = read_changes(&mut *source, 1).await;
    assert_eq!(values(&first), ["first"]);
    (source.acknowledger())(acknowledged);
    wait_for_confirmed(&case, &mut *source, acknowledged).await;
    case.put(0, 2, "second").await;
    case.put(0, 3, "third").await;
    let (second, _) = read_changes(&mut *source, 2).await;
    let late = source.acknowledger();
    drop(source);
    late(Lsn(u64::MAX / 2));
    for _ in 0..2 {
        let mut source = case.stream(acknowledged, &schemas).await;
        let (again, _) = read_changes(&mut *source, 2).await;
        assert_eq!(again, second, "the same changes at the same places");
    }
    case.origin.drop_slot().await.expect("drop the slot");
}

/// Reads on, so that the source gets to send what was acknowledged.
async fn wait_for_confirmed(case: &Case<'_>, source: &mut dyn Source, wanted: Lsn) {
    let confirmed = async {
        loop {
            let survey = case.origin.survey().await.expect("survey");
            if matches!(survey.slot, SlotState::Present { confirmed, .. } if confirmed >= wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let reading = async { while source.next().await.expect("the next batch").is_some() {} };
    let either = async {
        tokio::select! {
            biased;
            () = confirmed => {}
            () = reading => panic!("the log ended"),
        }
    };
    tokio::time::timeout(PATIENCE, either).await.expect("the acknowledgement arrives in time");
}

/// Log that holds nothing for us moves the progress all the same.
pub async fn tells_progress_without_changes(fixture: &dyn OriginFixture) {
    let case = Case::new(fixture, "idle", &["a", "b"]).await;
    let (schemas, point) = case.start().await;
    let wanted: Vec<_> = schemas.iter().take(1).cloned().collect();
    let mut source = case.stream(point, &wanted).await;
    case.put(1, 1, "unwanted").await;
    let end = case.origin.survey().await.expect("survey").current;
    let (seen, _) = read_until(&mut *source, |_, progress| progress >= end).await;
    assert_eq!(seen, [], "changes of a table that is not wanted");
    drop(source);
    case.origin.drop_slot().await.expect("drop the slot");
}

/// A slot has one reader; a second one is told to wait.
pub async fn refuses_a_second_reader(fixture: &dyn OriginFixture) {
    let case = Case::new(fixture, "second", &["a"]).await;
    let (schemas, point) = case.start().await;
    let source = case.stream(point, &schemas).await;
    let survey = case.origin.survey().await.expect("survey");
    assert!(matches!(survey.slot, SlotState::Present { active_pid: Some(_), .. }), "{:?}", survey.slot);
    let second = case.origin.stream(point, &schemas).await;
    let refusal = second.map(drop).expect_err("a second reader");
    assert_eq!(*refusal.retry(), Retry::Later, "{}", refusal.one_line());
    drop(source);
    // The slot is free again once the walsender has gone.
    drop(case.stream(point, &schemas).await);
    case.origin.drop_slot().await.expect("drop the slot");
}

/// A temporary slot's snapshot works like the other and leaves nothing behind.
pub async fn leaves_no_temporary_slot(fixture: &dyn OriginFixture) {
    let case = Case::new(fixture, "temporary", &["a"]).await;
    case.put(0, 1, "row").await;
    let schemas = case.schemas().await;
    case.origin.publish(&schemas).await.expect("publish");
    for _ in 0..2 {
        let snapshot = case.origin.snapshot(&schemas, SlotKind::Temporary).await.expect("snapshot");
        assert_eq!(copy(&*snapshot).await.len(), 1);
    }
    assert_eq!(case.origin.survey().await.expect("survey").slot, SlotState::Missing);
}

/// A table that is published and copied while a slot exists joins its stream without a gap.
pub async fn joins_a_table_later(fixture: &dyn OriginFixture) {
    let case = Case::new(fixture, "later", &["a", "b"]).await;
    let schemas = case.schemas().await;
    let (first, second) = (&schemas[..1], &schemas[1..]);
    case.origin.publish(first).await.expect("publish");
    let point = case.origin.snapshot(first, SlotKind::Lasting).await.expect("snapshot").consistent_point();
    case.put(0, 1, "followed").await;
    case.put(1, 1, "before").await;
    case.origin.publish(&schemas).await.expect("publish");
    let snapshot = case.origin.snapshot(second, SlotKind::Temporary).await.expect("snapshot");
    case.put(1, 2, "after").await;
    let rows = copy(&*snapshot).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let joined = snapshot.consistent_point();
    drop(snapshot);
    let mut source = case.stream(point, &schemas).await;
    let (seen, _) = read_until(&mut *source, |seen, _| values(seen).contains(&"after".to_owned())).await;
    let news = seen.iter().filter(|seen| seen.tables() == [case.tables[1].clone()]);
    let news: Vec<_> = news.filter(|seen| seen.position().commit_lsn >= joined).cloned().collect();
    assert_eq!(values(&news), ["after"]);
    assert!(values(&seen).contains(&"followed".to_owned()));
    drop(source);
    case.origin.drop_slot().await.expect("drop the slot");
}
