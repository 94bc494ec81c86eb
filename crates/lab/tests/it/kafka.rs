//! A private broker: start, kill, stop, start again, dies with its owner.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use walhouse_lab::kafka::Broker;
use walhouse_lab::verify::until;

#[tokio::test]
async fn a_broker_lives_through_everything() {
    let mut broker = Broker::builder().partitions(3).start().await.unwrap();
    let (bootstrap, pid) = (broker.bootstrap(), broker.pid().unwrap());

    broker.kill9().unwrap();
    assert!(!broker.is_running());
    broker.start().await.unwrap();
    assert_eq!(broker.bootstrap(), bootstrap);
    assert_ne!(broker.pid().unwrap(), pid);

    broker.restart().await.unwrap();
    assert_eq!(broker.bootstrap(), bootstrap);

    let (pid, folder) = (broker.pid().unwrap(), broker.folder().to_owned());
    drop(broker);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!folder.exists(), "a temporary folder goes with its broker");
}

#[tokio::test]
async fn a_bad_broker_setting_shows_the_log() {
    let error = Broker::builder().setting("num.io.threads", "none").start().await.unwrap_err();
    assert!(error.to_string().contains("num.io.threads"), "{error}");
}

/// Set for a child that starts a broker, says its process id and folder, and waits to be killed.
const OWNER: &str = "LAB_TEST_BROKER_OWNER";

#[tokio::test]
async fn broker_owner() {
    if std::env::var_os(OWNER).is_some() {
        let broker = Broker::builder().start().await.unwrap();
        println!("\nbroker {} {}", broker.pid().unwrap(), broker.folder().display());
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn a_broker_ends_with_its_killed_owner() {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["kafka::broker_owner", "--exact", "--nocapture"])
        .env(OWNER, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.into_iter().find(|line| line.starts_with("broker ")).unwrap();
    let (pid, folder) = line.trim_start_matches("broker ").split_once(' ').unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    until("the end of the broker", Duration::from_secs(20), async || {
        let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let gone = command_line.is_empty() && !Path::new(folder).exists();
        gone.then_some(()).ok_or_else(|| "the broker or its folder is still there".to_owned())
    })
    .await
    .unwrap();
}
