//! What a change of a table's shape says in the stream.

use walhouse_change::{Retry, SlotKind};

use crate::support::{Db, usable};

#[tokio::test]
async fn only_a_difference_is_a_change() {
    let db = Db::new("schema_changes").await;
    db.sql("CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (id int PRIMARY KEY, v varchar(5))").await;
    let mut begun = db.begin().await;
    let mut reader = begun.stream().await;
    db.sql("INSERT INTO t VALUES (1, 'a'); ALTER TABLE t SET (fillfactor = 50); INSERT INTO t VALUES (2, 'b')").await;
    db.sql("ALTER TABLE t ADD w mood DEFAULT 'sad'; INSERT INTO t VALUES (3, 'c')").await;
    db.sql("ALTER TABLE t RENAME v TO x; ALTER TABLE t ALTER x TYPE text; INSERT INTO t VALUES (4, 'd')").await;
    db.sql("ALTER TABLE t RENAME TO u; INSERT INTO u VALUES (5, 'e')").await;
    db.sql("ALTER TABLE u ALTER x SET NOT NULL, DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (x, id)").await;
    db.sql("INSERT INTO u VALUES (6, 'f'); ALTER TABLE u REPLICA IDENTITY FULL; INSERT INTO u VALUES (7, 'g')").await;
    db.sql("ALTER TABLE u DROP w; INSERT INTO u VALUES (8, 'h')").await;
    assert_eq!(
        reader.until("[8,").await,
        [
            "insert t 1: [1, a]",
            "insert t 2: [2, b]",
            "schema public.t: id integer, v character varying(5), w public.mood key [0] Default",
            "insert t 1: [3, c, sad]",
            "schema public.t: id integer, x text, w public.mood key [0] Default",
            "insert t 1: [4, d, sad]",
            "schema public.u: id integer, x text, w public.mood key [0] Default",
            "insert u 1: [5, e, sad]",
            "schema public.u: id integer, x text, w public.mood key [1, 0] Default",
            "insert u 1: [6, f, sad]",
            "schema public.u: id integer, x text, w public.mood key [1, 0] Full",
            "insert u 2: [7, g, sad]",
            "schema public.u: id integer, x text key [1, 0] Full",
            "insert u 1: [8, h]",
        ]
    );
}

#[tokio::test]
async fn a_type_without_binary_decoder_turns_the_stream_to_text() {
    let db = Db::new("schema_to_text").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY)").await;
    let mut begun = db.begin().await;
    let mut reader = begun.stream().await;
    db.sql("INSERT INTO t VALUES (1)").await;
    reader.until("[1]").await;
    db.sql("ALTER TABLE t ADD p point; INSERT INTO t VALUES (2, '(1,2)')").await;
    let error = reader.error().await;
    assert_eq!(error.retry(), &Retry::Later, "{}", error.one_line());
    drop(reader);
    let mut reader = begun.stream().await;
    assert_eq!(
        reader.until("[2,").await,
        ["insert t 1: [1]", "schema public.t: id integer, p point key [0] Default", "insert t 1: [2, (1,2)]"]
    );
}

#[tokio::test]
async fn a_table_that_changed_since_the_survey_is_not_copied() {
    let db = Db::new("schema_race").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY)").await;
    let origin = db.origin(&["public.*"]);
    let tables = usable(&origin).await;
    walhouse_change::Origin::publish(&origin, &tables).await.unwrap();
    db.sql("ALTER TABLE t ADD v int DEFAULT 7").await;
    let error = walhouse_change::Origin::snapshot(&origin, &tables, SlotKind::Lasting).await.err().unwrap();
    assert_eq!(error.retry(), &Retry::Later);
    assert!(error.to_string().contains("public.t changed"), "{error}");
    let slots = db.text("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'schema_race'").await;
    assert_eq!(slots, "0");
    // Who asks for some of the columns is not concerned.
    origin.snapshot_of_columns(&tables).await.unwrap();
    db.sql("ALTER TABLE t ALTER id TYPE bigint").await;
    let error = origin.snapshot_of_columns(&tables).await.err().unwrap();
    assert!(error.to_string().contains("public.t changed"), "{error}");
}
