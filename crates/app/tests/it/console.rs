//! The console over a real pipe: what it tells, what it refuses, and what it makes the pipeline do.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Pipe, VISIBLE};

const TABLES: &str = "CREATE TABLE t (id int PRIMARY KEY, name text, price numeric(10, 2), at timestamptz);
    INSERT INTO t VALUES (1, 'one', 1.50, '2026-01-01T00:00:00Z'), (2, 'two', NULL, 'infinity');
    CREATE TABLE other (id bigint PRIMARY KEY, tags text[]);
    INSERT INTO other VALUES (9007199254740993, '{a}')";

struct Answer {
    code: u16,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

struct Page<'a> {
    pipe: &'a Pipe,
    csrf: String,
}

impl<'a> Page<'a> {
    async fn open(pipe: &'a Pipe) -> Self {
        let mut page = Self { pipe, csrf: String::new() };
        let session = page.get("/api/session").await;
        session["csrf"].as_str().unwrap().clone_into(&mut page.csrf);
        page
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let address = self.pipe.house.console_url().trim_start_matches("http://").to_owned();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nx-walhouse-csrf: {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.csrf,
            body.len()
        );
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer { code: head.split_whitespace().nth(1).unwrap().parse().unwrap(), body: body.to_owned() }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.send("GET", path, &Value::Null).await;
        assert_eq!(answer.code, 200, "{path}: {}", answer.body);
        answer.json()
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, &body).await
    }

    async fn query(&self, sql: &str) -> Answer {
        self.post("/api/query", json!({ "sql": sql })).await
    }

    async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + VISIBLE;
        loop {
            let found = self.get(path).await;
            if wanted(&found) {
                return found;
            }
            assert!(Instant::now() < deadline, "{path} stays {found:#}; log: {}", self.pipe.house.log_tail());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn phase(&self, table: &str, phase: &str) {
        self.until(&format!("/api/tables/public/{table}"), |found| found["table"]["phase"] == phase).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_what_flows_and_shows_how_tables_lie() {
    let pipe = Pipe::start("console_tells", TABLES).await;
    let page = Page::open(&pipe).await;
    pipe.execute("UPDATE t SET name = 'uno' WHERE id = 1").await;
    pipe.until("SELECT name FROM view_t_last_rec WHERE id = 1", "uno\n").await;

    let overview = page.until("/api/overview", |found| found["wal"]["retained_bytes"].as_u64() > Some(0)).await;
    assert_eq!((overview["state"].as_str(), overview["health"]["level"].as_str()), (Some("live"), Some("good")));
    assert!(overview["health"]["sentence"].as_str().unwrap().starts_with("live, "), "{overview:#}");
    assert_eq!(overview["stages"].as_array().unwrap().len(), 3);
    let arrow = &overview["arrows"][1];
    assert!(arrow["latency"]["count"].as_u64() >= Some(1), "{arrow:#}");

    let tables = page.until("/api/tables", |found| found["tables"][1]["rows"].as_u64() >= Some(2)).await;
    assert_eq!(tables["tables"][1]["target"], "t");
    assert!(tables["tables"][1]["last_change_ms"].is_i64() && tables["tables"][1]["lag_ms"].is_f64(), "{tables:#}");

    let detail = page.get("/api/tables/public/t").await;
    let columns = detail["layout"]["columns"].as_array().unwrap();
    let column = |index: usize| {
        let column = columns.get(index).unwrap();
        let text = |name: &str| column[name].as_str().unwrap().to_owned();
        (text("postgres_type"), text("clickhouse_type"))
    };
    assert_eq!(column(0), ("integer".to_owned(), "Int32".to_owned()));
    assert_eq!(column(2), ("numeric(10,2)".to_owned(), "Nullable(Decimal(10, 2))".to_owned()));
    let definitions = detail["layout"]["definitions"].as_array().unwrap();
    let names: Vec<_> = definitions.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["t", "t__current", "view_t_last_rec", "t_at"]);
    assert!(definitions.iter().all(|one| one["sql"].as_str().unwrap().starts_with("CREATE ")), "{definitions:#?}");
    assert_eq!(page.send("GET", "/api/tables/public/none", &Value::Null).await.code, 404);
    assert!(!page.get("/api/history").await["points"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_changes_as_before_and_after() {
    let pipe = Pipe::start("console_changes", TABLES).await;
    let page = Page::open(&pipe).await;
    pipe.execute("UPDATE t SET name = 'uno', price = 2 WHERE id = 1").await;
    pipe.execute("DELETE FROM t WHERE id = 1").await;
    pipe.execute("INSERT INTO t VALUES (1, 'again', 3, now())").await;
    pipe.until("SELECT name FROM view_t_last_rec WHERE id = 1", "again\n").await;

    let reply = page.get("/api/tables/public/t/changes?limit=3").await;
    let changes = reply["changes"].as_array().unwrap();
    let actions: Vec<_> = changes.iter().map(|change| change["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["insert", "delete", "update"]);
    let column = |change: usize, name: &str| {
        let columns = changes.get(change).unwrap()["columns"].as_array().unwrap();
        let column = columns.iter().find(|column| column["name"] == name).unwrap();
        (column["before"].clone(), column["after"].clone(), column["changed"].as_bool().unwrap())
    };
    assert_eq!(column(0, "name"), (Value::Null, json!("again"), true), "nothing was there before");
    assert_eq!(column(1, "name"), (json!("uno"), Value::Null, true));
    assert_eq!(column(2, "name"), (json!("one"), json!("uno"), true));
    assert_eq!(column(2, "price"), (json!("1.5"), json!("2"), true));
    assert!(!column(2, "at").2);

    let older =
        page.get(&format!("/api/tables/public/t/changes?before={}", reply["next_before"].as_str().unwrap())).await;
    let older = older["changes"].as_array().unwrap();
    assert_eq!(older.len(), 2, "{older:#?}");
    let two = older.iter().find(|change| change["key"]["id"] == 2).unwrap();
    let at = two["columns"].as_array().unwrap().iter().find(|column| column["name"] == "at").unwrap();
    assert_eq!(at["after"], "infinity", "what the column cannot hold is Postgres' text");

    let versions = page.get("/api/tables/public/t/changes?key=%7B%22id%22%3A1%7D").await;
    let actions: Vec<_> = versions["changes"].as_array().unwrap().iter().map(|one| one["action"].clone()).collect();
    assert_eq!(actions, ["insert", "delete", "update", "read"]);
    let big = page.get("/api/tables/public/other/changes?key=%7B%22id%22%3A%229007199254740993%22%7D").await;
    assert_eq!(big["changes"][0]["key"]["id"], "9007199254740993");
    for (query, code) in [("key=%7B%7D", 400), ("key=x", 400), ("before=x", 400), ("key=%7B%22id%22%3A%22x%22%7D", 400)]
    {
        let path = format!("/api/tables/public/t/changes?{query}");
        assert_eq!(page.send("GET", &path, &Value::Null).await.code, code, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_reads_within_limits_and_nothing_else() {
    let pipe = Pipe::start("console_query", TABLES).await;
    let page = Page::open(&pipe).await;
    let answer = page
        .query("SELECT id, price, toUInt64(1152921504606846976) AS big FROM view_t_last_rec ORDER BY id")
        .await
        .json();
    assert_eq!(answer["columns"][1], json!({ "name": "price", "type": "Nullable(Decimal(10, 2))" }));
    assert_eq!(answer["rows"], json!([[1, "1.5", "1152921504606846976"], [2, null, "1152921504606846976"]]));
    assert_eq!(answer["truncated"], false);
    let many =
        page.post("/api/query", json!({ "sql": "SELECT number FROM numbers(1000000)", "max_rows": 10 })).await.json();
    assert_eq!((many["rows"].as_array().unwrap().len(), many["truncated"].as_bool()), (10, Some(true)));

    for sql in [
        "INSERT INTO t SELECT * FROM t",
        "DROP TABLE t",
        "ALTER TABLE t DELETE WHERE 1",
        "CREATE TABLE x (a Int8) ENGINE = Memory",
        "SYSTEM SHUTDOWN",
        "KILL QUERY WHERE 1",
        "SET readonly = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_execution_time = 0",
        "SELECT 1; DROP TABLE t",
        "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a String')",
        "SELECT * FROM file('/etc/passwd', CSV, 'a String')",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
    ] {
        let answer = page.query(sql).await;
        assert!(matches!(answer.code, 400 | 403 | 422), "{sql}: {} {}", answer.code, answer.body);
    }
    assert_eq!(pipe.target("SELECT count() FROM view_t_last_rec").await, "2\n");
    let wrong = page.query("SELECT FROM WHERE").await;
    assert!(wrong.code == 400 && wrong.json()["error"].as_str().unwrap().contains("Syntax error"), "{}", wrong.body);
    let other_form = page.query("SELECT 1 FORMAT CSV").await;
    assert_eq!(other_form.code, 400, "{}", other_form.body);
    let slow = json!({ "sql": "SELECT count() FROM system.numbers", "timeout_seconds": 1 });
    let began = Instant::now();
    let slow = page.post("/api/query", slow).await;
    assert_eq!(slow.code, 422, "{}", slow.body);
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_cancelled() {
    let pipe = Pipe::start("console_cancel", TABLES).await;
    let page = Page::open(&pipe).await;
    let endless = json!({ "sql": "SELECT count() FROM system.numbers", "query_id": "endless", "timeout_seconds": 60 });
    let cancel = async {
        let deadline = Instant::now() + Duration::from_secs(20);
        while page.post("/api/query/endless/cancel", json!({})).await.json()["cancelled"] != true {
            assert!(Instant::now() < deadline, "it never ran");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let began = Instant::now();
    let (answer, ()) = tokio::join!(page.post("/api/query", endless), cancel);
    assert_eq!(answer.code, 409, "{}", answer.body);
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_paused_resumed_and_resynced() {
    let mut pipe = Pipe::start("console_commands", TABLES).await;
    {
        let page = Page::open(&pipe).await;
        assert_eq!(page.post("/api/tables/public/t/pause", Value::Null).await.code, 202);
        page.phase("t", "paused").await;
        assert_eq!(page.post("/api/tables/public/t/pause", Value::Null).await.code, 409);
        assert_eq!(page.post("/api/tables/public/none/pause", Value::Null).await.code, 404);
        pipe.execute("UPDATE t SET name = 'missed' WHERE id = 1; INSERT INTO other VALUES (1, NULL)").await;
        pipe.until("SELECT count() FROM view_other_last_rec", "2\n").await;
        assert_eq!(pipe.target("SELECT name FROM view_t_last_rec WHERE id = 1").await, "one\n");
        assert_eq!(page.post("/api/tables/public/t/resume", Value::Null).await.code, 202);
        page.phase("t", "live").await;
        pipe.until("SELECT name FROM view_t_last_rec WHERE id = 1", "missed\n").await;
        let audit = page.get("/api/audit").await;
        let done: Vec<_> = audit["entries"].as_array().unwrap().iter().map(|entry| entry["outcome"].clone()).collect();
        assert_eq!(done.first(), Some(&json!("done")), "{audit:#}");
        assert_eq!(done.len(), 4, "{audit:#}");
    }
    pipe.until_equal(&["t", "other"]).await;
}

/// A row that somebody changed in the target is found, and repaired.
#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_a_difference_and_repair_mends_it() {
    let mut pipe = Pipe::start("console_verify", TABLES).await;
    let stray = "INSERT INTO t__current (id, name, is_deleted, _version) VALUES (77, 'stray', 0, '1329227995784915872903807060280344576')";
    pipe.clickhouse().query(stray).execute().await.unwrap();
    {
        let page = Page::open(&pipe).await;
        assert_eq!(page.get("/api/verify").await["job"], Value::Null);
        assert_eq!(page.post("/api/verify", json!({})).await.code, 202);
        let reply = page.until("/api/verify", |found| found["job"]["state"] != "running").await;
        let job = &reply["job"];
        assert_eq!((job["state"].as_str(), job["equal"].as_bool()), (Some("done"), Some(false)), "{job:#}");
        let tables = job["tables"].as_array().unwrap();
        let of = |name: &str| tables.iter().find(|table| table["name"] == name).unwrap();
        assert_eq!(of("other")["verdict"]["equal"], true);
        let table = of("t");
        assert_eq!(
            (table["verdict"]["extra"]["count"].as_u64(), table["buckets"].as_u64()),
            (Some(1), Some(256)),
            "{table:#}"
        );
        assert_eq!(table["differing"], table["narrowed"]);
        assert!(!reply.to_string().contains("stray"), "keys and counts only: {reply:#}");
        let repair = format!("/api/verify/{}/repair", job["id"]);
        assert_eq!(page.post(&repair, json!({ "tables": [{ "schema": "public", "name": "other" }] })).await.code, 409);
        let repaired = page.post(&repair, json!({})).await;
        assert_eq!(repaired.json()["resynced"], json!([{ "schema": "public", "name": "t" }]));
        pipe.until("SELECT count() FROM view_t_last_rec", "2\n").await;
        page.phase("t", "live").await;
    }
    pipe.until_equal(&["t", "other"]).await;
}
