//! One side: a broker of its own and a worker on it, with everything that was written to its topics.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio_postgres::Client;
use walhouse_lab::kafka::{Broker, Connect, Ends, Reader, Record, Software, delete_topics};

use super::options::Config;

/// How long a connector may take to start streaming.
const START: Duration = Duration::from_secs(90);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// A broker and a worker.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    broker: Broker,
    worker: Connect,
    reader: Reader,
    /// Up to where records were collected, and what was collected of the current scenario.
    ends: Ends,
    pub(crate) records: Vec<Record>,
}

/// How a connector's task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Failed,
    Other,
}

impl Side {
    pub(crate) async fn start(name: &'static str, software: Software) -> Result<Self> {
        let broker = Broker::builder().start().await?;
        let worker = worker(&broker, software).await?;
        let reader = Reader::new(&broker.bootstrap())?;
        Ok(Self { name, broker, worker, reader, ends: Ends::new(), records: Vec::new() })
    }

    /// Stops the worker and starts another one in its place.
    pub(crate) async fn replace(&mut self, software: Software) -> Result<()> {
        self.worker.stop().await?;
        self.worker = worker(&self.broker, software).await?;
        Ok(())
    }

    /// Stops the worker in order, or kills it.
    pub(crate) async fn end_worker(&mut self, kill: bool) -> Result<()> {
        if kill {
            self.worker.kill9()?
        } else {
            self.worker.stop().await?
        }
        Ok(())
    }

    /// Posts a connector for this side's slot.
    pub(crate) async fn post(&self, name: &str, config: &Config) -> Result<()> {
        let config: serde_json::Map<String, Value> =
            config.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        let body = json!({"name": name, "config": config}).to_string();
        let reply = self.worker.request("POST", "/connectors", Some(&body)).await?;
        if reply.status != 201 {
            bail!("{}: posting the connector gave {}: {}", self.name, reply.status, reply.body);
        }
        Ok(())
    }

    /// Waits until the connector streams from its slot, or its task failed.
    pub(crate) async fn streaming(&self, postgres: &Client, name: &str, slot: &str) -> Result<State> {
        let deadline = Instant::now() + START;
        loop {
            let sql = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1 AND active";
            let active: i64 = postgres.query_one(sql, &[&slot]).await?.get(0);
            let state = self.state(name).await;
            match state {
                State::Running if active == 1 => return Ok(state),
                State::Failed => return Ok(state),
                _ if Instant::now() > deadline => {
                    bail!("{}: {name} does not stream: {state:?}; the log:\n{}", self.name, self.worker.log_tail())
                }
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }

    pub(crate) async fn state(&self, name: &str) -> State {
        let reply = self.worker.request("GET", &format!("/connectors/{name}/status"), None).await;
        let status: Value = reply.ok().and_then(|reply| serde_json::from_str(&reply.body).ok()).unwrap_or_default();
        match status["tasks"][0]["state"].as_str() {
            Some("RUNNING") => State::Running,
            Some("FAILED") => State::Failed,
            _ => State::Other,
        }
    }

    /// Why the task failed: the first line of its trace.
    pub(crate) async fn trace(&self, name: &str) -> String {
        let reply = self.worker.request("GET", &format!("/connectors/{name}/status"), None).await;
        let status: Value = reply.ok().and_then(|reply| serde_json::from_str(&reply.body).ok()).unwrap_or_default();
        let trace = status["tasks"][0]["trace"].as_str().unwrap_or_default();
        let causes = trace.lines().filter(|line| !line.starts_with('\t') || line.contains("Caused by"));
        causes.collect::<Vec<_>>().join(" / ")
    }

    /// Removes the connector.
    pub(crate) async fn delete(&self, name: &str) -> Result<()> {
        let reply = self.worker.request("DELETE", &format!("/connectors/{name}"), None).await?;
        if reply.status != 204 {
            bail!("{}: removing {name} gave {}: {}", self.name, reply.status, reply.body);
        }
        Ok(())
    }

    /// Collects what was written since the last time; true when something was.
    pub(crate) fn collect(&mut self) -> Result<bool> {
        let reader = &self.reader;
        let ends = &self.ends;
        let (new_ends, records) = tokio::task::block_in_place(|| -> Result<_> {
            let topics: Vec<String> =
                reader.topics()?.into_iter().filter(|topic| !topic.starts_with("connect_")).collect();
            let new_ends = reader.ends(&topics)?;
            let records = reader.between(ends, &new_ends)?;
            Ok((new_ends, records))
        })
        .with_context(|| format!("{}: reading the topics", self.name))?;
        self.ends = new_ends;
        let came = !records.is_empty();
        self.records.extend(records);
        Ok(came)
    }

    /// Whether a record with this text in its value was collected.
    pub(crate) fn has(&self, mark: &str) -> bool {
        let mark = mark.as_bytes();
        let holds = |value: &Vec<u8>| value.windows(mark.len()).any(|window| window == mark);
        self.records.iter().rev().any(|record| record.value.as_ref().is_some_and(holds))
    }

    /// Forgets the scenario: its records, and its topics.
    pub(crate) async fn forget(&mut self) -> Result<()> {
        let mut topics: Vec<String> = self.ends.keys().map(|(topic, _)| topic.clone()).collect();
        topics.dedup();
        if !topics.is_empty() {
            delete_topics(&self.broker.bootstrap(), &topics).await?;
        }
        self.ends.clear();
        self.records.clear();
        Ok(())
    }

    pub(crate) fn log_tail(&self) -> String {
        self.worker.log_tail()
    }
}

async fn worker(broker: &Broker, software: Software) -> Result<Connect> {
    Ok(Connect::builder(broker.bootstrap()).software(software).start().await?)
}
