//! A pipe under test: a database of its own on a shared Postgres, and a walhouse with its embedded engine.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio_postgres::Client;
use walhouse_lab::house::{self, House};
use walhouse_lab::postgres::{Server, connect};
use walhouse_lab::verify::{self, Report, Table};

/// How long a start may take on a busy machine.
pub(crate) const READY: Duration = Duration::from_secs(60);
/// How long a change may take to become visible before a test gives up.
pub(crate) const VISIBLE: Duration = Duration::from_secs(60);

/// The binary under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_walhouse");

/// A row's value that no log may hold.
pub(crate) const ROW: &str = "value-of-a-row";
/// A table with such a row.
pub(crate) const TABLE: &str =
    "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'value-of-a-row')";

/// Lines of the `[postgres]` section: slot and publication of that name.
pub(crate) fn settings(name: &str, tables: &str) -> String {
    format!("slot = \"{name}\"\npublication = \"{name}\"\ntables = [\"{tables}\"]\n")
}

pub(crate) struct Pipe {
    pub(crate) source: Client,
    pub(crate) house: House,
    pub(crate) url: String,
    pub(crate) slot: String,
}

impl Pipe {
    /// A database named `name` with the tables of `sql`, and a walhouse that is ready.
    pub(crate) async fn start(name: &str, sql: &str) -> Self {
        Self::start_with(name, sql, |builder| builder).await
    }

    /// The same with another configuration.
    pub(crate) async fn start_with(
        name: &str,
        sql: &str,
        configure: impl FnOnce(house::Builder) -> house::Builder,
    ) -> Self {
        let mut pipe = Self::prepare(name, sql, configure).await;
        pipe.house.start().unwrap();
        pipe.house.ready(READY).await.unwrap();
        pipe
    }

    /// Everything but the start.
    pub(crate) async fn prepare(
        name: &str,
        sql: &str,
        configure: impl FnOnce(house::Builder) -> house::Builder,
    ) -> Self {
        let server = Server::shared().await.unwrap();
        let url = server.create_database(name).await.unwrap();
        Self::on(url, name, sql, configure).await
    }

    /// On a database that is there.
    pub(crate) async fn on(
        url: String,
        name: &str,
        sql: &str,
        configure: impl FnOnce(house::Builder) -> house::Builder,
    ) -> Self {
        let as_url = url.clone();
        Self::by(url, &as_url, name, sql, configure).await
    }

    /// The same, with walhouse connecting by a URL of its own.
    pub(crate) async fn by(
        url: String,
        house_url: &str,
        name: &str,
        sql: &str,
        configure: impl FnOnce(house::Builder) -> house::Builder,
    ) -> Self {
        let source = connect(&url).await.unwrap();
        source.batch_execute(sql).await.unwrap();
        let builder = House::builder(PROGRAM, house_url).postgres(&settings(name, "*.*"));
        Self { source, house: configure(builder).build().unwrap(), url, slot: name.to_owned() }
    }

    /// Starts, and is ready.
    pub(crate) async fn run(&mut self) {
        self.house.start().unwrap();
        self.house.ready(READY).await.unwrap();
    }

    /// The end that it comes to by itself: exit code and last line.
    pub(crate) async fn end(&mut self) -> (Option<i32>, String) {
        let status = self.house.ended(READY).await.unwrap();
        (status.code(), self.house.log().lines().last().unwrap_or_default().to_owned())
    }

    /// Starts it, and asserts that it ends with `code` and one line that has all of `parts` in it.
    pub(crate) async fn refused(&mut self, code: i32, parts: &[&str]) {
        self.house.start().unwrap();
        self.ends(code, parts).await;
    }

    /// Asserts that what runs ends by itself, as [`Self::refused`] does.
    pub(crate) async fn ends(&mut self, code: i32, parts: &[&str]) {
        let (found, line) = self.end().await;
        assert_eq!(found, Some(code), "{line}");
        assert!(line.starts_with("walhouse: "), "{line}");
        for part in parts {
            assert!(line.contains(part), "{part:?} is not in {line:?}");
        }
        assert!(!self.house.log().contains(ROW), "a row's value is in the log");
    }

    /// Waits until `/ready` is 503 for a reason that has all of `parts` in it.
    pub(crate) async fn unready(&self, parts: &[&str]) {
        let deadline = Instant::now() + READY;
        loop {
            let found = self.house.get("/ready").await;
            if let Ok((503, body)) = &found
                && parts.iter().all(|part| body.contains(part))
            {
                return;
            }
            assert!(Instant::now() < deadline, "{parts:?} never came: {found:?}; log: {}", self.house.log_tail());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `walhouse status --json`.
    pub(crate) fn status(&self) -> serde_json::Value {
        let output = self.house.command(&["status", "--json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// `walhouse teardown`.
    pub(crate) fn teardown(&self) {
        let output = self.house.command(&["teardown", "--yes"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    pub(crate) fn clickhouse(&self) -> clickhouse::Client {
        clickhouse::Client::default().with_url(self.house.clickhouse_url())
    }

    /// The rows of a query as `TabSeparated`.
    pub(crate) async fn target(&self, sql: &str) -> String {
        let mut cursor = self.clickhouse().query(&sql.replace('?', "??")).fetch_bytes("TabSeparated").unwrap();
        String::from_utf8(cursor.collect().await.unwrap().to_vec()).unwrap()
    }

    /// Waits until the query's rows are `wanted`.
    pub(crate) async fn until(&self, sql: &str, wanted: &str) {
        let client = self.clickhouse();
        let looked = verify::until(sql, VISIBLE, async || {
            let mut cursor =
                client.query(&sql.replace('?', "??")).fetch_bytes("TabSeparated").map_err(|e| e.to_string())?;
            let bytes = cursor.collect().await.map_err(|e| e.to_string())?;
            let found = String::from_utf8_lossy(&bytes).into_owned();
            if found == wanted { Ok(()) } else { Err(found) }
        });
        if let Err(error) = looked.await {
            panic!("{error}, wanted {wanted:?}; walhouse's log: {}", self.house.log_tail());
        }
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.source.batch_execute(sql).await.unwrap();
    }

    /// Waits until these tables of `public` are equal on both sides, history included.
    pub(crate) async fn until_equal(&mut self, tables: &[&str]) -> Report {
        let tables: Vec<Table> = tables.iter().map(|name| Table::new("public", *name)).collect();
        self.until_equal_tables(&tables).await
    }

    pub(crate) async fn until_equal_tables(&mut self, tables: &[Table]) -> Report {
        let clickhouse = self.clickhouse();
        match verify::until_equal(&mut self.source, &clickhouse, tables, VISIBLE).await {
            Ok(report) => report,
            Err(error) => panic!("{error}; walhouse's log: {}", self.house.log_tail()),
        }
    }
}

/// `walhouse engine` on its own, in a folder.
pub(crate) struct LoneEngine {
    process: Child,
    pub(crate) url: String,
}

impl LoneEngine {
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_at(data, "127.0.0.1:0")
    }

    /// Listens on `address`.
    pub(crate) fn start_at(data: &Path, address: &str) -> Self {
        Self::spawn(data, address, &[])
    }

    /// With tables over topics.
    pub(crate) fn with_kafka(data: &Path, address: &str) -> Self {
        Self::spawn(data, address, &["--kafka"])
    }

    fn spawn(data: &Path, address: &str, more: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("engine").arg("--data").arg(data).args(["--listen", address]).args(more);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        assert!(url.starts_with("http://"), "{line:?}");
        Self { process, url }
    }
}

impl Drop for LoneEngine {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
