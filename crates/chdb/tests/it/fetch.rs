//! Fetching the library goes wrong in every way that npm and a disk allow; each is one line that says what to do.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use walhouse_chdb::{Engine, testing};

/// Starts an engine with an empty cache and this shell script as `npm`; gives the error.
fn error_with_npm(script: Option<&str>, prepare: impl Fn(&Path)) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let programs = folder.path().join("bin");
    std::fs::create_dir(&programs).expect("a folder");
    if let Some(script) = script {
        let npm = programs.join("npm");
        std::fs::write(&npm, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).expect("a script");
        std::fs::set_permissions(&npm, std::fs::Permissions::from_mode(0o755)).expect("executable");
    }
    let cache = folder.path().join("cache");
    prepare(&cache);
    let mut spawn = testing::spawn(&folder.path().join("data"));
    spawn.envs.push(("PATH".into(), programs.into_os_string()));
    spawn.envs.push(("XDG_CACHE_HOME".into(), cache.clone().into_os_string()));
    spawn.envs.push(("WALHOUSE_LIBCHDB".into(), "".into()));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let error = runtime.block_on(Engine::start(spawn)).expect_err("it must not start").to_string();
    assert!(!error.contains('\n'), "{error}");
    // nothing half-done remains but the lock
    for version in std::fs::read_dir(cache.join("walhouse/libchdb")).into_iter().flatten().flatten() {
        let left: Vec<_> =
            std::fs::read_dir(version.path()).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
        assert!(left.iter().all(|name| name == "fetch.lock" || name == "libchdb.so"), "{left:?}");
    }
    error
}

#[test]
fn npm_is_missing_or_fails() {
    let error = error_with_npm(None, |_| {});
    assert!(error.contains("npm does not run") && error.contains("apt-get install npm"), "{error}");
    let error = error_with_npm(Some("echo 'npm error 404 Not Found' >&2; exit 1"), |_| {});
    assert!(error.contains("404 Not Found") && error.contains("WALHOUSE_LIBCHDB"), "{error}");
    let error = error_with_npm(Some("exit 0"), |_| {});
    assert!(error.contains("left no archive"), "{error}");
}

#[test]
fn the_package_is_torn_or_another() {
    let error = error_with_npm(Some("echo rubbish > chdb-lib.tgz"), |_| {});
    assert!(error.contains("does not unpack"), "{error}");
    let other = "mkdir package; echo hello > package/libchdb.so; tar -czf chdb-lib.tgz package";
    let error = error_with_npm(Some(other), |_| {});
    assert!(error.contains("another libchdb than expected"), "{error}");
    let empty = "mkdir package; echo hello > package/index.js; tar -czf chdb-lib.tgz package";
    let error = error_with_npm(Some(empty), |_| {});
    assert!(error.contains("holds no libchdb.so"), "{error}");
}

#[test]
fn the_cached_file_is_torn() {
    let error = error_with_npm(Some("exit 1"), |cache| {
        let folder = cache.join("walhouse/libchdb").join(walhouse_chdb::LIBRARY_VERSION);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("libchdb.so"), b"\x7fELF torn").expect("a file");
    });
    assert!(error.contains("it has 9 bytes") && error.contains("fetched again"), "{error}");
}
