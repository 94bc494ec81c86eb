//! Tables that change their shape.

use std::sync::Arc;

use walhouse_change::{Retry, TableSchema, Target};

use crate::support::{INT4, INT8, Place, Script, TEXT, table, write};

fn narrow() -> Arc<TableSchema> {
    table(1, "t", &[("id", INT8), ("v", TEXT)])
}

fn wide() -> Arc<TableSchema> {
    table(1, "t", &[("id", INT8), ("v", TEXT), ("w", INT4)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_column_comes_in_the_middle_of_a_batch() {
    let place = Place::shared("new_column");
    let (old, new) = (narrow(), wide());
    place.copied(&old, &[&[Some("1"), Some("a")]]).await;
    let script = || {
        Script::default()
            .begin(200)
            .insert(&old, &[Some("2"), Some("b")])
            .reshaped(&new)
            .insert(&new, &[Some("3"), Some("c"), Some("33")])
    };
    let mut sink = place.open(&[&old]).await;
    write(&mut sink, script()).await;
    sink.close().await.unwrap();
    let rows = "1\ta\t\\N\n2\tb\t\\N\n3\tc\t33";
    assert_eq!(place.rows("t", "id, v, w").await, rows);
    assert_eq!(place.ask("SELECT w FROM t WHERE id = 3").await, "33");
    // an old shape that comes again takes nothing away
    for first in [&old, &new] {
        let mut sink = place.open(&[first]).await;
        write(&mut sink, script()).await;
        sink.close().await.unwrap();
        assert_eq!(place.rows("t", "id, v, w").await, rows);
    }
    assert_eq!(place.doubles("t").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_gone_stays_and_is_null() {
    let place = Place::shared("gone_column");
    let (old, new) = (wide(), narrow());
    place.copied(&old, &[&[Some("1"), Some("a"), Some("11")]]).await;
    let mut sink = place.open(&[&old]).await;
    write(&mut sink, Script::default().begin(200).reshaped(&new).insert(&new, &[Some("2"), Some("b")])).await;
    sink.close().await.unwrap();
    assert_eq!(place.rows("t", "id, v, w").await, "1\ta\t11\n2\tb\t\\N");
    let mut sink = place.open(&[&new]).await;
    write(&mut sink, Script::default().begin(300).insert(&new, &[Some("3"), Some("c")])).await;
    sink.close().await.unwrap();
    assert_eq!(place.rows("t", "id, v, w").await, "1\ta\t11\n2\tb\t\\N\n3\tc\t\\N");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_type_stops_the_table() {
    let place = Place::shared("other_type");
    let (old, other) = (narrow(), table(2, "u", &[("id", INT8)]));
    let new = table(1, "t", &[("id", INT8), ("v", INT4)]);
    place.copied(&old, &[&[Some("1"), Some("a")]]).await;
    place.copied(&other, &[]).await;
    let mut sink = place.open(&[&old, &other]).await;
    let script = Script::default().begin(200).reshaped(&new).insert(&new, &[Some("2"), Some("5")]);
    write(&mut sink, script.insert(&other, &[Some("1")])).await;
    sink.close().await.unwrap();
    let stops = place.notes.stops();
    assert!(stops.len() == 1 && stops[0].contains("column v is Nullable(String)"), "{stops:?}");
    assert!(stops[0].contains("copied anew"), "{stops:?}");
    assert_eq!(place.rows("u", "id").await, "1");
    // at the next start the same is found at once
    drop(place.open(&[&new, &other]).await);
    assert_eq!(place.notes.stops().len(), 2);
    // copied anew it goes on
    place.copied(&new, &[&[Some("2"), Some("5")]]).await;
    let mut sink = place.open(&[&new, &other]).await;
    write(&mut sink, Script::default().begin(300).insert(&new, &[Some("3"), Some("6")])).await;
    sink.close().await.unwrap();
    assert_eq!(place.rows("t", "id, v").await, "2\t5\n3\t6");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_vanished_is_told() {
    let place = Place::shared("vanished");
    let t = narrow();
    place.copied(&t, &[]).await;
    place.ask("DROP TABLE t__current").await;
    drop(place.open(&[&t]).await);
    let stopped = place.notes.stopped.lock().unwrap().clone();
    assert_eq!(stopped.len(), 1);
    assert_eq!(stopped[0].1.retry(), &Retry::StopTable(t.name.clone()));
    assert!(stopped[0].1.one_line().contains("t__current"));
}

#[tokio::test(flavor = "multi_thread")]
async fn history_can_be_switched_by_a_new_copy() {
    let place = Place::shared("switched");
    let t = narrow();
    place.copied(&t, &[&[Some("1"), Some("a")]]).await;
    let url = place.config.url.clone();
    let without = Place::with(&url, "switched", |config| config.history = false);
    let conflicts = without.target.conflicts(&[Arc::clone(&t)]).await.unwrap();
    assert!(conflicts.len() == 1 && conflicts[0].one_line().contains("MergeTree"), "{conflicts:?}");
    without.copied(&t, &[&[Some("2"), Some("b")]]).await;
    assert_eq!(without.rows("t", "id, v").await, "2\tb");
    assert_eq!(without.target.owned().await.unwrap(), ["view_t_last_rec", "t"]);
    without.target.load().await.unwrap();
}
