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
