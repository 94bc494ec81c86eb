//! An engine for tests, from any test binary:
//!
//! ```ignore
//! #[test] fn engine_child() { walhouse_chdb::testing::engine_child(); }          // once, at the root of the binary
//! let engine = walhouse_chdb::testing::TestEngine::start();                      // one of its own,
//! let engine = walhouse_chdb::testing::shared();                                 // or one for the whole binary
//! ```
//!
//! The engine is the test binary itself, started again with a filter that runs only `engine_child`, which returns at
//! once in an ordinary run. It ends with the test, or with the binary.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::options::{Access, Options, User};
use crate::supervisor::{Engine, Spawn};

/// Set for the child: the data folder.
const DATA: &str = "WALHOUSE_TEST_ENGINE_DATA";
/// Set for the child of the shared engine: remove the data folder at the end.
const REMOVE: &str = "WALHOUSE_TEST_ENGINE_REMOVE";

/// Set for the child: password of user `default`.
const PASSWORD: &str = "WALHOUSE_TEST_ENGINE_PASSWORD";

/// Set for the child: Kafka tables are possible.
const KAFKA: &str = "WALHOUSE_TEST_ENGINE_KAFKA";

/// The test that becomes the engine. Users beside `default` (no password): `bob` with password `pw`, and `reader`
/// with password `pw`, who may only read database `shop`.
///
/// # Panics
/// When the engine cannot be served.
pub fn engine_child() {
    let Some(data) = std::env::var_os(DATA).map(PathBuf::from) else { return };
    let mut options = Options::new(&data);
    options.password = std::env::var(PASSWORD).ok();
    options.kafka = std::env::var_os(KAFKA).is_some();
    let user = |name: &str, access| User { name: name.to_owned(), password: "pw".to_owned(), access };
    options.users = vec![user("bob", Access::Full), user("reader", Access::ReadOnly { database: "shop".to_owned() })];
    if let Err(error) = crate::serve(options) {
        use std::io::Write;
        // libtest captures what the print macros write
        let _ = writeln!(std::io::stderr(), "{error}");
        std::process::exit(1);
    }
    if std::env::var_os(REMOVE).is_some() {
        let _ = std::fs::remove_dir_all(data);
    }
}

/// How to start the test binary as an engine on this folder.
///
/// # Panics
/// When the binary's path is unknown.
pub fn spawn(data: &Path) -> Spawn {
    spawn_as("engine_child", data)
}

/// The same, for a test of another name (with its modules: `it::engine_child`).
///
/// # Panics
/// When the binary's path is unknown.
#[expect(clippy::expect_used, reason = "a helper of tests")]
pub fn spawn_as(test: &str, data: &Path) -> Spawn {
    let program = std::env::current_exe().expect("the test binary's path");
    let mut spawn = Spawn::new(program, [test, "--exact", "--nocapture", "--test-threads=1"]);
    spawn.envs = vec![(OsString::from(DATA), data.as_os_str().to_owned())];
    spawn
}

/// A running engine with a folder of its own; ends when dropped.
#[derive(Debug)]
pub struct TestEngine {
    engine: Engine,
    runtime: tokio::runtime::Handle,
    data: Option<tempfile::TempDir>,
}

impl TestEngine {
    /// Starts one. Call it from an ordinary test or inside a runtime, both work.
    ///
    /// # Panics
    /// When the engine does not start.
    #[expect(clippy::expect_used, reason = "a helper of tests")]
    pub fn start() -> TestEngine {
        let data = tempfile::tempdir().expect("a temporary folder");
        let spawn = spawn(data.path());
        TestEngine::from_spawn(spawn, Some(data))
    }

    /// Starts one where user `default` has a password.
    ///
    /// # Panics
    /// When the engine does not start.
    #[expect(clippy::expect_used, reason = "a helper of tests")]
    pub fn with_password(password: &str) -> TestEngine {
        let data = tempfile::tempdir().expect("a temporary folder");
        let mut spawn = spawn(data.path());
        spawn.envs.push((OsString::from(PASSWORD), OsString::from(password)));
        TestEngine::from_spawn(spawn, Some(data))
    }

    /// Starts one that may read from Kafka, for whoever comes in by [`TestEngine::operator`].
    ///
    /// # Panics
    /// When the engine does not start.
    #[expect(clippy::expect_used, reason = "a helper of tests")]
    pub fn with_kafka() -> TestEngine {
        let data = tempfile::tempdir().expect("a temporary folder");
        let mut spawn = spawn(data.path());
        spawn.envs.push((OsString::from(KAFKA), OsString::from("1")));
        TestEngine::from_spawn(spawn, Some(data))
    }

    #[expect(clippy::expect_used, reason = "a helper of tests")]
    fn from_spawn(spawn: Spawn, data: Option<tempfile::TempDir>) -> TestEngine {
        let runtime = runtime();
        let (tell, told) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            let _ = tell.send(Engine::start(spawn).await);
        });
        let engine = told.recv().expect("an answer").expect("the engine starts");
        TestEngine { engine, runtime, data }
    }

    /// `http://127.0.0.1:port`
    pub fn url(&self) -> String {
        self.engine.url().to_owned()
    }

    /// `127.0.0.1:port`
    pub fn address(&self) -> String {
        self.engine.url().trim_start_matches("http://").to_owned()
    }

    /// The engine's process.
    ///
    /// # Panics
    /// When it is just being restarted.
    #[expect(clippy::expect_used, reason = "a helper of tests")]
    pub fn pid(&self) -> u32 {
        self.engine.pid().expect("the engine runs")
    }

    /// The folder of its data; `None` for the shared one.
    pub fn data(&self) -> Option<&Path> {
        self.data.as_ref().map(tempfile::TempDir::path)
    }

    /// The operator's socket; only an engine with Kafka has one.
    pub fn operator(&self) -> Option<PathBuf> {
        self.data().map(|data| data.join(crate::OPERATOR_SOCKET))
    }

    /// The supervised engine itself.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Kills the process with SIGKILL; it is restarted on the same port. Does not wait for that.
    pub fn kill9(&self) {
        let pid = i32::try_from(self.pid()).unwrap_or(0);
        // SAFETY: a signal to our own child, which is not reaped while the supervisor has its number.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }

    /// Waits until it was restarted since `restarts` and answers again.
    ///
    /// # Panics
    /// When that takes longer than 20 s.
    pub fn wait_restarted(&self, restarts: u64) {
        let start = Instant::now();
        while self.engine.restarts() <= restarts || !self.engine.is_alive() {
            assert!(start.elapsed() < Duration::from_secs(20), "the engine was not restarted");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it and waits until it answers again.
    pub fn restart(&self) {
        let restarts = self.engine.restarts();
        self.kill9();
        self.wait_restarted(restarts);
    }
}

impl Drop for TestEngine {
    fn drop(&mut self) {
        let Some(pid) = self.engine.pid() else { return };
        // the folder is removed after this: wait for the process to let go of it
        let (tell, told) = std::sync::mpsc::channel::<()>();
        let url = self.engine.url().to_owned();
        tracing::debug!(pid, url, "ending a test engine");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                self.runtime.block_on(self.engine.stop());
                drop(tell);
            });
        });
        let _ = told.recv();
    }
}

/// The binary's one engine: started at first use, ends with the binary.
///
/// # Panics
/// When the engine does not start.
#[expect(clippy::expect_used, reason = "a helper of tests")]
pub fn shared() -> &'static TestEngine {
    static SHARED: OnceLock<TestEngine> = OnceLock::new();
    SHARED.get_or_init(|| {
        // nobody drops a static: the child empties the folder, and the next binary sweeps what is left
        let all = std::env::temp_dir().join("walhouse-test-engines");
        std::fs::create_dir_all(&all).expect("a temporary folder");
        for old in std::fs::read_dir(&all).expect("the temporary folder").flatten() {
            sweep(&old.path());
        }
        let data = tempfile::tempdir_in(&all).expect("a temporary folder").keep();
        let mut spawn = spawn(&data);
        spawn.envs.push((OsString::from(REMOVE), OsString::from("1")));
        TestEngine::from_spawn(spawn, None)
    })
}

/// Removes a former shared engine's folder: old enough that its engine has locked it, and not locked.
fn sweep(folder: &Path) {
    const OLD: Duration = Duration::from_secs(600);
    let age = folder.metadata().and_then(|meta| meta.modified()).ok().and_then(|time| time.elapsed().ok());
    let held = std::fs::File::open(folder.join("lock")).is_ok_and(|lock| lock.try_lock().is_err());
    if age.is_some_and(|age| age > OLD) && !held {
        // another binary may be sweeping as well
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// A runtime of its own: a test's own may end before the engine does.
#[expect(clippy::expect_used, reason = "a helper of tests")]
fn runtime() -> tokio::runtime::Handle {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
        })
        .handle()
        .clone()
}
