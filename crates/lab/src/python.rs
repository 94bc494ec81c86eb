//! Other people's clients from PyPI, each set in a virtual environment of its own in the user's cache folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::{lock, user_cache};
use crate::command::run;
use crate::error::{Attempt, Result};

const INSTALL: &str = "apt-get install -y python3 python3-venv";

/// The Python of an environment with these packages, each pinned as `name==version`. Made once per machine.
///
/// # Errors
/// There is no Python with `venv`, or a package cannot be installed.
pub async fn python(packages: &[&str]) -> Result<PathBuf> {
    let cache = user_cache()?.join("walhouse").join("python");
    fs::create_dir_all(&cache).attempt(&format!("creating {}", cache.display()))?;
    let name = packages.join("+");
    let folder = cache.join(&name);
    let _lock = lock(cache.join(format!("{name}.lock"))).await?;
    let python = folder.join("bin").join("python");
    let mark = folder.join("walhouse-complete");
    if !mark.exists() {
        if folder.exists() {
            fs::remove_dir_all(&folder).attempt("removing a half-made environment")?;
        }
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv"]).arg(&folder);
        run(venv, "making a virtual environment", INSTALL).await?;
        run(pip(&python, packages), &format!("installing {name}"), INSTALL).await?;
        fs::write(&mark, b"").attempt("marking an environment as complete")?;
    }
    Ok(python)
}

fn pip(python: &Path, packages: &[&str]) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
    pip
}
