//! House rules that no lint checks: import walls between rooms, sizes, words.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::build::workspace;
use crate::page;

/// What each room may import of ours in its program code. Tests may use the lab and the engine as well.
const WALLS: [(&str, &[&str]); 12] = [
    ("walhouse-value", &[]),
    ("walhouse-change", &["walhouse-value"]),
    ("walhouse-postgres", &["walhouse-change", "walhouse-value"]),
    ("walhouse-clickhouse", &["walhouse-change", "walhouse-value"]),
    ("walhouse-kafka", &["walhouse-change", "walhouse-value"]),
    // Joins a source to a Kafka under Debezium's rules, as `app` joins both ends of the direct way.
    ("walhouse-connect", &["walhouse-change", "walhouse-value", "walhouse-postgres", "walhouse-kafka"]),
    ("walhouse-pipeline", &["walhouse-change"]),
    ("walhouse-server", &["walhouse-pipeline", "walhouse-change"]),
    ("walhouse-chdb", &[]),
    ("walhouse-lab", &["walhouse-change"]),
    (
        "walhouse",
        &[
            "walhouse-value",
            "walhouse-change",
            "walhouse-postgres",
            "walhouse-clickhouse",
            "walhouse-kafka",
            "walhouse-connect",
            "walhouse-pipeline",
            "walhouse-server",
            "walhouse-chdb",
            "walhouse-lab",
        ],
    ),
    ("xtask", &["walhouse-lab"]),
];

/// A file beyond this has outgrown its purpose: split it.
const MAX_LINES: usize = 600;
/// A `lib.rs` is documentation, modules and what they show: no code.
const MAX_LIB_LINES: usize = 120;

/// Sources of the console's page: they begin with their story too.
const PAGE_SOURCES: [&str; 3] = [".ts", ".tsx", ".mjs"];

/// Names the test that holds each invariant.
const DOCUMENT: &str = "ARCHITECTURE.md";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

pub(crate) fn run() -> Result<()> {
    let mut faults = walls(&metadata()?);
    let mut code = String::new();
    for file in tracked_files()? {
        if file.ends_with(".rs") {
            let text = fs::read_to_string(workspace().join(&file)).with_context(|| format!("reading {file}"))?;
            faults.extend(file_faults(&file, &text));
            code.push_str(&text);
        } else if PAGE_SOURCES.iter().any(|end| file.ends_with(end)) {
            let text = fs::read_to_string(workspace().join(&file)).with_context(|| format!("reading {file}"))?;
            faults.extend(page_faults(&file, &text));
        }
    }
    let document = fs::read_to_string(workspace().join(DOCUMENT)).with_context(|| format!("reading {DOCUMENT}"))?;
    faults.extend(missing_tests(&document, &code));
    faults.extend(page::faults()?);
    if faults.is_empty() {
        println!("tidy: ok");
        return Ok(());
    }
    bail!("{} faults:\n{}", faults.len(), faults.join("\n"))
}

/// Every import of one room by another that the walls do not allow.
fn walls(metadata: &Metadata) -> Vec<String> {
    let allowed: BTreeMap<_, _> = WALLS.iter().copied().collect();
    let ours: BTreeSet<_> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let mut faults = Vec::new();
    for package in &metadata.packages {
        let Some(allowed) = allowed.get(package.name.as_str()) else {
            faults.push(format!("{} is not in the table of rooms (xtask/src/tidy.rs)", package.name));
            continue;
        };
        let imports = package.dependencies.iter().filter(|dependency| dependency.kind.is_none());
        for import in imports.filter(|import| import.path.is_some() && ours.contains(import.name.as_str())) {
            if !allowed.contains(&import.name.as_str()) {
                faults.push(format!("{} must not import {}", package.name, import.name));
            }
        }
    }
    faults
}

fn file_faults(file: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        faults.push(format!("{file} has {lines} lines, more than {MAX_LINES}"));
    }
    if file.ends_with("src/lib.rs") && lines > MAX_LIB_LINES {
        faults.push(format!("{file} has {lines} lines, more than {MAX_LIB_LINES} for a lib.rs"));
    }
    if !text.starts_with("//!") {
        faults.push(format!("{file} does not begin with its story (//!)"));
    }
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with("pub use") && line.ends_with("::*;") {
            faults.push(format!("{file}:{} exports by glob: name what is shown", number + 1));
        }
        if !file.starts_with("crates/chdb/") && line.starts_with("unsafe ") {
            faults.push(format!("{file}:{} is unsafe outside of chdb", number + 1));
        }
    }
    faults
}

fn page_faults(file: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        faults.push(format!("{file} has {lines} lines, more than {MAX_LINES}"));
    }
    if !text.starts_with("// ") {
        faults.push(format!("{file} does not begin with its story (//)"));
    }
    faults
}

/// Tests that the document names and the code does not have: names in backticks of three words or more.
fn missing_tests(document: &str, code: &str) -> Vec<String> {
    let is_test = |name: &&str| {
        name.matches('_').count() >= 2 && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
    };
    let named: BTreeSet<_> = document.split('`').skip(1).step_by(2).filter(is_test).collect();
    let missing = named.into_iter().filter(|name| !code.contains(&format!("fn {name}(")));
    missing.map(|name| format!("{DOCUMENT} names the test {name}, which is not there")).collect()
}

fn metadata() -> Result<Metadata> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]).current_dir(workspace());
    serde_json::from_slice(&output(&mut command)?).context("reading cargo metadata")
}

/// Files that git tracks; in an unpacked archive, nothing.
fn tracked_files() -> Result<Vec<String>> {
    let listed = output(Command::new("git").args(["ls-files", "-z"]).current_dir(workspace()))?;
    let listed = String::from_utf8(listed).context("reading the list of files")?;
    let present = |file: &&str| !file.is_empty() && Path::new(&workspace().join(file)).is_file();
    Ok(listed.split('\0').filter(present).map(str::to_owned).collect())
}

fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, imports: &[&str]) -> Package {
        let dependency = |name: &&str| Dependency { name: (*name).to_owned(), kind: None, path: Some(String::new()) };
        Package { name: name.to_owned(), dependencies: imports.iter().map(dependency).collect() }
    }

    #[test]
    fn the_house_is_tidy() {
        run().unwrap();
    }

    #[test]
    fn a_breach_of_a_wall_is_seen() {
        let packages =
            vec![package("walhouse-postgres", &["walhouse-clickhouse"]), package("walhouse-clickhouse", &[])];
        let faults = walls(&Metadata { packages });
        assert_eq!(faults, ["walhouse-postgres must not import walhouse-clickhouse"]);
    }

    #[test]
    fn an_unknown_room_is_seen() {
        assert_eq!(walls(&Metadata { packages: vec![package("walhouse-new", &[])] }).len(), 1);
    }

    #[test]
    fn a_test_that_is_not_there_is_seen() {
        let document = "held by `it_is_held` and `it_is_gone`, in `main.rs` of `a_crate`";
        assert_eq!(
            missing_tests(document, "fn it_is_held() {}"),
            ["ARCHITECTURE.md names the test it_is_gone, which is not there"]
        );
    }

    #[test]
    fn faults_of_a_file_are_seen() {
        let text = "use a;\npub use b::*;\nunsafe fn c() {}\n";
        assert_eq!(file_faults("crates/x/src/lib.rs", text).len(), 3);
        assert_eq!(file_faults("crates/x/src/y.rs", &"//! y\n".repeat(MAX_LINES + 1)).len(), 1);
        assert!(file_faults("crates/chdb/src/ffi.rs", "//! x\nunsafe fn c() {}\n").is_empty());
    }
}
