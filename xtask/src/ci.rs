//! `cargo xtask ci`: what CI checks, runnable on a laptop; the last line sums the tests up.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::build::workspace;
use crate::tidy;

/// Suites that speak to Postgres, run again on the oldest and the newest version.
const ON_EVERY_VERSION: [&str; 3] = ["walhouse-value", "walhouse-postgres", "walhouse"];
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
        for version in VERSIONS {
            let mut command = cargo(&["test", "--no-fail-fast"]);
            command.args(ON_EVERY_VERSION.iter().flat_map(|package| ["--package", package]));
            command.env("WALHOUSE_TEST_POSTGRES", version);
            failed = failed.or(test(&format!("on Postgres {version}"), command, &mut sum).err());
        }
    }
    let verdict = if failed.is_none() && sum.failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {verdict}. {} passed; {} failed; {} ignored", sum.passed, sum.failed, sum.ignored);
    failed.map_or(Ok(()), Err)
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
