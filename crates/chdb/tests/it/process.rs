//! The process: crashes, its parent's death, folders and ports that are held.

use std::io::BufRead;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use walhouse_chdb::Engine;
use walhouse_chdb::testing::{self, TestEngine};

use crate::wire::{ok, sql};

fn start_error(spawn: walhouse_chdb::Spawn) -> String {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let error = runtime.block_on(Engine::start(spawn)).expect_err("it must not start").to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

fn exists(pid: u32) -> bool {
    // a zombie has ended
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn killed_it_comes_back_on_its_port_with_every_acknowledged_row() {
    let engine = TestEngine::start();
    let address = engine.address();
    ok(&address, "CREATE TABLE kept (a UInt64) ENGINE = MergeTree ORDER BY a");
    let mut acknowledged = 0_u64;
    for _ in 0..2 {
        let restarts = engine.engine().restarts();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(400));
                engine.kill9();
            });
            loop {
                let statement = format!("INSERT INTO kept VALUES ({acknowledged})");
                let sent = std::panic::catch_unwind(|| sql(&address, &statement).status);
                if !matches!(sent, Ok(200)) {
                    break;
                }
                acknowledged += 1;
            }
        });
        engine.wait_restarted(restarts);
        let found: u64 = ok(&address, "SELECT uniqExact(a) FROM kept").trim().parse().expect("a count");
        // the last one may have been written without an answer
        assert!(found == acknowledged || found == acknowledged + 1, "{acknowledged} acknowledged, {found} found");
        acknowledged = found;
    }
    assert!(acknowledged > 10, "{acknowledged}");
}

/// Not a test by itself: the parent that `dies_with_its_parent` kills.
#[test]
fn engine_parent() {
    if std::env::var_os("WALHOUSE_TEST_PARENT").is_none() {
        return;
    }
    let engine = TestEngine::start();
    println!("\nengine {} data {}", engine.pid(), engine.data().expect("a folder").display());
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn dies_with_its_parent() {
    let mut parent = Command::new(std::env::current_exe().expect("this binary"))
        .args(["process::engine_parent", "--exact", "--nocapture"])
        .env("WALHOUSE_TEST_PARENT", "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("a parent");
    let lines = std::io::BufReader::new(parent.stdout.take().expect("its output")).lines();
    let line = lines.map_while(Result::ok).find(|line| line.starts_with("engine ")).expect("its line");
    let words: Vec<&str> = line.split(' ').collect();
    let pid: u32 = words[1].parse().expect("a number");
    assert!(exists(pid));
    parent.kill().expect("killed");
    parent.wait().expect("gone");
    let start = Instant::now();
    while exists(pid) {
        assert!(start.elapsed() < Duration::from_secs(5), "the engine lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::fs::remove_dir_all(words[3]).expect("removed");
}

#[test]
fn stops_when_asked() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for busy in [false, true] {
        let engine = TestEngine::start();
        let (pid, address) = (engine.pid(), engine.address());
        ok(&address, "CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a");
        let query = std::thread::spawn(move || {
            // the connection may break, or the answer say that the query was cancelled
            busy.then(|| {
                std::panic::catch_unwind(|| {
                    sql(&address, "SELECT count() FROM numbers(1000000000000) WHERE number % 7 = 3")
                })
            })
        });
        std::thread::sleep(Duration::from_millis(300));
        let start = Instant::now();
        runtime.block_on(engine.engine().stop());
        assert!(start.elapsed() < Duration::from_secs(if busy { 6 } else { 2 }), "{:?}", start.elapsed());
        assert!(!exists(pid));
        let answer = query.join().expect("ended");
        assert!(!matches!(answer, Some(Ok(answer)) if answer.status == 200));
    }
}

#[test]
fn a_held_folder_is_waited_for_and_then_refused() {
    let engine = TestEngine::start();
    let data = engine.data().expect("a folder");
    let start = Instant::now();
    let error = start_error(testing::spawn(data));
    assert!(error.contains("held by another process"), "{error}");
    assert!(start.elapsed() >= Duration::from_secs(15));
    assert_eq!(ok(&engine.address(), "SELECT 1"), "1\n");
}

#[test]
fn a_held_port_is_waited_for_and_then_refused() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = holder.local_addr().expect("its address");
    let folder = tempfile::tempdir().expect("a folder");
    let mut spawn = testing::spawn(folder.path());
    spawn.listen = address;
    let error = start_error(spawn.clone());
    assert!(error.contains(&format!("cannot listen on {address}")), "{error}");
    // released while it is waited for
    let releasing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        drop(holder);
    });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let engine = runtime.block_on(Engine::start(spawn)).expect("it starts");
    assert_eq!(engine.url(), format!("http://{address}"));
    releasing.join().expect("released");
    runtime.block_on(engine.stop());
}

#[test]
fn a_torn_or_foreign_library_is_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = folder.path().join("libchdb.so");
    for content in [b"\x7fELF torn".as_slice(), b"hello, world", b""] {
        std::fs::write(&library, content).expect("a file");
        let mut spawn = testing::spawn(folder.path());
        spawn.envs.push(("WALHOUSE_LIBCHDB".into(), library.clone().into_os_string()));
        let error = start_error(spawn);
        assert!(error.contains("is not a usable libchdb"), "{error}");
    }
    let mut spawn = testing::spawn(folder.path());
    spawn.envs.push(("WALHOUSE_LIBCHDB".into(), folder.path().join("missing.so").into_os_string()));
    assert!(start_error(spawn).contains("is not a usable libchdb"));
}

#[test]
fn a_network_address_without_a_password_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spawn = testing::spawn(folder.path());
    spawn.listen = "0.0.0.0:0".parse().expect("an address");
    assert!(start_error(spawn).contains("without a password"));
}
