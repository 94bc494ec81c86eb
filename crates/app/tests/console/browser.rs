//! A scenario in a browser, and the house's part in it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::sync::{Mutex, OnceCell};

/// One browser at a time: pictures and times of two on two cores would be worth nothing.
static ONE: Mutex<()> = Mutex::const_new(());
static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// Runs `tests/scenarios/NAME.mjs` against the console at `url`. What the scenario asks for is handed to `act`.
pub(crate) async fn browse(name: &str, url: &str, mut act: impl AsyncFnMut(&str)) {
    INSTALLED.get_or_init(install).await;
    let _alone = ONE.lock().await;
    let mut command = Command::new("node");
    command.args(["tests/run.mjs", name, url]).arg(pictures()).current_dir(page());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut answers = child.stdin.take().unwrap();
    let mut asked = BufReader::new(child.stdout.take().unwrap()).lines();
    let errors = BufReader::new(child.stderr.take().unwrap());
    let said = tokio::spawn(async move {
        let (mut lines, mut said) = (errors.lines(), String::new());
        while let Some(line) = lines.next_line().await.unwrap() {
            eprintln!("{line}");
            said = said + &line + "\n";
        }
        said
    });
    while let Some(line) = asked.next_line().await.unwrap() {
        let request: serde_json::Value = serde_json::from_str(&line).unwrap();
        act(request["do"].as_str().unwrap()).await;
        answers.write_all(b"done\n").await.unwrap();
    }
    let status = child.wait().await.unwrap();
    let said = said.await.unwrap();
    assert!(status.success(), "{name}: {said}\npictures: {}", pictures().display());
}

/// A scenario that asks for nothing.
pub(crate) async fn look(name: &str, url: &str) {
    browse(name, url, async |verb: &str| panic!("{verb} is not known")).await;
}

/// What the page's package names, once.
async fn install() {
    let folder = page();
    if installed(&folder) {
        return;
    }
    let mut command = Command::new("npm");
    command.args(["ci", "--ignore-scripts", "--no-progress"]).current_dir(&folder);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "npm ci: {}", String::from_utf8_lossy(&output.stderr));
}

/// True when what is installed is not older than what is wanted.
fn installed(folder: &Path) -> bool {
    let changed = |file: &str| folder.join(file).metadata().and_then(|metadata| metadata.modified());
    match (changed("node_modules/.package-lock.json"), changed("package-lock.json")) {
        (Ok(installed), Ok(wanted)) => installed >= wanted,
        _ => false,
    }
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/page")
}

/// Where pictures are kept.
pub(crate) fn pictures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("console")
}
