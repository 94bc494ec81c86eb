//! `cargo xtask screenshots`: the README's pictures, from two demos that run, by the driver of the page's own tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::build::{self, workspace};
use crate::page;

/// Where the pictures lie.
const PICTURES: &str = "docs/images";
/// A first start fetches the engine, and a broker from Maven Central.
const STARTED: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_millis(200);
/// Rows of the workload: enough for charts, and soon there.
const SEED: [&str; 4] = ["--customers", "20000", "--sales", "40000"];
/// What is shown: a demo with so many changes a second and these flags, by this scenario of the page's tests. The
/// comparison is of a source that stands still, since what is under way counts as a difference.
const SCENES: [(&str, &[&str], &str); 3] =
    [("40", &[], "pictures"), ("40", &["--kafka"], "pictures"), ("0", &[], "equal")];

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The debug build
    #[arg(long)]
    debug: bool,

    /// Seconds that each demo runs before its pictures are taken, so that its charts have something to show
    #[arg(long, value_name = "SECONDS", default_value_t = 90)]
    warm: u64,
}

/// Takes them all.
pub(crate) fn run(options: &Options) -> Result<()> {
    let program = build::walhouse(options.debug)?;
    page::install()?;
    for (rate, more, scenario) in SCENES {
        let demo = Demo::start(&program, rate, more)?;
        sleep(Duration::from_secs(if rate == "0" { 0 } else { options.warm }));
        take(scenario, &demo.console)?;
        demo.end()?;
    }
    Ok(())
}

fn take(scenario: &str, console: &str) -> Result<()> {
    let folder = workspace().join(PICTURES);
    let mut command = Command::new("node");
    // Nobody answers what the scenario asks for: it asks for nothing.
    command.args(["tests/run.mjs", scenario, console]).arg(&folder).current_dir(page::folder());
    let status = command.stdin(Stdio::null()).status().context("running node")?;
    if !status.success() {
        bail!("the pictures of {console} were not taken: node ended with {status}");
    }
    Ok(())
}

/// A demo in a folder of its own, ended with this value.
struct Demo {
    child: Child,
    console: String,
    folder: tempfile::TempDir,
}

impl Demo {
    fn start(program: &Path, rate: &str, more: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for the demo")?;
        let log = fs::File::create(folder.path().join("demo.log")).context("making the demo's log")?;
        let mut command = Command::new(program);
        command.args(["demo", "--rate", rate]).args(SEED).arg("--dir").arg(folder.path()).args(more);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("running {}", program.display()))?;
        let mut demo = Self { child, console: String::new(), folder };
        demo.console = demo.address()?;
        Ok(demo)
    }

    /// The console's, as soon as the demo says it.
    fn address(&mut self) -> Result<String> {
        let file = self.folder.path().join("demo.json");
        let deadline = Instant::now() + STARTED;
        loop {
            let addresses: Option<Value> = fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
            if let Some(console) = addresses.as_ref().and_then(|addresses| addresses["console"].as_str()) {
                return Ok(console.to_owned());
            }
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("the demo did not start: {}", fs::read_to_string(self.log()).unwrap_or_default());
            }
            sleep(LOOK);
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("demo.log")
    }

    fn end(mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("reading the demo's pid")?;
        kill_process(pid, Signal::INT).context("ending the demo")?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the demo ended with {status}: {}", fs::read_to_string(self.log()).unwrap_or_default());
        }
        Ok(())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // After an error; one that has ended is not there any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
