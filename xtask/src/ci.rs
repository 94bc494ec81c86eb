//! `cargo xtask ci`: what CI checks, runnable on a laptop; the last line sums the tests up.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::build::workspace;
use crate::tidy;

/// Suites that speak to Postgres, run again on the oldest and the newest version.
const ON_EVERY_VERSION: [&str; 3] = ["crates/value", "crates/postgres", "crates/app"];
/// Parts of those suites that look at a browser or at dashboards, or kill workers and brokers: once is enough.
const ONCE: [&str; 3] = ["superset", "states::", "delivery::"];
/// Versions beside the default one.
const VERSIONS: [&str; 2] = ["14", "18"];

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only the default Postgres
    #[arg(long)]
    quick: bool,
}

#[derive(Debug, Default)]
struct Sum {
    passed: u64,
    failed: u64,
    ignored: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    step("format", cargo(&["fmt", "--all", "--check"]))?;
    step("lints", cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"]))?;
    let mut docs = cargo(&["doc", "--workspace", "--no-deps", "--quiet"]);
    docs.env("RUSTDOCFLAGS", "--deny warnings");
    step("documentation", docs)?;
    tidy::run()?;
    let mut sum = Sum::default();
    // All suites are run even if one fails: one run shows every failure.
    let mut failed = test("all", cargo(&["test", "--workspace", "--no-fail-fast"]), &mut sum).err();
    if !options.quick {
        let suites = suites()?;
        for (version, suite) in VERSIONS.iter().flat_map(|version| suites.iter().map(move |suite| (version, suite))) {
            let mut command = Command::new(&suite.executable);
            command.current_dir(&suite.folder).env("CARGO_MANIFEST_DIR", &suite.folder);
            command.env("WALHOUSE_TEST_POSTGRES", version);
            command.args(ONCE.iter().flat_map(|part| ["--skip", part]));
            failed = failed.or(test(&format!("{} on Postgres {version}", suite.name), command, &mut sum).err());
        }
    }
    let verdict = if failed.is_none() && sum.failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {verdict}. {} passed; {} failed; {} ignored", sum.passed, sum.failed, sum.ignored);
    failed.map_or(Ok(()), Err)
}

/// A built set of tests.
#[derive(Debug)]
struct Suite {
    name: String,
    executable: PathBuf,
    /// Its package, in which it runs.
    folder: PathBuf,
}

/// The suites of [`ON_EVERY_VERSION`] as the run of all built them. Asked for by package, cargo would choose other
/// features of shared libraries and build half the tree again.
fn suites() -> Result<Vec<Suite>> {
    let mut command = cargo(&["test", "--workspace", "--no-run", "--quiet", "--message-format=json"]);
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("running {command:?}"))?;
    let messages = String::from_utf8(output.stdout).context("reading what cargo built")?;
    let mut suites = Vec::new();
    for message in messages.lines() {
        let message: Value = serde_json::from_str(message).context("reading what cargo built")?;
        let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
        let (Some(executable), Some(manifest)) = (text("/executable"), text("/manifest_path")) else { continue };
        let Some(folder) = Path::new(manifest).parent() else { continue };
        let is_test = message.pointer("/profile/test").and_then(Value::as_bool) == Some(true);
        if is_test && ON_EVERY_VERSION.iter().any(|place| folder.ends_with(place)) {
            let name =
                format!("{} {}", text("/target/kind/0").unwrap_or_default(), text("/target/name").unwrap_or_default());
            suites.push(Suite { name, executable: executable.into(), folder: folder.to_owned() });
        }
    }
    if suites.is_empty() {
        bail!("cargo built no tests of {ON_EVERY_VERSION:?}");
    }
    Ok(suites)
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace());
    command
}

fn step(name: &str, mut command: Command) -> Result<()> {
    println!("== {name}");
    let status = command.status().with_context(|| format!("running {command:?}"))?;
    if !status.success() {
        bail!("{name}: {command:?} ended with {status}");
    }
    Ok(())
}

/// Runs a test command, shows what it prints and adds its counts up.
fn test(name: &str, mut command: Command, sum: &mut Sum) -> Result<()> {
    println!("== tests, {name}");
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("running {command:?}"))?;
    let output = child.stdout.take().context("reading the tests' output")?;
    for line in BufReader::new(output).lines() {
        let line = line.context("reading the tests' output")?;
        println!("{line}");
        sum.add(&line);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("tests, {name}: ended with {status}");
    }
    Ok(())
}

impl Sum {
    /// Adds a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; ..`.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let words: Vec<&str> = result.split_whitespace().collect();
        for pair in words.windows(2) {
            let [count, what] = pair else { continue };
            let Ok(count) = count.parse::<u64>() else { continue };
            match what.trim_end_matches(';') {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_results_up() {
        let mut sum = Sum::default();
        sum.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s");
        sum.add("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out");
        sum.add("3 passed");
        assert_eq!((sum.passed, sum.failed, sum.ignored), (5, 1, 1));
    }
}
