//! Steady load of single rows.

use std::time::{Duration, Instant};

use crate::support::{INT8, Place, Script, TEXT, table, write};
use walhouse_chdb::testing::TestEngine;

const RUN: Duration = Duration::from_secs(15);
const MOST_PARTS: u64 = 150;

#[tokio::test(flavor = "multi_thread")]
async fn parts_stay_few_and_rows_are_visible_soon() {
    let engine = TestEngine::start();
    let place = Place::at(&engine.url(), "steady");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    place.copied(&t, &[]).await;
    let mut sink = place.open(&[&t]).await;
    // after quiet a single row does not wait
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    write(&mut sink, Script::default().begin(150).insert(&t, &[Some("-1"), None])).await;
    let first = started.elapsed();
    let (started, mut lsn, mut most, mut pending) = (Instant::now(), 200, 0, Vec::new());
    let mut look = Instant::now();
    while started.elapsed() < RUN {
        lsn += 1;
        let script = Script::default().begin(lsn).insert(&t, &[Some(lsn.to_string().as_str()), Some("v")]);
        pending.push(sink.enqueue(script.batch()).await.unwrap());
        if look.elapsed() > Duration::from_millis(500) {
            look = Instant::now();
            let parts = "SELECT max(n) FROM (SELECT count() AS n FROM system.parts WHERE active AND database = 'steady' \
                         GROUP BY table)";
            most = most.max(place.ask(parts).await.parse::<u64>().unwrap());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let rows = pending.len();
    for commit in pending {
        commit.await.unwrap();
    }
    sink.close().await.unwrap();
    println!("first row {first:?}, {rows} rows, at most {most} parts");
    assert!(most <= MOST_PARTS, "{most} parts");
    assert_eq!(place.ask("SELECT count() FROM view_t_last_rec").await, (rows + 1).to_string());
    assert_eq!(place.doubles("t").await, "0");
}
