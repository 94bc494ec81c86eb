//! A pipe under test: a database of its own on a shared Postgres, and a walhouse with its embedded engine.

use std::time::Duration;

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
        let source = connect(&url).await.unwrap();
        source.batch_execute(sql).await.unwrap();
        let lines = format!("slot = \"{name}\"\npublication = \"{name}\"\ntables = [\"*.*\"]\n");
        let house = configure(House::builder(PROGRAM, &url).postgres(&lines)).build().unwrap();
        Self { source, house, url, slot: name.to_owned() }
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
