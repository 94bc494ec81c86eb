//! What a client must not reach: each hole that the engine has, tried over HTTP.

use std::time::Duration;

use walhouse_chdb::testing;

use crate::wire::{ok, request, sql};

/// Statement and the codes that may refuse it.
fn refused(address: &str, statement: &str, codes: &[u32]) {
    let answer = sql(address, statement);
    assert_ne!(answer.status, 200, "{statement}: {}", answer.text());
    assert!(codes.contains(&answer.code()), "{statement}: {}", answer.text());
}

#[test]
fn files_are_out_of_reach() {
    let address = testing::shared().address();
    for statement in [
        "SELECT file('/etc/passwd')",
        "SELECT \"file\"('/etc/passwd')",
        "SELECT `f\\x69le`('/etc/passwd')",
        "SELECT arrayMap(x -> FILE(x), ['/etc/passwd'])",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM `/etc/hostname`",
        "SELECT * FROM default.`/etc/hostname`",
        "SELECT * FROM fileCluster('default', '/etc/passwd')",
        "SELECT * FROM filesystem('/etc')",
        "SELECT 1 INTO OUTFILE '/tmp/walhouse-never'",
        "INSERT INTO FUNCTION file('/tmp/walhouse-never', 'TSV', 'a Int32') VALUES (1)",
        "INSERT INTO t FROM INFILE '/etc/passwd' FORMAT LineAsString",
        "CREATE TABLE never (a String) ENGINE = File('TSV')",
        "CREATE DATABASE never ENGINE = Filesystem('/etc')",
        "CREATE TABLE never (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = 'local', path = '/tmp/')",
        "BACKUP DATABASE default TO File('/tmp/walhouse-never')",
        "CREATE TABLE never (a String DEFAULT file('/etc/passwd')) ENGINE = Memory",
        "SELECT * FROM icebergLocal('/tmp')",
        "SELECT * FROM sqlite('/tmp/x', 'y')",
    ] {
        refused(&address, statement, &[497, 701, 481]);
    }
    assert!(!std::path::Path::new("/tmp/walhouse-never").exists());
    // expressions inside of data pass by the words: the kernel stops them
    ok(&address, "CREATE OR REPLACE TABLE stolen (s String) ENGINE = MergeTree ORDER BY s");
    for statement in
        ["INSERT INTO stolen VALUES (file('/etc/passwd'))", "INSERT INTO stolen VALUES (file('/proc/1/environ'))"]
    {
        let answer = sql(&address, statement);
        assert_ne!(answer.status, 200, "{statement}");
        assert!(!answer.text().contains("root:"), "{}", answer.text());
    }
    assert_eq!(ok(&address, "SELECT count() FROM stolen"), "0\n");
    // nor does a format's name carry a statement
    for statement in ["INSERT INTO stolen FORMAT `TSV; DROP TABLE stolen`\nx", "SELECT 1 FORMAT `TSV SETTINGS a = 1`"] {
        refused(&address, statement, &[73]);
    }
    let held = request(&address, "POST", "/?param_t=%2Fetc%2Fhostname", &[], Some(b"SELECT * FROM {t:Identifier}"));
    assert_ne!(held.status, 200);
}

#[test]
fn other_hosts_and_commands_are_out_of_reach() {
    let address = testing::shared().address();
    for statement in [
        "SELECT * FROM url('http://127.0.0.1:1/', 'TSV', 'a Int32')",
        "SELECT * FROM remote('127.0.0.1', 'system.one')",
        "SELECT * FROM s3('http://127.0.0.1:1/bucket/key', 'TSV', 'a Int32')",
        "SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
        "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
        "SELECT * FROM mongodb('127.0.0.1:1', 'a', 'b', 'c', 'd', 'e String')",
        "CREATE TABLE never (a String) ENGINE = URL('http://127.0.0.1:1/', 'TSV')",
        "CREATE TABLE never (a String) ENGINE = Kafka('127.0.0.1:1', 't', 'g', 'TSV')",
        "CREATE DATABASE never ENGINE = PostgreSQL('127.0.0.1:1', 'a', 'b', 'c')",
        "CREATE DICTIONARY never (a UInt64, b String) PRIMARY KEY a SOURCE(EXECUTABLE(COMMAND 'id' FORMAT 'TSV')) LAYOUT(FLAT()) LIFETIME(1)",
        "CREATE DICTIONARY never (a UInt64, b String) PRIMARY KEY a SOURCE(HTTP(URL 'http://127.0.0.1:1' FORMAT 'TSV')) LAYOUT(FLAT()) LIFETIME(1)",
        "SELECT * FROM executable('id', 'TSV', 'a String')",
        "CREATE FUNCTION never AS (x) -> x",
        "CREATE USER never",
        "CREATE NAMED COLLECTION never AS a = 1",
        "SELECT * FROM eval('SELECT 1')",
    ] {
        refused(&address, statement, &[497, 36]);
    }
}

#[test]
fn the_process_cannot_be_ended_by_a_statement() {
    let engine = testing::shared();
    let address = engine.address();
    let pid = engine.pid();
    for statement in
        ["SYSTEM SHUTDOWN", "SYSTEM KILL", "/* x */ system\nshutdown", "SYSTEM FLUSH LOGS", "SYSTEM STOP MERGES"]
    {
        refused(&address, statement, &[497]);
    }
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(ok(&address, "SELECT 1"), "1\n");
    assert_eq!(engine.pid(), pid);
}

#[test]
fn one_statement_per_request() {
    let address = testing::shared().address();
    ok(&address, "CREATE OR REPLACE TABLE multi (a Int32) ENGINE = MergeTree ORDER BY a");
    for statement in [
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE multi",
        "INSERT INTO multi; DROP TABLE multi",
        "INSERT INTO multi SELECT 1; DROP TABLE multi",
        "INSERT INTO multi; DROP TABLE multi FORMAT TSV",
        "SELECT 1 PARALLEL WITH SELECT 2",
    ] {
        refused(&address, statement, &[62]);
    }
    // in data, these are data
    ok(&address, "CREATE OR REPLACE TABLE lines (s String) ENGINE = MergeTree ORDER BY s");
    ok(&address, "INSERT INTO lines FORMAT TSV\na\n\n; DROP TABLE lines\nb;\n");
    assert_eq!(ok(&address, "SELECT count(), countIf(s = '') FROM lines"), "4\t1\n");
    // data where no data can be is not run either
    for statement in [
        "INSERT INTO lines SELECT 'y' FORMAT TSV\n\nDROP TABLE lines",
        "INSERT INTO lines SELECT s FROM input('s String') FORMAT TSV\nz\n\nDROP TABLE lines",
        "INSERT INTO lines\n\nDROP TABLE lines",
    ] {
        let answer = sql(&address, statement);
        assert_ne!(answer.status, 200, "{statement}");
        assert_eq!(ok(&address, "SELECT count() FROM lines WHERE s != 'y'"), "4\n", "{statement}");
    }
    ok(&address, "DELETE FROM lines WHERE s = 'y'");
    // VALUES end at a semicolon; what follows is not run
    ok(&address, "INSERT INTO lines VALUES ('x'); DROP TABLE lines");
    assert_eq!(ok(&address, "SELECT count() FROM lines"), "5\n");
}

#[test]
fn ordinary_analytics_is_allowed() {
    let address = testing::shared().address();
    for statement in [
        "CREATE DATABASE IF NOT EXISTS work",
        "CREATE OR REPLACE TABLE work.t (a UInt64, b String) ENGINE = ReplacingMergeTree ORDER BY a",
        "INSERT INTO work.t SELECT number, toString(number) FROM numbers(1000)",
        "INSERT INTO work.t VALUES (1, 'again')",
        "CREATE OR REPLACE TABLE work.sums (d UInt64, n UInt64) ENGINE = SummingMergeTree ORDER BY d",
        "DROP VIEW IF EXISTS work.mv",
        "CREATE MATERIALIZED VIEW work.mv TO work.sums AS SELECT a % 10 AS d, count() AS n FROM work.t GROUP BY d",
        "CREATE OR REPLACE VIEW work.v AS SELECT * FROM work.t FINAL WHERE a < {top:UInt64}",
        "SELECT count() FROM work.v(top = 5)",
        "ALTER TABLE work.t ADD COLUMN IF NOT EXISTS c Int32 DEFAULT 7",
        "ALTER TABLE work.t DELETE WHERE a = 3",
        "DELETE FROM work.t WHERE a = 4",
        "OPTIMIZE TABLE work.t FINAL",
        "CHECK TABLE work.t",
        "RENAME TABLE work.t TO work.t2",
        "EXCHANGE TABLES work.t2 AND work.sums",
        "TRUNCATE TABLE work.t2",
        "DESCRIBE TABLE work.t2",
        "SHOW CREATE TABLE work.sums",
        "EXPLAIN SELECT * FROM work.sums",
        "SELECT count() FROM system.parts",
        "KILL QUERY WHERE query_id = 'no such' SYNC",
        "1 + 1",
        "DROP DATABASE work SYNC",
    ] {
        ok(&address, statement);
    }
}

#[test]
fn passwords_and_ids_are_checked() {
    let address = testing::shared().address();
    let select = Some(b"SELECT 1".as_slice());
    let bearer = request(&address, "POST", "/", &[("Authorization", "Bearer abc")], select);
    assert_eq!((bearer.status, bearer.code()), (403, 516));
    let unknown = request(&address, "POST", "/?user=nobody", &[], select);
    assert_eq!((unknown.status, unknown.code()), (403, 516));
    let split = request(&address, "POST", "/?query_id=a%0D%0Ab", &[], select);
    assert_eq!(split.headers.get("x-clickhouse-query-id").map(String::as_str), Some("ab"));
    // names that would leave their quotes
    for path in [
        "/?a%27%3Db=1",
        "/?database=x%60%3BDROP",
        "/?default_format=TSV%20SETTINGS%20a",
        "/?max_threads=1%27%2C+readonly%3D%270",
    ] {
        assert_ne!(request(&address, "POST", path, &[], select).status, 200, "{path}");
    }
}

#[test]
fn with_a_password_nobody_enters_without() {
    let engine = testing::TestEngine::with_password("s3cret");
    let address = engine.address();
    let select = Some(b"SELECT currentUser()".as_slice());
    for headers in [
        vec![],
        vec![("X-ClickHouse-Key", "S3cret")],
        vec![("X-ClickHouse-Key", "s3cret1")],
        vec![("X-ClickHouse-User", "bob")],
    ] {
        let answer = request(&address, "POST", "/", &headers, select);
        assert_eq!((answer.status, answer.code()), (403, 516), "{headers:?}");
        assert!(!answer.text().contains("s3cret"));
    }
    assert_eq!(request(&address, "POST", "/", &[("X-ClickHouse-Key", "s3cret")], select).status, 200);
    assert_eq!(request(&address, "POST", "/?password=s3cret", &[], select).status, 200);
    assert_eq!(request(&address, "GET", "/ping", &[], None).text(), "Ok.\n");
}
