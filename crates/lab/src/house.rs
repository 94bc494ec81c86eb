//! A `walhouse run` of our own, seen from outside: started, asked, frozen, killed.
//!
//! Everything it needs lies in one private folder and on free ports, so that any number of them live side by side.
//! The embedded engine is walhouse's child and is found as such, so that it can be killed on its own.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::{Attempt, Error, Result};
use crate::memory::process_memory;
use crate::port::free_port;

/// Enough of the log to hold the reason of a failure.
const LOG_TAIL_BYTES: usize = 4_000;
/// How often a state that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What a [`House`] shall be. Made by [`House::builder`].
#[derive(Debug)]
#[must_use]
pub struct Builder {
    program: PathBuf,
    folder: Option<PathBuf>,
    postgres_url: String,
    postgres: String,
    clickhouse_url: Option<String>,
    clickhouse: String,
    engine: String,
    has_target: bool,
    rest: String,
    environment: Vec<(String, String)>,
}

/// One walhouse and its folder. Dropping it kills the process, and with it the engine.
#[derive(Debug)]
pub struct House {
    program: PathBuf,
    folder: PathBuf,
    _temporary: Option<tempfile::TempDir>,
    environment: Vec<(String, String)>,
    clickhouse_url: String,
    console: u16,
    child: Option<Child>,
}

impl Builder {
    /// Keeps everything in `folder`; without it in a temporary one.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Lines of the `[postgres]` section.
    pub fn postgres(mut self, lines: &str) -> Self {
        self.postgres = lines.to_owned();
        self
    }

    /// An engine that runs already; without it the house starts its own.
    pub fn clickhouse_url(mut self, url: impl Into<String>) -> Self {
        self.clickhouse_url = Some(url.into());
        self
    }

    /// Lines of the `[clickhouse]` section.
    pub fn clickhouse(mut self, lines: &str) -> Self {
        self.clickhouse = lines.to_owned();
        self
    }

    /// Further lines of the `[engine]` section.
    pub fn engine(mut self, lines: &str) -> Self {
        self.engine = lines.to_owned();
        self
    }

    /// No ClickHouse: neither of its sections is written.
    pub fn without_clickhouse(mut self) -> Self {
        self.has_target = false;
        self
    }

    /// Whole sections after the others.
    pub fn rest(mut self, sections: &str) -> Self {
        self.rest = sections.to_owned();
        self
    }

    /// An environment variable of the process.
    pub fn environment(mut self, key: &str, value: &str) -> Self {
        self.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Writes the configuration; nothing is started yet.
    pub fn build(self) -> Result<House> {
        let temporary = match self.folder {
            Some(_) => None,
            None => Some(tempfile::tempdir().attempt("making a folder for walhouse")?),
        };
        let folder = match (&self.folder, &temporary) {
            (Some(folder), _) => folder.clone(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => PathBuf::from("."),
        };
        fs::create_dir_all(&folder).attempt("making a folder for walhouse")?;
        let (engine, console) = (free_port()?, free_port()?);
        let own_url = format!("http://127.0.0.1:{engine}");
        let target = self.clickhouse_url.as_ref().map(|url| format!("url = {url:?}\n")).unwrap_or_default();
        let target = match self.has_target {
            true => format!(
                "[clickhouse]\n{target}{}\n[engine]\ndata = \"engine\"\nlisten = \"127.0.0.1:{engine}\"\n{}\n",
                self.clickhouse, self.engine
            ),
            false => String::new(),
        };
        let text = format!(
            "[postgres]\nurl = {:?}\n{}\n{target}[console]\nlisten = \"127.0.0.1:{console}\"\n{}\n",
            self.postgres_url, self.postgres, self.rest
        );
        fs::write(folder.join("walhouse.toml"), text).attempt("writing walhouse's configuration")?;
        Ok(House {
            program: self.program,
            folder,
            _temporary: temporary,
            environment: self.environment,
            clickhouse_url: self.clickhouse_url.unwrap_or(own_url),
            console,
            child: None,
        })
    }

    /// Writes the configuration and starts.
    pub fn start(self) -> Result<House> {
        let mut house = self.build()?;
        house.start()?;
        Ok(house)
    }
}

impl House {
    /// Describes a house: `program` is the walhouse binary, `postgres_url` its source.
    pub fn builder(program: impl Into<PathBuf>, postgres_url: impl Into<String>) -> Builder {
        Builder {
            program: program.into(),
            folder: None,
            postgres_url: postgres_url.into(),
            postgres: String::new(),
            clickhouse_url: None,
            clickhouse: String::new(),
            engine: String::new(),
            has_target: true,
            rest: String::new(),
            environment: Vec::new(),
        }
    }

    /// Starts `walhouse run`; its log goes to a file in the folder.
    pub fn start(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log_file()).attempt("opening walhouse's log")?;
        let mut command = self.command(&["run"]);
        command.stdout(log.try_clone().attempt("opening walhouse's log")?).stderr(log);
        self.child = Some(command.spawn().attempt("starting walhouse")?);
        Ok(())
    }

    /// A command of the same binary and configuration, such as `["check", "--json"]`.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--config").arg(self.config_file()).stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        command
    }

    /// Process id of walhouse, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Process id of the embedded engine: walhouse's child of the same program.
    #[must_use]
    pub fn engine_pid(&self) -> Option<u32> {
        let parent = self.pid()?;
        let program = fs::canonicalize(&self.program).ok()?;
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        let of_all_threads = fs::read_dir(format!("/proc/{parent}/task"))
            .ok()?
            .flatten()
            .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let children: String = of_all_threads.fold(children, |all, some| all + " " + &some);
        children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .find(|pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program))
    }

    /// SIGKILL to walhouse, as a crash; waits for its end.
    pub fn kill9(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill().attempt("killing walhouse")?;
        child.wait().attempt("waiting for walhouse").map(drop)
    }

    /// SIGKILL to the embedded engine alone; false when there is none at the moment.
    pub fn kill9_engine(&self) -> bool {
        self.engine_pid().is_some_and(|pid| signal(pid, Signal::KILL))
    }

    /// Freezes (or thaws) the embedded engine; false when there is none at the moment.
    pub fn freeze_engine(&self, frozen: bool) -> bool {
        self.engine_pid().is_some_and(|pid| signal(pid, if frozen { Signal::STOP } else { Signal::CONT }))
    }

    /// SIGTERM, then waits for an orderly end.
    pub async fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        if let Some(pid) = self.pid() {
            signal(pid, Signal::TERM);
        }
        self.ended(patience).await
    }

    /// Waits for the process to end by itself.
    pub async fn ended(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            let Some(child) = &mut self.child else { return Err(Error::Invalid("walhouse does not run".into())) };
            if let Some(status) = child.try_wait().attempt("waiting for walhouse")? {
                self.child = None;
                return Ok(status);
            }
            if Instant::now() > deadline {
                return Err(self.timeout("the end of walhouse", patience));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until `/ready` says yes.
    pub async fn ready(&mut self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            if let Ok((200, _)) = self.get("/ready").await {
                return Ok(());
            }
            let ended = match &mut self.child {
                Some(child) => child.try_wait().attempt("waiting for walhouse")?,
                None => None,
            };
            if let Some(status) = ended {
                self.child = None;
                return Err(Error::Invalid(format!("walhouse ended with {status}; its log: {}", self.log_tail())));
            }
            if Instant::now() > deadline {
                return Err(self.timeout("walhouse to be ready", patience));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// GET on the console: status code and body.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        const ATTEMPT: &str = "asking walhouse's console";
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.console)).await.attempt(ATTEMPT)?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\n\r\n", self.console);
        stream.write_all(request.as_bytes()).await.attempt(ATTEMPT)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.attempt(ATTEMPT)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let code = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Ok((code, body.to_owned()))
    }

    /// One sample of walhouse's own metrics, summed over its labels; 0 when there is none.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let (_, body) = self.get("/metrics").await?;
        let samples =
            body.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        Ok(samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Resident memory of walhouse in bytes (the engine apart), and its peak so far.
    #[must_use]
    pub fn memory(&self) -> Option<(u64, u64)> {
        process_memory(self.pid()?)
    }

    /// Address of the target's HTTP interface.
    #[must_use]
    pub fn clickhouse_url(&self) -> &str {
        &self.clickhouse_url
    }

    /// Address of walhouse's console.
    #[must_use]
    pub fn console_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.console)
    }

    /// The folder of configuration, log and engine.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.folder.join("walhouse.toml")
    }

    /// All that walhouse logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// The end of walhouse's log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let mut start = log.len().saturating_sub(LOG_TAIL_BYTES);
        while !log.is_char_boundary(start) {
            start += 1;
        }
        log.get(start..).unwrap_or_default().to_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("walhouse.log")
    }

    fn timeout(&self, waited_for: &str, patience: Duration) -> Error {
        Error::Timeout { waited_for: waited_for.to_owned(), seconds: patience.as_secs(), last: self.log_tail() }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.freeze_engine(false);
        self.kill9().ok();
    }
}

fn signal(pid: u32, signal: Signal) -> bool {
    i32::try_from(pid).ok().and_then(Pid::from_raw).is_some_and(|pid| kill_process(pid, signal).is_ok())
}
