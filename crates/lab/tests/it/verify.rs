//! `verify` on hand-made tables: it accepts every type written as the target keeps it, and sees every fault.

use std::time::Duration;

use tokio_postgres::Client;
use walhouse_lab::Error;
use walhouse_lab::postgres::{Server, connect};
use walhouse_lab::verify::{Report, Table, until_equal, verify};

use crate::mirror::{create, engine};

/// Name, Postgres type, ClickHouse type, then pairs of the same value in both dialects.
type Case = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const CASES: [Case; 27] = [
    ("i2", "int2", "Int16", &[("-32768", "-32768"), ("7", "7")]),
    ("i8", "int8", "Int64", &[("-9223372036854775808", "toInt64('-9223372036854775808')")]),
    ("o", "oid", "UInt32", &[("4294967295", "4294967295")]),
    (
        "f4",
        "float4",
        "Float32",
        &[("1.1", "1.1"), ("'NaN'", "nan"), ("'-0'", "-0.0"), ("'-Infinity'", "-inf"), ("1e-45", "toFloat32('1e-45')")],
    ),
    (
        "f8",
        "float8",
        "Float64",
        &[("0.1", "0.1"), ("'NaN'", "-nan"), ("1e300", "1e300"), ("5e-324", "5e-324"), ("'Infinity'", "inf")],
    ),
    (
        "n",
        "numeric(12,2)",
        "Decimal(12, 2)",
        &[("1.50", "'1.5'"), ("-0.05", "'-0.05'"), ("0", "0"), ("9999999999.99", "'9999999999.99'"), ("100", "100")],
    ),
    ("nu", "numeric", "String", &[("1.10", "'1.10'"), ("'NaN'", "'NaN'"), ("1e40", "concat('1', repeat('0', 40))")]),
    ("b", "boolean", "Bool", &[("true", "true"), ("false", "false")]),
    ("t", "text", "String", &[("''", "''"), ("E'a\\tb\\\\c\\nd''é'", "'a\\tb\\\\c\\nd\\'é'"), ("'N'", "'N'")]),
    ("vc", "varchar(20)", "String", &[("'x '", "'x '")]),
    ("ch", "char(5)", "String", &[("'ab'", "'ab   '")]),
    ("ba", "bytea", "String", &[("'\\x00ff10'", "unhex('00ff10')"), ("''", "''")]),
    ("u", "uuid", "UUID", &[("'61f0c404-5cb3-11e7-907b-a6006ad3dba0'", "'61f0c404-5cb3-11e7-907b-a6006ad3dba0'")]),
    (
        "d",
        "date",
        "Date32",
        &[
            ("'2024-02-29'", "'2024-02-29'"),
            ("'1969-12-31'", "'1969-12-31'"),
            ("'0001-01-01'", "addDays(toDate32('1970-01-01'), -719162)"),
            ("'0001-12-31 BC'", "addDays(toDate32('1970-01-01'), -719163)"),
            ("'9999-12-31'", "addDays(toDate32('1970-01-01'), 2932896)"),
        ],
    ),
    (
        "tm",
        "time",
        "Time64(6)",
        &[("'24:00:00'", "'24:00:00'"), ("'00:00:00.000001'", "'00:00:00.000001'"), ("'10:09:08.5'", "'10:09:08.5'")],
    ),
    (
        "ts",
        "timestamp",
        "DateTime64(6)",
        &[
            ("'2024-01-02 03:04:05.000001'", "toDateTime64('2024-01-02 03:04:05.000001', 6, 'UTC')"),
            ("'2024-01-02 00:00:00'", "toDateTime64('2024-01-02', 6, 'UTC')"),
        ],
    ),
    (
        "tz",
        "timestamptz",
        "DateTime64(6, 'UTC')",
        &[
            ("'2024-01-02 03:04:05.12+02'", "'2024-01-02 01:04:05.12'"),
            ("'1969-12-31 23:59:59.999999Z'", "fromUnixTimestamp64Micro(-1, 'UTC')"),
            ("'1899-12-31 00:00:00Z'", "fromUnixTimestamp64Micro(-2209075200000000, 'UTC')"),
            ("'0044-03-15 12:00:00Z BC'", "fromUnixTimestamp64Micro(-63517780800000000, 'UTC')"),
        ],
    ),
    ("ttz", "timetz", "String", &[("'10:00:00+05:30'", "'10:00:00+05:30'")]),
    ("iv", "interval", "String", &[("'1 mon -2 days 3.5 s'", "'1 mon -2 days +00:00:03.5'")]),
    ("j", "json", "String", &[("'{ \"a\":1, \"a\" : 2}'", "'{ \"a\":1, \"a\" : 2}'")]),
    ("jb", "jsonb", "String", &[("'{\"b\":1.10}'", "'{\"b\": 1.10}'")]),
    ("e", "mood", "LowCardinality(String)", &[("'sad'", "'sad'"), ("'it''s ok'", "'it\\'s ok'")]),
    ("a", "bool[]", "String", &[("'{t,NULL,f}'", "'{t,NULL,f}'"), ("'{}'", "'{}'")]),
    ("ip", "inet", "String", &[("'10.0.0.1'", "'10.0.0.1'"), ("'10.0.0.0/8'", "'10.0.0.0/8'")]),
    ("m", "money", "Decimal(19, 2)", &[("12.30", "'12.3'"), ("-92233720368547758.08", "'-92233720368547758.08'")]),
    ("lsn", "pg_lsn", "UInt64", &[("'16/B374D848'", "97500059720")]),
    ("p", "price", "Decimal(12, 2)", &[("9.90", "'9.9'")]),
];

/// Both databases with the values of [`CASES`], one per row, the rest NULL.
async fn both(name: &str) -> (Client, clickhouse::Client) {
    let server = Server::shared().await.unwrap();
    let postgres = connect(&server.create_database(name).await.unwrap()).await.unwrap();
    let clickhouse = engine(name).await;
    let column = |it: &Case| format!("{} {}", it.0, it.1);
    let columns: Vec<String> = CASES.iter().map(column).collect();
    postgres
        .batch_execute(&format!(
            "CREATE TYPE mood AS ENUM ('sad', 'it''s ok'); CREATE DOMAIN money2 AS numeric(12,2);
             CREATE DOMAIN price AS money2; CREATE TABLE t (id int PRIMARY KEY, {}); INSERT INTO t (id) VALUES (0)",
            columns.join(", ")
        ))
        .await
        .unwrap();
    let column = |it: &Case| match it.2.strip_prefix("LowCardinality(") {
        Some(inner) => format!("{} LowCardinality(Nullable({})", it.0, inner),
        None => format!("{} Nullable({})", it.0, it.2),
    };
    let columns: Vec<String> = CASES.iter().map(column).collect();
    create(&clickhouse, "t", &format!("id Int32, {}", columns.join(", ")), "id", "view_t_last_rec").await;
    run(&clickhouse, "INSERT INTO t (id, _version) VALUES (0, 1)").await;
    let mut id = 0;
    for (column, _, _, values) in CASES {
        for (here, there) in values {
            id += 1;
            let sql = format!("INSERT INTO t (id, {column}) VALUES ({id}, {here})");
            postgres.batch_execute(&sql).await.unwrap();
            run(&clickhouse, &format!("INSERT INTO t (id, {column}, _version) SELECT {id}, {there}, 1")).await;
        }
    }
    (postgres, clickhouse)
}

async fn run(clickhouse: &clickhouse::Client, sql: &str) {
    clickhouse.query(&sql.replace('?', "??")).execute().await.map_err(|error| format!("{sql}: {error}")).unwrap();
}

async fn look(postgres: &mut Client, clickhouse: &clickhouse::Client) -> Report {
    verify(postgres, clickhouse, &[Table::new("public", "t")]).await.unwrap()
}

#[tokio::test]
async fn equal_values_of_every_type_are_equal() {
    let (mut postgres, clickhouse) = both("verify_types").await;
    let report = look(&mut postgres, &clickhouse).await;
    assert!(report.is_equal(), "{report}");
    assert!(report.tables.first().unwrap().rows_source > 50);

    // Each value against NULL: a column that is not looked at would not notice.
    for (column, _, _, values) in CASES {
        let sql = format!("SELECT id FROM t WHERE {column} IS DISTINCT FROM NULL ORDER BY id");
        let ids: Vec<i32> = postgres.query(&sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        assert_eq!(ids.len(), values.len());
        for id in ids {
            run(&clickhouse, &format!("INSERT INTO t (id, _version) VALUES ({id}, 2)")).await;
        }
    }
    let report = look(&mut postgres, &clickhouse).await;
    let table = report.tables.first().unwrap();
    assert_eq!(table.different.count, table.rows_source - 1, "{report}");
}

#[tokio::test]
async fn values_that_the_column_cannot_hold_are_taken_from_the_map() {
    let (mut postgres, clickhouse) = both("verify_map").await;
    postgres
        .batch_execute(
            "INSERT INTO t (id, n, d, ts, tz) VALUES
             (1000, 'NaN', 'infinity', '-infinity', '10000-01-01 00:00:00Z')",
        )
        .await
        .unwrap();
    let kept = "map('n', 'NaN', 'd', 'infinity', 'ts', '-infinity', 'tz', '10000-01-01 00:00:00+00')";
    run(&clickhouse, &format!("INSERT INTO t (id, _unrepresentable, _version) SELECT 1000, {kept}, 1")).await;
    let report = look(&mut postgres, &clickhouse).await;
    assert!(report.is_equal(), "{report}");

    let other = kept.replace("'-infinity'", "'infinity'");
    run(&clickhouse, &format!("INSERT INTO t (id, _unrepresentable, _version) SELECT 1000, {other}, 2")).await;
    let report = look(&mut postgres, &clickhouse).await;
    assert_eq!(report.tables.first().unwrap().different.keys, ["1000"], "{report}");
}

#[tokio::test]
async fn every_fault_is_seen() {
    let (mut postgres, clickhouse) = both("verify_faults").await;
    let clickhouse = clickhouse.with_setting("mutations_sync", "2");
    // What is wrong, how it comes about, and what the report has to say.
    let faults = [
        ("a missing row", "ALTER TABLE t DELETE WHERE id = 5", "missing in ClickHouse: 1 (5)"),
        ("an extra row", "INSERT INTO t (id, _version) VALUES (7000, 1)", "only in ClickHouse: 1 (7000)"),
        ("a deleted row", "INSERT INTO t (id, is_deleted, _version) VALUES (6, 1, 9)", "missing in ClickHouse: 1 (6)"),
        (
            "a microsecond",
            "INSERT INTO t (id, ts, _version) SELECT id, ts + toIntervalMicrosecond(1), 9 FROM t WHERE ts IS NOT NULL LIMIT 1",
            "different: 1 (",
        ),
        ("NULL for an empty text", "INSERT INTO t (id, _version) SELECT id, 9 FROM t WHERE t = ''", "different: 1 ("),
        ("an empty text for NULL", "INSERT INTO t (id, vc, _version) VALUES (0, '', 9)", "different: 1 (0)"),
        ("the sign of zero", "INSERT INTO t (id, f4, _version) SELECT id, 0, 9 FROM t WHERE f4 = 0", "different: 1 ("),
        (
            "a lost padding",
            "INSERT INTO t (id, ch, _version) SELECT id, 'ab', 9 FROM t WHERE ch = 'ab   '",
            "different: 1 (",
        ),
        ("a version twice", "INSERT INTO t SELECT * FROM t WHERE id = 9", "versions that are there more than once: 1"),
    ];
    for (what, sql, expected) in faults {
        run(&clickhouse, "CREATE TABLE kept AS t").await;
        run(&clickhouse, "INSERT INTO kept SELECT * FROM t").await;
        run(&clickhouse, sql).await;
        let report = look(&mut postgres, &clickhouse).await;
        assert!(!report.is_equal() && report.to_string().contains(expected), "{what}: {report}");
        run(&clickhouse, "EXCHANGE TABLES t AND kept").await;
        run(&clickhouse, "DROP TABLE kept").await;
        let report = look(&mut postgres, &clickhouse).await;
        assert!(report.is_equal(), "after {what}: {report}");
    }
}

#[tokio::test]
async fn a_view_that_shows_an_old_version_is_stale() {
    let (mut postgres, clickhouse) = both("verify_stale").await;
    run(&clickhouse, "INSERT INTO t (id, vc, _version) VALUES (0, 'new', 2)").await;
    // The seed's fault: deleted rows are left out before the newest version is chosen.
    run(&clickhouse, "INSERT INTO t (id, is_deleted, _version) VALUES (1, 1, 2)").await;
    postgres.batch_execute("UPDATE t SET vc = 'new' WHERE id = 0; DELETE FROM t WHERE id = 1").await.unwrap();
    assert!(look(&mut postgres, &clickhouse).await.is_equal());
    run(
        &clickhouse,
        "CREATE OR REPLACE VIEW view_t_last_rec AS SELECT * EXCEPT (_version) FROM
         (SELECT * FROM t WHERE is_deleted = 0 ORDER BY id, _version DESC LIMIT 1 BY id)",
    )
    .await;
    let report = look(&mut postgres, &clickhouse).await;
    let table = report.tables.first().unwrap();
    assert_eq!(table.extra.keys, ["1"], "{report}");
    assert_eq!(table.history.as_ref().unwrap().stale.keys, ["1"], "{report}");
}

#[tokio::test]
async fn a_truncate_marker_hides_what_is_older() {
    let (mut postgres, clickhouse) = both("verify_truncate").await;
    postgres.batch_execute("TRUNCATE t; INSERT INTO t (id) VALUES (1)").await.unwrap();
    run(
        &clickhouse,
        "CREATE TABLE walhouse_truncates (table String, version UInt128) ENGINE = MergeTree ORDER BY table",
    )
    .await;
    run(&clickhouse, "INSERT INTO walhouse_truncates VALUES ('t', 5)").await;
    run(&clickhouse, "INSERT INTO t (id, _version) VALUES (1, 6)").await;
    run(
        &clickhouse,
        "CREATE OR REPLACE VIEW view_t_last_rec AS SELECT * EXCEPT (_version) FROM
         (SELECT * FROM t WHERE _version > 5 ORDER BY id, _version DESC LIMIT 1 BY id) WHERE is_deleted = 0",
    )
    .await;
    let report = look(&mut postgres, &clickhouse).await;
    assert!(report.is_equal(), "{report}");
}

#[tokio::test]
async fn tables_without_a_key_are_bags() {
    let (mut postgres, clickhouse) = both("verify_bag").await;
    postgres.batch_execute("CREATE TABLE bag (v text); INSERT INTO bag VALUES ('a'), ('a'), ('b')").await.unwrap();
    run(&clickhouse, "CREATE TABLE bag (v Nullable(String)) ENGINE = MergeTree ORDER BY ()").await;
    run(&clickhouse, "INSERT INTO bag VALUES ('a'), ('b'), ('a')").await;
    let tables = [Table::new("public", "bag").view("bag").without_history()];
    assert!(verify(&mut postgres, &clickhouse, &tables).await.unwrap().is_equal());
    run(&clickhouse, "INSERT INTO bag VALUES ('b')").await;
    let report = verify(&mut postgres, &clickhouse, &tables).await.unwrap();
    assert_eq!(report.tables.first().unwrap().different.count, 1, "{report}");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let (mut postgres, clickhouse) = both("verify_absent").await;
    postgres.batch_execute("ALTER TABLE t ADD COLUMN later int; CREATE TABLE u (id int)").await.unwrap();
    let report = look(&mut postgres, &clickhouse).await;
    assert!(report.to_string().contains("columns absent in ClickHouse: later"), "{report}");
    let some = Table::new("public", "t").columns(["id", "vc"]).key(["id"]);
    assert!(verify(&mut postgres, &clickhouse, &[some]).await.unwrap().is_equal());
    let error = verify(&mut postgres, &clickhouse, &[Table::new("public", "u")]).await.unwrap_err();
    assert_eq!(error.to_string(), "ClickHouse has no table or view view_u_last_rec");
}

#[tokio::test]
async fn waits_until_equal() {
    let (mut postgres, clickhouse) = both("verify_wait").await;
    let tables = [Table::new("public", "t")];
    postgres.batch_execute("INSERT INTO t (id) VALUES (5000)").await.unwrap();
    let error = until_equal(&mut postgres, &clickhouse, &tables, Duration::from_millis(200)).await.unwrap_err();
    assert!(
        matches!(&error, Error::Timeout { last, .. } if last.contains("missing in ClickHouse: 1 (5000)")),
        "{error}"
    );
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        run(&clickhouse, "INSERT INTO t (id, _version) VALUES (5000, 2)").await;
    };
    let (report, ()) = tokio::join!(until_equal(&mut postgres, &clickhouse, &tables, Duration::from_secs(20)), later);
    assert!(report.unwrap().is_equal());
}
