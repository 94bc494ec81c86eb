//! The postmaster as our child, and the watchdog that stops it when we are gone.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::account::Account;
use super::folder::Folder;
use crate::error::{Attempt, Result};

/// Waits for an order on its input, or for the end of it, which comes when we die however that happens; then stops
/// the postmaster `$1` at once, and by force after five seconds. When we died it removes our temporary folder `$2`.
const WATCHDOG: &str = r#"
read order || order=gone
kill -QUIT "$1" 2>/dev/null
tries=0
while kill -0 "$1" 2>/dev/null; do
    if [ $tries -ge 50 ]; then kill -KILL "$1" 2>/dev/null; break; fi
    sleep 0.1
    tries=$((tries + 1))
done
if [ "$order" = gone ] && [ -n "$2" ]; then rm -rf -- "$2"; fi
"#;

/// How long an immediate stop may take before the postmaster is killed. It takes milliseconds.
const IMMEDIATE_STOP: Duration = Duration::from_secs(5);

/// A running postmaster.
#[derive(Debug)]
pub(super) struct Postmaster {
    child: Child,
    watchdog: Child,
}

impl Postmaster {
    /// Starts `postgres` on the folder; the server is not ready yet when this returns.
    pub(super) fn spawn(programs: &Path, folder: &Folder, account: Account) -> Result<Self> {
        let log = File::options().create(true).append(true).open(&folder.log).attempt("opening the server's log")?;
        let mut command = Command::new(programs.join("postgres"));
        command
            .arg("-D")
            .arg(&folder.data)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().attempt("opening the server's log")?)
            .stderr(log)
            // Its own group: a terminal's interrupt is for us, and we stop the server in our own order.
            .process_group(0);
        account.apply(&mut command);
        let mut child = command.spawn().attempt("starting postgres")?;

        let mut watchdog = Command::new("sh");
        watchdog
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(child.id().to_string())
            .arg(folder.temporary().unwrap_or(Path::new("")))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        match watchdog.spawn() {
            Ok(watchdog) => Ok(Self { child, watchdog }),
            Err(error) => {
                child.kill().ok();
                child.wait().ok();
                Err(error).attempt("starting the server's watchdog")
            }
        }
    }

    /// Process id of the postmaster.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended, and how.
    pub(super) fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(format!("postgres ended with {status}")),
            Err(error) => Some(format!("waiting for postgres failed: {error}")),
        }
    }

    /// Waits for the end of the process, at most `patience`; true when it ended.
    pub(super) async fn wait(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.ended().is_none() {
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }

    /// SIGKILL, as a crash. Its backends notice by themselves.
    pub(super) fn kill9(&mut self) -> Result<()> {
        self.child.kill().attempt("killing postgres")?;
        self.child.wait().attempt("waiting for postgres").map(drop)
    }
}

/// Stops at once, without a checkpoint, and waits for the end.
impl Drop for Postmaster {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // The watchdog sends SIGQUIT, which std cannot.
            if let Some(mut orders) = self.watchdog.stdin.take() {
                orders.write_all(b"stop\n").ok();
            }
            let deadline = Instant::now() + IMMEDIATE_STOP;
            while self.ended().is_none() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        // Before the postmaster's id can belong to somebody else.
        self.watchdog.kill().ok();
        self.watchdog.wait().ok();
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
