//! The console's page: `cargo xtask page` builds it, tidy asks whether what is committed was built from its sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::build::workspace;

/// Where the page lies in the workspace.
const FOLDER: &str = "crates/server/page";
/// What it was built from, as `sha256sum` writes it; build.mjs writes the same.
const SOURCES: &str = "sources.sha256";
/// Sources beside the folder `src`.
const BESIDE: [&str; 3] = ["build.mjs", "package.json", "package-lock.json"];
/// Made from the OpenAPI document for the type checker; nothing of it is in what is built.
const GENERATED: &str = "src/api/schema.d.ts";

/// Installs what the page is built with, checks its types, builds it.
pub(crate) fn build() -> Result<()> {
    install()?;
    npm(&["run", "types"])?;
    npm(&["run", "check"])?;
    npm(&["run", "build"])
}

/// Installs what the page is built and looked at with.
pub(crate) fn install() -> Result<()> {
    npm(&["ci", "--ignore-scripts"])
}

fn npm(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("npm");
    let status = command.args(arguments).current_dir(folder()).status().context("running npm")?;
    if !status.success() {
        bail!("npm {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}

/// Sources that are not those of which the committed page was built.
pub(crate) fn faults() -> Result<Vec<String>> {
    let built = folder().join(SOURCES);
    let built = fs::read_to_string(&built).with_context(|| format!("reading {}", built.display()))?;
    Ok(differences(&built, &sources(&folder())?))
}

fn differences(built: &str, now: &str) -> Vec<String> {
    let has = |text: &str, line: &str| text.lines().any(|other| other == line);
    let changed = now.lines().filter(|line| !has(built, line));
    let gone = built.lines().filter(|line| !has(now, line));
    let mut files: Vec<&str> = changed.chain(gone).filter_map(|line| line.split_whitespace().nth(1)).collect();
    files.sort_unstable();
    files.dedup();
    let fault = |file: &&str| format!("{FOLDER}/{file} is not what dist was built from: run `cargo xtask page`");
    files.iter().map(fault).collect()
}

/// A line per file, in the order of their names.
fn sources(folder: &Path) -> Result<String> {
    let mut files: Vec<String> = BESIDE.iter().map(|file| (*file).to_owned()).collect();
    collect(&folder.join("src"), "src", &mut files)?;
    files.retain(|file| file != GENERATED);
    files.sort_unstable();
    let line = |file: &String| -> Result<String> {
        let bytes = fs::read(folder.join(file)).with_context(|| format!("reading {FOLDER}/{file}"))?;
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("{digest}  {file}\n"))
    };
    files.iter().map(line).collect()
}

fn collect(folder: &Path, name: &str, files: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &name, files)?;
        } else {
            files.push(name);
        }
    }
    Ok(())
}

/// The page in the workspace.
pub(crate) fn folder() -> PathBuf {
    workspace().join(FOLDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_a_new_and_a_lost_source_are_seen() {
        let faults = differences("a1  src/a.ts\nb1  src/b.ts\n", "a2  src/a.ts\nc1  src/c.ts\n");
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults.iter().all(|fault| fault.contains("cargo xtask page")));
        assert!(differences("a1  src/a.ts\n", "a1  src/a.ts\n").is_empty());
    }
}
