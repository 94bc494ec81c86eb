//! Superset from PyPI, into a virtual environment in the user's cache folder.
//!
//! Its own metadata does not suffice to install a program that starts, so everything is pinned: the file of constraints
//! is installed as it stands, which also spares pip the search for versions that fit together. The environment's
//! name has a digest of that file in it, and a mark in it says that it is complete.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::VERSION;
use crate::cache::{lock, user_cache};
use crate::command::{run, tail};
use crate::error::{Attempt, Error, Result};
use crate::progress::Progress;

const CONSTRAINTS: &str = include_str!("constraints-6.1.0.txt");
/// Pythons that all pinned packages have wheels for; 3.11 is what they were tried on.
const PYTHONS: [&str; 4] = ["python3.11", "python3.12", "python3.10", "python3"];
/// Says whether a Python can do it.
const FITS: &str = "import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))";
const INSTALL_PYTHON: &str = "apt-get install -y python3.11 python3.11-venv";
/// Enough of pip's output to hold a failure's reason.
const OUTPUT_TAIL_BYTES: usize = 3_000;

/// An installed Superset.
#[derive(Debug, Clone)]
pub(super) struct Installed {
    /// The virtual environment.
    pub(super) folder: PathBuf,
}

impl Installed {
    /// A program of it.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// Where a database without users is kept, so that the next Superset need not make it.
    pub(super) fn template(&self) -> PathBuf {
        self.folder.join("walhouse-template.db")
    }
}

/// Installs it, unless that is done.
pub(super) async fn install() -> Result<Installed> {
    let cache = user_cache()?.join("walhouse");
    fs::create_dir_all(&cache).attempt(&format!("creating {}", cache.display()))?;
    let digest: String = Sha256::digest(CONSTRAINTS).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let name = format!("superset-{VERSION}-{digest}");
    let folder = cache.join(&name);
    let _lock = lock(cache.join(format!("{name}.lock"))).await?;
    let mark = folder.join("walhouse-complete");
    if !mark.exists() {
        if folder.exists() {
            fs::remove_dir_all(&folder).attempt("removing a half-made Superset")?;
        }
        let python = python().await?;
        let mut venv = Command::new(&python);
        venv.args(["-m", "venv"]).arg(&folder);
        run(venv, "making a virtual environment for Superset", INSTALL_PYTHON).await?;
        pip_install(&folder).await?;
        fs::write(&mark, b"").attempt("marking Superset as complete")?;
    }
    Ok(Installed { folder })
}

async fn python() -> Result<String> {
    for python in PYTHONS {
        let mut command = Command::new(python);
        command.args(["-c", FITS]);
        if run(command, "looking for a Python", INSTALL_PYTHON).await.is_ok() {
            return Ok(python.to_owned());
        }
    }
    Err(Error::MissingProgram { program: "a Python 3.10, 3.11 or 3.12 with venv".into(), install: INSTALL_PYTHON })
}

/// Runs pip, and counts the packages that it names. It ends with us when we stop waiting.
async fn pip_install(folder: &Path) -> Result<()> {
    const ATTEMPT: &str = "installing Superset from PyPI";
    let constraints = folder.join("constraints.txt");
    fs::write(&constraints, CONSTRAINTS).attempt(ATTEMPT)?;
    let packages = CONSTRAINTS.lines().filter(|line| !line.starts_with('#')).count();
    let errors = folder.join("pip-errors.txt");
    let mut pip = tokio::process::Command::new(folder.join("bin/pip"));
    // What of it is used is compiled when it is used first.
    pip.args(["install", "--no-deps", "--no-compile", "--no-input", "--disable-pip-version-check"]);
    pip.arg("--progress-bar=off").arg("-r").arg(&constraints);
    pip.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(fs::File::create(&errors).attempt(ATTEMPT)?);
    let mut child = pip.kill_on_drop(true).spawn().attempt(ATTEMPT)?;
    let mut progress = Progress::counting("superset", "packages", packages as u64);
    if let Some(output) = child.stdout.take() {
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next_line().await.attempt(ATTEMPT)? {
            if line.starts_with("Collecting ") {
                progress.advance(1);
            }
        }
    }
    if child.wait().await.attempt(ATTEMPT)?.success() {
        return Ok(());
    }
    let output = tail(&fs::read(&errors).unwrap_or_default(), OUTPUT_TAIL_BYTES);
    Err(Error::Command { attempt: ATTEMPT.to_owned(), output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_pinned() {
        let pins: Vec<&str> = CONSTRAINTS.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(pins.iter().all(|pin| pin.contains("==")), "a package without a version");
        for needed in ["apache_superset==6.1.0", "clickhouse-connect==", "gunicorn==", "rich==", "cachetools=="] {
            assert!(pins.iter().any(|pin| pin.starts_with(needed)), "{needed}");
        }
    }
}
