//! The sample workload on a real Postgres.

use std::time::{Duration, Instant};

use tokio_postgres::Client;
use walhouse_lab::Error;
use walhouse_lab::postgres::{Server, connect};
use walhouse_lab::rembo::{self, LoadOptions, SeedOptions};

/// A fresh database with the tables in it.
async fn shop(name: &str) -> Client {
    let server = Server::shared().await.unwrap();
    let mut client = connect(&server.create_database(name).await.unwrap()).await.unwrap();
    rembo::create(&mut client, false).await.unwrap();
    client
}

fn small(seed: u64) -> SeedOptions {
    let until = rembo::parse_date("2024-03-01").unwrap();
    SeedOptions { customers: 2_000, sales: 3_000, seed, until }
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// One number for all rows of all tables.
async fn checksum(client: &Client) -> Vec<String> {
    let mut sums = Vec::new();
    for table in ["sales_territory", "employee", "customer", "sales"] {
        let sql = format!("SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY t)), '') FROM public.{table} t");
        sums.push(client.query_one(&sql, &[]).await.unwrap().get(0));
    }
    sums
}

#[tokio::test]
async fn the_same_seed_gives_the_same_rows() {
    let mut client = shop("seed_repeats").await;
    let counts = rembo::seed(&mut client, small(7)).await.unwrap();
    assert_eq!(counts.to_string(), "11 territories, 5 employees, 2000 customers, 3000 sales");
    let first = checksum(&client).await;

    let refused = rembo::seed(&mut client, small(7)).await.unwrap_err();
    assert!(refused.to_string().contains("holds rows already"), "{refused}");

    rembo::create(&mut client, true).await.unwrap();
    rembo::seed(&mut client, small(7)).await.unwrap();
    assert_eq!(checksum(&client).await, first);

    rembo::create(&mut client, true).await.unwrap();
    rembo::seed(&mut client, small(8)).await.unwrap();
    let other = checksum(&client).await;
    assert_eq!(other.first(), first.first(), "territories are fixed");
    assert_ne!(other.get(2), first.get(2));
    assert_ne!(other.get(3), first.get(3));

    rembo::create(&mut client, true).await.unwrap();
    let later = SeedOptions { until: rembo::parse_date("2024-03-02").unwrap(), ..small(7) };
    rembo::seed(&mut client, later).await.unwrap();
    assert_ne!(checksum(&client).await, first);
}

#[tokio::test]
async fn seeded_rows_are_as_described() {
    let mut client = shop("seed_ranges").await;
    rembo::seed(&mut client, small(1)).await.unwrap();
    for (what, sql) in [
        (
            "a sale has its customer, employee and territory",
            "SELECT count(*) FROM sales s WHERE NOT EXISTS (SELECT FROM customer c WHERE c.customer_id = s.customer_id)
             OR NOT EXISTS (SELECT FROM employee e WHERE e.employee_id = s.employee_id)
             OR NOT EXISTS (SELECT FROM sales_territory t WHERE t.sales_territory_id = s.sales_territory_id)",
        ),
        (
            "ranges of a sale",
            "SELECT count(*) FROM sales WHERE sales_amount NOT BETWEEN 10 AND 1000
             OR order_quantity NOT BETWEEN 1 AND 20 OR discount_amount::int NOT BETWEEN 0 AND sales_amount / 5
             OR extended_amount NOT BETWEEN 0 AND sales_amount * 3 / 2 OR freight NOT BETWEEN 0 AND 500
             OR tax_amt NOT BETWEEN 0 AND sales_amount / 3
             OR total_product_cost NOT BETWEEN sales_amount AND sales_amount * 3 / 2
             OR unit_price <> sales_amount / order_quantity
             OR unit_price_discount_pct <> discount_amount::int / order_quantity
             OR shipdate NOT BETWEEN order_date AND order_date + interval '30 days'
             OR duedate::date NOT BETWEEN order_date::date AND order_date::date + 30
             OR to_char(duedate::date, 'YYYYMMDD')::int <> duedatekey OR order_date >= '2024-03-01Z'",
        ),
        (
            "ranges of a customer",
            "SELECT count(*) FROM customer WHERE yearly_income NOT BETWEEN 20000 AND 1000000
             OR created_at NOT BETWEEN timestamptz '2024-03-01Z' - interval '13 years 1 day'
                                   AND timestamptz '2024-03-01Z' - interval '10 years 360 days'
             OR gender NOT IN ('Male', 'Female') OR marital_status NOT IN ('Single', 'Married')
             OR education NOT IN ('Bachelor', 'Master', 'Phd', 'Primary', 'College')
             OR occupation NOT IN ('Footballer', 'Military', 'Public Servant', 'Lawyer', 'Trader')
             OR title NOT IN ('Mr.', 'Mrs.', 'Miss', 'Ms.', 'Sir', 'Madam')",
        ),
    ] {
        assert_eq!(number(&client, sql).await, 0, "{what}");
    }
    let months = "SELECT count(DISTINCT date_trunc('month', order_date)) FROM sales";
    assert!(number(&client, months).await >= 131, "every month has sales");
    let micros = "SELECT count(*) FROM sales WHERE extract(microseconds FROM order_date)::int % 1000 <> 0";
    assert!(number(&client, micros).await > 2_900, "timestamps use their microseconds");
    let kinds =
        "SELECT count(DISTINCT coalesce(name_style, 'null')) + count(*) FILTER (WHERE suffix IS NULL) FROM customer";
    assert!(number(&client, kinds).await > 1_000, "there are empty texts and NULLs");
}

#[tokio::test]
async fn create_asks_for_force_and_drop_drops() {
    let mut client = shop("create_twice").await;
    match rembo::create(&mut client, false).await.unwrap_err() {
        Error::TablesExist { tables } => assert_eq!(tables.len(), 4),
        other => unreachable!("{other}"),
    }
    rembo::alter(&client).await.unwrap();
    let full = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relreplident = 'f'";
    assert_eq!(number(&client, full).await, 4);
    rembo::drop(&client).await.unwrap();
    rembo::drop(&client).await.unwrap();
    assert_eq!(number(&client, full).await, 0);
    rembo::create(&mut client, false).await.unwrap();
}

#[tokio::test]
async fn sell_prints_one_sale() {
    let mut client = shop("sell").await;
    let refused = rembo::sell(&client, 1).await.unwrap_err();
    assert!(refused.to_string().contains("seed the tables first"), "{refused}");
    rembo::seed(&mut client, small(1)).await.unwrap();
    let sold = rembo::sell(&client, 1).await.unwrap();
    assert_eq!(sold.sales_id, 3_001);
    assert!(sold.to_string().starts_with("sale 3001 of 2"), "{sold}");
    assert_eq!(number(&client, "SELECT count(*) FROM sales").await, 3_001);
}

#[tokio::test]
async fn a_load_counts_right_and_keeps_foreign_keys() {
    let mut client = shop("load").await;
    rembo::seed(&mut client, small(1)).await.unwrap();
    let seed = std::process::id().into();
    println!("load seed {seed}");
    let options = LoadOptions { rate: 400.0, seed };
    let started = Instant::now();
    let counts = rembo::load(&mut client, options, tokio::time::sleep(Duration::from_secs(4))).await.unwrap();
    println!("{counts}");
    assert!(started.elapsed() < Duration::from_secs(6));
    assert!((1_000..1_700).contains(&(counts.committed + counts.rolled_back)), "the rate is kept: {counts}");
    assert!(counts.rolled_back > 0 && counts.clashes == 0, "{counts}");
    assert!(counts.customers_deleted > 0 && counts.sales_deleted > 0 && counts.updated > 0, "{counts}");

    let sales = 3_000 + counts.sales_inserted - counts.sales_deleted;
    let customers = 2_000 + counts.customers_inserted - counts.customers_deleted;
    assert_eq!(number(&client, "SELECT count(*) FROM sales").await, i64::try_from(sales).unwrap());
    assert_eq!(number(&client, "SELECT count(*) FROM customer").await, i64::try_from(customers).unwrap());
    let orphans = "SELECT count(*) FROM sales s LEFT JOIN customer c USING (customer_id) WHERE c.customer_id IS NULL";
    assert_eq!(number(&client, orphans).await, 0);
}

#[tokio::test]
async fn loads_beside_each_other_hold() {
    let mut first = shop("loads").await;
    rembo::seed(&mut first, SeedOptions { customers: 50, sales: 100, ..small(1) }).await.unwrap();
    let url = Server::shared().await.unwrap().url_of("loads");
    let mut second = connect(&url).await.unwrap();
    let wait = || tokio::time::sleep(Duration::from_secs(3));
    let (one, two) = tokio::join!(
        rembo::load(&mut first, LoadOptions { rate: 500.0, seed: 1 }, wait()),
        rembo::load(&mut second, LoadOptions { rate: 500.0, seed: 2 }, wait()),
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    let sales = 100 + one.sales_inserted + two.sales_inserted - one.sales_deleted - two.sales_deleted;
    assert_eq!(number(&first, "SELECT count(*) FROM sales").await, i64::try_from(sales).unwrap());
}

/// Takes tens of seconds: run it by name to see how long the full size takes.
#[tokio::test]
#[ignore = "full size"]
async fn the_full_size_is_seeded_within_a_minute() {
    let mut client = shop("full_size").await;
    let started = Instant::now();
    let counts = rembo::seed(&mut client, SeedOptions::default()).await.unwrap();
    println!("{counts} in {:.1} s", started.elapsed().as_secs_f64());
    assert!(started.elapsed() < Duration::from_secs(60));
}
