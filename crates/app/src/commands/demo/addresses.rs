//! `demo.json`: where everything answers, for whoever wants to look while the demo runs.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

fn file(folder: &Path) -> PathBuf {
    folder.join("demo.json")
}

/// Removes the addresses of a former run.
pub(super) fn forget(folder: &Path) -> Result<()> {
    match fs::remove_file(file(folder)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file(folder).display()))
        }
        _ => Ok(()),
    }
}

/// Writes the addresses, and what else there is to tell, all at once: a reader never sees half a file.
pub(super) fn write(
    folder: &Path,
    postgres: &str,
    clickhouse: &str,
    console: Option<SocketAddr>,
    more: &[(&str, String)],
) -> Result<()> {
    let mut addresses = json!({
        "postgres": postgres,
        "clickhouse": clickhouse,
        "console": console.map(|address| format!("http://{address}")),
    });
    for (key, value) in more {
        addresses[*key] = json!(value);
    }
    let draft = folder.join("demo.json.new");
    fs::write(&draft, format!("{addresses:#}\n"))
        .and_then(|()| fs::rename(&draft, file(folder)))
        .with_context(|| format!("cannot write {}", file(folder).display()))
}

/// Two free ports of 127.0.0.1; the usual ones when nobody has them.
pub(super) fn free(usual: [u16; 2]) -> Result<[u16; 2]> {
    let listeners = usual.map(|wanted| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)).or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
    });
    let [first, second] = listeners;
    let port = |listener: std::io::Result<TcpListener>| -> std::io::Result<u16> { Ok(listener?.local_addr()?.port()) };
    let (first, second) = (port(first), port(second));
    Ok([first.context("cannot find a free port")?, second.context("cannot find a free port")?])
}
