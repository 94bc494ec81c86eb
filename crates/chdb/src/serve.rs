//! An engine process from its first step to its last.
//!
//! The order matters: the folder's lock and the address before anything else (a second engine must not touch the
//! data), the library before the confinement (it lies outside of the data), the confinement before the engine
//! connects (it then makes the threads that must be confined), the async runtime last.

use std::ffi::CString;
use std::fs::{File, TryLockError};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};

use crate::config::Layout;
use crate::confine::{self, Confinement};
use crate::connection::Connector;
use crate::error::Error;
use crate::execute::Server;
use crate::kill::{Killer, Running};
use crate::library::Library;
use crate::operator;
use crate::options::Options;
use crate::queues::Queues;
use crate::session::Sessions;
use crate::supervisor::{self, READY};
use crate::{ffi, http};

/// A folder or a port may still be held by a process that is dying: waited for this long.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two tries.
const RETRY: Duration = Duration::from_millis(100);
/// Statements that run when the engine is told to stop may end by themselves in this time, and are then ended.
const GRACE: Duration = Duration::from_secs(2);
/// The whole stop takes no longer than this: a supervisor kills at 10 s.
const STOP_LIMIT: Duration = Duration::from_secs(8);
/// Statements at a time; more wait. Each has a thread, and the engine makes some more for it.
const MAX_STATEMENTS: usize = 64;
/// Threads beside those, for results held back in files: these must go on when every statement waits for its reader.
const FILE_THREADS: usize = 8;

/// Serves the engine in this process until SIGTERM, SIGINT, or, under [`crate::Engine`], its parent's end. Prints
/// one line with the bound address to standard output when it is ready. Call it before any other thread is made: only
/// this thread and those it makes are confined.
///
/// The process should exit right after it returns: an engine cannot be opened twice in one process. With Kafka tables
/// it does not return but ends the process, with status 0.
///
/// # Errors
/// Everything that prevents a start, as one line each.
pub fn serve(options: Options) -> Result<(), Error> {
    let parent = supervisor::Parent::from_env();
    let mut options = options;
    if let Some(address) = parent.as_ref().and_then(|parent| parent.listen) {
        options.listen = address;
    }
    options.validate()?;
    confine::ignore_sigpipe();
    let (stop, stopped) = watch::channel(false);
    if let Some(parent) = parent {
        parent.watch(stop.clone())?;
    }
    let path = Library::locate_or_fetch(&mut Library::terminal_progress())?;
    let layout = Layout::create(&options.data)?;
    let lock = lock(&layout)?;
    let listener = listen(options.listen)?;
    let operator = if options.kafka { Some(operator::listen(&layout)?) } else { None };
    let address = listener.local_addr().map_err(Error::io("read the bound address"))?;
    let server = Arc::new(open(&options, &layout, &path)?);
    let served = run(&server, Sockets { listener, operator, address }, &stop, stopped);
    close(&server);
    if options.kafka && served.is_ok() {
        // SAFETY: ends the process without exit handlers, in which the engine's Kafka threads crash
        unsafe { libc::_exit(0) };
    }
    drop(lock);
    served
}

fn lock(layout: &Layout) -> Result<File, Error> {
    let failed = || format!("open the lock of {}", layout.root.display());
    let file =
        File::options().create(true).write(true).truncate(false).open(&layout.lock).map_err(Error::io(failed()))?;
    let mut wait = Wait::start();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if wait.goes_on("the data folder is held by another process") => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::DataLocked { path: layout.root.clone(), waited: PATIENCE });
            }
            Err(TryLockError::Error(source)) => return Err(Error::Io { doing: failed(), source }),
        }
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let mut wait = Wait::start();
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error)
                if error.kind() == std::io::ErrorKind::AddrInUse && wait.goes_on("the engine's port is in use") => {}
            Err(source) => return Err(Error::Listen { address, source }),
        }
    }
}

/// Waits for what another process holds, and says so once.
struct Wait {
    start: Instant,
    told: bool,
}

impl Wait {
    fn start() -> Self {
        Self { start: Instant::now(), told: false }
    }

    /// Pauses before another try; false when that was long enough.
    fn goes_on(&mut self, found: &str) -> bool {
        if self.start.elapsed() >= PATIENCE {
            return false;
        }
        if !self.told {
            tracing::info!("{found}, waiting for it");
            self.told = true;
        }
        std::thread::sleep(RETRY);
        true
    }
}

/// Loads the library, confines the process, opens the data.
fn open(options: &Options, layout: &Layout, path: &Path) -> Result<Server, Error> {
    let api = ffi::load(path).map_err(|reason| Error::Library {
        path: path.to_owned(),
        reason: reason.lines().next().unwrap_or_default().to_owned(),
        remedy: Library::remedy(),
    })?;
    let config = layout.write_config(options.kafka)?;
    if confine::confine(&layout.root, options.kafka)? == Confinement::None {
        tracing::warn!("this kernel has no Landlock: statements could reach files outside the data folder");
        if !options.listen.ip().is_loopback() {
            return Err(Error::Refused(format!(
                "refusing to listen on {}: this kernel has no Landlock to confine the engine; listen on 127.0.0.1",
                options.listen
            )));
        }
    }
    let failed = |reason: &str| Error::Open { path: layout.root.clone(), reason: reason.to_owned() };
    let argument = |name: &str, path: &Path| {
        let text = [b"--", name.as_bytes(), b"=", path.as_os_str().as_bytes()].concat();
        CString::new(text).map_err(|_| failed("its path holds a zero byte"))
    };
    let arguments = vec![argument("path", &layout.store)?, argument("config-file", config)?];
    let connector = Connector::new(api, arguments);
    let mut first = connector.open().map_err(|_| failed("see the lines above"))?;
    let figures = first.run("SELECT timezone()").map_err(|failure| failed(&failure.message))?;
    let queues = Queues::new(options.kafka);
    queues.read(&mut first).map_err(|failure| failed(&failure.message))?;
    let running = Arc::new(Running::default());
    let killer = Killer::start(first, Arc::clone(&running)).map_err(Error::io("start a thread"))?;
    Ok(Server {
        connector,
        running,
        killer,
        sessions: Sessions::default(),
        users: options.all_users(),
        queues,
        timezone: figures.trim().to_owned(),
        spill: layout.spill.clone(),
        permits: Arc::new(Semaphore::new(MAX_STATEMENTS)),
    })
}

/// Where requests come in.
struct Sockets {
    listener: TcpListener,
    operator: Option<UnixListener>,
    address: SocketAddr,
}

fn run(
    server: &Arc<Server>,
    sockets: Sockets,
    stop: &watch::Sender<bool>,
    stopped: watch::Receiver<bool>,
) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(MAX_STATEMENTS + FILE_THREADS)
        .enable_all()
        .build()
        .map_err(Error::io("start the async runtime"))?;
    let served = runtime.block_on(async {
        let prepare = || Error::io("prepare the listening socket");
        sockets.listener.set_nonblocking(true).map_err(prepare())?;
        let listener = tokio::net::TcpListener::from_std(sockets.listener).map_err(prepare())?;
        let operator = sockets.operator.map(tokio::net::UnixListener::from_std).transpose().map_err(prepare())?;
        signals(stop.clone())?;
        tokio::spawn(expire_sessions(Arc::clone(server)));
        say_ready(sockets.address)?;
        tracing::info!(address = %sockets.address, "the engine is ready");
        let mut stopped = stopped;
        http::run(listener, operator, Arc::clone(server), async move {
            // an error means that nobody can stop it any more
            let _ = stopped.wait_for(|stop| *stop).await;
        })
        .await;
        finish_statements(server).await;
        Ok(())
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

/// One line for whoever started the process; a closed standard output is not an error.
fn say_ready(address: SocketAddr) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{READY}http://{address}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(Error::io("write to standard output")),
    }
}

fn signals(stop: watch::Sender<bool>) -> Result<(), Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::io("listen for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::io("listen for SIGINT"))?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        supervisor::stop_within(STOP_LIMIT);
        stop.send_replace(true);
    });
    Ok(())
}

async fn expire_sessions(server: Arc<Server>) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        server.sessions.expire();
    }
}

async fn finish_statements(server: &Server) {
    let start = Instant::now();
    let mut killed = false;
    let busy = server.running.count() > 0;
    while server.running.count() > 0 && start.elapsed() < GRACE * 2 {
        if start.elapsed() > GRACE && !killed {
            server.killer.kill_all();
            killed = true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if busy {
        // their answers are on the way
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Closes every connection; the last one closes the engine.
fn close(server: &Server) {
    server.sessions.clear();
    server.killer.stop();
}
