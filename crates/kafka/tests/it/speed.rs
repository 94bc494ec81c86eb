//! How fast rows become records. Run alone: `cargo test --release -p walhouse-kafka -- --ignored --nocapture`.

use std::time::Instant;

use walhouse_change::{Lsn, Transaction};
use walhouse_kafka::SnapshotPart;

use crate::scenario::Scenario;

/// Rows of one batch, as a source would hand them over.
const ROWS: usize = 2_000;
const ROUNDS: usize = 20;

#[test]
#[ignore = "measures"]
fn rows_per_second() {
    for name in ["a-users-config", "b-envelope-schemas-off", "b-envelope-schemas-on"] {
        let scenario = Scenario::load(name);
        let (relation, rows) = scenario.inserted().into_iter().max_by_key(|(_, rows)| rows.len()).unwrap();
        let rows: Vec<_> = rows.iter().cycle().take(ROWS).cloned().collect();
        let transaction = Transaction { xid: 0, commit_lsn: Lsn(1), commit_time: 0 };
        let mut encoder = scenario.encoder();
        let mut bytes = 0;
        let mut spent = std::time::Duration::ZERO;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let part = SnapshotPart::default();
            let records = scenario.snapshot(&mut encoder, &relation, &rows, transaction, part).unwrap();
            spent += start.elapsed();
            bytes += records.iter().filter_map(|record| record.value.as_ref()).map(bytes::Bytes::len).sum::<usize>();
        }
        let rate = (ROWS * ROUNDS) as f64 / spent.as_secs_f64();
        println!("{name}: {rate:.0} rows/s, {} bytes a row", bytes / ROWS / ROUNDS);
    }
}
