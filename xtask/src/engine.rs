//! A `walhouse engine` of our own, apart from any `walhouse run`.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const START_PATIENCE: Duration = Duration::from_secs(60);

/// A running engine with a temporary data folder; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Engine {
    child: Child,
    url: String,
    _data: tempfile::TempDir,
}

impl Engine {
    /// Starts an engine and waits until it answers.
    pub(crate) async fn start(program: &Path) -> Result<Self> {
        let data = tempfile::tempdir().context("making a folder for the engine")?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let listen = format!("127.0.0.1:{port}");
        let child = Command::new(program)
            .args(["engine", "--listen", &listen, "--data"])
            .arg(data.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting walhouse engine")?;
        let mut engine = Self { child, url: format!("http://{listen}"), _data: data };
        let client = clickhouse::Client::default().with_url(engine.url());
        let deadline = Instant::now() + START_PATIENCE;
        while client.query("SELECT 1::UInt8").fetch_one::<u8>().await.is_err() {
            if let Some(status) = engine.child.try_wait()? {
                bail!("walhouse engine ended with {status}");
            }
            if Instant::now() > deadline {
                bail!("walhouse engine did not answer within {} s", START_PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(engine)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
