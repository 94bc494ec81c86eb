//! What the program says and how it ends, without a database.

use std::process::{Command, Output};

use crate::harness::PROGRAM;

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).env_remove("WALHOUSE_LOG").output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn usage_is_code_2() {
    for arguments in
        [&["nonsense"][..], &["run"], &["engine", "--data", "d", "--listen", "nowhere"], &["demo", "--for", "9"]]
    {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_wrong_configuration_is_code_2_and_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("walhouse.toml");
    let path = file.to_str().unwrap();
    let cases = [
        (None, "cannot read the configuration"),
        (Some("[postgres]\nurl = \"postgresql://h/d\"\nslto = \"x\"\n"), ":3: unknown field `slto`"),
        (
            Some("[postgres]\nurl = \"postgresql://h/d\"\n[clickhouse]\nretention = \"a while\"\n"),
            ":4: [clickhouse] retention",
        ),
    ];
    for (text, expected) in cases {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        for command in ["run", "check", "status", "verify", "teardown"] {
            let output = run(&[command, "--config", path]);
            let message = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{command}: {message}");
            assert!(message.starts_with("walhouse: ") && message.contains(expected), "{message}");
            assert_eq!(message.lines().count(), 1, "{message}");
        }
    }
}

#[test]
fn a_wrong_log_filter_is_code_2() {
    let output = Command::new(PROGRAM).args(["run", "--config", "f"]).env("WALHOUSE_LOG", "loud").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("WALHOUSE_LOG"), "{}", stderr(&output));
}

#[test]
fn prints_its_version_and_its_default_configuration() {
    let version = run(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&version.stdout), concat!("walhouse ", env!("CARGO_PKG_VERSION"), "\n"));
    let default = run(&["--default-config"]);
    assert_eq!(default.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&default.stdout).contains("[postgres]"));
}

#[test]
fn the_engine_refuses_to_be_open_to_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["engine", "--data", folder.path().to_str().unwrap(), "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("without a password"), "{}", stderr(&output));
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell]);
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0));
        assert!(script.contains("walhouse") && script.contains("teardown") && script.contains("config"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man");
    assert_eq!(run(&["man", "--dir", pages.to_str().unwrap()]).status.code(), Some(0));
    let page = std::fs::read_to_string(pages.join("walhouse-verify.1")).unwrap();
    assert!(page.contains(".TH walhouse-verify 1") && page.contains("row by row"), "{page}");
    assert!(pages.join("walhouse.1").is_file() && pages.join("walhouse-rembo-seed.1").is_file());
}
