//! Tables whose copy could not begin, for a reason that is theirs alone: no free replication slot, no right to publish
//! them. They are set aside, so that the others go on, and tried again after growing pauses, or whenever the stream
//! starts anyway. Trying interrupts the stream for a moment, which is why the pauses grow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use walhouse_change::{TableName, TableSchema};

use crate::plan::Held;

/// A slot that another copy had is free again about then.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// Somebody has to act, and wants to see soon enough that it helped.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Tables that wait.
#[derive(Debug, Default)]
pub(crate) struct Aside(BTreeMap<TableName, Waiting>);

#[derive(Debug)]
struct Waiting {
    schema: Arc<TableSchema>,
    pause: Duration,
    due: Instant,
}

impl Aside {
    /// Sets a table aside; longer when it comes back from there.
    pub(crate) fn put(&mut self, schema: &Arc<TableSchema>, now: Instant) {
        let before = self.0.get(&schema.name);
        let pause = before.map_or(FIRST_PAUSE, |waiting| (waiting.pause * 2).min(LONGEST_PAUSE));
        let waiting = Waiting { schema: Arc::clone(schema), pause, due: now + pause };
        self.0.insert(schema.name.clone(), waiting);
    }

    /// Forgets a table that was copied, or stopped for good.
    pub(crate) fn remove(&mut self, table: &TableName) {
        self.0.remove(table);
    }

    /// What a stream under way leaves alone: `held`, and what is not due.
    pub(crate) fn held(&self, held: &Held, now: Instant) -> Held {
        let waiting = self.0.values().filter(|waiting| waiting.due > now);
        let waiting = waiting.map(|waiting| (waiting.schema.name.clone(), Arc::clone(&waiting.schema)));
        held.clone().into_iter().chain(waiting).collect()
    }
}

#[cfg(test)]
mod tests {
    use walhouse_change::ReplicaIdentity;

    use super::*;

    #[test]
    fn pauses_grow() {
        let name = TableName::new("public", "t");
        let schema = TableSchema {
            relid: 1,
            name: name.clone(),
            identity: ReplicaIdentity::Default,
            columns: Vec::new(),
            key: vec![0],
        };
        let (schema, now) = (Arc::new(schema), Instant::now());
        let mut aside = Aside::default();
        let is_held = |aside: &Aside, after: Duration| aside.held(&Held::new(), now + after).contains_key(&name);
        aside.put(&schema, now);
        assert!(is_held(&aside, FIRST_PAUSE / 2) && !is_held(&aside, FIRST_PAUSE));
        aside.put(&schema, now);
        assert!(is_held(&aside, FIRST_PAUSE) && !is_held(&aside, FIRST_PAUSE * 2));
        for _ in 0..20 {
            aside.put(&schema, now);
        }
        assert!(!is_held(&aside, LONGEST_PAUSE));
        aside.remove(&name);
        assert!(!is_held(&aside, Duration::ZERO));
    }
}
