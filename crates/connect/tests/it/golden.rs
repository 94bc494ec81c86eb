//! Recorded scenarios run live against a real Postgres, compared with what a real Debezium produced; positions and
//! clocks are masked.

use futures_util::StreamExt;
use walhouse_lab::postgres::Server;

use crate::scenario::{Lanes, Scenario, folder};

/// Scenarios at a time.
const AT_A_TIME: usize = 4;

/// What cannot be the same live: the reasons are in crates/connect/FINDINGS.md.
const LEFT_OUT: [&str; 1] = ["j-pub-filtered-altered"];

/// Records at the end of a topic that are not in the recording, which ended before they had come.
const AFTER_THE_RECORDING: [(&str, &str, usize); 1] = [("h-txmeta-unwrap", "vh.message", 1)];

fn short(text: &str, same: usize) -> String {
    let bytes = text.as_bytes();
    String::from_utf8_lossy(&bytes[same.saturating_sub(60).min(bytes.len())..(same + 120).min(bytes.len())])
        .into_owned()
}

/// The first difference of each lane, as short as it can be said.
pub(crate) fn differences(name: &str, want: &Lanes, have: &Lanes) -> Vec<String> {
    let mut faults = Vec::new();
    let lanes: std::collections::BTreeSet<_> = want.keys().chain(have.keys()).collect();
    for lane in lanes {
        let empty = Vec::new();
        let (want, have) = (want.get(lane).unwrap_or(&empty), have.get(lane).unwrap_or(&empty));
        let first = want.iter().zip(have).position(|(want, have)| want != have);
        if let Some(index) = first {
            let (want, have) = (format!("{:?}", want[index]), format!("{:?}", have[index]));
            let same = want.bytes().zip(have.bytes()).take_while(|(want, have)| want == have).count();
            faults.push(format!(
                "{name} {lane:?} record {index}\n  recorded …{}…\n  produced …{}…",
                short(&want, same),
                short(&have, same)
            ));
        } else if want.len() != have.len() {
            faults.push(format!("{name} {lane:?}: recorded {} records, produced {}", want.len(), have.len()));
        }
    }
    faults
}

/// One scenario; what differs.
async fn check(name: &str, server: &Server) -> Vec<String> {
    let mut scenario = Scenario::load(name);
    let (memory, failure) = scenario.run(server).await;
    let records = memory.records.lock().unwrap().clone();
    let (want, mut have) = (scenario.expected(), scenario.produced(&records));
    let fails = name.contains("-fatal-")
        || name.ends_with("default-wider-than-scale")
        || ["missing", "no-match", "all-tables-exists"].iter().any(|end| name.ends_with(end));
    if fails {
        if failure.is_none() {
            return vec![format!("{name}: the task does not fail")];
        }
        // What Debezium had decoded and not yet polled is lost to it.
        for (lane, have) in &mut have {
            have.truncate(want.get(lane).map_or(0, Vec::len));
        }
    }
    for (_, topic, count) in AFTER_THE_RECORDING.iter().filter(|(scenario, ..)| *scenario == name) {
        let lane = have.get_mut(&((*topic).to_owned(), 0)).unwrap();
        lane.truncate(lane.len() - count);
    }
    let mut faults = differences(name, &want, &have);
    if !fails {
        faults.extend(failure.map(|failure| format!("{name}: {failure}")));
    }
    faults
}

/// All scenarios in `crates/kafka/tests/golden`, or those that `WALHOUSE_SCENARIO` names.
#[tokio::test(flavor = "multi_thread")]
async fn recorded_scenarios_are_reproduced_live() {
    let only = std::env::var("WALHOUSE_SCENARIO").unwrap_or_default();
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !LEFT_OUT.contains(&name.as_str()) && (only.is_empty() || name.contains(&only)))
        .collect();
    names.sort();
    let server = Server::shared().await.unwrap();
    let count = names.len();
    let checks = futures_util::stream::iter(&names).map(|name| check(name, server)).buffer_unordered(AT_A_TIME);
    let faults: Vec<String> = checks.collect::<Vec<_>>().await.concat();
    println!("{count} scenarios run live");
    assert!(count > 0 && faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}
