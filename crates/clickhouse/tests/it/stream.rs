//! Rows of the stream, and what comes again after a restart.

use crate::support::{INT8, Place, Script, TEXT, table, write};

#[tokio::test(flavor = "multi_thread")]
async fn inserts_updates_and_deletes_arrive() {
    let place = Place::shared("arrive");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    place.copied(&t, &[&[Some("1"), Some("one")], &[Some("2"), None]]).await;
    assert_eq!(place.rows("t", "id, v, db_action").await, "1\tone\tread\n2\t\\N\tread");
    let mut sink = place.open(&[&t]).await;
    let script = Script::default()
        .begin(200)
        .insert(&t, &[Some("3"), Some("it's")])
        .update(&t, &[Some("1"), Some("uno")])
        .begin(210)
        .delete(&t, "2");
    write(&mut sink, script).await;
    sink.close().await.unwrap();
    assert_eq!(place.rows("t", "id, v, db_action").await, "1\tuno\tupdate\n3\tit\\'s\tinsert");
    let log = "SELECT id, v, db_action, is_deleted, source_updated_at_ms, record_version FROM t ORDER BY _version, id";
    assert_eq!(
        place.ask(log).await,
        "1\tone\tread\t0\t1700000000100\t100\n2\t\\N\tread\t0\t1700000000100\t100\n\
         3\tit\\'s\tinsert\t0\t1700000000200\t200\n1\tuno\tupdate\t0\t1700000000200\t200\n\
         2\t\\N\tdelete\t1\t1700000000210\t210"
    );
    let visible = place.notes.visible.lock().unwrap().clone();
    assert_eq!(visible.iter().map(|(_, rows, _)| rows).sum::<u64>(), 3);
    assert_eq!(visible.last().unwrap().2, 1_700_000_000_210_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_history_there_is_the_current_state_only() {
    let url = walhouse_chdb::testing::shared().url();
    let place = Place::with(&url, "current_only", |config| config.history = false);
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    place.copied(&t, &[&[Some("1"), Some("one")]]).await;
    let mut sink = place.open(&[&t]).await;
    write(&mut sink, Script::default().begin(200).update(&t, &[Some("1"), Some("uno")]).delete(&t, "1")).await;
    write(&mut sink, Script::default().begin(300).insert(&t, &[Some("1"), Some("again")])).await;
    sink.close().await.unwrap();
    assert_eq!(place.rows("t", "id, v").await, "1\tagain");
    let tables = "SELECT name FROM system.tables WHERE database = 'current_only' AND NOT startsWith(name, 'walhouse_') \
                  ORDER BY name";
    assert_eq!(place.ask(tables).await, "t\nview_t_last_rec");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_and_move() {
    let place = Place::shared("rotate");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    place.copied(&t, &[&[Some("1"), Some("a")], &[Some("2"), Some("b")], &[Some("7"), Some("c")]]).await;
    let mut sink = place.open(&[&t]).await;
    let script = Script::default()
        .begin(200)
        .rekey(&t, "1", &[Some("-1"), Some("a")])
        .rekey(&t, "2", &[Some("1"), Some("b")])
        .rekey(&t, "-1", &[Some("2"), Some("a")])
        // sent as a key change, and none
        .rekey(&t, "7", &[Some("7"), Some("d")]);
    write(&mut sink, script).await;
    sink.close().await.unwrap();
    assert_eq!(place.rows("t", "id, v").await, "1\tb\n2\ta\n7\td");
    assert_eq!(place.ask("SELECT count() FROM t WHERE id = 7").await, "2");
    assert_eq!(place.doubles("t").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncate_empties_what_came_before_it() {
    let place = Place::shared("truncates");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    let u = table(2, "u", &[("id", INT8), ("v", TEXT)]);
    for table in [&t, &u] {
        place.copied(table, &[&[Some("1"), Some("a")], &[Some("2"), Some("b")]]).await;
    }
    let script = || {
        Script::default()
            .begin(200)
            .insert(&t, &[Some("3"), Some("c")])
            .truncate(&[&t, &u])
            .insert(&t, &[Some("1"), Some("new")])
            .begin(300)
            .insert(&u, &[Some("9"), None])
    };
    let mut sink = place.open(&[&t, &u]).await;
    write(&mut sink, script()).await;
    drop(sink);
    for _ in 0..2 {
        assert_eq!(place.rows("t", "id, v").await, "1\tnew");
        assert_eq!(place.rows("u", "id, v").await, "9\t\\N");
        assert_eq!(place.ask("SELECT count() FROM t").await, "4");
        assert_eq!(place.doubles("t").await, "0");
        // once more after a restart
        let mut sink = place.open(&[&t, &u]).await;
        write(&mut sink, script()).await;
        sink.close().await.unwrap();
    }
    let hidden = "SELECT count() FROM t__current WHERE db_action = 'read' OR v = 'c'";
    for _ in 0..100 {
        if place.ask(hidden).await == "0" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("truncated rows are never deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_again_is_dropped() {
    let place = Place::shared("replay");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    let u = table(2, "u", &[("id", INT8), ("v", TEXT)]);
    for table in [&t, &u] {
        place.copied(table, &[&[Some("1"), Some("a")]]).await;
    }
    // below the copies' consistent point: in them already
    let early = || Script::default().begin(90).insert(&t, &[Some("1"), Some("early")]).delete(&u, "1");
    let steps = [("a", 200_u64), ("b", 300), ("c", 400)];
    let step = |script: Script, at: usize| {
        let (v, lsn) = steps[at];
        script
            .begin(lsn)
            .insert(&t, &[Some(v.len().to_string().as_str()), Some(v)])
            .update(&u, &[Some("1"), Some(v)])
            .begin(lsn + 1)
            .insert(&t, &[Some(lsn.to_string().as_str()), Some(v)])
    };
    let mut sink = place.open(&[&t, &u]).await;
    write(&mut sink, early()).await;
    for at in 0..3 {
        write(&mut sink, step(Script::default(), at)).await;
    }
    drop(sink);
    let state = || async {
        let log = place.ask("SELECT * EXCEPT arrival_date_time_tz FROM t ORDER BY ALL").await;
        (log, place.rows("t", "id, v").await, place.rows("u", "id, v").await)
    };
    let before = state().await;
    assert_eq!(before.2, "1\tc");
    for from in 0..2 {
        let mut sink = place.open(&[&t, &u]).await;
        write(&mut sink, early()).await;
        // cut otherwise than the first time, so that no token helps
        write(&mut sink, (from..3).fold(Script::default(), step)).await;
        sink.close().await.unwrap();
        assert_eq!(state().await, before);
        assert_eq!(place.doubles("t").await, "0");
    }
}

/// The log is written first; a crash before the current state leaves it behind.
#[tokio::test(flavor = "multi_thread")]
async fn the_current_state_catches_up_with_the_log() {
    let place = Place::shared("catch_up");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    place.copied(&t, &[&[Some("1"), Some("a")]]).await;
    let script = || {
        Script::default()
            .begin(200)
            .insert(&t, &[Some("2"), Some("b")])
            .rekey(&t, "1", &[Some("3"), Some("a")])
            .begin(300)
            .delete(&t, "2")
            .insert(&t, &[Some("4"), Some("d")])
    };
    // the log takes the block, the current state refuses it
    place.ask("ALTER TABLE t__current ADD CONSTRAINT refuse CHECK id != 4").await;
    let mut sink = place.open(&[&t]).await;
    write(&mut sink, script()).await;
    sink.close().await.unwrap();
    assert_eq!(place.notes.stops().len(), 1);
    assert_eq!(place.rows("t", "id, v").await, "1\ta");
    assert_eq!(place.ask("SELECT count() FROM t").await, "6");
    place.ask("ALTER TABLE t__current DROP CONSTRAINT refuse").await;
    let mut sink = place.open(&[&t]).await;
    // with a row behind that is new to both: another cut than before, so that no token helps
    write(&mut sink, script().begin(400).insert(&t, &[Some("5"), Some("e")])).await;
    sink.close().await.unwrap();
    assert_eq!(place.rows("t", "id, v").await, "3\ta\n4\td\n5\te");
    assert_eq!(place.doubles("t").await, "0");
    assert_eq!(place.ask("SELECT count() FROM t").await, "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_batch_is_cut_into_whole_blocks() {
    let place = Place::shared("large");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    place.copied(&t, &[]).await;
    let mut sink = place.open(&[&t]).await;
    let mut script = Script::default().begin(200);
    for id in 0..300_000 {
        script = script.insert(&t, &[Some(id.to_string().as_str()), Some("some text")]);
    }
    write(&mut sink, script).await;
    sink.close().await.unwrap();
    assert_eq!(place.ask("SELECT count(), uniqExact(id), uniqExact(_version) FROM t").await, "300000\t300000\t300000");
    assert_eq!(place.ask("SELECT count() FROM view_t_last_rec").await, "300000");
    let visible = place.notes.visible.lock().unwrap().iter().map(|(_, rows, _)| *rows).collect::<Vec<_>>();
    assert_eq!(visible, [131_072, 131_072, 37_856]);
}
