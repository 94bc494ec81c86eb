//! A running Superset: gunicorn in production mode, on loopback, with secrets of its own.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rand::RngExt;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::install::{Installed, install};
use crate::command::tail;
use crate::error::{Attempt, Error, Result};
use crate::guarded::{AtOnce, Guarded};
use crate::port::free_port;

/// The administrator's name.
pub const ADMIN: &str = "admin";
/// Superset's usual port.
const USUAL_PORT: u16 = 8088;
/// Loading Superset takes 4 s on an idle machine, and many times that on a busy one.
const START_PATIENCE: Duration = Duration::from_secs(180);
/// Workers end their requests and close their sessions.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// How often its health is asked.
const LOOK: Duration = Duration::from_millis(200);
/// Enough of the log to hold a failed start's reason.
const LOG_TAIL_BYTES: usize = 3_000;
/// One process is enough for a person, with as many threads as a dashboard has charts.
const THREADS: &str = "8";
/// Characters of a generated secret; 42 of 62 kinds are 250 bits.
const SECRET_LENGTH: usize = 42;

const CONFIG: &str = include_str!("superset_config.py");
const PREPARE: &str = include_str!("prepare.py");

/// A private Superset. Dropping it ends it, and so does our end, however it comes.
#[derive(Debug)]
pub struct Server {
    process: Guarded,
    port: u16,
    password: String,
}

impl Server {
    /// Starts Superset in `folder`, where a former one's dashboards are found again; installs it first, with progress
    /// on standard error, if that was not done yet.
    ///
    /// # Errors
    /// There is no fitting Python, PyPI cannot be reached, or Superset does not start.
    pub async fn start(folder: &Path) -> Result<Self> {
        let installed = install().await?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .attempt(&format!("creating {}", folder.display()))?;
        let folder = folder.canonicalize().attempt("resolving Superset's folder")?;
        for key in ["secret_key", "guest_key"] {
            secret(&folder.join(key))?;
        }
        let password = secret(&folder.join("admin.password"))?;
        fs::write(folder.join("superset_config.py"), CONFIG).attempt("writing Superset's configuration")?;
        prepare(&installed, &folder, &password).await?;
        let port = port()?;
        let process =
            Guarded::spawn("Superset", gunicorn(&installed, &folder, port), &log(&folder), AtOnce::Quit, None)?;
        let mut server = Self { process, port, password };
        server.healthy(&folder).await?;
        Ok(server)
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The password of [`ADMIN`].
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Ends it in order.
    pub async fn stop(&mut self) {
        if self.process.signal(Signal::TERM).is_ok() {
            self.process.wait(STOP_PATIENCE).await;
        }
    }

    async fn healthy(&mut self, folder: &Path) -> Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        let reason = loop {
            if is_healthy(self.port).await {
                return Ok(());
            }
            if let Some(reason) = self.process.ended() {
                break reason;
            }
            if Instant::now() > deadline {
                break format!("no answer within {} s", START_PATIENCE.as_secs());
            }
            tokio::time::sleep(LOOK).await;
        };
        let log = tail(&fs::read(log(folder)).unwrap_or_default(), LOG_TAIL_BYTES);
        Err(Error::Start { server: "Superset", folder: folder.to_owned(), reason, log })
    }
}

fn log(folder: &Path) -> PathBuf {
    folder.join("superset.log")
}

/// Superset's usual port when nobody has it, else a free one.
fn port() -> Result<u16> {
    match std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, USUAL_PORT)) {
        Ok(_) => Ok(USUAL_PORT),
        Err(_) => free_port(),
    }
}

fn command(installed: &Installed, program: &str, folder: &Path, port: u16) -> Command {
    let mut command = Command::new(installed.program(program));
    command
        .current_dir(folder)
        .env("SUPERSET_HOME", folder)
        .env("SUPERSET_CONFIG_PATH", folder.join("superset_config.py"))
        .env("FLASK_APP", "superset.app:create_app()")
        .env("SUPERSET_ENV", "production")
        .env("WALHOUSE_SUPERSET_PORT", port.to_string())
        // what comes from the user's shell must not reach into it
        .env_remove("PYTHONPATH")
        .env_remove("PYTHONHOME");
    command
}

fn gunicorn(installed: &Installed, folder: &Path, port: u16) -> Command {
    let mut gunicorn = command(installed, "gunicorn", folder, port);
    gunicorn
        .args(["--bind", &format!("127.0.0.1:{port}"), "--workers", "1", "--worker-class", "gthread"])
        .args(["--threads", THREADS, "--timeout", "120", "--graceful-timeout", "2"])
        // it would be the same file for every gunicorn of the user
        .arg("--no-control-socket")
        .arg("superset.app:create_app()");
    gunicorn
}

/// Makes database, roles and administrator.
async fn prepare(installed: &Installed, folder: &Path, password: &str) -> Result<()> {
    const ATTEMPT: &str = "preparing Superset";
    let script = folder.join("prepare.py");
    fs::write(&script, PREPARE).attempt(ATTEMPT)?;
    let mut python = command(installed, "python", folder, 0);
    python.arg(&script).arg(installed.template());
    python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // It ends with us when we stop waiting.
    let mut child = tokio::process::Command::from(python).kill_on_drop(true).spawn().attempt(ATTEMPT)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(format!("{password}\n").as_bytes()).await.attempt(ATTEMPT)?;
    }
    let output = child.wait_with_output().await.attempt(ATTEMPT)?;
    if output.status.success() {
        return Ok(());
    }
    let printed = [output.stdout, output.stderr].concat();
    Err(Error::Command { attempt: ATTEMPT.to_owned(), output: tail(&printed, LOG_TAIL_BYTES) })
}

/// The file's secret; a new one when there is no file.
fn secret(file: &Path) -> Result<String> {
    let attempt = format!("keeping a secret in {}", file.display());
    match fs::read_to_string(file) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => fs::remove_file(file).attempt(&attempt)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).attempt(&attempt),
    }
    let mut random = rand::rng();
    let kinds = rand::distr::Alphanumeric;
    let text: String = (0..SECRET_LENGTH).map(|_| char::from(random.sample(kinds))).collect();
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).attempt(&attempt)?;
    writeln!(file, "{text}").attempt(&attempt)?;
    Ok(text)
}

async fn is_healthy(port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).await.ok()?;
        stream.write_all(b"GET /health HTTP/1.0\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        answer.split_whitespace().nth(1).map(|status| status == "200")
    };
    tokio::time::timeout(LOOK * 10, ask).await.ok().flatten().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let first = secret(&file).unwrap();
        assert_eq!((first.len(), secret(&file).unwrap()), (SECRET_LENGTH, first));
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
