//! The console of the Kafka demo: the pipe drawn as it is, and everything that a pipe's console has.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::browser::browse;
use crate::worker::ask;

/// A broker, a worker and an engine start one after the other.
const STARTED: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(100);

struct Demo {
    child: Child,
    folder: tempfile::TempDir,
    addresses: Value,
}

impl Demo {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("demo.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_walhouse"));
        command.args(["demo", "--kafka", "--customers", "300", "--sales", "400", "--rate", "20", "--dir"]);
        command.arg(folder.path()).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut demo = Self { child: command.spawn().unwrap(), folder, addresses: Value::Null };
        let deadline = Instant::now() + STARTED;
        while demo.addresses.is_null() {
            let text = std::fs::read(demo.path().join("demo.json")).unwrap_or_default();
            demo.addresses = serde_json::from_slice(&text).unwrap_or_default();
            let ended = demo.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "the demo did not start: {}", demo.log());
            tokio::time::sleep(LOOK).await;
        }
        demo
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("demo.log")).unwrap_or_default()
    }

    fn console(&self) -> &str {
        self.addresses["console"].as_str().unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let address = self.console().trim_start_matches("http://").parse().unwrap();
        let (code, body) = ask(address, "GET", path, "").await.unwrap();
        assert_eq!(code, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until the answer is as it should be.
    async fn until(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + STARTED;
        loop {
            let found = self.get(path).await;
            if is_so(&found) {
                return found;
            }
            assert!(Instant::now() < deadline, "{path}: {found:#}\n{}", self.log());
            tokio::time::sleep(LOOK).await;
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap(), signal).unwrap();
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kafka_demo_shows_its_pipe_and_all_that_is_in_it() {
    let mut demo = Demo::start().await;
    let overview = demo
        .until("/api/overview", |found| {
            let arrows = found["arrows"].as_array();
            let flows = |arrow: &Value| arrow["rows_per_second"].as_f64() > Some(0.0);
            found["state"] == "live" && arrows.is_some_and(|arrows| arrows.len() == 3 && arrows.iter().all(flows))
        })
        .await;
    let stages: Vec<&str> =
        overview["stages"].as_array().unwrap().iter().map(|stage| stage["kind"].as_str().unwrap()).collect();
    assert_eq!(stages, ["postgres", "walhouse", "kafka", "clickhouse"]);
    assert_eq!(overview["slot"], "rembo_slot");
    assert!(overview["arrows"][2]["lag_messages"].is_u64(), "{overview:#}");
    assert_eq!((&overview["tables"]["total"], &overview["tables"]["live"]), (&4.into(), &4.into()));
    let visible = demo.until("/api/overview", |found| found["arrows"][2]["latency"].is_object()).await;
    let p50 = visible["arrows"][2]["latency"]["p50_ms"].as_f64().unwrap();
    assert!(p50 > 0.0 && p50 < 60_000.0, "{p50} ms");
    let topics = demo.get("/api/topics").await.to_string();
    assert!(topics.contains("rembo.public.sales") && topics.contains("connect_configs"), "{topics}");
    let connectors = demo.get("/api/connectors").await.to_string();
    assert!(connectors.contains("rembo-db-connector") && connectors.contains("RUNNING"), "{connectors}");
    let table = demo.get("/api/tables/public/sales").await;
    assert!(table["layout"]["definitions"].to_string().contains("view_sales_last_rec"), "{table:#}");

    browse("kafka", demo.console(), async |verb: &str| panic!("{verb} is not known")).await;

    demo.signal(Signal::INT);
    let status = demo.child.wait().unwrap();
    // After a signal it compares for some seconds only, which a busy machine may need all of.
    assert!(status.success() && demo.log().contains("final counts"), "{status}: {}", demo.log());
}
