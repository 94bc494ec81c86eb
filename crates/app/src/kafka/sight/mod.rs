//! The pipe through Kafka, watched from outside for the console: the slot, the connector, the topics, and what
//! ClickHouse has read of them. [`topics`] and [`target`] look, [`Sight`] puts it on a board.
//!
//! Nothing here moves a row. A look costs a question or two of each, and the pause after it grows with the time that
//! it took, so that watching stays a small part of what the databases do.

mod target;
mod topics;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;
use walhouse_change::{Lsn, Phase, TableName};
use walhouse_pipeline::{PipelineState, StatusBoard, TableStatus, Traffic};
use walhouse_postgres::Postgres;
use walhouse_server::ports::Connectors;

use super::{Source, Way};
use crate::commands::prepare;
use crate::exit::one_line;
use target::Target;
use topics::Topics;

/// Between two looks; a sale that came in between is seen this much late.
const PAUSE: Duration = Duration::from_millis(500);
/// The pause is at least so many times what the look took.
const REST: u32 = 1;
/// Looks at the ends of topics that are remembered, to tell how old is what waits.
const ENDS_KEPT: usize = 4096;

/// One table's way.
#[derive(Debug)]
struct Watched {
    name: TableName,
    topic: String,
    estimated: u64,
}

/// Who watches.
pub(crate) struct Sight {
    board: StatusBoard,
    postgres: Postgres,
    worker: Option<(Arc<dyn Connectors>, String)>,
    topics: Topics,
    target: Target,
    tables: Vec<Watched>,
    base: Option<Base>,
    ends: VecDeque<(i64, u64)>,
    failures: u32,
}

/// Where everything stood at the first look.
#[derive(Debug)]
struct Base {
    position: Lsn,
    written: u64,
    read: BTreeMap<String, u64>,
}

/// Where it was that something did not answer.
struct Trouble {
    domain: &'static str,
    error: anyhow::Error,
}

fn trouble<E: Into<anyhow::Error>>(domain: &'static str) -> impl FnOnce(E) -> Trouble {
    move |error| Trouble { domain, error: error.into() }
}

impl Sight {
    /// Finds out what there is to watch.
    ///
    /// # Errors
    /// One of the ends cannot be asked, or `[kafka]` does not fit the tables.
    pub(crate) async fn new(way: &Way, board: StatusBoard, worker: Option<Arc<dyn Connectors>>) -> Result<Self> {
        let source = Source::new(way)?;
        let prepared = prepare(way, &source).await?;
        let tables: Vec<Watched> = prepared
            .iter()
            .map(|table| Watched {
                name: table.schema.name.clone(),
                topic: table.reading.topic.clone(),
                estimated: table.estimated_rows,
            })
            .collect();
        let target = way.target()?;
        let mut plans = Vec::with_capacity(prepared.len());
        for table in &prepared {
            plans.push(target.plan(&table.schema).await?);
        }
        Ok(Self {
            board,
            postgres: source.postgres,
            worker: worker.zip(way.kafka.name.clone()),
            topics: Topics::new(super::properties(&way.kafka)?)?,
            target: Target::new(target, &plans),
            tables,
            base: None,
            ends: VecDeque::new(),
            failures: 0,
        })
    }

    /// Watches for ever.
    pub(crate) async fn watch(mut self) {
        loop {
            let began = Instant::now();
            match self.look().await {
                Ok(state) => {
                    self.failures = 0;
                    self.board.enter(state);
                }
                Err(trouble) => self.stand(&trouble),
            }
            tokio::time::sleep(PAUSE.max(began.elapsed() * REST)).await;
        }
    }

    /// What does not answer is waited for, as a pipeline would.
    fn stand(&mut self, trouble: &Trouble) {
        self.failures += 1;
        let since_ms = match self.board.read().state {
            PipelineState::Waiting { since_ms, .. } => since_ms,
            _ => now_ms(),
        };
        let error = one_line(&trouble.error);
        tracing::debug!(domain = trouble.domain, error, "a part of the pipe does not answer");
        let domain = trouble.domain.to_owned();
        self.board.enter(PipelineState::Waiting { domain, error, since_ms, attempt: self.failures });
    }

    async fn look(&mut self) -> Result<PipelineState, Trouble> {
        let (server, slot) = self.postgres.server_and_slot_facts().await.map_err(trouble("source"))?;
        let confirmed = slot.as_ref().map_or(Lsn::ZERO, |slot| slot.confirmed);
        let names: Vec<&str> = self.tables.iter().map(|table| table.topic.as_str()).collect();
        let ends = self.topics.ends(&names).await.map_err(trouble("broker"))?;
        let read = self.target.read().await.map_err(trouble("target"))?;
        let read = self.topics.settle(&ends, read).await.map_err(trouble("broker"))?;
        let visible = self.target.newest(&read).await.map_err(trouble("target"))?;
        let written: u64 = ends.values().flat_map(BTreeMap::values).map(|end| end.unsigned_abs()).sum();
        let total = |read: &BTreeMap<i32, i64>| read.values().map(|offset| offset.unsigned_abs()).sum::<u64>();
        let read: BTreeMap<String, u64> = read.iter().map(|(topic, read)| (topic.clone(), total(read))).collect();
        let base = self.base.get_or_insert_with(|| Base { position: confirmed, written, read: read.clone() });
        let streamed = |topic: &str| {
            let now = read.get(topic).copied().unwrap_or(0);
            now.saturating_sub(base.read.get(topic).copied().unwrap_or(0))
        };
        let tables: Vec<TableStatus> = self
            .tables
            .iter()
            .map(|table| status(table, read.contains_key(&table.topic), streamed(&table.topic)))
            .collect();
        let has_read: u64 = read.values().sum();
        let oldest = oldest(&mut self.ends, written, has_read);
        let traffic = Traffic {
            rows_received: written.saturating_sub(base.written),
            bytes_received: confirmed.bytes_since(base.position),
            rows_durable: has_read.saturating_sub(base.read.values().sum()),
            bytes_durable: 0,
        };
        self.board.update(|status| {
            status.current = server.current;
            status.received = confirmed;
            status.durable = confirmed;
            status.retained_bytes = slot.as_ref().map_or(0, |slot| slot.retained);
            status.traffic = traffic;
            status.waiting = Some(written.saturating_sub(has_read));
            status.oldest_pending = oldest;
            let before = std::mem::replace(&mut status.tables, tables);
            for table in &mut status.tables {
                if let Some(old) = before.iter().find(|old| old.name == table.name) {
                    table.visible_commit_time = old.visible_commit_time;
                    table.visible_took = old.visible_took;
                }
            }
        });
        for (name, commit_time) in visible {
            self.board.visible(&name, 0, commit_time);
        }
        let Some(slot) = slot else {
            let error = "the connector's slot is not there; to mend it: start the connector".to_owned();
            return Ok(PipelineState::Failed { error });
        };
        if let Some(reason) = slot.invalidation {
            let error =
                format!("the connector's slot has lost changes ({reason}); to mend it: docs/kafka.md, a topic anew");
            return Ok(PipelineState::Failed { error });
        }
        self.connector().await
    }

    /// What the worker says of the connector, where one is configured.
    async fn connector(&self) -> Result<PipelineState, Trouble> {
        let Some((worker, name)) = &self.worker else { return Ok(PipelineState::Live) };
        let reply = worker.call("GET", &format!("/connectors/{name}/status"), None).await.map_err(trouble("worker"))?;
        let failed = |error: String| Ok(PipelineState::Failed { error });
        if reply.status == 404 {
            return failed(format!("the worker has no connector {name}; to mend it: post it to the worker"));
        }
        let task = reply.body.pointer("/tasks/0");
        let text = |key: &str| task.and_then(|task| task.get(key)).and_then(Value::as_str).unwrap_or_default();
        match text("state") {
            "FAILED" => {
                let trace = text("trace").lines().next().unwrap_or_default().to_owned();
                failed(format!(
                    "the task of connector {name} failed: {trace}; to mend it: restart it once the cause is gone"
                ))
            }
            "PAUSED" => failed(format!("connector {name} is paused; to mend it: resume it")),
            "" | "UNASSIGNED" | "RESTARTING" => Ok(PipelineState::Starting),
            _ => Ok(PipelineState::Live),
        }
    }
}

fn status(table: &Watched, is_read: bool, streamed: u64) -> TableStatus {
    TableStatus {
        name: table.name.clone(),
        phase: if is_read { Phase::Live } else { Phase::Pending },
        rows_copied: 0,
        rows_estimated: table.estimated,
        rows_streamed: streamed,
        visible_commit_time: None,
        visible_took: None,
        error: None,
    }
}

/// When, in microseconds, the oldest message that waits was first seen; none when none does.
fn oldest(ends: &mut VecDeque<(i64, u64)>, written: u64, read: u64) -> Option<i64> {
    if ends.back().is_none_or(|&(_, seen)| seen != written) {
        ends.push_back((now_ms() * 1000, written));
    }
    while ends.front().is_some_and(|&(_, seen)| seen <= read) || ends.len() > ENDS_KEPT {
        ends.pop_front();
    }
    let front = ends.front().map(|&(at, _)| at);
    front.filter(|_| written > read)
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_as_old_as_the_look_that_first_saw_it() {
        let mut ends = VecDeque::new();
        assert_eq!(oldest(&mut ends, 10, 10), None);
        let first = oldest(&mut ends, 12, 10);
        assert!(first.is_some());
        assert_eq!(oldest(&mut ends, 15, 11), first, "the twelfth is still not read");
        assert_ne!(oldest(&mut ends, 15, 12), None);
        assert_eq!(oldest(&mut ends, 15, 15), None);
        assert_eq!(oldest(&mut ends, 15, 16), None, "more was read than was seen");
    }
}
