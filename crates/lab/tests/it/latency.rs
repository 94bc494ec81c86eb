//! The latency probe on a stand-in pipe.

use std::time::Duration;

use walhouse_lab::latency::{self, Options};
use walhouse_lab::postgres::{Server, connect};

use crate::mirror::engine;

#[tokio::test]
async fn measures_a_pipe_that_is_known() {
    let server = Server::shared().await.unwrap();
    let url = server.create_database("probe").await.unwrap();
    let source = connect(&url).await.unwrap();
    latency::create_probe(&source).await.unwrap();
    latency::create_probe(&source).await.unwrap();
    let clickhouse = engine("probe").await;
    clickhouse.query("CREATE TABLE latency_probe (id Int64) ENGINE = MergeTree ORDER BY id").execute().await.unwrap();

    // A pipe that looks every 100 ms: rows take 0 to 100 ms, and what the insert takes.
    let pipe = tokio::spawn({
        let clickhouse = clickhouse.clone();
        async move {
            let source = connect(&url).await.unwrap();
            let mut newest = 0_i64;
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let sql = "SELECT id FROM latency_probe WHERE id > $1 ORDER BY id";
                let ids: Vec<i64> = source.query(sql, &[&newest]).await.unwrap().iter().map(|row| row.get(0)).collect();
                let Some(&last) = ids.last() else { continue };
                newest = last;
                let values: Vec<String> = ids.iter().map(|id| format!("({id})")).collect();
                let sql = format!("INSERT INTO latency_probe VALUES {}", values.join(", "));
                clickhouse.query(&sql).execute().await.unwrap();
            }
        }
    });
    let options = Options { rate: 100.0, duration: Duration::from_secs(3), ..Options::default() };
    let measured = latency::measure(&source, &clickhouse, &options).await.unwrap();
    pipe.abort();
    println!("{measured}");
    assert_eq!(measured.micros.len(), 300);
    let median = measured.milliseconds(0.5);
    assert!((20.0..400.0).contains(&median), "{measured}");
    assert!(measured.to_string().starts_with("commit to visible, 300 rows: p50 "), "{measured}");
}
