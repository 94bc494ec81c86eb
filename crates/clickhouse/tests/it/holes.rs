//! Values that Postgres did not send under REPLICA IDENTITY DEFAULT.

use std::sync::Arc;

use walhouse_change::{ReplicaIdentity, TableSchema};

use crate::support::{INT4, INT8, Place, Script, TEXT, UNCHANGED, table, table_with, write};

fn toasted(relid: u32, name: &str) -> Arc<TableSchema> {
    table(relid, name, &[("id", INT8), ("n", INT4), ("big", TEXT), ("big2", TEXT)])
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_values_are_read_back() {
    let place = Place::shared("filled");
    let t = toasted(1, "t");
    let big = "x".repeat(5_000);
    let row = |id| [Some(id), Some("1"), Some(big.as_str()), None];
    place.copied(&t, &[&row("1"), &row("2"), &row("3"), &row("4"), &row("5")]).await;
    let mut sink = place.open(&[&t]).await;
    let script = Script::default()
        .begin(200)
        // from the copy; then from the update before it; then from a value set in between
        .update(&t, &[Some("1"), Some("2"), UNCHANGED, UNCHANGED])
        .update(&t, &[Some("1"), Some("3"), UNCHANGED, UNCHANGED])
        .update(&t, &[Some("2"), Some("2"), Some("short"), UNCHANGED])
        .update(&t, &[Some("2"), Some("3"), UNCHANGED, Some("other")])
        .update(&t, &[Some("2"), Some("4"), UNCHANGED, UNCHANGED])
        // the key moves, and moves again
        .rekey(&t, "3", &[Some("30"), Some("2"), UNCHANGED, UNCHANGED])
        .rekey(&t, "30", &[Some("31"), Some("3"), UNCHANGED, UNCHANGED])
        // gone and come again with another value
        .delete(&t, "4")
        .insert(&t, &[Some("4"), Some("9"), Some("again"), None])
        .update(&t, &[Some("4"), Some("10"), UNCHANGED, UNCHANGED])
        // a key that another row had
        .delete(&t, "5")
        .rekey(&t, "31", &[Some("5"), Some("4"), UNCHANGED, UNCHANGED])
        .insert(&t, &[Some("6"), Some("1"), Some("six"), Some("seven")])
        .begin(300)
        .update(&t, &[Some("6"), Some("2"), UNCHANGED, UNCHANGED]);
    write(&mut sink, script).await;
    // the batch after: all of it is in the table only
    let script = Script::default()
        .begin(400)
        .update(&t, &[Some("6"), Some("3"), UNCHANGED, UNCHANGED])
        .update(&t, &[Some("2"), Some("5"), UNCHANGED, UNCHANGED]);
    write(&mut sink, script).await;
    sink.close().await.unwrap();
    assert_eq!(place.notes.stops(), Vec::<String>::new());
    assert_eq!(
        place.rows("t", "id, n, if(length(big) = 5000, 'BIG', big), big2").await,
        "1\t3\tBIG\t\\N\n2\t5\tshort\tother\n4\t10\tagain\t\\N\n5\t4\tBIG\t\\N\n6\t3\tsix\tseven"
    );
    // the history has no hole either
    assert_eq!(place.ask("SELECT count() FROM t WHERE is_deleted = 0 AND big IS NULL").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_fills_the_same_values() {
    let place = Place::shared("fill_again");
    let t = toasted(1, "t");
    place.copied(&t, &[&[Some("1"), Some("1"), Some("a"), Some("b")]]).await;
    let script = || {
        Script::default()
            .begin(200)
            .update(&t, &[Some("1"), Some("2"), UNCHANGED, Some("c")])
            .begin(300)
            .update(&t, &[Some("1"), Some("3"), Some("d"), UNCHANGED])
            .begin(400)
            .update(&t, &[Some("1"), Some("4"), UNCHANGED, UNCHANGED])
    };
    let mut sink = place.open(&[&t]).await;
    write(&mut sink, script()).await;
    drop(sink);
    let log = "SELECT n, big, big2, _version FROM t ORDER BY _version";
    let before = place.ask(log).await;
    // the current state lost what the log has
    place.ask("ALTER TABLE t__current DELETE WHERE n >= 3 SETTINGS mutations_sync = 1").await;
    place.ask("INSERT INTO t__current SELECT * FROM t WHERE n <= 2").await;
    let mut sink = place.open(&[&t]).await;
    write(&mut sink, script()).await;
    sink.close().await.unwrap();
    assert_eq!(place.ask(log).await, before);
    assert_eq!(place.rows("t", "id, n, big, big2").await, "1\t4\td\tc");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_old_image_needs_no_reading_back() {
    let place = Place::shared("full");
    let t = table_with(1, "t", &[("id", INT8), ("n", INT4), ("big", TEXT)], ReplicaIdentity::Full);
    place.copied(&t, &[]).await;
    let mut sink = place.open(&[&t]).await;
    // the table does not have the row, the old image does
    let old: [Option<&str>; 3] = [Some("1"), Some("1"), Some("huge")];
    write(&mut sink, Script::default().begin(200).update_full(&t, &old, &[Some("1"), Some("2"), UNCHANGED])).await;
    sink.close().await.unwrap();
    assert_eq!(place.rows("t", "id, n, big").await, "1\t2\thuge");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_nowhere_stops_its_table_alone() {
    let place = Place::shared("nowhere");
    let (t, u) = (toasted(1, "t"), table(2, "u", &[("id", INT8), ("v", TEXT)]));
    place.copied(&t, &[&[Some("1"), Some("1"), Some("a"), Some("b")]]).await;
    place.copied(&u, &[]).await;
    let mut sink = place.open(&[&t, &u]).await;
    let script = Script::default()
        .begin(200)
        .insert(&u, &[Some("1"), Some("x")])
        .update(&t, &[Some("99"), Some("2"), UNCHANGED, UNCHANGED])
        .update(&t, &[Some("1"), Some("2"), UNCHANGED, UNCHANGED])
        .insert(&u, &[Some("2"), Some("y")]);
    write(&mut sink, script).await;
    write(&mut sink, Script::default().begin(300).insert(&u, &[Some("3"), None]).delete(&t, "1")).await;
    sink.close().await.unwrap();
    assert_eq!(place.rows("u", "id").await, "1\n2\n3");
    assert_eq!(place.rows("t", "id, n").await, "1\t1");
    let stops = place.notes.stops();
    assert!(stops.len() == 1 && stops[0].contains("REPLICA IDENTITY FULL") && stops[0].contains("big"), "{stops:?}");
    assert!(!stops[0].contains("99"), "{stops:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_or_truncated_row_has_nothing_to_fill_with() {
    for (name, truncate) in [("gone_deleted", false), ("gone_truncated", true)] {
        let place = Place::shared(name);
        let t = toasted(1, "t");
        place.copied(&t, &[&[Some("1"), Some("1"), Some("a"), Some("b")]]).await;
        let mut sink = place.open(&[&t]).await;
        let script = Script::default().begin(200);
        let script = if truncate { script.truncate(&[&t]) } else { script.delete(&t, "1") };
        write(&mut sink, script.insert(&t, &[Some("1"), Some("2"), Some("new"), None])).await;
        write(&mut sink, Script::default().begin(300).update(&t, &[Some("1"), Some("3"), UNCHANGED, UNCHANGED])).await;
        assert_eq!(place.rows("t", "n, big").await, "3\tnew", "{name}");
        write(&mut sink, Script::default().begin(400).delete(&t, "1")).await;
        write(&mut sink, Script::default().begin(500).update(&t, &[Some("1"), Some("4"), UNCHANGED, UNCHANGED])).await;
        sink.close().await.unwrap();
        assert_eq!(place.notes.stops().len(), 1, "{name}");
    }
}
