//! This machine: ports, folders, space.

use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;
use walhouse_postgres::Finding;

use super::{blocking, info, warning};
use crate::config::Config;
use crate::console;

/// Names the libchdb to use instead of the one that is fetched.
const LIBRARY_VARIABLE: &str = "WALHOUSE_LIBCHDB";
/// The engine needs room to merge beside what it keeps.
const LITTLE_SPACE: u64 = 2 << 30;

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let engine = config.engine.as_ref().filter(|_| config.straight);
    if console::ask(config).await.is_some() {
        findings.push(info(format!("walhouse runs with this configuration, its console is {}", config.console.listen)));
    } else {
        findings.push(port("[console] listen", config.console.listen).await);
        if let Some(engine) = engine {
            findings.push(port("[engine] listen", engine.listen).await);
        }
    }
    let Some(engine) = engine else { return findings };
    findings.extend(folder(&engine.data));
    if let Some(library) = std::env::var_os(LIBRARY_VARIABLE)
        && !Path::new(&library).is_file()
    {
        let what = format!("{LIBRARY_VARIABLE} is {}, which is no file", Path::new(&library).display());
        findings.push(blocking(what, Some(format!("unset {LIBRARY_VARIABLE}, or point it to libchdb.so"))));
    }
    findings
}

async fn port(key: &str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address).await {
        Ok(_) => info(format!("{key} {address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            blocking(format!("{key} {address} is in use"), Some("choose another port".to_owned()))
        }
        Err(error) => {
            blocking(format!("{key} {address}: {error}"), Some("choose an address of this machine".to_owned()))
        }
    }
}

/// Whether the engine's folder is there, or can be made.
fn folder(data: &Path) -> Option<Finding> {
    let existing = existing_part(data)?;
    let name = existing.display();
    let problem = if !existing.is_dir() {
        format!("{name} is no folder")
    } else if rustix::fs::access(existing, rustix::fs::Access::WRITE_OK).is_err() {
        format!("{name} may not be written")
    } else {
        return None;
    };
    Some(blocking(format!("[engine] data: {problem}"), Some("choose another folder, or chown this one".to_owned())))
}

/// Whether the disk of the engine takes the tables, of `bytes` in Postgres.
pub(super) fn look_at_space(config: &Config, bytes: u64) -> Vec<Finding> {
    let Some(engine) = &config.engine else { return Vec::new() };
    let Some(free) = existing_part(&engine.data).and_then(free_space) else { return Vec::new() };
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let what =
        format!("[engine] data: {:.1} GiB are free, the tables are {:.1} GiB in Postgres", gib(free), gib(bytes));
    // ClickHouse packs rows several times tighter than Postgres, and keeps a copy while it merges.
    vec![if free < bytes.max(LITTLE_SPACE) { warning(what, "choose a larger disk") } else { info(what) }]
}

fn free_space(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// `path`, or the nearest folder above it that exists.
fn existing_part(path: &Path) -> Option<&Path> {
    path.ancestors().find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_seen() {
        let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = holder.local_addr().unwrap();
        assert!(port("k", address).await.what.contains("is in use"));
        drop(holder);
        assert!(port("k", address).await.what.contains("is free"));
        let finding = port("k", "192.0.2.1:1".parse().unwrap()).await;
        assert_eq!(finding.severity, walhouse_postgres::Severity::Error);
    }

    #[test]
    fn a_folder_that_can_be_made_is_fine() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(folder(&home.path().join("a/b")), None);
        std::fs::write(home.path().join("file"), "").unwrap();
        assert!(folder(&home.path().join("file/b")).unwrap().what.contains("is no folder"));
        assert!(free_space(home.path()).unwrap() > 0);
    }
}
