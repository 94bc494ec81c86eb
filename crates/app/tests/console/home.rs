//! Houses to look at: the sample workload in a Postgres of its own, followed by a walhouse.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use walhouse_lab::house::{Builder, House};
use walhouse_lab::postgres::Server;
use walhouse_lab::rembo::{self, LoadOptions, SeedOptions};

/// How long a start may take on a busy machine.
pub(crate) const READY: Duration = Duration::from_secs(60);
/// How often a state that is waited for is looked at: a copy must not end between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// Enough for something to be seen at every second.
const RATE: f64 = 40.0;

pub(crate) struct Home {
    pub(crate) server: Server,
    pub(crate) house: House,
}

impl Home {
    /// The workload, not yet followed.
    pub(crate) async fn prepare(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let server = Server::builder().start().await.unwrap();
        let mut client = server.connect().await.unwrap();
        rembo::create(&mut client, false).await.unwrap();
        rembo::alter(&client).await.unwrap();
        let options = SeedOptions { customers: 500, sales: 2000, ..SeedOptions::default() };
        rembo::seed(&mut client, options).await.unwrap();
        let builder = House::builder(env!("CARGO_BIN_EXE_walhouse"), server.url()).postgres("tables = [\"public.*\"]");
        let house = configure(builder.rest(rembo::CONFIGURATION)).build().unwrap();
        Self { server, house }
    }

    /// The workload, followed and live.
    pub(crate) async fn live() -> Self {
        let mut home = Self::prepare(|builder| builder).await;
        home.start().await;
        home
    }

    pub(crate) async fn start(&mut self) {
        self.house.start().unwrap();
        self.house.ready(READY).await.unwrap();
    }

    /// As somebody would who has no business there.
    pub(crate) async fn execute_in_clickhouse(&self, sql: &str) {
        clickhouse::Client::default().with_url(self.house.clickhouse_url()).query(sql).execute().await.unwrap();
    }

    /// Waits until so many rows of a table are copied.
    pub(crate) async fn copied(&self, table: &str, rows: u64) {
        let deadline = Instant::now() + READY;
        loop {
            let (_, body) = self.house.get("/status").await.unwrap_or_default();
            let status: Option<walhouse_pipeline::Status> = serde_json::from_str(&body).ok();
            let found = status.and_then(|status| status.tables.into_iter().find(|one| one.name.name == table));
            if found.is_some_and(|table| table.rows_copied >= rows) {
                return;
            }
            assert!(Instant::now() < deadline, "{table} is not being copied: {body}\n{}", self.house.log_tail());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Holds the table's copy where it is, until it is dropped: the source stands still, which is no trouble yet.
    pub(crate) async fn hold_copy(&self, table: &str) -> HeldCopy {
        let client = self.server.connect().await.unwrap();
        let sql = "SELECT pid FROM pg_stat_activity WHERE query ILIKE 'COPY%' AND strpos(query, $1) > 0";
        let rows = client.query(sql, &[&table]).await.unwrap();
        let pids: Vec<_> = rows.iter().filter_map(|row| Pid::from_raw(row.get(0))).collect();
        assert!(!pids.is_empty(), "{table} is not being copied");
        let held = HeldCopy(pids);
        held.signal(Signal::STOP);
        held
    }

    /// Changes, until it is dropped.
    pub(crate) async fn load(&self) -> Load {
        let mut client = self.server.connect().await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let until = async {
                let _ = stopped.await;
            };
            // The source may go away in the middle: that is part of some scenarios.
            let _ = rembo::load(&mut client, LoadOptions { rate: RATE, seed: 1 }, until).await;
        });
        Load { _stop: stop, task }
    }
}

/// Postgres' processes of a copy, stopped.
pub(crate) struct HeldCopy(Vec<Pid>);

impl HeldCopy {
    fn signal(&self, signal: Signal) {
        for &pid in &self.0 {
            // It may have ended meanwhile.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for HeldCopy {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
    }
}

pub(crate) struct Load {
    _stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.task.abort();
    }
}
