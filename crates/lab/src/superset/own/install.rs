//! Superset from PyPI, into a virtual environment in the user's cache folder.
//!
//! Its own metadata does not suffice to install a program that starts, so everything is pinned: the file of constraints
//! is installed as it stands, which also spares pip the search for versions that fit together. The environment's
//! name has a digest of that file in it, and a mark in it says that it is complete. `WALHOUSE_TEST_SUPERSET` names an
//! older release for whoever wants to see that it is accepted too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::cache::{lock, user_cache};
use crate::command::{run, tail};
use crate::error::{Attempt, Error, Result};
use crate::progress::Progress;

/// Releases with what each runs with; the first is the one that is installed for users.
const RELEASES: [(&str, &str); 3] = [
    ("6.1.0", include_str!("constraints-6.1.0.txt")),
    ("5.0.0", include_str!("constraints-5.0.0.txt")),
    ("4.1.4", include_str!("constraints-4.1.4.txt")),
];
/// Names another release than the first.
const WANTED: &str = "WALHOUSE_TEST_SUPERSET";
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
    let (version, constraints) = release(std::env::var(WANTED).ok().as_deref())?;
    let digest: String = Sha256::digest(constraints).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let name = format!("superset-{version}-{digest}");
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
        pip_install(&folder, constraints).await?;
        fs::write(&mark, b"").attempt("marking Superset as complete")?;
    }
    Ok(Installed { folder })
}

/// The release with that version, and what it runs with.
fn release(wanted: Option<&str>) -> Result<(&'static str, &'static str)> {
    let mut releases = RELEASES.into_iter();
    let found = releases.find(|(version, _)| wanted.is_none_or(|wanted| wanted == *version));
    found.ok_or_else(|| {
        let known = RELEASES.map(|(version, _)| version).join(", ");
        Error::Invalid(format!("{WANTED}={} is none of {known}", wanted.unwrap_or_default()))
    })
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
async fn pip_install(folder: &Path, pinned: &str) -> Result<()> {
    const ATTEMPT: &str = "installing Superset from PyPI";
    let constraints = folder.join("constraints.txt");
    fs::write(&constraints, pinned).attempt(ATTEMPT)?;
    let packages = pinned.lines().filter(|line| !line.starts_with('#')).count();
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
        for (version, constraints) in RELEASES {
            let pins: Vec<String> = constraints
                .lines()
                .filter(|line| !line.starts_with('#'))
                .map(|line| line.to_lowercase().replace('_', "-"))
                .collect();
            assert!(pins.iter().all(|pin| pin.contains("==")), "a package without a version");
            let superset = format!("apache-superset=={version}");
            for needed in [superset.as_str(), "clickhouse-connect==", "gunicorn==", "rich==", "cachetools=="] {
                assert!(pins.iter().any(|pin| pin.starts_with(needed)), "{needed}");
            }
        }
    }

    #[test]
    fn another_release_is_named_or_refused() {
        assert_eq!(release(None).unwrap().0, "6.1.0");
        assert_eq!(release(Some("4.1.4")).unwrap().0, "4.1.4");
        assert!(release(Some("3.0.0")).unwrap_err().to_string().contains("5.0.0"));
    }
}
