//! The read-only user `reader`, bound to database `shop`.

use walhouse_chdb::testing;

use crate::wire::{Answer, ok, request};

fn as_reader(address: &str, path: &str, statement: &str) -> Answer {
    let headers = [("X-ClickHouse-User", "reader"), ("X-ClickHouse-Key", "pw")];
    request(address, "POST", path, &headers, Some(statement.as_bytes()))
}

#[test]
fn reads_its_database_and_nothing_else() {
    let engine = testing::TestEngine::start();
    let address = engine.address();
    for statement in [
        "CREATE DATABASE shop",
        "CREATE DATABASE secret",
        "CREATE TABLE shop.sale (id UInt64) ENGINE = MergeTree ORDER BY id",
        "CREATE TABLE secret.salary (id UInt64) ENGINE = MergeTree ORDER BY id",
        "INSERT INTO shop.sale VALUES (1), (2)",
        "INSERT INTO secret.salary VALUES (1)",
        "CREATE VIEW shop.at AS SELECT * FROM shop.sale WHERE id <= {top:UInt64}",
        "CREATE VIEW shop.open AS SELECT count() AS n FROM secret.salary",
    ] {
        ok(&address, statement);
    }
    for (statement, wanted) in [
        ("SELECT count() FROM sale", "2\n"),
        ("SELECT count() FROM shop.sale", "2\n"),
        ("SELECT count() FROM at(top = 1)", "1\n"),
        ("SELECT n FROM open", "1\n"),
        ("WITH x AS (SELECT max(id) AS m FROM sale) SELECT m FROM x FORMAT TSV", "2\n"),
        ("SELECT currentDatabase()", "shop\n"),
        ("SELECT sum(number) FROM numbers(3)", "3\n"),
        ("SHOW TABLES", "at\nopen\nsale\n"),
        ("SELECT name FROM system.tables WHERE database = currentDatabase() AND name = 'sale'", "sale\n"),
    ] {
        let answer = as_reader(&address, "/?max_threads=1", statement);
        assert_eq!((answer.status, answer.text().as_str()), (200, wanted), "{statement}");
    }
    for statement in [
        "SELECT * FROM secret.salary",
        "SELECT (SELECT max(id) FROM secret.salary)",
        "SELECT 1 WHERE 1 IN (SELECT id FROM secret.salary)",
        "SELECT 1 WHERE 1 IN secret.salary",
        "SELECT id FROM sale UNION ALL SELECT id FROM secret.salary",
        "WITH x AS (SELECT * FROM secret.salary) SELECT * FROM x",
        "SELECT * FROM (SELECT * FROM sale JOIN secret.salary USING id)",
        "SELECT * FROM merge('secret', '.*')",
        "SELECT * FROM view(SELECT * FROM secret.salary)",
        "SELECT joinGet('secret.salary', 'id', 1)",
        "SELECT * FROM system.processes",
        "SELECT EXISTS(SELECT 1 FROM secret.salary)",
        "SELECT * FROM values('a UInt64', (SELECT max(id) FROM secret.salary))",
        "SELECT throwIf((SELECT max(id) FROM secret.salary) = 1)",
        "SELECT throwIf((SELECT count() FROM system.parts) > 0)",
        "EXPLAIN QUERY TREE SELECT (SELECT max(id) FROM secret.salary)",
        "DESCRIBE TABLE secret.salary",
        "SELECT * FROM {d:Identifier}.salary",
        "INSERT INTO sale VALUES (3)",
        "INSERT INTO sale SELECT 3",
        "DROP TABLE sale",
        "OPTIMIZE TABLE sale",
        "ALTER TABLE sale DELETE WHERE 1",
        "CREATE TABLE sale2 (a Int8) ENGINE = Memory",
        "KILL QUERY WHERE 1",
        "USE secret",
        "TRUNCATE TABLE sale",
    ] {
        let answer = as_reader(&address, "/", statement);
        assert!([164, 497].contains(&answer.code()), "{statement}: {} {}", answer.status, answer.text());
    }
    let filter = "/?additional_result_filter=(SELECT+max(id)+FROM+secret.salary)=1";
    assert_eq!(as_reader(&address, filter, "SELECT 1").code(), 497);
    let values = "SELECT * FROM format('Values', 'a UInt64', '((SELECT max(id) FROM secret.salary))')";
    assert_eq!(as_reader(&address, "/", values).code(), 497);
    let form = "--B\r\nContent-Disposition: form-data; name=\"e\"; filename=\"e\"\r\n\r\n1\r\n--B--\r\n";
    let headers = [
        ("X-ClickHouse-User", "reader"),
        ("X-ClickHouse-Key", "pw"),
        ("Content-Type", "multipart/form-data; boundary=B"),
    ];
    let path = "/?query=SELECT+1&e_structure=a+UInt8";
    assert_eq!(request(&address, "POST", path, &headers, Some(form.as_bytes())).code(), 497);
    let other = as_reader(&address, "/?database=secret", "SELECT 1");
    assert_eq!(other.code(), 497);
    for path in ["/?session_id=r1", "/?session_id=r1&readonly=0"] {
        assert_eq!(as_reader(&address, path, "SELECT count() FROM sale").text(), "2\n");
        assert_eq!(as_reader(&address, path, "DROP TABLE sale").code(), 164);
    }
    assert_eq!(ok(&address, "SELECT count() FROM shop.sale"), "2\n");
}
