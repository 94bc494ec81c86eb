//! A private server: start, stop, kill, start again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

use super::account::Account;
use super::builder::{Builder, Options};
use super::folder::Folder;
use super::version::Version;
use crate::command::{run, tail};
use crate::error::{Attempt, Error, Result};
use crate::guarded::{AtOnce, Guarded};
use crate::port::free_port;

/// How long a start may take; recovery after a kill under load is what takes long.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long the folder or port of a dying predecessor is waited for.
const PREDECESSOR_PATIENCE: Duration = Duration::from_secs(15);
/// How long an orderly stop may take: its checkpoint writes everything, its senders wait for their receivers.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// Enough of the log to hold a failed start's reason.
const LOG_TAIL_BYTES: usize = 2_000;

/// A private Postgres server. Dropping it stops it at once.
#[derive(Debug)]
pub struct Server {
    /// Before `folder`, which is deleted when it is a temporary one.
    postmaster: Option<Guarded>,
    folder: Folder,
    programs: PathBuf,
    account: Account,
    options: Options,
    port: u16,
}

impl Server {
    /// Describes a server to start.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// One server for all tests of this process, on [`Version::for_tests`]; it ends with the process. Give every
    /// test its own database ([`Server::create_database`]) and its own slot names.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Server> = OnceCell::const_new();
        SHARED.get_or_try_init(|| Self::builder().start()).await
    }

    pub(super) async fn open(options: Options) -> Result<Self> {
        let version = match options.version {
            Some(version) => version,
            None => Version::for_tests()?,
        };
        let account = Account::choose()?;
        let programs = version.programs().await?;
        let folder = Folder::open(&options, &programs, account).await?;
        if let Some(rules) = &options.access_rules {
            folder.write_access_rules(rules)?;
        }
        let port = match options.port {
            Some(port) => port,
            None => free_port()?,
        };
        let mut server = Self { postmaster: None, folder, programs, account, options, port };
        server.start().await?;
        Ok(server)
    }

    /// Starts a server that was stopped or killed, on the same port, and returns when it answers. Does nothing when
    /// it runs.
    pub async fn start(&mut self) -> Result<()> {
        if self.is_running() {
            return Ok(());
        }
        self.postmaster = None;
        let deadline = Instant::now() + PREDECESSOR_PATIENCE;
        loop {
            match self.try_start().await {
                // A dying predecessor still holds the folder, or somebody took the port since we found it free.
                Err(Error::Start { log, .. }) if is_held(&log) && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    if log.contains("could not bind") && self.options.port.is_none() {
                        self.port = free_port()?;
                    }
                }
                other => return other,
            }
        }
    }

    async fn try_start(&mut self) -> Result<()> {
        self.folder.write_settings(&self.options.settings(self.port), self.account)?;
        let log_start = fs::metadata(&self.folder.log).map_or(0, |meta| meta.len());
        let mut postmaster = self.spawn()?;
        let deadline = Instant::now() + START_PATIENCE;
        let reason = loop {
            if let Some(end) = postmaster.ended() {
                break end;
            }
            let refusal = match self.connect().await {
                Ok(_) => {
                    self.postmaster = Some(postmaster);
                    return Ok(());
                }
                // It answers, and wants something else than what we offer: that is the test's business.
                Err(Error::Postgres { source, .. }) if is_answer(&source) => {
                    self.postmaster = Some(postmaster);
                    return Ok(());
                }
                Err(error) => error,
            };
            if Instant::now() > deadline {
                break format!("no answer within {} s: {refusal}", START_PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        drop(postmaster);
        let log = fs::read(&self.folder.log).unwrap_or_default();
        let from = usize::try_from(log_start).unwrap_or(0);
        Err(Error::Start {
            server: "Postgres",
            folder: self.folder.home.clone(),
            reason,
            log: tail(log.get(from..).unwrap_or_default(), LOG_TAIL_BYTES),
        })
    }

    /// Starts `postgres` on the folder; the server is not ready yet when this returns.
    fn spawn(&self) -> Result<Guarded> {
        let mut command = Command::new(self.programs.join("postgres"));
        command.arg("-D").arg(&self.folder.data).current_dir("/");
        self.account.apply(&mut command);
        Guarded::spawn("postgres", command, &self.folder.log, AtOnce::Quit, self.folder.temporary())
    }

    /// Stops in order: sessions are ended, a checkpoint is written, replication receivers get everything.
    pub async fn stop(&mut self) -> Result<()> {
        let Some(postmaster) = &mut self.postmaster else {
            return Ok(());
        };
        let mut command = Command::new(self.programs.join("pg_ctl"));
        command.args(["stop", "-m", "fast", "-W", "-D"]).arg(&self.folder.data).current_dir("/");
        self.account.apply(&mut command);
        run(command, "stopping Postgres", "apt-get install -y postgresql").await?;
        if !postmaster.wait(STOP_PATIENCE).await {
            return Err(Error::Timeout {
                waited_for: "the end of Postgres".into(),
                seconds: STOP_PATIENCE.as_secs(),
                last: self.log_tail(),
            });
        }
        self.postmaster = None;
        Ok(())
    }

    /// Kills the postmaster with SIGKILL, as a crash would; [`Server::start`] recovers.
    #[expect(clippy::unused_async, reason = "same shape as stop and start")]
    pub async fn kill9(&mut self) -> Result<()> {
        match self.postmaster.take() {
            Some(mut postmaster) => postmaster.kill9(),
            None => Ok(()),
        }
    }

    /// Stops in order and starts again.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.start().await
    }

    /// Sets a configuration line for the next start.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.options.set(key.into(), value.into());
    }

    /// Whether the postmaster lives.
    pub fn is_running(&mut self) -> bool {
        self.postmaster.as_mut().is_some_and(|it| it.ended().is_none())
    }

    /// Process id of the postmaster, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.postmaster.as_ref().map(Guarded::pid)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The superuser's URL of the database `postgres`, with the password when there is one.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The superuser's URL of a database.
    pub fn url_of(&self, database: &str) -> String {
        let password = match &self.options.password {
            Some(password) => format!(":{}", password.percent_encoded()),
            None => String::new(),
        };
        format!("postgresql://postgres{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.folder.data
    }

    /// The end of the server's log.
    pub fn log_tail(&self) -> String {
        tail(&fs::read(&self.folder.log).unwrap_or_default(), LOG_TAIL_BYTES)
    }

    /// A superuser's connection to the database `postgres`; it is driven by a task of the current runtime.
    pub async fn connect(&self) -> Result<Client> {
        connect(&self.url()).await
    }

    /// Creates a database and returns its superuser's URL.
    pub async fn create_database(&self, name: &str) -> Result<String> {
        let client = self.connect().await?;
        let quoted = name.replace('"', "\"\"");
        client.batch_execute(&format!("CREATE DATABASE \"{quoted}\"")).await.attempt("creating a database")?;
        Ok(self.url_of(name))
    }
}

/// Connects without TLS; the connection is driven by a task of the current runtime. A URL without a password takes it
/// from `PGPASSWORD`.
///
/// # Errors
/// The URL is not one, nobody answers, or the server refuses.
pub async fn connect(url: &str) -> Result<Client> {
    let mut config = url.parse::<tokio_postgres::Config>().attempt("reading the URL")?;
    if let (None, Ok(password)) = (config.get_password(), std::env::var("PGPASSWORD")) {
        config.password(password);
    }
    let (client, connection) = config.connect(NoTls).await.attempt("connecting")?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = %error, "postgres connection ended");
        }
    });
    Ok(client)
}

/// Whether the log of a failed start says that somebody else holds the folder, its memory or the port.
fn is_held(log: &str) -> bool {
    ["still in use", "lock file", "could not bind"].iter().any(|text| log.contains(text))
}

/// Whether a running server refused us, other than by "starting up" or "shutting down" (class 57).
fn is_answer(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| !code.code().starts_with("57"))
}
