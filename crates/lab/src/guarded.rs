//! A server process as our child, and the watchdog that ends it when we are gone.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Attempt, Error, Result};

/// Waits for an order on its input, or for the end of it, which comes when we die however that happens; then sends
/// `$3` to the process `$1`, and ends it by force after five seconds. When we died it removes our temporary folder `$2`.
const WATCHDOG: &str = r#"
read order || order=gone
kill -"$3" "$1" 2>/dev/null
tries=0
while kill -0 "$1" 2>/dev/null; do
    if [ $tries -ge 50 ]; then kill -KILL "$1" 2>/dev/null; break; fi
    sleep 0.1
    tries=$((tries + 1))
done
if [ "$order" = gone ] && [ -n "$2" ]; then rm -rf -- "$2"; fi
"#;

/// How long an immediate stop may take before the process is killed. It takes milliseconds.
const IMMEDIATE_STOP: Duration = Duration::from_secs(5);

/// How a process is told to end at once.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AtOnce {
    /// SIGQUIT: Postgres' immediate shutdown, which also frees its shared memory.
    Quit,
    /// SIGKILL: for a process that leaves nothing behind.
    Kill,
}

impl AtOnce {
    fn name(self) -> &'static str {
        match self {
            Self::Quit => "QUIT",
            Self::Kill => "KILL",
        }
    }
}

/// A running server process.
#[derive(Debug)]
pub(crate) struct Guarded {
    name: &'static str,
    child: Child,
    watchdog: Child,
}

impl Guarded {
    /// Starts `command` with its output appended to the file `log`; the server is not ready yet when this returns.
    /// `temporary` is a folder to remove should we be killed.
    pub(crate) fn spawn(
        name: &'static str,
        mut command: Command,
        log: &Path,
        at_once: AtOnce,
        temporary: Option<&Path>,
    ) -> Result<Self> {
        let log = File::options().create(true).append(true).open(log).attempt("opening the server's log")?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().attempt("opening the server's log")?)
            .stderr(log)
            // Its own group: a terminal's interrupt is for us, and we stop the server in our own order.
            .process_group(0);
        let mut child = command.spawn().attempt(&format!("starting {name}"))?;

        let mut watchdog = Command::new("sh");
        watchdog
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(child.id().to_string())
            .arg(temporary.unwrap_or(Path::new("")))
            .arg(at_once.name())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        match watchdog.spawn() {
            Ok(watchdog) => Ok(Self { name, child, watchdog }),
            Err(error) => {
                child.kill().ok();
                child.wait().ok();
                Err(error).attempt("starting the server's watchdog")
            }
        }
    }

    /// Process id of the server.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended, and how.
    pub(crate) fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(format!("{} ended with {status}", self.name)),
            Err(error) => Some(format!("waiting for {} failed: {error}", self.name)),
        }
    }

    /// Waits for the end of the process, at most `patience`; true when it ended.
    pub(crate) async fn wait(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.ended().is_none() {
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }

    /// Sends a signal: SIGTERM for an orderly end, SIGSTOP to freeze, SIGCONT to thaw.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let attempt = format!("sending a signal to {}", self.name);
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Error::Invalid(format!("{} has no process id", self.name)))?;
        kill_process(pid, signal).map_err(std::io::Error::from).attempt(&attempt)
    }

    /// SIGKILL, as a crash.
    pub(crate) fn kill9(&mut self) -> Result<()> {
        self.child.kill().attempt(&format!("killing {}", self.name))?;
        self.child.wait().attempt(&format!("waiting for {}", self.name)).map(drop)
    }
}

/// Stops at once and waits for the end.
impl Drop for Guarded {
    fn drop(&mut self) {
        if self.ended().is_none() {
            if let Some(mut orders) = self.watchdog.stdin.take() {
                orders.write_all(b"stop\n").ok();
            }
            let deadline = Instant::now() + IMMEDIATE_STOP;
            while self.ended().is_none() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        // Before the server's id can belong to somebody else.
        self.watchdog.kill().ok();
        self.watchdog.wait().ok();
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
