//! A private broker: start, stop, kill, start again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::RngExt;
use rustix::process::Signal;
use tokio::sync::OnceCell;

use super::builder::{Builder, Options};
use super::home::Home;
use super::{jars, jvm, ready};
use crate::command::tail;
use crate::error::{Attempt, Error, Result};
use crate::guarded::{AtOnce, Guarded};
use crate::port::free_port;

/// How long a start may take: seconds on an idle machine, many more on a busy one and after a kill under load.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// How long an orderly stop may take: logs are flushed and closed.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// How often other ports are tried when somebody takes the ones that we found free.
const PORT_TRIES: u32 = 5;
/// Enough of the log to hold a failed start's reason.
const LOG_TAIL_BYTES: usize = 3_000;

/// A private Kafka broker, which is also its own controller. Dropping it kills it.
#[derive(Debug)]
pub struct Broker {
    /// Before `home`, which is deleted when it is a temporary one.
    process: Option<Guarded>,
    home: Home,
    jars: PathBuf,
    options: Options,
    port: u16,
    controller_port: u16,
}

impl Broker {
    /// Describes a broker to start.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// One broker for all tests of this process, with the builder's defaults; it ends with the process. Give every
    /// test its own topics and groups.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Broker> = OnceCell::const_new();
        SHARED.get_or_try_init(|| Self::builder().start()).await
    }

    pub(super) async fn open(options: Options) -> Result<Self> {
        let jars = jars::BROKER.folder().await?;
        let home = Home::open(options.data_dir.as_deref(), "walhouse-kafka-")?;
        format(&home.path().join("logs"))?;
        let port = options.port.map_or_else(free_port, Ok)?;
        let mut broker = Self { process: None, home, jars, options, port, controller_port: free_port()? };
        broker.start().await?;
        Ok(broker)
    }

    /// Starts a broker that was stopped or killed, on the same ports, and returns when it serves. Does nothing when
    /// it runs.
    pub async fn start(&mut self) -> Result<()> {
        if self.is_running() {
            return Ok(());
        }
        self.process = None;
        let mut tries = 0;
        loop {
            match self.try_start().await {
                // Somebody took a port since we found it free, or a dying predecessor still holds it.
                Err(Error::Start { log, .. }) if is_held(&log) && tries < PORT_TRIES => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    self.controller_port = free_port()?;
                    self.port = self.options.port.map_or_else(free_port, Ok)?;
                }
                other => return other,
            }
        }
    }

    async fn try_start(&mut self) -> Result<()> {
        let log_start = fs::metadata(self.home.log()).map_or(0, |meta| meta.len());
        let mut process = self.spawn()?;
        let deadline = Instant::now() + START_PATIENCE;
        let reason = loop {
            if let Some(end) = process.ended() {
                break end;
            }
            let refusal = match ready::serves(self.port).await {
                Ok(()) => {
                    self.process = Some(process);
                    return Ok(());
                }
                Err(refusal) => refusal,
            };
            if Instant::now() > deadline {
                break format!("not ready within {} s: {refusal}", START_PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        drop(process);
        let log = fs::read(self.home.log()).unwrap_or_default();
        let from = usize::try_from(log_start).unwrap_or(0);
        Err(Error::Start {
            server: "Kafka",
            folder: self.home.path().to_owned(),
            reason,
            log: tail(log.get(from..).unwrap_or_default(), LOG_TAIL_BYTES),
        })
    }

    /// Starts Java; the broker is not ready yet when this returns.
    fn spawn(&self) -> Result<Guarded> {
        let (port, controller) = (self.port, self.controller_port);
        let mut properties = self.options.settings();
        properties.extend([
            ("log.dirs".to_owned(), self.home.path().join("logs").display().to_string()),
            ("controller.quorum.voters".to_owned(), format!("1@127.0.0.1:{controller}")),
            ("listeners".to_owned(), format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}")),
            ("advertised.listeners".to_owned(), format!("PLAINTEXT://127.0.0.1:{port}")),
        ]);
        let file = self.home.write_properties("server.properties", &properties)?;
        let options = &self.options;
        let mut command = jvm::command(&self.home, &self.jars, options.tuning, options.heap_mib(), "kafka.Kafka")?;
        command.arg(file);
        Guarded::spawn("kafka", command, &self.home.log(), AtOnce::Kill, self.home.temporary())
    }

    /// Stops in order: logs are flushed and closed.
    pub async fn stop(&mut self) -> Result<()> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        process.signal(Signal::TERM)?;
        if !process.wait(STOP_PATIENCE).await {
            return Err(Error::Timeout {
                waited_for: "the end of Kafka".into(),
                seconds: STOP_PATIENCE.as_secs(),
                last: self.log_tail(),
            });
        }
        self.process = None;
        Ok(())
    }

    /// Kills the broker with SIGKILL, as a crash would; [`Broker::start`] recovers.
    pub fn kill9(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill9())
    }

    /// Freezes the broker, or thaws it: connections stay, and nobody answers.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        self.process.as_ref().map_or(Ok(()), |process| process.signal(signal))
    }

    /// Stops in order and starts again.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.start().await
    }

    /// Sets a line of `server.properties` for the next start.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.options.set(key.into(), value.into());
    }

    /// Whether the broker lives.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|it| it.ended().is_none())
    }

    /// Process id of the broker, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Guarded::pid)
    }

    /// The port for clients on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`, as clients name it.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The broker's folder.
    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    /// The end of the broker's log.
    pub fn log_tail(&self) -> String {
        tail(&fs::read(self.home.log()).unwrap_or_default(), LOG_TAIL_BYTES)
    }
}

/// Makes the log folder of a new cluster of one, as Kafka's own `StorageTool format` does, without its second Java;
/// does nothing when it is there.
fn format(logs: &Path) -> Result<()> {
    let file = logs.join("meta.properties");
    if file.exists() {
        return Ok(());
    }
    fs::create_dir_all(logs).attempt("creating Kafka's log folder")?;
    let text = format!("version=1\nnode.id=1\ncluster.id={}\ndirectory.id={}\n", kafka_uuid(), kafka_uuid());
    let half = logs.join("meta.properties.tmp");
    fs::write(&half, text).attempt("formatting Kafka's log folder")?;
    fs::rename(&half, &file).attempt("formatting Kafka's log folder")
}

/// 16 random bytes as Kafka writes a uuid: 22 characters of URL-safe base 64. The last one holds four bits, and an `A`
/// in front keeps clear of the leading dash that Kafka refuses.
fn kafka_uuid() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = rand::rng();
    let middle = (0..20).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]));
    std::iter::once('A').chain(middle).chain(['A']).collect()
}

/// Whether the log of a failed start says that somebody else holds a port or the folder.
fn is_held(log: &str) -> bool {
    ["Address already in use", "Failed to acquire lock on file"].iter().any(|text| log.contains(text))
}
