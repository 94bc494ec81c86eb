//! Swapping workers: a real Connect's place is taken by walhouse and taken back, with changes all the while.
//!
//! On one broker three workers follow each other (real, walhouse, real), each stopped in order, or the first two
//! killed. On the other broker one worker runs through. What lies in the topics in the end must be the same; after a
//! kill, what came after the last stored offset may come once more, in its order, as Debezium itself repeats it.
//!
//! A stored offset is that of a record, so it does not know yet of the commit behind that record. Who goes on from it
//! after a kill, real or not, gives the first transaction an older commit in `source.sequence`.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value as Json;
use walhouse_lab::kafka::Software;

use super::compare::{Masked, by_place};
use super::options::Config;
use super::play::{Stage, change, drop_slot};
use super::scenario::SENTINEL;
use super::side::State;

/// Changes in each stretch between two swaps.
const STRETCH: usize = 40;

/// Brokers keep the seat of a killed walhouse for 6 s. A Connect worker that asks for one meanwhile ends itself, since the
/// two speak other group protocols; `docs/connect.md` tells users to wait.
const SEAT: Duration = Duration::from_secs(7);

/// One swap in both directions; gives the number of messages that were compared.
pub(crate) async fn swap(stage: &mut Stage, number: u64, ours: &Software, kill: bool) -> Result<usize> {
    let database = format!("swap_{number}");
    let setup = [
        format!("CREATE TABLE {SENTINEL} (id int PRIMARY KEY, mark text)"),
        "CREATE TABLE item (id int PRIMARY KEY, name text, at timestamptz, amount numeric(10,2))".to_owned(),
        "ALTER TABLE item REPLICA IDENTITY FULL".to_owned(),
    ];
    let client = stage.prepare(&database, &setup).await?;
    let name = format!("swap-{number}");
    let slots = [format!("swap_theirs_{number}"), format!("swap_ours_{number}")];
    let options = options(number);
    for (side, slot) in [&stage.theirs, &stage.ours].into_iter().zip(&slots) {
        side.post(&name, &stage.config(&options, &database, slot)).await?;
        if side.streaming(&client, &name, slot).await? != State::Running {
            bail!("{}: the task failed: {}", side.name, side.trace(&name).await);
        }
    }
    let mut next = 1;
    let successors = [ours.clone(), Software::Debezium24];
    let kills = if kill { successors.len() } else { 0 };
    for software in successors {
        stretch(&client, &mut next).await?;
        stage.settle(&client, &name).await?;
        stage.theirs.end_worker(kill).await?;
        stretch(&client, &mut next).await?;
        if kill {
            tokio::time::sleep(SEAT).await;
        }
        stage.theirs.replace(software).await?;
        stage.theirs.streaming(&client, &name, &slots[0]).await?;
    }
    stretch(&client, &mut next).await?;
    stage.settle(&client, &name).await?;
    let (swapped, through) = (by_place(&stage.theirs.records), by_place(&stage.ours.records));
    let mut compared = 0;
    let mut resumed = BTreeSet::new();
    if swapped.keys().ne(through.keys()) {
        bail!("swap {number}: other topics or partitions: {:?} {:?}", swapped.keys(), through.keys());
    }
    for (place, expected) in &through {
        let found = swapped.get(place).map_or(&[][..], Vec::as_slice);
        compared += expected.len();
        let right = if kill { is_with_repeats(expected, found, &mut resumed) } else { expected == found };
        if !right {
            bail!("swap {number} (kill: {kill}): {place:?} has {} messages, expected {}", found.len(), expected.len());
        }
    }
    if resumed.len() > kills {
        bail!("swap {number}: transactions {resumed:?} name another commit as the one before them");
    }
    for side in [&stage.theirs, &stage.ours] {
        side.delete(&name).await?;
    }
    for slot in &slots {
        drop_slot(&client, slot).await?;
    }
    for side in [&mut stage.theirs, &mut stage.ours] {
        side.collect()?;
        side.forget().await?;
    }
    Ok(compared)
}

fn options(number: u64) -> Config {
    [
        ("connector.class", "io.debezium.connector.postgresql.PostgresConnector".to_owned()),
        ("plugin.name", "pgoutput".to_owned()),
        ("topic.prefix", format!("s{number}")),
        ("snapshot.mode", "never".to_owned()),
        ("poll.interval.ms", "50".to_owned()),
        ("walhouse.oddities", "true".to_owned()),
        ("topic.creation.default.replication.factor", "1".to_owned()),
        ("topic.creation.default.partitions", "3".to_owned()),
        ("provide.transaction.metadata", number.is_multiple_of(2).to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .to_vec()
}

async fn stretch(client: &tokio_postgres::Client, next: &mut usize) -> Result<()> {
    for _ in 0..STRETCH {
        let id = *next;
        *next += 1;
        let sql = match id % 5 {
            0 => format!("DELETE FROM item WHERE id = {}", id - 3),
            1 => format!("UPDATE item SET name = 'changed {id}' WHERE id = {}", id.saturating_sub(2)),
            2 => format!(
                "BEGIN; INSERT INTO item VALUES ({id}, 'two', now(), 1.5), ({}, 'more', now(), -2); \
                 UPDATE item SET amount = 7 WHERE id = {id}; COMMIT",
                id + 100_000
            ),
            _ => format!("INSERT INTO item VALUES ({id}, 'one', now(), {id}.25)"),
        };
        change(client, &sql).await?;
    }
    Ok(())
}

/// Whether `found` is `expected` from the beginning to the end, except that a stretch which was written already may be
/// written again, whole and in order. Transactions that name another commit as the one before them go into `resumed`.
fn is_with_repeats(expected: &[Masked], found: &[Masked], resumed: &mut BTreeSet<u64>) -> bool {
    // The number of expected records that are there, and the place at which the repetition stands.
    let (mut there, mut at) = (0, 0);
    for record in found {
        let is = |one: &Masked| one == record || first_of_resumed(one, record).is_some();
        if !expected.get(at).is_some_and(is) {
            // A repetition begins at some earlier record.
            match expected.get(..there).and_then(|before| before.iter().rposition(is)) {
                Some(earlier) => at = earlier,
                None => return false,
            }
        }
        resumed.extend(expected.get(at).and_then(|one| first_of_resumed(one, record)));
        at += 1;
        there = there.max(at);
    }
    // The last run reached the end: nothing is lost after a repetition.
    there == expected.len() && at == expected.len()
}

/// The transaction of two records that differ in nothing but the commit before it.
fn first_of_resumed(expected: &Masked, found: &Masked) -> Option<u64> {
    if expected == found || expected.key != found.key || expected.headers != found.headers {
        return None;
    }
    let without_commit = |masked: &Masked| {
        let mut value: Json = serde_json::from_slice(masked.value.as_ref()?).ok()?;
        let source = value.pointer_mut("/payload/source")?.as_object_mut()?;
        let sequence: Vec<Option<String>> = serde_json::from_str(source.get("sequence")?.as_str()?).ok()?;
        source.insert("sequence".to_owned(), sequence.get(1)?.clone().into());
        let transaction = source.get("txId")?.as_u64()?;
        Some((value, transaction))
    };
    let (expected, found) = (without_commit(expected)?, without_commit(found)?);
    (expected == found).then_some(found.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(transaction: u64, commit: u64, row: u64) -> Masked {
        let sequence = format!(r#"["{commit}","{transaction}"]"#);
        let source = serde_json::json!({ "sequence": sequence, "txId": transaction });
        let value = serde_json::json!({ "payload": { "after": row, "source": source } });
        Masked { key: None, value: Some(value.to_string().into_bytes()), headers: Vec::new() }
    }

    #[test]
    fn the_first_transaction_after_a_kill_may_name_an_older_commit() {
        let expected = [changed(7, 6, 1), changed(8, 7, 2)];
        let with = |found: &[Masked]| {
            let mut resumed = BTreeSet::new();
            is_with_repeats(&expected, found, &mut resumed).then_some(resumed)
        };
        assert_eq!(with(&expected), Some(BTreeSet::new()));
        assert_eq!(with(&[changed(7, 6, 1), changed(8, 5, 2)]), Some(BTreeSet::from([8])));
        assert_eq!(with(&[changed(7, 6, 1), changed(7, 5, 1), changed(8, 7, 2)]), Some(BTreeSet::from([7])));
        assert_eq!(with(&[changed(7, 6, 1), changed(8, 5, 3)]), None, "another row");
    }

    fn records(numbers: &[u8]) -> Vec<Masked> {
        numbers.iter().map(|number| Masked { key: Some(vec![*number]), value: None, headers: Vec::new() }).collect()
    }

    #[test]
    fn repeats_are_whole_and_in_order() {
        let expected = records(&[1, 2, 3, 4]);
        for found in [&[1, 2, 3, 4][..], &[1, 2, 1, 2, 3, 4], &[1, 2, 3, 3, 4], &[1, 2, 3, 4, 2, 3, 4]] {
            assert!(is_with_repeats(&expected, &records(found), &mut BTreeSet::new()), "{found:?}");
        }
        for found in [&[1, 2, 4][..], &[1, 2, 3], &[2, 1, 3, 4], &[1, 2, 3, 4, 2], &[1, 2, 1, 3, 4]] {
            assert!(!is_with_repeats(&expected, &records(found), &mut BTreeSet::new()), "{found:?}");
        }
    }
}
