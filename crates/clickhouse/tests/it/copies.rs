//! Tables' copies: interrupted, begun again, put in place.

use walhouse_change::{Retry, Target};

use crate::support::{COPIED_AT, EPOCH, INT8, Place, Script, TEXT, table, write};

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_copy_begins_again() {
    let place = Place::shared("interrupted");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    place.copied(&t, &[&[Some("1"), Some("before")]]).await;
    place.target.begin_copy(&t).await.unwrap();
    let mut sink = place.target.copy_sink(&t, EPOCH).await.unwrap();
    write(&mut sink, Script::default().begin(COPIED_AT).read(&t, &[Some("5"), Some("half")])).await;
    drop(sink);
    // what people see is not touched by it
    assert_eq!(place.rows("t", "id, v").await, "1\tbefore");
    place.copied(&t, &[&[Some("2"), Some("after")]]).await;
    assert_eq!(place.rows("t", "id, v").await, "2\tafter");
    assert_eq!(place.ask("SELECT id FROM t").await, "2");
    assert_eq!(
        place.ask("SELECT name FROM system.tables WHERE database = 'interrupted' AND name LIKE '%copy'").await,
        ""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_write_side_by_side() {
    let place = Place::shared("workers");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    place.target.load().await.unwrap();
    place.target.begin_copy(&t).await.unwrap();
    let mut sinks = Vec::new();
    for _ in 0..3 {
        sinks.push(place.target.copy_sink(&t, EPOCH).await.unwrap());
    }
    let mut commits = Vec::new();
    for round in 0..4 {
        for (worker, sink) in sinks.iter_mut().enumerate() {
            let mut script = Script::default().begin(COPIED_AT);
            for id in 0..20_000 {
                let id = (id * 12 + round * 3 + worker).to_string();
                script = script.read(&t, &[Some(id.as_str()), Some("v")]);
            }
            commits.push(sink.enqueue(script.batch()).await.unwrap());
        }
    }
    // a commit does not wait for more rows
    for commit in commits {
        commit.await.unwrap();
    }
    for sink in sinks {
        sink.close().await.unwrap();
    }
    place.target.finish_copy(&t).await.unwrap();
    assert_eq!(place.ask("SELECT count(), uniqExact(id) FROM t").await, "240000\t240000");
    assert_eq!(place.ask("SELECT count() FROM view_t_last_rec").await, "240000");
}

/// Also when the process that copied did not live to say so.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_merged_as_usual_once_it_is_followed() {
    let place = Place::shared("merged");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    place.copied(&t, &[&[Some("1"), None]]).await;
    let held = "SELECT count() FROM system.tables WHERE database = 'merged' AND engine_full LIKE '%parts_to_merge%'";
    assert_eq!(place.ask(held).await, "2", "the log and the current state");
    let _sink = place.open(&[&t]).await;
    for _ in 0..100 {
        if place.ask(held).await == "0" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the tables are still merged rarely");
}

/// A crash anywhere in putting a copy in place: called again, it comes to the same end.
#[tokio::test(flavor = "multi_thread")]
async fn putting_in_place_can_be_called_again() {
    let place = Place::shared("again");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    for (round, exchanges) in [(1, 0), (2, 1), (3, 2), (4, 2)] {
        place.target.load().await.unwrap();
        place.target.begin_copy(&t).await.unwrap();
        let mut sink = place.target.copy_sink(&t, EPOCH).await.unwrap();
        let id = round.to_string();
        write(&mut sink, Script::default().begin(COPIED_AT).read(&t, &[Some(id.as_str()), None])).await;
        sink.close().await.unwrap();
        // what a call that was cut short did
        place.ask("ALTER TABLE t__current__copy REPLACE PARTITION tuple() FROM t__copy").await;
        for name in ["t__current", "t"].iter().take(exchanges) {
            place.ask(&format!("EXCHANGE TABLES {name} AND {name}__copy")).await;
        }
        for _ in 0..2 {
            place.target.finish_copy(&t).await.unwrap();
            assert_eq!(place.rows("t", "id").await, id, "round {round}");
            assert_eq!(place.ask("SELECT id FROM t").await, id, "round {round}");
        }
        let comments = "SELECT DISTINCT comment FROM system.tables WHERE database = 'again' AND comment != ''";
        assert_eq!(place.ask(comments).await, "walhouse: again public.t");
        if round == 3 {
            // as left by a crash before the comments were set: a new copy begins nevertheless
            place.ask("ALTER TABLE t MODIFY COMMENT 'walhouse: again public.t (copy)'").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_table_is_left_alone() {
    let place = Place::shared("stranger");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    place.target.load().await.unwrap();
    place.ask("CREATE TABLE t (x UInt8) ENGINE = MergeTree ORDER BY x").await;
    place.ask("INSERT INTO t VALUES (7)").await;
    let error = place.target.begin_copy(&t).await.unwrap_err();
    assert_eq!(error.retry(), &Retry::StopTable(t.name.clone()));
    let line = error.one_line();
    assert!(line.contains("stranger.t already") && line.contains("[tables.\"public.t\"] name"), "{line}");
    // nor is it written to by the stream, nor dropped at the end
    drop(place.open(&[&t]).await);
    assert_eq!(place.notes.stops().len(), 1);
    place.target.teardown(true).await.unwrap();
    assert_eq!(place.ask("SELECT x FROM t").await, "7");
    // a view in the way is found as well, and so is another slot's table
    place.ask("DROP TABLE t").await;
    place.ask("CREATE VIEW view_t_last_rec AS SELECT 1").await;
    assert!(place.target.begin_copy(&t).await.is_err());
    place.ask("DROP VIEW view_t_last_rec").await;
    place.copied(&t, &[]).await;
    let other = Place::with(&place.config.url, "stranger", |config| config.slot = "other".to_owned());
    let line = other.target.begin_copy(&t).await.unwrap_err().one_line();
    assert!(line.contains("belongs to \"walhouse: stranger public.t\""), "{line}");
}

/// Markers of a former life, whose numbering was higher, must not hide a new copy.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_copy_is_not_hidden_by_old_truncates() {
    let place = Place::shared("old_marker");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    place.copied(&t, &[&[Some("1"), None]]).await;
    let mut sink = place.open(&[&t]).await;
    write(&mut sink, Script::default().begin(5_000).truncate(&[&t])).await;
    sink.close().await.unwrap();
    assert_eq!(place.rows("t", "id").await, "");
    place.copied(&t, &[&[Some("2"), None]]).await;
    assert_eq!(place.rows("t", "id").await, "2");
}

/// The embedded engine's `default` is not an ordinary database.
#[tokio::test(flavor = "multi_thread")]
async fn the_default_database_will_do() {
    let url = walhouse_chdb::testing::shared().url();
    let place = Place::with(&url, "in_default", |config| config.database = "default".to_owned());
    let t = table(1, "in_default", &[("id", INT8), ("v", TEXT)]);
    for v in ["a", "b"] {
        place.copied(&t, &[&[Some("1"), Some(v)]]).await;
        let mut sink = place.open(&[&t]).await;
        write(&mut sink, Script::default().begin(200).insert(&t, &[Some("2"), Some(v)])).await;
        sink.close().await.unwrap();
        assert_eq!(place.rows("in_default", "id, v").await, format!("1\t{v}\n2\t{v}"));
    }
    assert_eq!(place.target.teardown(true).await.unwrap().len(), 4);
}
