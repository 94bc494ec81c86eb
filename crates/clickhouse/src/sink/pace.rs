//! How often a table may be written to.
//!
//! Every insert is a part, and parts must not come faster than the server merges them. The first
//! insert after quiet goes at once; under load two inserts into one table keep a distance, which
//! grows while the table has many active parts and shrinks again when it has few. A watcher looks
//! at `system.parts` and sets the distance; the inserter only reads it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;

use crate::client::Client;
use crate::ddl::literal;
use crate::metrics;

/// Distance under light load: some sixteen parts a second, which the embedded engine's two merge
/// threads keep up with at ease, and well below what a person or a dashboard notices. Every part is
/// written, synced and merged again, so half the distance costs the engine twice the work.
const BASE: Duration = Duration::from_millis(60);

/// Longest distance. A table that still gathers parts at one a second is not merged at all, and
/// waiting longer would not help it.
const LONGEST: Duration = Duration::from_secs(1);

/// From here on the distance doubles; half of the 150 that a table may hold, because the parts of
/// one interval of watching come on top.
const MANY_PARTS: u64 = 75;

/// Down from here the distance shrinks again.
const FEW_PARTS: u64 = 40;

/// At the base distance a table gains at most 17 parts between two looks.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// The distance of one table.
#[derive(Debug)]
pub(super) struct Pace {
    micros: AtomicU64,
    inserts: AtomicU64,
}

impl Pace {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { micros: AtomicU64::new(BASE.as_micros() as u64), inserts: AtomicU64::new(0) })
    }

    /// Smallest time between the starts of two inserts.
    pub(super) fn spacing(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Relaxed))
    }

    /// True while the table has too many parts: then even a full block waits.
    pub(super) fn is_stretched(&self) -> bool {
        self.spacing() > BASE
    }

    /// An insert was started: the watcher has a reason to look.
    pub(super) fn started(&self) {
        self.inserts.fetch_add(1, Ordering::Relaxed);
    }

    fn set(&self, spacing: Duration) {
        self.micros.store(spacing.as_micros() as u64, Ordering::Relaxed);
    }
}

/// The distance that follows `spacing` when a table has `parts` active parts.
fn adjusted(spacing: Duration, parts: u64) -> Duration {
    if parts > MANY_PARTS {
        (spacing * 2).min(LONGEST)
    } else if parts < FEW_PARTS {
        (spacing * 3 / 4).max(BASE)
    } else {
        spacing
    }
}

/// Looks at the parts of the tables that were written to, for ever. `tables` maps a physical
/// table's name to the distance it has a say in.
pub(super) async fn watch(client: Client, database: String, tables: HashMap<String, Arc<Pace>>) {
    #[derive(Deserialize)]
    struct Row {
        table: String,
        parts: String,
    }
    let mut seen: HashMap<String, u64> = HashMap::new();
    let mut clock = tokio::time::interval(WATCH_EVERY);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let busy: Vec<&String> = tables
            .iter()
            .filter(|(table, pace)| {
                let inserts = pace.inserts.load(Ordering::Relaxed);
                seen.insert((*table).clone(), inserts) != Some(inserts) || pace.is_stretched()
            })
            .map(|(table, _)| table)
            .collect();
        if busy.is_empty() {
            continue;
        }
        let names = busy.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT table, toString(count()) AS parts FROM system.parts \
             WHERE database = {} AND active AND table IN ({names}) GROUP BY table",
            literal(&database)
        );
        let rows: Vec<Row> = match client.rows("look at the parts", &sql).await {
            Ok(rows) => rows,
            Err(error) => {
                // the inserts themselves will say it louder
                tracing::debug!(error = %error, "cannot look at the parts");
                continue;
            }
        };
        apply(&tables, rows.into_iter().map(|row| (row.table, row.parts.parse().unwrap_or(0))));
    }
}

/// Several physical tables may share one distance: the one with the most parts decides.
fn apply(tables: &HashMap<String, Arc<Pace>>, parts: impl Iterator<Item = (String, u64)>) {
    let mut worst: Vec<(&String, &Arc<Pace>, u64)> = Vec::new();
    for (table, parts) in parts {
        let Some((name, pace)) = tables.get_key_value(&table) else { continue };
        match worst.iter_mut().find(|(_, other, _)| Arc::ptr_eq(other, pace)) {
            Some((_, _, most)) if *most >= parts => {}
            Some(entry) => *entry = (name, pace, parts),
            None => worst.push((name, pace, parts)),
        }
        metrics::parts_seen(&table, parts, pace.spacing());
    }
    for (table, pace, parts) in worst {
        let (before, after) = (pace.spacing(), adjusted(pace.spacing(), parts));
        if after != before {
            tracing::debug!(table, parts, spacing_ms = after.as_millis() as u64, "adjusted the distance of inserts");
        }
        pace.set(after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_and_shrinks_within_bounds() {
        let mut spacing = BASE;
        for _ in 0..20 {
            let next = adjusted(spacing, MANY_PARTS + 1);
            assert!(next > spacing || next == LONGEST);
            spacing = next;
        }
        assert_eq!(spacing, LONGEST);
        assert_eq!(adjusted(spacing, MANY_PARTS), spacing);
        for _ in 0..40 {
            spacing = adjusted(spacing, 1);
        }
        assert_eq!(spacing, BASE);
    }

    #[test]
    fn the_fuller_of_two_tables_decides() {
        let pace = Pace::new();
        let tables = HashMap::from([("t".to_owned(), Arc::clone(&pace)), ("c".to_owned(), Arc::clone(&pace))]);
        apply(&tables, [("t".to_owned(), 100), ("c".to_owned(), 2), ("stranger".to_owned(), 9)].into_iter());
        assert_eq!(pace.spacing(), BASE * 2);
        assert!(pace.is_stretched());
    }
}
