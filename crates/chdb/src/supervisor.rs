//! The parent's side of an engine process: starts it, restarts it, ends it.
//!
//! The child is started by a thread that lives as long as the process does, since the kernel's signal on a parent's
//! death follows the thread. Its standard input is a pipe that nobody writes to: its end means that the parent is
//! gone, or wants the child to stop. Its standard output says the address in one line. Two variables tell the child
//! that it is one; [`crate::serve`] reads them.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::confine;
use crate::error::Error;

/// Begins the child's line on standard output; the URL follows.
pub(crate) const READY: &str = "walhouse engine listening on ";
/// Set for a child, to its parent's number: its standard input is the pipe to watch.
const CHILD: &str = "WALHOUSE_ENGINE_CHILD";
/// The address to listen on, which wins over the options: a restarted child gets the port it had.
const LISTEN: &str = "WALHOUSE_ENGINE_LISTEN";

/// Lines of the child's standard error that are kept for an error.
const KEPT_LINES: usize = 20;
/// A stopping child is killed after this.
const STOP_TIME: Duration = Duration::from_secs(10);
/// The pause before a restart doubles from the first to the second of these; a child that lived for the third is
/// restarted at once again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(10);
const STABLE: Duration = Duration::from_secs(60);

/// What the child knows of its parent.
#[derive(Debug)]
pub(crate) struct Parent {
    pid: u32,
    pub(crate) listen: Option<SocketAddr>,
}

impl Parent {
    /// `None` when this process is nobody's child.
    pub(crate) fn from_env() -> Option<Parent> {
        let pid = std::env::var(CHILD).ok()?.parse().ok()?;
        let listen = std::env::var(LISTEN).ok().and_then(|text| text.parse().ok());
        Some(Parent { pid, listen })
    }

    /// Stops when the parent's end of the pipe closes.
    pub(crate) fn watch(self, stop: watch::Sender<bool>) -> Result<(), Error> {
        if !confine::die_with_parent(self.pid) {
            return Err(Error::Start("the parent process has gone away".to_owned()));
        }
        let watcher = std::thread::Builder::new().name("parent".to_owned()).spawn(move || {
            let mut rest = [0_u8; 64];
            while matches!(std::io::stdin().read(&mut rest), Ok(1..)) {}
            stop_within(STOP_TIME);
            stop.send_replace(true);
        });
        watcher.map(|_| ()).map_err(Error::io("start a thread"))
    }
}

/// Ends the process if an orderly stop takes longer than this.
pub(crate) fn stop_within(limit: Duration) {
    let started = std::thread::Builder::new().name("stop".to_owned()).spawn(move || {
        std::thread::sleep(limit);
        // SAFETY: ends the process without running exit handlers, which may hang with the engine.
        unsafe { libc::_exit(1) };
    });
    if let Err(error) = started {
        tracing::warn!(error = %error, "no thread to watch over the stop");
    }
}

/// How to start an engine process: a program that calls [`crate::serve`].
#[derive(Debug, Clone)]
pub struct Spawn {
    /// Usually this program itself (`std::env::current_exe()`).
    pub program: PathBuf,
    /// Its arguments, such as `engine --data DIR`.
    pub args: Vec<OsString>,
    /// Variables set for it beside its parent's.
    pub envs: Vec<(OsString, OsString)>,
    /// Where to listen; port 0 takes a free one and keeps it over restarts.
    pub listen: SocketAddr,
    /// How long the first start may take; the library may have to be fetched.
    pub patience: Duration,
}

impl Spawn {
    /// An engine on a free loopback port.
    pub fn new(program: impl Into<PathBuf>, args: impl IntoIterator<Item = impl Into<OsString>>) -> Spawn {
        Spawn {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            envs: Vec::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            patience: Duration::from_secs(300),
        }
    }
}

/// A running engine process. Dropping it ends the process.
#[derive(Debug)]
pub struct Engine {
    url: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    spawn: Spawn,
    stopping: AtomicBool,
    pid: AtomicU32,
    restarts: AtomicU64,
    child: Mutex<Option<Child>>,
    stdin: Mutex<Option<ChildStdin>>,
    alive: watch::Sender<bool>,
}

impl Engine {
    /// Starts an engine and waits until it answers. It is restarted, on the same port, whenever it ends by itself.
    ///
    /// # Errors
    /// [`Error::Start`] with the child's own last line when it ends before it answers.
    pub async fn start(spawn: Spawn) -> Result<Engine, Error> {
        let (answer, first) = tokio::sync::oneshot::channel();
        let shared = Arc::new(Shared {
            spawn,
            stopping: AtomicBool::new(false),
            pid: AtomicU32::new(0),
            restarts: AtomicU64::new(0),
            child: Mutex::new(None),
            stdin: Mutex::new(None),
            alive: watch::Sender::new(false),
        });
        let keeper = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || keep(&keeper, answer))
            .map_err(Error::io("start a thread"))?;
        let started = first.await.unwrap_or_else(|_| Err(Error::Start("its thread failed".to_owned())));
        Ok(Engine { url: started?, shared })
    }

    /// The HTTP address, `http://host:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process, while there is one.
    pub fn pid(&self) -> Option<u32> {
        Some(self.shared.pid.load(Ordering::Acquire)).filter(|pid| *pid != 0)
    }

    /// How often it had to be started again.
    pub fn restarts(&self) -> u64 {
        self.shared.restarts.load(Ordering::Acquire)
    }

    /// Whether the process runs and has said that it is ready.
    pub fn is_alive(&self) -> bool {
        *self.shared.alive.borrow()
    }

    /// Asks the process to stop, and kills it when it does not.
    pub async fn stop(&self) {
        self.shared.ask_to_stop();
        let mut alive = self.shared.alive.subscribe();
        let gone = async {
            while self.pid().is_some() {
                if alive.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(STOP_TIME, gone).await.is_err() {
            self.shared.kill();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.ask_to_stop();
    }
}

impl Shared {
    fn ask_to_stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.stdin.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn kill(&self) {
        if let Some(child) = self.child.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
            && let Err(error) = child.kill()
        {
            tracing::warn!(error = %error, "the engine process could not be killed");
        }
    }

    fn set_pid(&self, pid: u32) {
        self.pid.store(pid, Ordering::Release);
    }
}

/// Starts the child again and again until told to stop.
fn keep(shared: &Shared, answer: tokio::sync::oneshot::Sender<Result<String, Error>>) {
    let mut answer = Some(answer);
    let mut address = shared.spawn.listen;
    let mut pause = FIRST_PAUSE;
    loop {
        let began = Instant::now();
        match start_child(shared, address) {
            Ok((url, output)) => {
                if let Some(bound) = url.strip_prefix("http://").and_then(|text| text.parse().ok()) {
                    address = bound;
                }
                shared.alive.send_replace(true);
                if answer.take().is_some_and(|answer| answer.send(Ok(url)).is_err()) {
                    shared.ask_to_stop();
                }
                let status = reap(shared);
                drop(output);
                if shared.is_stopping() {
                    return;
                }
                tracing::warn!(status, "the engine process ended, starting it again");
            }
            Err(error) => {
                reap(shared);
                if let Some(answer) = answer.take() {
                    // whoever asked may have given up
                    let _ = answer.send(Err(error));
                    return;
                }
                if shared.is_stopping() {
                    return;
                }
                tracing::warn!(error = %error, "the engine process does not start, trying again");
            }
        }
        if began.elapsed() > STABLE {
            pause = FIRST_PAUSE;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LAST_PAUSE);
        shared.restarts.fetch_add(1, Ordering::AcqRel);
        if shared.is_stopping() {
            return;
        }
    }
}

/// Starts a child and waits for its line; gives the URL and the thread that reads on.
fn start_child(shared: &Shared, address: SocketAddr) -> Result<(String, std::thread::JoinHandle<()>), Error> {
    let spawn = &shared.spawn;
    let mut command = Command::new(&spawn.program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
        // a password in PGPASSWORD is none of its business
        command.env_remove(name);
    }
    let mut child = command
        .args(&spawn.args)
        .envs(spawn.envs.iter().map(|(name, value)| (name, value)))
        .env(CHILD, std::process::id().to_string())
        .env(LISTEN, address.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // signals meant for our group, and those the engine sends to its own, stay apart
        .process_group(0)
        .spawn()
        .map_err(Error::io(format!("run {}", spawn.program.display())))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    shared.set_pid(child.id());
    *shared.stdin.lock().unwrap_or_else(PoisonError::into_inner) = stdin;
    *shared.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
    if shared.is_stopping() {
        shared.ask_to_stop();
    }
    let lines = stderr.map(keep_stderr);
    let (url, ready) = mpsc::channel();
    let output = std::thread::Builder::new()
        .name("engine-output".to_owned())
        .spawn(move || {
            for line in stdout.into_iter().flat_map(|pipe| BufReader::new(pipe).lines()) {
                let Ok(line) = line else { return };
                if let Some((_, address)) = line.split_once(READY) {
                    // nobody waits any more when the start took too long
                    let _ = url.send(address.trim().to_owned());
                }
            }
        })
        .map_err(Error::io("start a thread"))?;
    match ready.recv_timeout(spawn.patience) {
        Ok(url) => Ok((url, output)),
        Err(reason) => {
            shared.kill();
            let late = reason == mpsc::RecvTimeoutError::Timeout;
            Err(Error::Start(lines.map_or_else(String::new, |lines| last_words(lines, late))))
        }
    }
}

type KeptLines = (Arc<Mutex<VecDeque<String>>>, std::thread::JoinHandle<()>);

/// Passes the child's standard error on and keeps its last lines.
fn keep_stderr(pipe: std::process::ChildStderr) -> KeptLines {
    let kept = Arc::new(Mutex::new(VecDeque::new()));
    let keeping = Arc::clone(&kept);
    let thread = std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { return };
            eprintln!("{line}");
            let mut kept = keeping.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push_back(line);
            if kept.len() > KEPT_LINES {
                kept.pop_front();
            }
        }
    });
    (kept, thread)
}

fn last_words((kept, thread): KeptLines, late: bool) -> String {
    if late {
        return "it does not answer".to_owned();
    }
    // the pipe has ended with the process
    let _ = thread.join();
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let last = kept.iter().rfind(|line| !line.trim().is_empty());
    // the child says its own name, as this process will
    last.map_or("it ended without a word", |line| line.strip_prefix("walhouse: ").unwrap_or(line)).to_owned()
}

/// Waits for the child's end without holding the lock, then buries it; gives its status as text.
fn reap(shared: &Shared) -> String {
    let pid = shared.pid.load(Ordering::Acquire);
    if pid == 0 {
        return String::new();
    }
    // SAFETY: `info` is written by the call; WNOWAIT leaves the child to be reaped below, so that until then
    // its number cannot belong to another process.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        while libc::waitid(libc::P_PID, pid, &raw mut info, libc::WEXITED | libc::WNOWAIT) == -1
            && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
        {}
    }
    let child = shared.child.lock().unwrap_or_else(PoisonError::into_inner).take();
    shared.set_pid(0);
    let status = child.map(|mut child| child.wait());
    shared.stdin.lock().unwrap_or_else(PoisonError::into_inner).take();
    shared.alive.send_replace(false);
    match status {
        Some(Ok(status)) => status.to_string(),
        _ => "unknown".to_owned(),
    }
}
