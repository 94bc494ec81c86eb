//! Statements, sessions and compressions beyond the recorded checks.

use std::io::Write;

use walhouse_chdb::testing;

use crate::wire::{connect, ok, read_answer, request, send_head, sql};

#[test]
fn an_insert_that_fits_one_block_is_one_part() {
    let address = testing::shared().address();
    ok(&address, "CREATE OR REPLACE TABLE parts (a UInt64) ENGINE = MergeTree ORDER BY a");
    // 20 blocks of 50,000 rows, as one request
    let native = request(
        &address,
        "POST",
        "/?max_block_size=50000",
        &[],
        Some(b"SELECT number AS a FROM numbers(1000000) FORMAT Native"),
    );
    let path = "/?query=INSERT+INTO+parts+FORMAT+Native&max_insert_threads=1&max_insert_block_size=2000000&min_insert_block_size_rows=2000000";
    let answer = request(&address, "POST", path, &[], Some(&native.body()));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.headers["x-clickhouse-summary"].contains("\"written_rows\":\"1000000\""));
    let parts = "SELECT count(), sum(rows) FROM system.parts WHERE table = 'parts' AND active";
    assert_eq!(ok(&address, parts), "1\t1000000\n");
}

#[test]
fn a_repeated_token_is_inserted_once() {
    let address = testing::shared().address();
    ok(
        &address,
        "CREATE OR REPLACE TABLE tokens (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100",
    );
    for token in ["k1", "k1", "k2"] {
        let path = format!("/?query=INSERT+INTO+tokens+FORMAT+TSV&insert_deduplication_token={token}");
        assert_eq!(request(&address, "POST", &path, &[], Some(b"1\n")).status, 200);
    }
    assert_eq!(ok(&address, "SELECT count() FROM tokens"), "2\n");
}

#[test]
fn truncated_bodies_leave_nothing() {
    let address = testing::shared().address();
    ok(&address, "CREATE OR REPLACE TABLE cut (a UInt64) ENGINE = MergeTree ORDER BY a");
    let data: String = (0..300_000).map(|n| format!("{n}\n")).collect();
    for headers in [("Content-Length", (data.len() + 1).to_string()), ("Transfer-Encoding", "chunked".to_owned())] {
        let mut socket = connect(&address);
        send_head(
            &mut socket,
            "POST",
            "/?query=INSERT+INTO+cut+FORMAT+TSV",
            &[(headers.0.to_owned(), headers.1.clone())],
        );
        if headers.0 == "Transfer-Encoding" {
            socket.write_all(format!("{:x}\r\n{data}\r\n", data.len()).as_bytes()).expect("sent");
        } else {
            socket.write_all(data.as_bytes()).expect("sent");
        }
        drop(socket);
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(ok(&address, "SELECT count() FROM cut"), "0\n");
    // compressed, and the compression's own end is missing
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(data.as_bytes()).expect("packed");
    let mut packed = packed.finish().expect("packed");
    packed.truncate(packed.len() / 2);
    let path = "/?query=INSERT+INTO+cut+FORMAT+TSV";
    let answer = request(&address, "POST", path, &[("Content-Encoding", "gzip")], Some(&packed));
    assert_ne!(answer.status, 200);
    assert_eq!(ok(&address, "SELECT count() FROM cut"), "0\n");
}

#[test]
fn a_request_with_a_running_id_is_refused() {
    let address = testing::shared().address();
    let mut first = connect(&address);
    let path = "/?query_id=twice&query=SELECT+sleep(1)+FORMAT+Null";
    send_head(&mut first, "POST", path, &[("Content-Length".to_owned(), "0".to_owned())]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    let second = request(&address, "POST", "/?query_id=twice", &[], Some(b"SELECT 1"));
    assert_eq!(second.code(), 216, "{}", second.text());
    assert_eq!(read_answer(&mut first, false).status, 200);
    assert_eq!(request(&address, "POST", "/?query_id=twice", &[], Some(b"SELECT 1")).text(), "1\n");
}

#[test]
fn sessions_keep_what_statements_set_and_forget_what_urls_set() {
    let address = testing::shared().address();
    let in_session = |more: &str, statement: &str| {
        request(&address, "POST", &format!("/?session_id=keep{more}"), &[], Some(statement.as_bytes()))
    };
    assert_eq!(in_session("", "SET max_block_size = 11, session_timezone = 'Asia/Tokyo'").status, 200);
    assert_eq!(
        in_session(
            "&max_block_size=5&max_threads=3&database=system",
            "SELECT getSetting('max_block_size'), getSetting('max_threads'), currentDatabase()"
        )
        .text(),
        "5\t3\tsystem\n"
    );
    let after = "SELECT getSetting('max_block_size'), getSetting('max_threads') = 3, currentDatabase(), getSetting('session_timezone')";
    assert_eq!(in_session("", after).text(), "11\t0\tdefault\tAsia/Tokyo\n");
    assert_eq!(in_session("", "USE system").status, 200);
    assert_eq!(in_session("", "SELECT currentDatabase()").text(), "system\n");
    // GET reads only, and does not make the session read-only for ever
    let get = request(&address, "GET", "/?session_id=keep&query=CREATE+TEMPORARY+TABLE+x+(a+Int8)", &[], None);
    assert_eq!(get.code(), 164);
    assert_eq!(in_session("", "CREATE TEMPORARY TABLE x (a Int8)").status, 200);
    assert_eq!(in_session("&close_session=1", "SELECT count() FROM x").text(), "0\n");
    assert_eq!(in_session("&session_check=1", "SELECT 1").code(), 372);
    assert_eq!(in_session("&session_timeout=4000", "SELECT 1").code(), 374);
    assert_eq!(in_session("&session_timeout=1", "SELECT 1").status, 200);
    std::thread::sleep(std::time::Duration::from_millis(2200));
    assert_eq!(in_session("&session_check=1", "SELECT 1").code(), 372);
    // one request at a time
    let mut busy = connect(&address);
    send_head(
        &mut busy,
        "POST",
        "/?session_id=busy&query=SELECT+sleep(1)+FORMAT+Null",
        &[("Content-Length".to_owned(), "0".to_owned())],
    );
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(request(&address, "POST", "/?session_id=busy", &[], Some(b"SELECT 1")).code(), 373);
    assert_eq!(read_answer(&mut busy, false).status, 200);
}

#[test]
fn requests_may_be_compressed_in_every_way() {
    let address = testing::shared().address();
    ok(&address, "CREATE OR REPLACE TABLE packed (s String) ENGINE = MergeTree ORDER BY s");
    let packed: Vec<(&str, Vec<u8>)> = vec![
        ("zstd", zstd::bulk::compress(b"zstd\n", 1).expect("packed")),
        ("snappy", {
            let mut encoder = snap::write::FrameEncoder::new(Vec::new());
            encoder.write_all(b"snappy\n").expect("packed");
            encoder.into_inner().expect("packed")
        }),
        ("lz4", {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(b"lz4\n").expect("packed");
            encoder.finish().expect("packed")
        }),
        ("deflate", {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(b"deflate\n").expect("packed");
            encoder.finish().expect("packed")
        }),
    ];
    for (name, body) in &packed {
        let path = "/?query=INSERT+INTO+packed+FORMAT+TSV";
        let answer = request(&address, "POST", path, &[("Content-Encoding", name)], Some(body));
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    }
    let unknown = request(&address, "POST", "/", &[("Content-Encoding", "compress")], Some(b"SELECT 1"));
    assert_ne!(unknown.status, 200);
    assert_eq!(
        ok(&address, "SELECT groupArray(s) FROM (SELECT s FROM packed ORDER BY s)"),
        "['deflate','lz4','snappy','zstd']\n"
    );
}

#[test]
fn failures_are_told_by_status_whatever_the_format() {
    let address = testing::shared().address();
    for format in ["JSON", "CSVWithNames", "RowBinaryWithNamesAndTypes", "Native", "JSONEachRow", "XML"] {
        let answer = sql(&address, &format!("SELECT throwIf(number = 1) FROM numbers(10) FORMAT {format}"));
        assert_eq!((answer.status, answer.code()), (500, 395), "{format}");
    }
    let small = sql(&address, "SELECT number FROM numbers(5) FORMAT JSONEachRow");
    assert!(small.headers["x-clickhouse-summary"].contains("\"result_rows\":\"5\""), "{:?}", small.headers);
}

#[test]
fn a_large_result_can_be_held_until_the_end() {
    let address = testing::shared().address();
    // beyond what is held in memory, so that the file is used
    let answer = request(
        &address,
        "POST",
        "/?wait_end_of_query=1",
        &[],
        Some(b"SELECT number FROM numbers(4000000) FORMAT RowBinary"),
    );
    assert_eq!((answer.status, answer.body().len()), (200, 32_000_000));
    assert!(answer.complete);
    assert!(answer.headers["x-clickhouse-summary"].contains("\"result_rows\":\"4000000\""));
    let numbers = answer.body();
    assert!(numbers.chunks_exact(8).enumerate().all(|(n, bytes)| bytes == (n as u64).to_le_bytes()));
}

#[test]
fn every_show_answers() {
    let address = testing::shared().address();
    ok(&address, "CREATE OR REPLACE TABLE shown (a UInt64, INDEX i a TYPE minmax) ENGINE = MergeTree ORDER BY a");
    ok(&address, "INSERT INTO shown VALUES (1)");
    for (statement, wanted) in [
        ("SHOW TABLES LIKE 'shown'", "shown"),
        ("SHOW TABLES FROM default FORMAT CSV", "\"shown\""),
        ("SHOW DATABASES", "system"),
        ("SHOW COLUMNS FROM shown", "UInt64"),
        ("SHOW INDEX FROM shown", "shown"),
        ("SHOW CREATE TABLE shown FORMAT TSVRaw", "ENGINE = MergeTree"),
        ("SHOW FUNCTIONS LIKE 'abs'", "abs"),
        ("SHOW SETTINGS LIKE 'max_threads'", "max_threads"),
        ("SHOW PROCESSLIST", "system"),
        ("DESCRIBE TABLE shown FORMAT JSONEachRow", "\"name\":\"a\""),
        ("EXISTS TABLE shown", "1"),
        ("EXPLAIN SYNTAX SELECT 1", "SELECT 1"),
        ("CHECK TABLE shown", "all_1_1_0\t1"),
        ("1 + 1", "2"),
        ("FROM numbers(2) SELECT max(number) SETTINGS max_threads = 1", "1"),
        ("(SELECT 1) UNION ALL (SELECT 2) FORMAT JSONCompactEachRow", "[2]"),
        ("SELECT 1 AS format", "1"),
        ("SELECT 5 FORMAT CSV SETTINGS max_threads = 1;", "5"),
    ] {
        let answer = ok(&address, statement);
        assert!(answer.contains(wanted), "{statement}: {answer:?}");
    }
}

#[test]
fn an_answered_insert_is_on_disk() {
    let address = testing::shared().address();
    let sql = "SELECT name, value FROM system.merge_tree_settings WHERE name IN ('fsync_after_insert', 'fsync_part_directory') ORDER BY name";
    assert_eq!(ok(&address, sql), "fsync_after_insert\t1\nfsync_part_directory\t1\n");
}
