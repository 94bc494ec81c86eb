//! The sample workload's queries on both databases, and `verify` on its tables.

use std::time::Instant;

use walhouse_lab::postgres::{Server, connect};
use walhouse_lab::rembo::{self, SeedOptions};
use walhouse_lab::verify;

use crate::mirror::{engine, mirror};

const TABLES: [(&str, &str, &str); 4] = [
    ("sales_territory", "sales_territory_id", "view_sales_territory_last_rec"),
    ("employee", "employee_id", "view_employees_last_rec"),
    ("customer", "customer_id", "view_customer_last_rec"),
    ("sales", "sales_id", "view_sales_last_rec"),
];

async fn both(name: &str, options: SeedOptions) -> (tokio_postgres::Client, clickhouse::Client) {
    let server = Server::shared().await.unwrap();
    let mut postgres = connect(&server.create_database(name).await.unwrap()).await.unwrap();
    rembo::create(&mut postgres, false).await.unwrap();
    rembo::seed(&mut postgres, options).await.unwrap();
    let clickhouse = engine(name).await;
    for (table, key, view) in TABLES {
        mirror(&postgres, &clickhouse, table, key, view).await;
    }
    (postgres, clickhouse)
}

#[tokio::test]
async fn the_views_and_the_sample_query_agree_with_postgres() {
    let until = rembo::parse_date("2024-03-01").unwrap();
    // Few customers: the same one comes back to the same territory.
    let options = SeedOptions { customers: 300, sales: 20_000, seed: 3, until };
    let (mut postgres, clickhouse) = both("rembo_views", options).await;

    let report = verify::verify(&mut postgres, &clickhouse, &rembo::tables()).await.unwrap();
    println!("{report}");
    assert!(report.is_equal(), "{report}");

    let comparison = rembo::compare_seed_query(&postgres, &clickhouse).await.unwrap();
    assert!(comparison.is_equal(), "{comparison:?}");
    assert_eq!(comparison.source.len(), 55, "5 employees in 11 territories");

    rembo::views(&clickhouse).await.unwrap();
    rembo::views(&clickhouse).await.unwrap();
    let expected = postgres
        .query_one(
            "SELECT count(*), sum(diff)::bigint FROM (
               SELECT floor(extract(epoch FROM order_date - lag(order_date) OVER (
                        PARTITION BY customer_id, sales_territory_id ORDER BY order_date, sales_id)) * 1000) AS diff
               FROM sales) s WHERE diff IS NOT NULL",
            &[],
        )
        .await
        .unwrap();
    let sql = format!("SELECT count(), sum(purchase_time_diff_ms) FROM {}", rembo::TIME_BETWEEN_PURCHASES);
    let found: (u64, i64) = clickhouse.query(&sql).fetch_one().await.unwrap();
    assert_eq!((i64::try_from(found.0).unwrap(), found.1), (expected.get(0), expected.get(1)));
    let first = postgres.query_one("SELECT count(DISTINCT (customer_id, sales_territory_id)) FROM sales", &[]).await;
    let first: i64 = first.unwrap().get(0);
    assert_eq!(i64::try_from(found.0).unwrap(), 20_000 - first, "a first purchase is absent");

    clickhouse
        .query(
            "ALTER TABLE sales UPDATE sales_amount = sales_amount + 1 WHERE sales_id = 77 SETTINGS mutations_sync = 2",
        )
        .execute()
        .await
        .unwrap();
    assert!(!rembo::compare_seed_query(&postgres, &clickhouse).await.unwrap().is_equal());
    let report = verify::verify(&mut postgres, &clickhouse, &rembo::tables()).await.unwrap();
    let sales = report.tables.last().unwrap();
    assert_eq!((sales.different.count, sales.different.keys.as_slice()), (1, &["77".to_owned()][..]), "{report}");
}

/// Takes tens of seconds: run it by name.
#[tokio::test]
#[ignore = "full size"]
async fn the_full_size_is_verified() {
    let (mut postgres, clickhouse) = both("rembo_full", SeedOptions::default()).await;
    let started = Instant::now();
    let report = verify::verify(&mut postgres, &clickhouse, &rembo::tables()).await.unwrap();
    println!("{report}\nin {:.1} s", started.elapsed().as_secs_f64());
    assert!(report.is_equal());
}
