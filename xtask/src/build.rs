//! Building the program that a task is about.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Builds walhouse (release unless `debug`) and returns the binary's path.
pub(crate) fn walhouse(debug: bool) -> Result<PathBuf> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--package", "walhouse"]);
    if !debug {
        command.arg("--release");
    }
    let status = command.current_dir(workspace()).status().context("running cargo build")?;
    if !status.success() {
        bail!("cargo build ended with {status}");
    }
    Ok(target().join(if debug { "debug" } else { "release" }).join("walhouse"))
}

/// The workspace's root folder.
pub(crate) fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder that cargo builds into.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}
