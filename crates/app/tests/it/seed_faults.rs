//! The sample workload end to end, and the faults that its users' former set-up had.

use walhouse_lab::rembo::{self, LoadOptions, SeedOptions};
use walhouse_lab::verify::Table;

use crate::harness::{Pipe, READY};

/// A small shop that walhouse follows.
async fn shop(name: &str) -> Pipe {
    let mut pipe = Pipe::prepare(name, "", |builder| builder.rest(rembo::CONFIGURATION)).await;
    rembo::create(&mut pipe.source, false).await.unwrap();
    rembo::alter(&pipe.source).await.unwrap();
    let until = rembo::parse_date("2024-06-30").unwrap();
    rembo::seed(&mut pipe.source, SeedOptions { customers: 500, sales: 2000, seed: 7, until }).await.unwrap();
    pipe.house.start().unwrap();
    pipe.house.ready(READY).await.unwrap();
    pipe
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_query_gives_the_same_numbers_on_both_databases() {
    let mut pipe = shop("shop_query").await;
    pipe.until_equal_tables(&rembo::tables()).await;
    let options = LoadOptions { rate: 300.0, seed: 11 };
    let until = tokio::time::sleep(std::time::Duration::from_secs(3));
    rembo::load(&mut pipe.source, options, until).await.unwrap();
    pipe.until_equal_tables(&rembo::tables()).await;
    let comparison = rembo::compare_seed_query(&pipe.source, &pipe.clickhouse()).await.unwrap();
    assert!(comparison.is_equal(), "{comparison:?}");
    assert!(!comparison.source.is_empty());
}

/// Fault 1: a deleted row came back in its previous version.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_row_stays_deleted() {
    let pipe = shop("shop_deleted").await;
    pipe.execute("UPDATE sales SET sales_amount = 5 WHERE sales_id = 10; DELETE FROM sales WHERE sales_id = 10").await;
    pipe.until("SELECT count() FROM sales WHERE sales_id = 10 AND is_deleted = 1", "1\n").await;
    pipe.until("SELECT count() FROM view_sales_last_rec WHERE sales_id = 10", "0\n").await;
}

/// Fault 2: changes between import and capture were lost or doubled.
#[tokio::test(flavor = "multi_thread")]
async fn changes_during_the_copy_are_neither_lost_nor_doubled() {
    let mut pipe = Pipe::prepare("shop_import", "", |builder| builder.rest(rembo::CONFIGURATION)).await;
    rembo::create(&mut pipe.source, false).await.unwrap();
    rembo::alter(&pipe.source).await.unwrap();
    let until = rembo::parse_date("2024-06-30").unwrap();
    rembo::seed(&mut pipe.source, SeedOptions { customers: 20_000, sales: 20_000, seed: 7, until }).await.unwrap();
    pipe.house.start().unwrap();
    // The load runs from before the slot exists until after the copy is in.
    let until = tokio::time::sleep(std::time::Duration::from_secs(5));
    let counts = rembo::load(&mut pipe.source, LoadOptions { rate: 400.0, seed: 3 }, until).await.unwrap();
    assert!(counts.committed > 100);
    pipe.house.ready(READY).await.unwrap();
    pipe.until_equal_tables(&rembo::tables()).await;
}

/// Fault 3: seconds where milliseconds belong, in copied rows as in streamed ones.
#[tokio::test(flavor = "multi_thread")]
async fn commit_times_are_milliseconds() {
    let pipe = shop("shop_times").await;
    pipe.execute("UPDATE employee SET employee_name = employee_name").await;
    let recent = "SELECT min(abs(source_updated_at_ms - toUnixTimestamp64Milli(now64(3))) < 600000), uniqExact(db_action) > 1 FROM employee";
    pipe.until(recent, "1\t1\n").await;
}

/// Faults 4, 5 and 6: dates, bigints and microseconds.
#[tokio::test(flavor = "multi_thread")]
async fn dates_bigints_and_microseconds_are_whole() {
    let pipe = shop("shop_values").await;
    pipe.execute("UPDATE customer SET birth_date = '1931-02-03' WHERE customer_id = 1; \
        UPDATE sales SET sales_amount = 9007199254740993, created_at = '2024-02-29 12:34:56.123456+00' WHERE sales_id = 1").await;
    pipe.until("SELECT birth_date FROM view_customer_last_rec WHERE customer_id = 1", "1931-02-03\n").await;
    pipe.until(
        "SELECT sales_amount, created_at FROM view_sales_last_rec WHERE sales_id = 1",
        "9007199254740993\t2024-02-29 12:34:56.123456\n",
    )
    .await;
}

/// Fault 8: seven seconds until a row shows. (Fault 7, tombstones in a queue table, cannot arise
/// without a queue.)
#[tokio::test(flavor = "multi_thread")]
async fn a_single_row_shows_at_once() {
    let pipe = shop("shop_soon").await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let sold = rembo::sell(&pipe.source, 1).await.unwrap();
    let committed = std::time::Instant::now();
    pipe.until(&format!("SELECT count() FROM view_sales_last_rec WHERE sales_id = {}", sold.sales_id), "1\n").await;
    assert!(committed.elapsed().as_millis() < 2_000, "{:?}", committed.elapsed());
}

/// Fault 9: one name in two schemas.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_table_name_in_two_schemas_does_not_collide() {
    let mut pipe = Pipe::start(
        "shop_schemas",
        "CREATE SCHEMA branch; CREATE TABLE sales (sales_id int PRIMARY KEY, v text); \
        CREATE TABLE branch.sales (sales_id int PRIMARY KEY, v text); INSERT INTO sales VALUES (1, 'main'); \
        INSERT INTO branch.sales VALUES (1, 'branch')",
    )
    .await;
    pipe.until_equal_tables(&[Table::new("public", "sales"), Table::new("branch", "sales")]).await;
    assert_eq!(pipe.target("SELECT v FROM view_sales_last_rec").await, "main\n");
    assert_eq!(pipe.target("SELECT v FROM view_branch_sales_last_rec").await, "branch\n");
}
