//! The demo, twice in one folder, and by signal.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use walhouse_lab::verify::until;

use crate::harness::PROGRAM;

fn demo(folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["demo", "--customers", "300", "--sales", "400", "--rate", "40", "--dir"]).arg(folder).args(more);
    command.stdin(Stdio::null());
    command
}

fn last_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned()
}

fn sales(line: &str) -> u64 {
    let (_, rest) = line.split_once("public.sales ").unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let first = demo(folder.path(), &["--for", "3s"]).output().unwrap();
    let line = last_line(&first);
    assert_eq!(first.status.code(), Some(0), "{line}\n{}", String::from_utf8_lossy(&first.stderr));
    assert!(line.starts_with("final counts") && line.ends_with("every row equal"), "{line}");
    assert!(sales(&line) > 400, "{line}");

    // The second one is stopped by a signal, once its addresses answer. The first one's are still in the file.
    std::fs::remove_file(folder.path().join("demo.json")).unwrap();
    let child = demo(folder.path(), &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let file = folder.path().join("demo.json");
    let addresses = until("the second demo's addresses", Duration::from_secs(60), async || {
        let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
        serde_json::from_str::<serde_json::Value>(&text).map_err(|error| error.to_string())
    });
    let addresses = match addresses.await {
        Ok(addresses) => addresses,
        Err(error) => panic!("{error}"),
    };
    let clickhouse = clickhouse::Client::default().with_url(addresses["clickhouse"].as_str().unwrap());
    let found: u64 = clickhouse.query("SELECT count() FROM view_sales_last_rec").fetch_one().await.unwrap();
    assert!(found > 400);
    walhouse_lab::postgres::connect(addresses["postgres"].as_str().unwrap()).await.unwrap();
    assert!(addresses["console"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    tokio::time::sleep(Duration::from_secs(2)).await;

    kill_process(pid, Signal::INT).unwrap();
    let second = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    let line = last_line(&second);
    assert_eq!(second.status.code(), Some(0), "{line}\n{}", String::from_utf8_lossy(&second.stderr));
    assert!(line.ends_with("every row equal"), "{line}");
    let log = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(log.contains("going on with the rows that are there"), "{log}");
}
