//! The copy: all rows once, whatever the table looks like, and nothing left behind.

use std::collections::HashSet;

use walhouse_change::{Change, Origin, Retry, SlotKind};
use walhouse_lab::postgres::Server;
use walhouse_value::Wire;

use crate::support::{Db, usable};

#[tokio::test]
async fn ranges_cover_a_large_table_exactly_once() {
    const ROWS: usize = 400_000;
    let db = Db::new("copy_ranges").await;
    db.sql(&format!(
        "CREATE TABLE big (id int PRIMARY KEY, v text);
         INSERT INTO big SELECT g, repeat('x', 200) FROM generate_series(1, {ROWS}) g; ANALYZE big;
         DELETE FROM big WHERE id % 7 = 0"
    ))
    .await;
    let begun = db.begin().await;
    // behind the blocks that were planned, and not in the snapshot
    db.sql("INSERT INTO big SELECT g, repeat('y', 200) FROM generate_series(1000000, 1001000) g").await;
    let snapshot = begun.snapshot.as_ref().unwrap();
    assert!(snapshot.parts().len() > 2, "{} parts", snapshot.parts().len());
    assert!(snapshot.parts().iter().map(|part| part.estimated_rows).sum::<u64>().abs_diff(ROWS as u64) < 20_000);
    let mut seen = HashSet::new();
    let copies = snapshot.parts().iter().map(|part| async {
        let mut source = snapshot.open(part).await.unwrap();
        let mut ids = Vec::new();
        while let Some(batch) = source.next().await.unwrap() {
            for change in batch.changes() {
                let Change::Row(change) = change else { panic!("no row") };
                let Wire::Binary(id) = batch.row(change).new_image().unwrap().value(0) else { panic!("no id") };
                ids.push(i32::from_be_bytes(id.try_into().unwrap()));
            }
        }
        ids
    });
    for ids in join_all(copies).await {
        for id in ids {
            assert!(seen.insert(id), "{id} came twice");
        }
    }
    assert_eq!(seen.len(), ROWS - ROWS / 7);
    assert!(seen.iter().all(|id| id % 7 != 0 && *id <= ROWS as i32));
}

/// All at a time: as many as there are workers run, the others wait.
async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pending: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in pending.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn an_abandoned_copy_gives_its_session_back() {
    let db = Db::new("copy_abandoned").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY)").await;
    db.sql("INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 200000) g; INSERT INTO u VALUES (1)")
        .await;
    let mut config = db.config(&["public.*"]);
    config.copy_workers = Some(1);
    let origin = walhouse_postgres::Postgres::new(config, walhouse_change::Budget::new(16 << 20)).unwrap();
    let begun = db.begin_with(origin).await;
    let snapshot = begun.snapshot.as_ref().unwrap();
    let part = snapshot.parts().iter().find(|part| part.schema.name.name == "t").unwrap();
    for _ in 0..3 {
        let mut source = snapshot.open(part).await.unwrap();
        assert!(source.next().await.unwrap().is_some());
    }
    assert_eq!(begun.copied().await.len(), 200_001);
}

#[tokio::test]
async fn a_temporary_slot_ends_with_its_snapshot_taken() {
    let db = Db::new("copy_temporary").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let mut begun = db.begin().await;
    db.sql("INSERT INTO t VALUES (2)").await;
    let snapshot = begun.origin.snapshot(&begun.tables, SlotKind::Temporary).await.unwrap();
    assert!(snapshot.consistent_point() > begun.consistent_point);
    begun.snapshot = Some(snapshot);
    assert_eq!(begun.copied().await, ["read t 0: [1]", "read t 0: [2]"]);
    let slots = "SELECT string_agg(slot_name, ',') FROM pg_replication_slots WHERE database = 'copy_temporary'";
    for _ in 0..50 {
        if db.text(slots).await == "copy_temporary" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(db.text(slots).await, "copy_temporary");
}

#[tokio::test]
async fn a_failed_snapshot_leaves_no_slot() {
    // one connection too few for a worker: the slot is there by then
    let server = Server::builder().start().await.unwrap();
    let db = Db::on(&server, "no_orphan").await;
    db.sql(
        "CREATE TABLE t (id int PRIMARY KEY);
         CREATE ROLE app LOGIN REPLICATION CONNECTION LIMIT 1; ALTER TABLE t OWNER TO app;
         GRANT CREATE ON DATABASE no_orphan TO app",
    )
    .await;
    let mut config = db.config(&["public.*"]);
    config.user = Some("app".to_owned());
    let origin = walhouse_postgres::Postgres::new(config, walhouse_change::Budget::new(1 << 20)).unwrap();
    let tables = usable(&db.origin(&["public.*"])).await;
    origin.publish(&tables).await.unwrap();
    let error = origin.snapshot(&tables, SlotKind::Lasting).await.err().unwrap();
    assert_eq!(error.retry(), &Retry::Later, "{}", error.one_line());
    assert_eq!(db.text("SELECT count(*) FROM pg_replication_slots").await, "0");
}

#[tokio::test]
async fn row_security_refuses_the_copy_in_place_of_filtering_it() {
    let db = Db::new("copy_rls").await;
    db.sql(
        "CREATE TABLE t (id int PRIMARY KEY, owner text); INSERT INTO t VALUES (1, 'copy_app'), (2, 'other');
         CREATE ROLE copy_app LOGIN REPLICATION; GRANT SELECT ON t TO copy_app; GRANT CREATE ON DATABASE copy_rls TO copy_app",
    )
    .await;
    let mut config = db.config(&["public.*"]);
    config.user = Some("copy_app".to_owned());
    let origin = walhouse_postgres::Postgres::new(config, walhouse_change::Budget::new(1 << 20)).unwrap();
    let tables = usable(&origin).await;
    db.origin(&["public.*"]).publish(&tables).await.unwrap();
    let snapshot = origin.snapshot(&tables, SlotKind::Lasting).await.unwrap();
    drop(snapshot);
    origin.drop_slot().await.unwrap();

    db.sql("ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON t USING (owner = current_user)").await;
    let survey = origin.survey().await.unwrap();
    let problem = survey.tables[0].problem.clone().unwrap();
    assert!(matches!(problem.retry(), Retry::StopTable(_)));
    assert!(problem.to_string().contains("row security"), "{problem}");
    // and should the policy come after the survey
    let snapshot = origin.snapshot(&tables, SlotKind::Lasting).await.unwrap();
    let mut source = snapshot.open(&snapshot.parts()[0]).await.unwrap();
    let error = source.next().await.unwrap_err();
    assert!(matches!(error.retry(), Retry::StopTable(_)), "{}", error.one_line());
    drop((source, snapshot));
    origin.drop_slot().await.unwrap();
}
