//! Configurations: `connector-NAME`, `task-NAME-N`, `commit-NAME`, `target-state-NAME`, `restart-connector-NAME`.
//!
//! Tasks count only once a commit names how many there are, so that a reader never sees half of a change. A session
//! key, which workers of one group share, is left alone; a real worker makes its own.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use walhouse_kafka::client::Properties;
use walhouse_kafka::copied_map_order;

use crate::error::Result;
use crate::map::ConfigMap;
use crate::store::follower::Apply;
use crate::store::{Follower, Writer, follow};

const CONNECTOR: &str = "connector-";
const TASK: &str = "task-";
const COMMIT: &str = "commit-";
const TARGET: &str = "target-state-";
const RESTART: &str = "restart-connector-";
const FENCING: &str = "tasks-fencing-";

/// What a connector is meant to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetState {
    /// Run.
    #[default]
    Started,
    /// Hold its place without producing.
    Paused,
    /// Run no task.
    Stopped,
}

/// A connector as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connector {
    /// Its configuration in the order in which it was written.
    pub config: ConfigMap,
    /// What it is meant to do.
    pub target: TargetState,
    /// The committed configurations of its tasks.
    pub tasks: Vec<ConfigMap>,
}

/// The topic of configurations.
#[derive(Clone, Debug)]
pub struct Configs {
    follower: Follower<ConfigState>,
    writer: Writer,
}

impl Configs {
    pub(crate) async fn open(client: &Properties, writer: Writer) -> Result<Self> {
        let follower = follow(client, &writer.topic, ConfigState::default()).await?;
        Ok(Self { follower, writer })
    }

    /// All names, in the order in which a Java set gives them.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names = self.follower.with(|state| state.configs.keys().cloned().collect::<Vec<String>>());
        copied_map_order(&mut names, String::as_str);
        names
    }

    /// A connector, none when it is not there.
    #[must_use]
    pub fn connector(&self, name: &str) -> Option<Connector> {
        self.follower.with(|state| state.connector(name))
    }

    /// Resolves after the next change from now on, by whomever.
    pub fn changed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.follower.changed()
    }

    /// Stores a connector's configuration.
    ///
    /// # Errors
    /// Kafka refused.
    pub async fn put_connector(&self, name: &str, config: &ConfigMap) -> Result<()> {
        self.put(CONNECTOR, name, Some(json!({ "properties": config.to_json() }))).await
    }

    /// Removes a connector, and what it is meant to do.
    ///
    /// # Errors
    /// Kafka refused.
    pub async fn remove_connector(&self, name: &str) -> Result<()> {
        self.put(CONNECTOR, name, None).await?;
        self.put(TARGET, name, None).await
    }

    /// Stores the configurations of all tasks of a connector, and commits them.
    ///
    /// # Errors
    /// Kafka refused.
    pub async fn put_tasks(&self, name: &str, tasks: &[ConfigMap]) -> Result<()> {
        for (number, task) in tasks.iter().enumerate() {
            self.put(TASK, &format!("{name}-{number}"), Some(json!({ "properties": task.to_json() }))).await?;
        }
        self.put(COMMIT, name, Some(json!({ "tasks": tasks.len() }))).await
    }

    /// Stores what a connector is meant to do. Workers that do not know "stopped" read it as paused.
    ///
    /// # Errors
    /// Kafka refused.
    pub async fn put_target(&self, name: &str, target: TargetState) -> Result<()> {
        let (state, newer) = match target {
            TargetState::Started => ("STARTED", "STARTED"),
            TargetState::Paused => ("PAUSED", "PAUSED"),
            TargetState::Stopped => ("PAUSED", "STOPPED"),
        };
        self.put(TARGET, name, Some(json!({ "state": state, "state.v2": newer }))).await
    }

    /// Stores that a restart was asked for.
    ///
    /// # Errors
    /// Kafka refused.
    pub async fn put_restart(&self, name: &str, include_tasks: bool, only_failed: bool) -> Result<()> {
        let request = json!({ "include-tasks": include_tasks, "only-failed": only_failed });
        self.put(RESTART, name, Some(request)).await
    }

    /// Stores that producers of former tasks are fenced, as Connect does before tasks of an exactly-once connector run.
    ///
    /// # Errors
    /// Kafka refused.
    pub async fn put_fencing(&self, name: &str, tasks: usize) -> Result<()> {
        self.put(FENCING, name, Some(json!({ "tasks": tasks }))).await
    }

    async fn put(&self, kind: &str, name: &str, value: Option<Json>) -> Result<()> {
        let value = value.map(|value| value.to_string());
        self.writer.put(&self.follower, &format!("{kind}{name}"), value).await
    }
}

/// What the records say so far.
#[derive(Debug, Default)]
struct ConfigState {
    configs: BTreeMap<String, ConfigMap>,
    targets: BTreeMap<String, TargetState>,
    tasks: BTreeMap<String, Vec<ConfigMap>>,
    /// Tasks that no commit names yet.
    pending: BTreeMap<String, BTreeMap<usize, ConfigMap>>,
}

impl ConfigState {
    fn connector(&self, name: &str) -> Option<Connector> {
        Some(Connector {
            config: self.configs.get(name)?.clone(),
            target: self.targets.get(name).copied().unwrap_or_default(),
            tasks: self.tasks.get(name).cloned().unwrap_or_default(),
        })
    }

    fn commit(&mut self, name: &str, count: usize) {
        let pending = self.pending.entry(name.to_owned()).or_default();
        // Compaction leaves a task's last record, which may lie behind this commit: then the next one counts.
        if (0..count).all(|number| pending.contains_key(&number)) {
            let tasks = (0..count).filter_map(|number| pending.get(&number).cloned()).collect();
            self.tasks.insert(name.to_owned(), tasks);
        } else {
            self.tasks.remove(name);
        }
    }
}

impl Apply for ConfigState {
    fn apply(&mut self, key: &str, value: Option<&[u8]>) {
        let value: Option<Json> = value.and_then(|value| serde_json::from_slice(value).ok());
        let properties = value
            .as_ref()
            .and_then(|value| value.get("properties"))
            .and_then(Json::as_object)
            .map(ConfigMap::from_json);
        if let Some(name) = key.strip_prefix(TARGET) {
            let state = value.as_ref().and_then(|value| value.get("state.v2").or_else(|| value.get("state")));
            match state.and_then(Json::as_str) {
                Some("PAUSED") => self.targets.insert(name.to_owned(), TargetState::Paused),
                Some("STOPPED") => self.targets.insert(name.to_owned(), TargetState::Stopped),
                Some(_) => self.targets.insert(name.to_owned(), TargetState::Started),
                None => self.targets.remove(name),
            };
        } else if let Some(name) = key.strip_prefix(CONNECTOR) {
            match properties {
                Some(properties) => {
                    self.configs.insert(name.to_owned(), properties);
                }
                None => {
                    self.configs.remove(name);
                    self.targets.remove(name);
                    self.tasks.remove(name);
                    self.pending.remove(name);
                }
            }
        } else if let Some(name) = key.strip_prefix(COMMIT) {
            let count = value.as_ref().and_then(|value| value.get("tasks")).and_then(Json::as_u64);
            self.commit(name, usize::try_from(count.unwrap_or(0)).unwrap_or(0));
        } else if let Some((name, number)) = key.strip_prefix(TASK).and_then(|task| task.rsplit_once('-'))
            && let (Ok(number), Some(properties)) = (number.parse(), properties)
        {
            self.pending.entry(name.to_owned()).or_default().insert(number, properties);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(state: &mut ConfigState, key: &str, value: &str) {
        state.apply(key, (value != "null").then_some(value.as_bytes()));
    }

    /// Recorded from a worker of Connect 3.5.1 with the connector "c 1".
    #[test]
    fn records_of_connect_are_understood() {
        let mut state = ConfigState::default();
        apply(&mut state, "session-key", r#"{"key":"x","algorithm":"HmacSHA256","creation-timestamp":1}"#);
        apply(&mut state, "connector-c 1", r#"{"properties":{"b":"1","name":"c 1"}}"#);
        apply(&mut state, "task-c 1-0", r#"{"properties":{"task.class":"T","b":"1"}}"#);
        assert_eq!(state.connector("c 1").unwrap().tasks.len(), 0);
        apply(&mut state, "commit-c 1", r#"{"tasks":1}"#);
        let connector = state.connector("c 1").unwrap();
        assert_eq!((connector.tasks.len(), connector.target), (1, TargetState::Started));
        apply(&mut state, "target-state-c 1", r#"{"state":"PAUSED","state.v2":"PAUSED"}"#);
        assert_eq!(state.connector("c 1").unwrap().target, TargetState::Paused);
        apply(&mut state, "restart-connector-c 1", r#"{"include-tasks":true,"only-failed":false}"#);
        apply(&mut state, "commit-c 1", r#"{"tasks":0}"#);
        apply(&mut state, "target-state-c 1", r#"{"state":"PAUSED","state.v2":"STOPPED"}"#);
        let connector = state.connector("c 1").unwrap();
        assert_eq!((connector.tasks.len(), connector.target), (0, TargetState::Stopped));
        apply(&mut state, "target-state-c 1", r#"{"state":"STARTED"}"#);
        assert_eq!(state.connector("c 1").unwrap().target, TargetState::Started);
        apply(&mut state, "connector-c 1", "null");
        apply(&mut state, "target-state-c 1", "null");
        assert_eq!(state.connector("c 1"), None);
    }

    #[test]
    fn a_commit_without_its_tasks_counts_for_nothing() {
        let mut state = ConfigState::default();
        apply(&mut state, "connector-c", r#"{"properties":{}}"#);
        apply(&mut state, "commit-c", r#"{"tasks":1}"#);
        assert!(state.connector("c").unwrap().tasks.is_empty());
        for junk in ["connector-d", "task-c-x", "commit-c", "nonsense"] {
            apply(&mut state, junk, "{");
        }
        assert_eq!(state.configs.len(), 1);
    }
}
