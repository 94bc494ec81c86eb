//! What the stream says of what was committed.

use walhouse_change::{Change, Lsn, Version};

use crate::support::Db;

#[tokio::test]
async fn tells_every_kind_of_statement_in_order() {
    let db = Db::new("stream_kinds").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let mut begun = db.begin().await;
    let mut reader = begun.stream().await;
    db.sql("INSERT INTO t VALUES (1, 'a')").await;
    db.sql("INSERT INTO t VALUES (2, 'b'), (3, 'c'), (4, 'd')").await;
    db.sql(
        "BEGIN; INSERT INTO t VALUES (8, 'p'); SAVEPOINT a; INSERT INTO t VALUES (9, 'gone'); ROLLBACK TO a;
         INSERT INTO t VALUES (9, 'sub'); SAVEPOINT b; UPDATE t SET v = 'q' WHERE id = 8; RELEASE b; COMMIT",
    )
    .await;
    db.sql("BEGIN; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 'again'); COMMIT").await;
    db.sql("UPDATE t SET id = 100 WHERE id = 2").await;
    db.sql("BEGIN; TRUNCATE t; INSERT INTO t VALUES (1, 'last'); COMMIT").await;
    let shown = reader.until("last").await;
    assert_eq!(
        shown,
        [
            "insert t 1: [1, a]",
            "insert t 1: [2, b]",
            "insert t 2: [3, c]",
            "insert t 3: [4, d]",
            "insert t 1: [8, p]",
            "insert t 2: [9, sub]",
            "update t 3: [8, q]",
            "delete t 1: key [1, ~]",
            "insert t 2: [1, again]",
            "update t 1: key [2, ~] [100, b]",
            "truncate t 1",
            "insert t 2: [1, last]",
        ]
    );
    let mut before = Version::default();
    for batch in &reader.batches {
        for change in batch.changes() {
            if let Change::Row(change) = change {
                let row = batch.row(change);
                let version = Version::row(0, row.position());
                assert!(version > before && row.transaction().xid > 0 && change.lsn > Lsn::ZERO);
                assert!(row.transaction().commit_time > 1_700_000_000_000_000);
                before = version;
            }
        }
    }
}

const WIDE: &str =
    "CREATE TABLE wide (id int8 PRIMARY KEY, a int2, b int4, c numeric(12,3), d numeric, e float4, f float8,
    g bool, h text, i varchar(20), j char(5), k bytea, l uuid, m date, n time, o timetz, p timestamp, q timestamptz,
    r interval, s json, t jsonb, u inet, v cidr, w macaddr, x bit(5), y varbit, z int4[], aa text[], ab mood,
    ac posint, ad oid, ae pg_lsn, af \"char\", ag name, ah money, ai moods)";

const VALUES: &str = "INSERT INTO wide VALUES
    (1, -32768, 2147483647, -1234.500, 123456789012345678901234567890.123456789, 1.5, 0.1, true, 'it''s', 'v', 'ab',
     '\\x00ff', '00112233-4455-6677-8899-aabbccddeeff', '2024-02-29', '24:00:00', '01:02:03+05:30',
     '2024-01-01 12:00:00.123456', '2024-01-01 12:00:00+02', '1 year 2 mons -3 days 04:05:06.7', '{\"a\" : 1}',
     '{\"a\": [1, 2.50]}', '10.0.0.1/24', '10.0.0.0/8', '08:00:2b:01:02:03', B'10101', B'101', '{1,NULL,3}',
     '{\"a b\",\"c\\\"d\",NULL}', 'ok', 5, 4294967295, '16/B374D848', 'x', 'n', 12.34, '{ok,sad}'),
    (2, 0, 0, 'NaN', 'NaN', 'NaN', '-Infinity', false, '', '', '', '', NULL, 'infinity', '00:00', '00:00+00',
     '-infinity', 'infinity', '0', 'null', 'null', '::1', '::/0', '00:00:00:00:00:00', B'00000', B'', '{}', '{}',
     'sad', 1, 0, '0/0', ' ', '', -0.01, '{}'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '4713-01-01 BC', NULL, NULL,
     '294276-12-31 23:59:59.999999', '4714-11-24 00:00:00+00 BC', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     '[2:3]={7,8}', '{{a,b},{c,d}}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)";

#[tokio::test]
async fn text_and_binary_give_the_same_rows_as_the_copy() {
    let db = Db::new("stream_wide").await;
    db.sql("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN posint AS int CHECK (VALUE > 0)").await;
    db.sql("CREATE DOMAIN moods AS mood[]").await;
    db.sql(WIDE).await;
    db.sql("CREATE TABLE odd (id int PRIMARY KEY, v tsvector, w point, r int4range)").await;
    db.sql("INSERT INTO odd VALUES (1, 'a fat cat', '(1,2)', '[1,5)')").await;

    let mut binary = db.begin_with(db.origin(&["public.wide"])).await;
    let mut text_config = db.config(&["public.*"]);
    text_config.slot = Some("stream_wide_text".to_owned());
    text_config.publication = Some("stream_wide_text".to_owned());
    let origin = walhouse_postgres::Postgres::new(text_config, walhouse_change::Budget::new(1 << 20)).unwrap();
    let mut text = db.begin_with(origin).await;
    assert_eq!(text.copied().await, ["read odd 0: [1, 'a' 'cat' 'fat', (1,2), [1,5)]"]);

    let mut binary_reader = binary.stream().await;
    let mut text_reader = text.stream().await;
    db.sql(VALUES).await;
    binary_reader.until("[3,").await;
    text_reader.until("[3,").await;
    assert_eq!(binary_reader.shown.len(), 3);
    assert_eq!(binary_reader.shown, text_reader.shown);
    assert!(binary_reader.shown[0].contains("2024-01-01 10:00:00+00, 1 year 2 mons -3 days +04:05:06.7"));

    db.sql("SELECT pg_drop_replication_slot('stream_wide_text') WHERE false").await;
    let survey = crate::support::usable(&binary.origin).await;
    let again =
        walhouse_change::Origin::snapshot(&binary.origin, &survey, walhouse_change::SlotKind::Temporary).await.unwrap();
    binary.snapshot = Some(again);
    let copied: Vec<String> =
        binary.copied().await.iter().map(|row| row.replace("read wide 0", "insert wide")).collect();
    let streamed: Vec<String> = (1..=3)
        .zip(&binary_reader.shown)
        .map(|(index, row)| row.replace(&format!("insert wide {index}"), "insert wide"))
        .collect();
    assert_eq!(copied, streamed);
}

#[tokio::test]
async fn large_values_under_each_identity() {
    let db = Db::new("stream_toast").await;
    for (table, identity) in [("d", "DEFAULT"), ("f", "FULL"), ("i", "USING INDEX i_u")] {
        db.sql(&format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, u text NOT NULL, big text, n int);
             ALTER TABLE {table} ALTER big SET STORAGE EXTERNAL; CREATE UNIQUE INDEX {table}_u ON {table} (u);
             ALTER TABLE {table} REPLICA IDENTITY {identity}"
        ))
        .await;
    }
    let mut begun = db.begin().await;
    let keys: Vec<_> = begun.tables.iter().map(|table| (table.name.name.as_str(), table.key.clone())).collect();
    assert_eq!(keys, [("d", vec![0]), ("f", vec![0]), ("i", vec![1])]);
    let mut reader = begun.stream().await;
    for table in ["d", "f", "i"] {
        db.sql(&format!("INSERT INTO {table} VALUES (1, 'u1', repeat('x', 5000), 1)")).await;
        for set in ["n = 2", "id = 10", "u = 'u2'"] {
            db.sql(&format!("UPDATE {table} SET {set}")).await;
        }
        db.sql(&format!("DELETE FROM {table}")).await;
    }
    let shown = reader.until("delete i").await;
    assert_eq!(
        shown,
        [
            "insert d 1: [1, u1, <5000>, 1]",
            "update d 1: [1, u1, ?, 2]",
            "update d 1: key [1, ~, ~, ~] [10, u1, ?, 2]",
            "update d 1: [10, u2, ?, 2]",
            "delete d 1: key [10, ~, ~, ~]",
            "insert f 1: [1, u1, <5000>, 1]",
            "update f 1: old [1, u1, <5000>, 1] [1, u1, ?, 2]",
            "update f 1: old [1, u1, <5000>, 2] [10, u1, ?, 2]",
            "update f 1: old [10, u1, <5000>, 2] [10, u2, ?, 2]",
            "delete f 1: old [10, u2, <5000>, 2]",
            "insert i 1: [1, u1, <5000>, 1]",
            "update i 1: [1, u1, ?, 2]",
            "update i 1: [10, u1, ?, 2]",
            "update i 1: key [~, u1, ~, ~] [10, u2, ?, 2]",
            "delete i 1: key [~, u2, ~, ~]",
        ]
    );
}

#[tokio::test]
async fn a_partitioned_table_is_one_table() {
    let db = Db::new("stream_partitions").await;
    db.sql(
        "CREATE TABLE part (id int, d int, v text, PRIMARY KEY (id, d)) PARTITION BY RANGE (d);
         CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
         CREATE TABLE part_2 (v text, d int NOT NULL, id int NOT NULL);
         ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES FROM (10) TO (20);
         CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
         INSERT INTO part VALUES (1, 1, 'a'), (2, 11, 'b'); INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2)",
    )
    .await;
    let mut begun = db.begin().await;
    let names: Vec<_> = begun.tables.iter().map(|table| table.name.name.clone()).collect();
    assert_eq!(names, ["child", "parent", "part"]);
    assert_eq!(
        begun.copied().await,
        ["read child 0: [2]", "read parent 0: [1]", "read part 0: [1, 1, a]", "read part 0: [2, 11, b]"]
    );
    let mut reader = begun.stream().await;
    db.sql("INSERT INTO part VALUES (3, 12, 'c'); UPDATE part SET d = 2 WHERE id = 3; TRUNCATE part").await;
    db.sql("INSERT INTO child VALUES (3)").await;
    assert_eq!(
        reader.until("insert child").await,
        [
            "insert part 1: [3, 12, c]",
            "delete part 2: key [3, 12, ~]",
            "insert part 3: [3, 2, c]",
            "truncate part 4",
            "insert child 1: [3]",
        ]
    );
}

#[tokio::test]
async fn any_name_is_a_name() {
    let mut db = Db::new("it's \"Ünïcode\".db").await;
    db.name = "stream_names".to_owned();
    db.sql("CREATE SCHEMA \"Sch.e\"\"ma\"; CREATE TABLE \"Sch.e\"\"ma\".\"T'a\"\"b.le Ü\" (\"K\"\"ey\" int PRIMARY KEY, \"sel ect\" tsvector)").await;
    db.sql("INSERT INTO \"Sch.e\"\"ma\".\"T'a\"\"b.le Ü\" VALUES (1, 'a')").await;
    let mut config = db.config(&["*.*"]);
    config.publication = Some("My\"Pub'Ü\\-1".to_owned());
    let origin = walhouse_postgres::Postgres::new(config, walhouse_change::Budget::new(1 << 20)).unwrap();
    let mut begun = db.begin_with(origin).await;
    assert_eq!(begun.copied().await, ["read T'a\"b.le Ü 0: [1, 'a']"]);
    let mut reader = begun.stream().await;
    db.sql("INSERT INTO \"Sch.e\"\"ma\".\"T'a\"\"b.le Ü\" VALUES (2, 'b')").await;
    assert_eq!(reader.until("[2,").await, ["insert T'a\"b.le Ü 1: [2, 'b']"]);
}

#[tokio::test]
async fn unwanted_tables_count_but_do_not_show() {
    let db = Db::new("stream_unwanted").await;
    db.sql("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)").await;
    let mut begun = db.begin().await;
    begun.tables.retain(|table| table.name.name == "b");
    let mut reader = begun.stream().await;
    db.sql("BEGIN; INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); TRUNCATE a; TRUNCATE a, b; INSERT INTO b VALUES (9); COMMIT").await;
    let shown = reader.until("[9]").await;
    assert_eq!(shown, ["insert b 2: [1]", "truncate b 4", "insert b 5: [9]"]);
}

#[tokio::test]
async fn a_giant_transaction_is_cut_and_keeps_its_indexes() {
    const ROWS: u64 = 200_000;
    let db = Db::new("stream_giant").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let mut begun = db.begin().await;
    db.sql("SELECT 1").await;
    begun.snapshot = None;
    db.sql(&format!("INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, {ROWS}) g")).await;
    let mut reader = begun.stream().await;
    reader.until(&format!(" {ROWS}: [")).await;
    assert!(reader.batches.len() > 2, "{} batches", reader.batches.len());
    let mut index = 0;
    // The first batch may be of a keepalive, without changes.
    let transaction = reader.batches.iter().find_map(|batch| batch.transactions().first()).unwrap();
    for batch in &reader.batches {
        for change in batch.changes() {
            let Change::Row(row) = change else { panic!("no row") };
            index += 1;
            assert_eq!(row.index, index);
            assert_eq!(batch.row(row).transaction(), transaction);
        }
        // nothing of it may be acknowledged before its commit
        let commit = batch.transactions().first().map_or(Lsn(u64::MAX), |transaction| transaction.commit_lsn);
        assert!(index == ROWS || batch.progress() <= commit);
    }
    assert_eq!(index, ROWS);
}

#[tokio::test]
async fn a_value_beyond_the_budget_passes_alone() {
    let db = Db::new("stream_large").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY, v bytea)").await;
    let mut config = db.config(&["public.*"]);
    config.slot = Some("stream_large".to_owned());
    let budget = walhouse_change::Budget::new(4 << 20);
    let origin = walhouse_postgres::Postgres::new(config, budget.clone()).unwrap();
    let mut begun = db.begin_with(origin).await;
    let mut reader = begun.stream().await;
    db.sql("INSERT INTO t SELECT g, convert_to(repeat('x', 100), 'UTF8') FROM generate_series(1, 3) g").await;
    db.sql("INSERT INTO t VALUES (4, convert_to(repeat('y', 40000000), 'UTF8'))").await;
    db.sql("INSERT INTO t VALUES (5, 'last')").await;
    while !reader.shown.iter().any(|shown| shown.contains("[5,")) {
        reader.step().await.unwrap();
        // what is durable gives its memory back
        reader.batches.clear();
    }
    assert!(reader.shown.contains(&"insert t 1: [4, <80000002>]".to_owned()), "{:?}", reader.shown);
    assert_eq!(budget.in_flight(), 0);
}
