//! The official clients, unchanged: the Rust crate, clickhouse-connect, curl.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clickhouse::{Client, Row};
use serde::{Deserialize, Serialize};
use walhouse_chdb::testing;

use crate::wire;

#[derive(Row, Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Sale {
    id: u64,
    customer: String,
    price: Option<f64>,
    tags: Vec<i32>,
}

fn sale(id: u64) -> Sale {
    Sale { id, customer: format!("c{id}"), price: (id % 2 == 1).then_some(0.5), tags: vec![1, 2] }
}

async fn table(client: &Client, name: &str) {
    let columns = "id UInt64, customer String, price Nullable(Float64), tags Array(Int32)";
    let sql = format!("CREATE OR REPLACE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY id");
    client.query(&sql).execute().await.expect("a table");
}

fn client() -> Client {
    Client::default().with_url(testing::shared().url())
}

async fn count(client: &Client, table: &str) -> u64 {
    client.query(&format!("SELECT count() FROM {table}")).fetch_one().await.expect("a count")
}

#[tokio::test]
async fn rust_inserts_and_reads_typed_rows() {
    for client in [client(), client().with_compression(clickhouse::Compression::None)] {
        table(&client, "rust_typed").await;
        let mut insert = client.insert::<Sale>("rust_typed").await.expect("an insert");
        for id in 0..50_000 {
            insert.write(&sale(id)).await.expect("written");
        }
        insert.end().await.expect("inserted");
        let mut cursor = client.query("SELECT ?fields FROM rust_typed ORDER BY id").fetch::<Sale>().expect("a cursor");
        for id in 0..50_000 {
            assert_eq!(cursor.next().await.expect("a row"), Some(sale(id)));
        }
        assert_eq!(cursor.next().await.expect("the end"), None);
        let bound = client
            .query("SELECT ?fields FROM rust_typed WHERE id = ? AND customer IN ?")
            .bind(5_u64)
            .bind(vec!["c5", "x'y"])
            .fetch_one::<Sale>()
            .await;
        assert_eq!(bound.expect("a row"), sale(5));
        let with_parameters = client.query("SELECT {x:Int64} + 1, {s:String}").param("x", 41).param("s", "it's");
        assert_eq!(with_parameters.fetch_one::<(i64, String)>().await.expect("a row"), (42, "it's".to_owned()));
    }
}

#[tokio::test]
async fn rust_inserts_formatted_data() {
    let client = client();
    table(&client, "rust_formatted").await;
    let mut insert = client
        .insert_formatted_with("INSERT INTO rust_formatted (id, customer) FORMAT TabSeparated")
        .with_setting("query_id", "walhouse-test-formatted")
        .with_setting("insert_deduplication_token", "t1")
        .with_setting("async_insert", "0");
    insert.send(bytes::Bytes::from_static(b"1\ta\n2\t")).await.expect("sent");
    insert.send(bytes::Bytes::from_static(b"b\n")).await.expect("sent");
    insert.end().await.expect("inserted");
    assert_eq!(count(&client, "rust_formatted").await, 2);
}

#[tokio::test]
async fn rust_an_abandoned_insert_leaves_nothing() {
    let client = client();
    table(&client, "rust_abandoned").await;
    let mut insert = client.insert::<Sale>("rust_abandoned").await.expect("an insert");
    for id in 0..100_000 {
        insert.write(&sale(id)).await.expect("written");
    }
    drop(insert);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(count(&client, "rust_abandoned").await, 0);
}

#[tokio::test]
async fn rust_hears_of_failures() {
    let client = client();
    let error = client.query("SELECT * FROM nowhere").execute().await.expect_err("no table").to_string();
    assert!(error.contains("Code: 60"), "{error}");
    let sql = "SELECT throwIf(number = 3000000)::UInt8 FROM numbers(5000000)";
    let mut cursor = client.query(sql).fetch::<u8>().expect("a cursor");
    let mut rows = 0;
    let error = loop {
        match cursor.next().await {
            Ok(Some(_)) => rows += 1,
            Ok(None) => panic!("no error after {rows} rows"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(rows > 0 && error.contains("Code: 395"), "{rows} rows, {error}");
    let error = client.clone().with_setting("nonsense", "1").query("SELECT 1").execute().await.expect_err("a setting");
    assert!(error.to_string().contains("Code: 115"), "{error}");
    let error = client.with_user("nobody").query("SELECT 1").execute().await.expect_err("a user");
    assert!(error.to_string().contains("Code: 516"), "{error}");
}

#[tokio::test]
async fn rust_ends_the_inserts_of_a_former_process() {
    let client = client();
    let url = testing::shared().address();
    let mut socket = wire::connect(&url);
    let path =
        "/?query_id=walhouse-old-7&query=SELECT+count()+FROM+numbers(1000000000000)+WHERE+number%25".to_owned() + "7=3";
    wire::send_head(&mut socket, "POST", &path, &[("Content-Length".to_owned(), "0".to_owned())]);
    let running = "SELECT count() FROM system.processes WHERE Settings['log_comment'] LIKE 'walhouse-old-%'";
    wait(|| wire::ok(&url, running) == "1\n");
    client
        .query("KILL QUERY WHERE Settings['log_comment'] LIKE 'walhouse-old-%' ASYNC")
        .execute()
        .await
        .expect("killed");
    let answer = wire::read_answer(&mut socket, false);
    assert_eq!((answer.status, answer.code()), (500, 394), "{}", answer.text());
    wait(|| wire::ok(&url, running) == "0\n");
}

fn wait(mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed().as_secs() < 5, "not in time");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn cache() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache"))).expect("a cache folder").join("walhouse")
}

fn succeeded(what: &str, output: std::io::Result<Output>) -> String {
    let output =
        output.unwrap_or_else(|error| panic!("{what}: {error}; install it: apt-get install python3-venv curl"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{what}: {}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// A virtual environment with the pinned client, made once per machine.
fn python() -> PathBuf {
    const CLIENT: &str = "clickhouse-connect==1.12.0";
    let folder = cache().join("python").join(CLIENT);
    let done = folder.join("done");
    let python = folder.join("bin").join("python");
    std::fs::create_dir_all(&folder).expect("a cache folder");
    let lock = std::fs::File::create(folder.join("lock")).expect("a lock");
    lock.lock().expect("locked");
    if !done.exists() {
        let run = |program: &Path, arguments: &[&str]| {
            succeeded(
                &format!("{} {}", program.display(), arguments.join(" ")),
                Command::new(program).args(arguments).output(),
            )
        };
        run(Path::new("python3"), &["-m", "venv", &folder.display().to_string()]);
        run(&python, &["-m", "pip", "install", "--quiet", CLIENT]);
        std::fs::write(done, "").expect("a marker");
    }
    python
}

#[test]
fn clickhouse_connect_works_unchanged() {
    let engine = testing::shared();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/clickhouse_connect_test.py");
    let port = engine.address().rsplit(':').next().unwrap_or_default().to_owned();
    let output = Command::new(python()).args([script, &port]).output();
    assert!(succeeded("clickhouse-connect", output).ends_with("all good\n"));
}

#[test]
fn curl_works_unchanged() {
    let url = testing::shared().url();
    let curl = |arguments: &[&str]| {
        succeeded("curl", Command::new("curl").args(["-sS", "--fail-with-body"]).args(arguments).output())
    };
    assert_eq!(curl(&[&url]), "Ok.\n");
    assert_eq!(curl(&[&url, "-d", "SELECT 1 + 1"]), "2\n");
    curl(&[&url, "-d", "CREATE OR REPLACE TABLE curl (a UInt64, s String) ENGINE = MergeTree ORDER BY a"]);
    // over 1 MB: curl asks with Expect: 100-continue first
    let data: String = (0..200_000).map(|n| format!("{n}\tline {n}\n")).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("data.tsv");
    std::fs::write(&file, data).expect("a file");
    let at = format!("@{}", file.display());
    let into = format!("{url}/?query=INSERT+INTO+curl+FORMAT+TSV");
    curl(&[&into, "--data-binary", &at]);
    curl(&[&into, "--data-binary", &at, "-H", "Transfer-Encoding: chunked"]);
    assert_eq!(curl(&[&url, "-d", "SELECT count(), uniqExact(a) FROM curl"]), "400000\t200000\n");
    assert_eq!(curl(&[&url, "--compressed", "-d", "SELECT max(s) FROM curl"]), "line 99999\n");
    assert_eq!(curl(&[&url, "-u", "bob:pw", "-d", "SELECT 3"]), "3\n");
}
