//! What the survey says of tables, keys, types and slots; what publish does with it.

use walhouse_change::{Origin, Retry, SlotState};
use walhouse_lab::postgres::Server;
use walhouse_postgres::Severity;

use crate::support::{Db, usable};

#[tokio::test]
async fn tells_why_a_table_cannot_be_replicated() {
    let db = Db::new("survey_problems").await;
    db.sql(
        "CREATE TABLE a_fine (b int, a int, g int GENERATED ALWAYS AS (a + b) STORED, PRIMARY KEY (a, b));
         CREATE TABLE b_keyless (v int);
         CREATE TABLE c_full (v int); ALTER TABLE c_full REPLICA IDENTITY FULL;
         CREATE TABLE d_nothing (id int PRIMARY KEY); ALTER TABLE d_nothing REPLICA IDENTITY NOTHING;
         CREATE TABLE e_deferrable (id int PRIMARY KEY DEFERRABLE); ALTER TABLE e_deferrable REPLICA IDENTITY FULL;
         CREATE UNLOGGED TABLE f_unlogged (id int PRIMARY KEY);
         CREATE TABLE g_index (id int PRIMARY KEY, u int NOT NULL UNIQUE);
         ALTER TABLE g_index REPLICA IDENTITY USING INDEX g_index_u_key;
         CREATE VIEW h_view AS SELECT 1; CREATE TEMP TABLE i_temp (id int PRIMARY KEY)",
    )
    .await;
    let origin = db.origin(&["public.*"]);
    let survey = origin.survey().await.unwrap();
    let shown: Vec<String> = survey
        .tables
        .iter()
        .map(|table| match &table.problem {
            Some(problem) => {
                assert_eq!(problem.retry(), &Retry::StopTable(table.schema.name.clone()));
                assert!(problem.remedy().is_some());
                problem.to_string()
            }
            None => format!("{}: key {:?} of {}", table.schema.name, table.schema.key, table.schema.columns.len()),
        })
        .collect();
    assert_eq!(
        shown,
        [
            "public.a_fine: key [1, 0] of 2",
            "table public.b_keyless has no primary key: nothing tells its rows apart",
            "table public.c_full has no primary key: nothing tells its rows apart",
            "table public.d_nothing has REPLICA IDENTITY NOTHING: updates and deletes would fail at the source",
            "table public.e_deferrable has a deferrable primary key, whose values may be swapped within a statement",
            "table public.f_unlogged is not in the log: public.f_unlogged is unlogged",
            "public.g_index: key [1] of 2",
        ]
    );
    assert_eq!((survey.slot, survey.published), (SlotState::Missing, None));
    assert!(survey.system_identifier > 0 && survey.timeline == 1);

    // a table without identity is never published: the application's updates would fail
    let all: Vec<_> = survey.tables.iter().map(|table| table.schema.clone()).collect();
    let error = origin.publish(&all).await.unwrap_err();
    assert!(matches!(error.retry(), Retry::StopTable(_)), "{}", error.one_line());
    assert_eq!(db.text("SELECT count(*) FROM pg_publication").await, "0");
    let findings = origin.check().await;
    assert_eq!(findings.iter().filter(|finding| finding.severity == Severity::Error).count(), 5, "{findings:#?}");
}

#[tokio::test]
async fn a_named_table_must_be_there() {
    let db = Db::new("survey_named").await;
    db.sql(
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE l PARTITION OF p DEFAULT;
         CREATE VIEW v AS SELECT 1",
    )
    .await;
    for (table, reason) in
        [("public.sale", "does not exist"), ("public.l", "is a partition"), ("public.v", "is a view")]
    {
        let error = db.origin(&["public.*", table]).survey().await.unwrap_err();
        assert_eq!(error.retry(), &Retry::Never);
        assert_eq!(error.to_string(), format!("table {table} {reason}"));
    }
}

#[tokio::test]
async fn the_publication_follows_the_selection() {
    let db = Db::new("survey_publish").await;
    db.sql(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY)",
    )
    .await;
    let origin = db.origin(&["public.*"]);
    let tables = usable(&origin).await;
    let names = "SELECT coalesce(string_agg(tablename, ',' ORDER BY tablename), '') FROM pg_publication_tables";
    for (from, to, expected) in [(0, 2, "a,b"), (0, 3, "a,b,c"), (1, 2, "b"), (0, 0, ""), (2, 3, "c"), (2, 3, "c")] {
        origin.publish(&tables[from..to]).await.unwrap();
        assert_eq!(db.text(names).await, expected);
        let published = origin.survey().await.unwrap().published.unwrap();
        assert_eq!(published.len(), to - from);
    }
    let xmin = "SELECT xmin::text FROM pg_publication WHERE pubname = 'survey_publish'";
    let before = db.text(xmin).await;
    origin.publish(&tables[2..3]).await.unwrap();
    assert_eq!(db.text(xmin).await, before, "it was touched although nothing differs");
    origin.drop_publication().await.unwrap();
    origin.drop_publication().await.unwrap();

    db.sql("CREATE PUBLICATION survey_publish FOR ALL TABLES").await;
    origin.survey().await.unwrap();
    let error = origin.publish(&tables).await.unwrap_err();
    assert_eq!(error.retry(), &Retry::Never);
    db.sql(error.remedy().unwrap().split(", or choose").next().unwrap()).await;
    origin.survey().await.unwrap();
    origin.publish(&tables).await.unwrap();
    assert_eq!(origin.survey().await.unwrap().published.unwrap().len(), 3);
    assert!(origin.publication_facts().await.unwrap().unwrap().all_tables);
}

/// Put back without a word, a table that was taken out meanwhile would lack what was committed between.
#[tokio::test]
async fn a_publication_that_changed_since_the_survey_is_left_alone() {
    let db = Db::new("survey_changed").await;
    db.sql("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)").await;
    let origin = db.origin(&["public.*"]);
    let tables = usable(&origin).await;
    origin.publish(&tables).await.unwrap();
    let names = "SELECT coalesce(string_agg(tablename, ',' ORDER BY tablename), '') FROM pg_publication_tables";
    let changes = [
        ("ALTER PUBLICATION survey_changed DROP TABLE b", "a"),
        ("ALTER PUBLICATION survey_changed ADD TABLE b; ALTER PUBLICATION survey_changed DROP TABLE a", "b"),
        ("ALTER PUBLICATION survey_changed SET (publish = 'insert')", "b"),
        ("DROP PUBLICATION survey_changed", ""),
        ("CREATE PUBLICATION survey_changed FOR TABLE a", "a"),
    ];
    for (change, left) in changes {
        db.sql(change).await;
        let error = origin.publish(&tables).await.unwrap_err();
        assert_eq!(error.retry(), &Retry::Later, "{change}: {}", error.one_line());
        assert_eq!(db.text(names).await, left, "{change}");
        // A survey whose answer nobody waits for tells the origin nothing.
        drop(tokio::time::timeout(std::time::Duration::ZERO, origin.survey()).await);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        origin.publish(&tables).await.unwrap_err();
        assert_eq!(db.text(names).await, left, "{change}");
        origin.survey().await.unwrap();
    }
    origin.publish(&tables).await.unwrap();
    assert_eq!(db.text(names).await, "a,b");
}

#[tokio::test]
async fn a_slot_is_found_as_it_is() {
    let db = Db::new("survey_slot").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY)").await;
    let mut begun = db.begin().await;
    let reader = begun.stream().await;
    let survey = begun.origin.survey().await.unwrap();
    let SlotState::Present { confirmed, active_pid, .. } = survey.slot else { panic!("{:?}", survey.slot) };
    assert_eq!(confirmed, begun.consistent_point);
    assert!(active_pid.is_some() && survey.current >= confirmed);
    let facts = begun.origin.slot_facts().await.unwrap().unwrap();
    assert!(facts.retained > 0 && !facts.is_lost() && facts.wal_status == "reserved");
    drop(reader);
    begun.origin.drop_slot().await.unwrap();
    db.sql("SELECT pg_create_logical_replication_slot('survey_slot', 'test_decoding')").await;
    let error = begun.origin.survey().await.unwrap_err();
    assert_eq!(error.retry(), &Retry::Never, "{}", error.one_line());
    db.sql("SELECT pg_drop_replication_slot('survey_slot')").await;
}

#[tokio::test]
async fn comments_are_read_as_they_were_written() {
    let db = Db::new("survey_comments").await;
    db.sql(
        "CREATE TYPE mood AS ENUM ('good');
         CREATE TABLE b (id int PRIMARY KEY, price numeric(10, 2) NOT NULL, gone int, how mood);
         CREATE TABLE a (id int PRIMARY KEY); ALTER TABLE b DROP COLUMN gone;
         COMMENT ON TABLE b IS 'It''s \"here\"'; COMMENT ON COLUMN b.price IS 'in EUR'",
    )
    .await;
    let origin = db.origin(&["public.*"]);
    let relids: Vec<u32> = origin.tables().await.unwrap().iter().map(|table| table.schema.relid).collect();
    let notes = origin.notes(relids).await.unwrap();
    let [(a, _), (b, notes)] = notes.as_slice() else { panic!("{notes:?}") };
    assert_eq!((a.name.as_str(), b.name.as_str()), ("a", "b"));
    assert_eq!(notes.comment.as_deref(), Some("It's \"here\""));
    let shown: Vec<_> = notes.columns.iter().map(|c| (c.name.as_str(), c.ty.as_str(), c.nullable)).collect();
    assert_eq!(shown, [("id", "integer", false), ("price", "numeric(10,2)", false), ("how", "public.mood", true)]);
    assert_eq!(notes.columns.get(1).and_then(|column| column.comment.as_deref()), Some("in EUR"));
    assert_eq!(origin.notes(Vec::new()).await.unwrap(), []);
}

#[tokio::test]
async fn generated_columns_are_published_where_updates_need_them() {
    let db = Db::new("survey_generated").await;
    db.sql(
        "CREATE TABLE t (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) STORED);
         ALTER TABLE t REPLICA IDENTITY FULL; INSERT INTO t VALUES (1, 1)",
    )
    .await;
    let mut begun = db.begin().await;
    let published = begun.origin.server_facts().await.unwrap().version >= 18;
    let row = |values: &str, generated: &str| {
        if published { format!("[{values}, {generated}]") } else { format!("[{values}]") }
    };
    assert_eq!(begun.copied().await, [format!("read t 0: {}", row("1, 1", "2"))]);
    let mut reader = begun.stream().await;
    db.sql("UPDATE t SET a = 5").await;
    let shown = reader.until("update").await;
    assert_eq!(shown, [format!("update t 1: old {} {}", row("1, 1", "2"), row("1, 5", "10"))]);
}

#[tokio::test]
async fn a_lost_slot_is_told_from_a_missing_one() {
    let server = Server::builder()
        .setting("max_slot_wal_keep_size", "1MB")
        .setting("min_wal_size", "32MB")
        .setting("max_wal_size", "64MB")
        .start()
        .await
        .unwrap();
    let db = Db::on(&server, "lost").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let mut begun = db.begin().await;
    begun.snapshot = None;
    for _ in 0..4 {
        db.sql("INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(1, 20000) g").await;
        db.sql("TRUNCATE t").await;
        db.sql("SELECT pg_switch_wal()").await;
        db.sql("CHECKPOINT").await;
    }
    let survey = begun.origin.survey().await.unwrap();
    let SlotState::Lost { confirmed, .. } = survey.slot else { panic!("{:?}", survey.slot) };
    assert_eq!(confirmed, begun.consistent_point);
    let error = begun.origin.stream(confirmed, &begun.tables).await.err().unwrap();
    assert_eq!(error.retry(), &Retry::Never, "{}", error.one_line());
    assert!(error.remedy().unwrap().contains("walhouse teardown"), "{}", error.one_line());
    let findings = begun.origin.check().await;
    assert!(findings.iter().any(|finding| finding.what.contains("is lost")), "{findings:#?}");
}

#[tokio::test]
async fn what_a_role_lacks_is_told_by_table() {
    let db = Db::new("survey_rights").await;
    db.sql(
        "CREATE TABLE hidden (id int PRIMARY KEY); CREATE TABLE shown (id int PRIMARY KEY);
         CREATE ROLE survey_app LOGIN REPLICATION; GRANT SELECT ON shown TO survey_app",
    )
    .await;
    let mut config = db.config(&["public.*"]);
    config.user = Some("survey_app".to_owned());
    let origin = walhouse_postgres::Postgres::new(config, walhouse_change::Budget::new(1)).unwrap();
    let survey = origin.survey().await.unwrap();
    assert!(survey.tables[0].problem.as_ref().unwrap().to_string().contains("no right to read public.hidden"));
    assert!(survey.tables[1].problem.is_none());
    let findings = origin.check().await;
    for expected in ["may not create it", "does not own \"public\".\"shown\"", "no right to read public.hidden"] {
        assert!(findings.iter().any(|finding| finding.what.contains(expected)), "{expected}: {findings:#?}");
    }
}
