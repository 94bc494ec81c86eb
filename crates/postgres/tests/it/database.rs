//! What a connector's task needs beyond the direct way: a whole log as texts, catalog facts, printed copies, slots.

use std::sync::Arc;
use std::time::Duration;

use walhouse_change::{Budget, Change, Column, Lsn, ReplicaIdentity, SlotKind, TableSchema, Transaction};
use walhouse_postgres::{CatalogTable, Database, Log};

use crate::support::{BUDGET, Db, Reader, show};

fn database(db: &Db) -> Database {
    Database::new(&db.config(&["public.*"]), Budget::new(BUDGET)).unwrap()
}

fn schema(table: &CatalogTable) -> Arc<TableSchema> {
    let column = |it: &walhouse_postgres::CatalogColumn| Column { name: it.name.clone(), ty: it.ty.clone() };
    Arc::new(TableSchema {
        relid: table.relid,
        name: table.name.clone(),
        identity: ReplicaIdentity::Default,
        columns: table.columns.iter().map(column).collect(),
        key: vec![0],
    })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn a_whole_log_shows_edges_messages_and_every_description() {
    let db = Db::new("whole_log").await;
    db.sql("CREATE TABLE a (id int PRIMARY KEY, b bool); CREATE TABLE hidden (id int); CREATE PUBLICATION whole_log FOR ALL TABLES")
        .await;
    let source = database(&db);
    let mut reader = blocking(move || {
        let never = || false;
        let slot = source.create_slot("whole_log", SlotKind::Lasting, Duration::from_secs(30), &never).unwrap();
        source
            .follow(Log {
                slot: "whole_log".into(),
                publication: "whole_log".into(),
                from: slot.consistent_point,
                options: Vec::new(),
                wanted: Arc::new(|table| table.name != "hidden"),
            })
            .map(Reader::new)
            .unwrap()
    })
    .await;
    db.sql("BEGIN; INSERT INTO a VALUES (1, true); SELECT pg_logical_emit_message(true, 'p', 'in'); COMMIT").await;
    db.sql("INSERT INTO hidden VALUES (1)").await;
    db.sql("SELECT pg_logical_emit_message(false, 'q', 'out')").await;
    db.sql("CREATE TABLE b (id int); BEGIN; TRUNCATE b, a; INSERT INTO b VALUES (7); COMMIT").await;
    let shown = reader.until("insert b").await.to_vec();
    let expected = [
        "begin",
        "schema public.a: id integer, b boolean key [0] Default",
        "insert a 1: [1, t]",
        "message p: in",
        "commit",
        "begin",
        "commit",
        "message outside q: out",
        "begin",
        "schema public.b: id integer key [] Default",
        "schema public.a: id integer, b boolean key [0] Default",
        "truncate a b 1",
        "insert b 2: [7]",
    ];
    assert_eq!(shown[..expected.len()], expected);
    let changes: Vec<Change> = reader.batches.iter().flat_map(|batch| batch.changes().to_vec()).collect();
    let lsn = |change: &Change| match change {
        Change::Begin { lsn, .. } => *lsn,
        Change::Commit { end, .. } => *end,
        Change::Row(row) => row.lsn,
        Change::Message(message) => message.lsn,
        _ => Lsn::ZERO,
    };
    let first: Vec<Lsn> = changes.iter().map(lsn).filter(|lsn| !lsn.is_zero()).take(4).collect();
    assert!(first[0] <= first[1] && first[1] < first[2] && first[2] < first[3], "{first:?}");
    assert!(reader.batches[0].transactions()[0].commit_lsn < first[3]);
}

const EVERY_FORM: &str = "CREATE TYPE mood AS ENUM ('sad', 'it''s');
    CREATE DOMAIN dom AS mood; CREATE DOMAIN num AS numeric(8, 2); CREATE TYPE pair AS (a int, b text);
    CREATE TABLE t (id int PRIMARY KEY, b bool, c char(6), i inet, x \"char\", n name, m mood, d dom, dn num, a int[],
      am mood[], r int4range, p pair, j jsonb, y bytea, f float8, ts timestamptz, mo money, bi bit(3), u uuid,
      g int GENERATED ALWAYS AS (id + 1) STORED, tx text NOT NULL DEFAULT 'd');
    INSERT INTO t (id, b, c, i, x, n, m, d, dn, a, am, r, p, j, y, f, ts, mo, bi, u, tx) VALUES
      (1, true, 'ab', '10.0.0.1', 'x', 'na', 'it''s', 'sad', 1.5, '{1,NULL}', '{sad,\"it''s\"}', '[1,5)', '(1,\"a b\")',
       '{\"k\": [1, 2]}', '\\x00ff', 0.1, '2020-01-01 00:00:00.5+02', 1234.5, '101',
       'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', E'tab\\there\\\\'), (2);";

#[tokio::test]
async fn copies_are_printed_as_the_log_prints_them() {
    let db = Db::new("printed").await;
    db.sql(&EVERY_FORM.replace("), (2);", ");")).await;
    db.sql("INSERT INTO t (id) VALUES (2)").await;
    let source = database(&db);
    let (table, shown) = blocking(move || {
        let mut session = source.session().unwrap();
        let table = session.tables(None).unwrap().into_iter().find(|table| table.name.name == "t").unwrap();
        let columns: Vec<String> = table.columns.iter().map(|column| column.printed()).collect();
        let query = format!("SELECT {} FROM public.t ORDER BY id", columns.join(", "));
        let mut shown = Vec::new();
        let transaction = Transaction { xid: 0, commit_lsn: Lsn(1), commit_time: 0 };
        let mut take = |batch: Option<walhouse_change::ChangeBatch>| {
            shown.extend(batch.iter().flat_map(show));
            true
        };
        session.copy(&schema(&table), &query, transaction, &mut take).unwrap();
        (table, shown)
    })
    .await;
    assert_eq!(
        shown[0],
        "read t 0: [1, t, ab    , 10.0.0.1, x, na, it's, sad, 1.50, {1,NULL}, {sad,it's}, [1,5), (1,\"a b\"), \
         {\"k\": [1, 2]}, \\x00ff, 0.1, 2019-12-31 22:00:00.5+00, $1,234.50, 101, \
         a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11, 2, tab\there\\]"
    );
    assert!(shown[1].starts_with("read t 0: [2, ~, ~") && shown[1].ends_with("3, d]"), "{}", shown[1]);
    let column = |name: &str| table.columns.iter().find(|column| column.name == name).unwrap();
    assert!(column("tx").not_null && column("g").generated && column("g").default.is_none());
    assert_eq!(column("tx").default.as_deref(), Some("'d'::text"));
    assert_eq!((table.primary_key.as_slice(), table.partitioned, table.logged), (&["id".to_owned()][..], false, true));
}

#[tokio::test]
async fn keys_are_in_their_own_order_and_expressions_are_none() {
    let db = Db::new("facts").await;
    db.sql(
        "CREATE TABLE k (a int, b text, c int, PRIMARY KEY (b, a)); CREATE UNIQUE INDEX ux ON k (c, a) INCLUDE (b);
            CREATE UNIQUE INDEX uf ON k (lower(b)); CREATE UNLOGGED TABLE u (id int); CREATE TYPE e AS ENUM ('b', 'a');
            ALTER TYPE e ADD VALUE 'first' BEFORE 'b'; CREATE TABLE p (id int) PARTITION BY LIST (id)",
    )
    .await;
    let source = database(&db);
    let (tables, labels) = blocking(move || {
        let mut session = source.session().unwrap();
        (session.tables(None).unwrap(), session.enum_labels().unwrap())
    })
    .await;
    let table = |name: &str| tables.iter().find(|table| table.name.name == name).unwrap();
    assert_eq!(table("k").primary_key, ["b", "a"]);
    let indexes: Vec<_> = table("k").unique_indexes.iter().map(|it| (it.name.as_str(), it.columns.clone())).collect();
    assert_eq!(indexes, [("uf", None), ("ux", Some(vec!["c".to_owned(), "a".to_owned()]))]);
    assert!(!table("u").logged && table("p").partitioned);
    assert_eq!(labels[0].1, ["first", "b", "a"]);
}
