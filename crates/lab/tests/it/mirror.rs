//! A stand-in for the pipe: copies a table by COPY's text, through nobody's encoder but the two databases' own.

use std::pin::pin;

use futures_util::TryStreamExt;
use tokio::io::AsyncWriteExt;
use tokio_postgres::Client;

/// An engine's client in a fresh database.
pub(crate) async fn engine(database: &str) -> clickhouse::Client {
    let client = clickhouse::Client::default().with_url(walhouse_chdb::testing::shared().url());
    client.query(&format!("CREATE DATABASE {database}")).execute().await.unwrap();
    client.with_database(database)
}

/// Creates a history table with the metadata columns, and its view.
pub(crate) async fn create(clickhouse: &clickhouse::Client, table: &str, columns: &str, key: &str, view: &str) {
    let ddl = format!(
        "CREATE TABLE {table} ({columns}, is_deleted UInt8, _unrepresentable Map(String, String), _version UInt128)
         ENGINE = MergeTree ORDER BY ({key}, _version)"
    );
    clickhouse.query(&ddl).execute().await.unwrap();
    let ddl = format!(
        "CREATE VIEW {view} AS SELECT * EXCEPT (_version) FROM
         (SELECT * FROM {table} ORDER BY {key}, _version DESC LIMIT 1 BY {key}) WHERE is_deleted = 0"
    );
    clickhouse.query(&ddl).execute().await.unwrap();
}

/// Creates the target of a table of simple types and copies its rows, in version 1.
pub(crate) async fn mirror(postgres: &Client, clickhouse: &clickhouse::Client, table: &str, key: &str, view: &str) {
    let sql = "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
               WHERE attrelid = $1::text::regclass AND attnum > 0 ORDER BY attnum";
    let mut kept = Vec::new();
    let mut selected = Vec::new();
    for row in postgres.query(sql, &[&table]).await.unwrap() {
        let (name, ty): (String, String) = (row.get(0), row.get(1));
        let there = match ty.as_str() {
            "integer" => "Int32",
            "bigint" => "Int64",
            "boolean" => "Bool",
            "date" => "Date32",
            "timestamp with time zone" => "DateTime64(6, 'UTC')",
            "character varying" => "String",
            other => unreachable!("{other}"),
        };
        kept.push(if name == key { format!("{name} {there}") } else { format!("{name} Nullable({there})") });
        // The server's time zone is UTC; ClickHouse does not read the offset.
        selected.push(match ty.as_str() {
            "timestamp with time zone" => format!("to_char({name}, 'YYYY-MM-DD HH24:MI:SS.US')"),
            _ => name,
        });
    }
    create(clickhouse, table, &kept.join(", "), key, view).await;

    let copy = format!("COPY (SELECT {}, 0, '{{}}', 1 FROM {table}) TO STDOUT (FORMAT text)", selected.join(", "));
    let mut text = pin!(postgres.copy_out(&copy).await.unwrap());
    let mut insert = clickhouse.insert_formatted_with(format!("INSERT INTO {table} FORMAT TabSeparated")).buffered();
    while let Some(piece) = text.try_next().await.unwrap() {
        insert.write_all(&piece).await.unwrap();
    }
    insert.end().await.unwrap();
}
