//! Rows that were there, and every kind of change after.

use std::time::Duration;

use crate::harness::Pipe;

const ITEMS: &str = "CREATE TABLE items (id int PRIMARY KEY, name text, price numeric(10,2), at timestamptz DEFAULT now(), big text);
    INSERT INTO items SELECT n, 'item ' || n, n / 4.0, now(), repeat(md5(n::text), 200) FROM generate_series(1, 5000) n;";

#[tokio::test(flavor = "multi_thread")]
async fn copies_and_follows_every_kind_of_change() {
    let mut pipe = Pipe::start("every_kind", ITEMS).await;
    pipe.until_equal(&["items"]).await;
    pipe.execute("INSERT INTO items (id, name) VALUES (6001, 'one'), (6002, 'two'), (6003, NULL)").await;
    pipe.execute("UPDATE items SET price = price + 1 WHERE id % 3 = 0").await;
    pipe.execute("UPDATE items SET id = id + 10000 WHERE id BETWEEN 10 AND 20").await;
    pipe.execute("DELETE FROM items WHERE id % 7 = 0").await;
    pipe.execute(
        "BEGIN; UPDATE items SET id = -1 WHERE id = 1; UPDATE items SET id = 1 WHERE id = 2; \
        UPDATE items SET id = 2 WHERE id = -1; COMMIT",
    )
    .await;
    pipe.execute(
        "BEGIN; INSERT INTO items (id) VALUES (7001); SAVEPOINT s; INSERT INTO items (id) VALUES (7002); \
        ROLLBACK TO s; INSERT INTO items (id) VALUES (7003); COMMIT",
    )
    .await;
    pipe.execute("BEGIN; INSERT INTO items (id) VALUES (8001); ROLLBACK").await;
    pipe.until_equal(&["items"]).await;
    // The swap through -1 is in the history as it happened.
    pipe.until("SELECT count() FROM view_items_last_rec WHERE id IN (7002, 8001, -1)", "0\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn truncate_empties_the_view_and_keeps_the_history() {
    let mut pipe = Pipe::start("truncated", ITEMS).await;
    pipe.execute(
        "BEGIN; INSERT INTO items (id) VALUES (9001); TRUNCATE items; INSERT INTO items (id) VALUES (9002); COMMIT",
    )
    .await;
    pipe.until_equal_tables(&[walhouse_lab::verify::Table::new("public", "items").without_history()]).await;
    pipe.until("SELECT id FROM view_items_last_rec", "9002\n").await;
    pipe.until("SELECT count() >= 5000 FROM items", "1\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_toast_is_filled_under_default_and_full_identity() {
    let sql = "CREATE TABLE plain (id int PRIMARY KEY, n int, big text);
        ALTER TABLE plain ALTER COLUMN big SET STORAGE EXTERNAL;
        CREATE TABLE full_ (id int PRIMARY KEY, n int, big text);
        ALTER TABLE full_ ALTER COLUMN big SET STORAGE EXTERNAL;
        ALTER TABLE full_ REPLICA IDENTITY FULL;
        INSERT INTO plain SELECT i, 0, repeat(md5(i::text), 300) FROM generate_series(1, 50) i;
        INSERT INTO full_ SELECT * FROM plain;";
    let mut pipe = Pipe::start("toasted", sql).await;
    for table in ["plain", "full_"] {
        pipe.execute(&format!("UPDATE {table} SET n = n + 1")).await;
        // A row that was inserted, rekeyed and updated in one transaction: the value is in the same batch only.
        pipe.execute(&format!(
            "BEGIN; INSERT INTO {table} VALUES (100, 0, repeat('x', 9000)); UPDATE {table} SET id = 101 WHERE id = 100; \
             UPDATE {table} SET n = 5 WHERE id = 101; UPDATE {table} SET id = 1000 + id WHERE id < 10; COMMIT"
        ))
        .await;
        pipe.execute(&format!(
            "UPDATE {table} SET n = n + 1 WHERE id > 1000; UPDATE {table} SET big = NULL WHERE id = 20; \
             UPDATE {table} SET n = 9 WHERE id = 20"
        ))
        .await;
    }
    pipe.until_equal(&["plain", "full_"]).await;
    pipe.until("SELECT countIf(big IS NULL) FROM view_plain_last_rec", "1\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partitioned_table_is_one_table_through_its_root() {
    let sql = "CREATE TABLE measured (id int, d date, v text, PRIMARY KEY (id, d)) PARTITION BY RANGE (d);
        CREATE TABLE measured_a (v text, d date NOT NULL, id int NOT NULL, PRIMARY KEY (id, d));
        ALTER TABLE measured ATTACH PARTITION measured_a FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
        CREATE TABLE measured_b PARTITION OF measured FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
        INSERT INTO measured SELECT i, '2024-01-01'::date + i, 'v' || i FROM generate_series(1, 700) i;";
    let mut pipe = Pipe::start("partitioned", sql).await;
    pipe.execute(
        "UPDATE measured SET v = v || '!' WHERE id % 2 = 0; UPDATE measured SET d = d + 300 WHERE id < 30; \
        DELETE FROM measured WHERE id % 11 = 0; INSERT INTO measured VALUES (9999, '2025-12-31', 'new')",
    )
    .await;
    pipe.until_equal(&["measured"]).await;
    pipe.until(
        "SELECT count() FROM system.tables WHERE database = 'default' AND name LIKE 'measured\\_%' \
        AND name NOT IN ('measured_at', 'measured__current')",
        "0\n",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_tables_and_schemas_in_one_transaction() {
    let sql = "CREATE SCHEMA other; CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE other.t (id int PRIMARY KEY, v text);
        CREATE TABLE \"Odd \"\"name\" (\"Key\" int PRIMARY KEY, \"a b\" text);";
    let mut pipe = Pipe::start("schemas", sql).await;
    pipe.execute(
        "BEGIN; INSERT INTO t VALUES (1, 'public'); INSERT INTO other.t VALUES (1, 'other'); \
        INSERT INTO \"Odd \"\"name\" VALUES (1, 'odd'); UPDATE t SET v = 'p2'; COMMIT",
    )
    .await;
    pipe.until("SELECT v FROM view_t_last_rec", "p2\n").await;
    pipe.until("SELECT v FROM view_other_t_last_rec", "other\n").await;
    pipe.until("SELECT `a b` FROM `view_Odd \"name_last_rec`", "odd\n").await;
    pipe.until_equal(&["t"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_column_and_a_new_table_are_followed() {
    let mut pipe =
        Pipe::start("growing", "CREATE TABLE grown (id int PRIMARY KEY, v text); INSERT INTO grown VALUES (1, 'a')")
            .await;
    pipe.execute(
        "ALTER TABLE grown ADD COLUMN w int; INSERT INTO grown VALUES (2, 'b', 5); UPDATE grown SET w = 1 WHERE id = 1",
    )
    .await;
    pipe.until_equal(&["grown"]).await;
    pipe.execute(
        "CREATE TABLE late (id int PRIMARY KEY, v text); INSERT INTO late SELECT i, 'v' FROM generate_series(1, 100) i",
    )
    .await;
    pipe.house.terminate(Duration::from_secs(10)).await.unwrap();
    pipe.house.start().unwrap();
    pipe.execute("INSERT INTO late VALUES (101, 'live')").await;
    pipe.until_equal(&["grown", "late"]).await;
}
