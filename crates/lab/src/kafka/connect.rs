//! A Connect worker: a real Kafka Connect with Debezium's Postgres connector, or `walhouse connect` in its place.
//!
//! Both are told the same properties and asked through the same REST interface, so that whoever compares them cannot
//! treat them differently.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::home::Home;
use super::http::{Reply, request};
use super::jvm::Tuning;
use super::{jars, jvm};
use crate::command::tail;
use crate::error::{Error, Result};
use crate::guarded::{AtOnce, Guarded};
use crate::memory::process_memory;
use crate::port::free_port;

/// How long a start may take: it scans its plugins and reads its topics, on a busy machine for half a minute.
const START_PATIENCE: Duration = Duration::from_secs(180);
/// How long an orderly stop may take: tasks are given ten seconds, offsets five.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// Enough of the log to hold a failed start's reason.
const LOG_TAIL_BYTES: usize = 4_000;
/// Enough for small tables.
const SMALL_HEAP_MIB: (u32, u32) = (128, 768);
/// The image's own.
const FULL_HEAP_MIB: (u32, u32) = (256, 2048);

/// The worker's settings, those of the `debezium/connect` image; [`Builder::setting`] overrides them.
const SETTINGS: [(&str, &str); 13] = [
    ("group.id", "1"),
    ("config.storage.topic", "connect_configs"),
    ("offset.storage.topic", "connect_offsets"),
    ("status.storage.topic", "connect_statuses"),
    ("config.storage.replication.factor", "1"),
    ("offset.storage.replication.factor", "1"),
    ("status.storage.replication.factor", "1"),
    ("key.converter", "org.apache.kafka.connect.json.JsonConverter"),
    ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
    ("rest.advertised.host.name", "127.0.0.1"),
    ("offset.flush.interval.ms", "60000"),
    ("offset.flush.timeout.ms", "5000"),
    ("task.shutdown.graceful.timeout.ms", "10000"),
];

/// Which worker and which connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Software {
    /// Kafka Connect 3.5.1 with Debezium 2.4.2, the pair of the image `debezium/connect:2.4`.
    Debezium24,
    /// Kafka Connect 3.9.1 with Debezium 3.0.8.
    Debezium30,
    /// `walhouse connect` of this binary.
    Walhouse(PathBuf),
}

impl Software {
    /// The folders of the worker's jars and of the connector's; none for a program that needs no Java.
    async fn jars(&self) -> Result<Option<(PathBuf, PathBuf)>> {
        let (worker, plugin) = match self {
            Self::Debezium24 => (jars::CONNECT_3_5, jars::DEBEZIUM_2_4),
            Self::Debezium30 => (jars::CONNECT_3_9, jars::DEBEZIUM_3_0),
            Self::Walhouse(_) => return Ok(None),
        };
        Ok(Some((worker.folder().await?, plugin.folder().await?)))
    }
}

/// How to start a worker. Made by [`Connect::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct ConnectBuilder {
    bootstrap: String,
    software: Software,
    tuning: Tuning,
    data_dir: Option<PathBuf>,
    port: Option<u16>,
    settings: Vec<(String, String)>,
}

/// A worker. Dropping it kills it.
#[derive(Debug)]
pub struct Connect {
    process: Option<Guarded>,
    home: Home,
    jars: Option<(PathBuf, PathBuf)>,
    options: ConnectBuilder,
    port: u16,
}

impl ConnectBuilder {
    /// Which one; [`Software::Debezium24`] by default.
    pub fn software(mut self, software: Software) -> Self {
        self.software = software;
        self
    }

    /// How its Java is run; [`Tuning::Small`] by default.
    pub fn tuning(mut self, tuning: Tuning) -> Self {
        self.tuning = tuning;
        self
    }

    /// The worker's folder, which is kept; without it a temporary one. A worker's state is in Kafka, not here.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// A fixed port for the REST interface; without it a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// A line of `connect-distributed.properties`; the last one of a key counts.
    pub fn setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((key.into(), value.into()));
        self
    }

    /// Starts the worker and returns when its REST interface answers.
    ///
    /// # Errors
    /// Java or Maven is not on this machine, or the worker does not come up (the error holds the end of its log).
    pub async fn start(self) -> Result<Connect> {
        let jars = self.software.jars().await?;
        let home = Home::open(self.data_dir.as_deref(), "walhouse-connect-")?;
        let port = self.port.map_or_else(free_port, Ok)?;
        let mut connect = Connect { process: None, home, jars, options: self, port };
        connect.start().await?;
        Ok(connect)
    }
}

impl Connect {
    /// Describes a worker on the brokers `bootstrap`.
    pub fn builder(bootstrap: impl Into<String>) -> ConnectBuilder {
        ConnectBuilder {
            bootstrap: bootstrap.into(),
            software: Software::Debezium24,
            tuning: Tuning::Small,
            data_dir: None,
            port: None,
            settings: Vec::new(),
        }
    }

    /// Starts a worker that was stopped or killed, on the same port. Does nothing when it runs.
    pub async fn start(&mut self) -> Result<()> {
        if self.process.as_mut().is_some_and(|it| it.ended().is_none()) {
            return Ok(());
        }
        let mut process = self.spawn()?;
        let deadline = Instant::now() + START_PATIENCE;
        let reason = loop {
            if let Some(end) = process.ended() {
                break end;
            }
            // While it starts, Jetty answers every path with 404.
            let refusal = match self.request("GET", "/connectors", None).await {
                Ok(reply) if reply.status == 200 => {
                    self.process = Some(process);
                    return Ok(());
                }
                Ok(reply) => format!("status {}", reply.status),
                Err(error) => error.to_string(),
            };
            if Instant::now() > deadline {
                break format!("not ready within {} s: {refusal}", START_PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        drop(process);
        let folder = self.home.path().to_owned();
        Err(Error::Start { server: "Kafka Connect", folder, reason, log: self.log_tail() })
    }

    fn spawn(&self) -> Result<Guarded> {
        let options = &self.options;
        let mut properties: Vec<(String, String)> =
            SETTINGS.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        properties.extend(options.settings.iter().cloned());
        properties.extend([
            ("bootstrap.servers".to_owned(), options.bootstrap.clone()),
            ("listeners".to_owned(), format!("http://127.0.0.1:{}", self.port)),
            ("rest.advertised.port".to_owned(), self.port.to_string()),
        ]);
        if let Some((_, plugin)) = &self.jars {
            properties.push(("plugin.path".to_owned(), plugin.display().to_string()));
        }
        let file = self.home.write_properties("connect-distributed.properties", &properties)?;
        let command = self.command(&file)?;
        Guarded::spawn("connect", command, &self.home.log(), AtOnce::Kill, self.home.temporary())
    }

    fn command(&self, properties: &Path) -> Result<Command> {
        let options = &self.options;
        if let Software::Walhouse(program) = &options.software {
            let mut command = Command::new(program);
            command.args(["connect", "--bootstrap", &options.bootstrap, "--listen"]);
            command.arg(format!("127.0.0.1:{}", self.port)).args(["--console", "off", "--config"]).arg(properties);
            return Ok(command);
        }
        let heap = match options.tuning {
            Tuning::Small => SMALL_HEAP_MIB,
            Tuning::Full => FULL_HEAP_MIB,
        };
        let worker = self.jars.as_ref().map(|(worker, _)| worker.as_path()).unwrap_or(Path::new(""));
        let main = "org.apache.kafka.connect.cli.ConnectDistributed";
        let mut command = jvm::command(&self.home, worker, options.tuning, heap, main)?;
        command.arg(properties);
        Ok(command)
    }

    /// Stops in order (SIGTERM): tasks end, offsets are written.
    pub async fn stop(&mut self) -> Result<()> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        process.signal(Signal::TERM)?;
        if !process.wait(STOP_PATIENCE).await {
            return Err(Error::Timeout {
                waited_for: "the end of Kafka Connect".into(),
                seconds: STOP_PATIENCE.as_secs(),
                last: self.log_tail(),
            });
        }
        self.process = None;
        Ok(())
    }

    /// Kills the worker with SIGKILL, as a crash would.
    pub fn kill9(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill9())
    }

    /// One request to the REST interface; a body is JSON text.
    pub async fn request(&self, method: &str, path: &str, body: Option<&str>) -> Result<Reply> {
        request(self.port, method, path, body).await
    }

    /// The REST interface's port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Process id of the worker, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Guarded::pid)
    }

    /// Resident memory of the worker in bytes, and its peak so far.
    pub fn memory(&self) -> Option<(u64, u64)> {
        process_memory(self.pid()?)
    }

    /// The worker's folder.
    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    /// The end of the worker's log.
    pub fn log_tail(&self) -> String {
        tail(&fs::read(self.home.log()).unwrap_or_default(), LOG_TAIL_BYTES)
    }
}
