//! Statuses: `status-connector-NAME`, `status-task-NAME-N`, `status-topic-TOPIC:connector-NAME`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;
use walhouse_kafka::client::Properties;
use walhouse_kafka::hash_map_order;

use crate::error::Result;
use crate::store::follower::Apply;
use crate::store::{Follower, Writer, follow};

const CONNECTOR: &str = "status-connector-";
const TASK: &str = "status-task-";
const TOPIC: &str = "status-topic-";
const OF_CONNECTOR: &str = ":connector-";

/// What a connector or a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// No worker runs it.
    Unassigned,
    /// It runs.
    Running,
    /// It holds its place.
    Paused,
    /// It ended with an error.
    Failed,
    /// It was stopped.
    Stopped,
    /// It is about to run again.
    Restarting,
}

/// The status of a connector or of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What it does.
    pub state: State,
    /// Why it failed.
    #[serde(default)]
    pub trace: Option<String>,
    /// The worker that says so, `host:port`.
    pub worker_id: String,
    /// How often the workers of the group had come together by then.
    #[serde(default)]
    pub generation: i32,
}

/// That a connector wrote to a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicUse {
    /// The topic.
    pub name: String,
    /// The connector.
    pub connector: String,
    /// Its task.
    pub task: u32,
    /// When it was seen first, milliseconds since 1970.
    pub discover_timestamp: i64,
}

/// The topic of statuses.
#[derive(Clone, Debug)]
pub struct Statuses {
    follower: Follower<StatusState>,
    writer: Writer,
}

impl Statuses {
    pub(crate) async fn open(client: &Properties, writer: Writer) -> Result<Self> {
        let follower = follow(client, &writer.topic, StatusState::default()).await?;
        Ok(Self { follower, writer })
    }

    /// A connector's status.
    #[must_use]
    pub fn connector(&self, name: &str) -> Option<Status> {
        self.follower.with(|state| state.connectors.get(name).cloned())
    }

    /// A task's status.
    #[must_use]
    pub fn task(&self, name: &str, number: u32) -> Option<Status> {
        self.follower.with(|state| state.tasks.get(name)?.get(&number).cloned())
    }

    /// All tasks of a connector that have a status, by number.
    #[must_use]
    pub fn tasks(&self, name: &str) -> BTreeMap<u32, Status> {
        self.follower.with(|state| state.tasks.get(name).cloned().unwrap_or_default())
    }

    /// The topics that a connector wrote to, in the order in which a Java set gives them.
    #[must_use]
    pub fn topics(&self, connector: &str) -> Vec<String> {
        let topics = self.follower.with(|state| state.topics.get(connector).cloned().unwrap_or_default());
        let mut topics: Vec<String> = topics.into_iter().collect();
        hash_map_order(&mut topics, String::as_str);
        topics
    }

    /// Stores a connector's status; none removes it.
    ///
    /// # Errors
    /// Kafka refused.
    pub async fn put_connector(&self, name: &str, status: Option<&Status>) -> Result<()> {
        self.put(&format!("{CONNECTOR}{name}"), status).await
    }

    /// Stores a task's status; none removes it.
    ///
    /// # Errors
    /// Kafka refused.
    pub async fn put_task(&self, name: &str, number: u32, status: Option<&Status>) -> Result<()> {
        self.put(&format!("{TASK}{name}-{number}"), status).await
    }

    /// Stores that a connector wrote to a topic.
    ///
    /// # Errors
    /// Kafka refused.
    pub async fn put_topic(&self, topic: &TopicUse) -> Result<()> {
        let key = format!("{TOPIC}{}{OF_CONNECTOR}{}", topic.name, topic.connector);
        self.writer.put(&self.follower, &key, Some(json!({ "topic": topic }).to_string())).await
    }

    /// Forgets which topics a connector wrote to.
    ///
    /// # Errors
    /// Kafka refused.
    pub async fn reset_topics(&self, connector: &str) -> Result<()> {
        for topic in self.topics(connector) {
            let key = format!("{TOPIC}{topic}{OF_CONNECTOR}{connector}");
            self.writer.put(&self.follower, &key, None).await?;
        }
        Ok(())
    }

    async fn put(&self, key: &str, status: Option<&Status>) -> Result<()> {
        let value = status.map(|status| json!(status).to_string());
        self.writer.put(&self.follower, key, value).await
    }
}

/// What the records say so far.
#[derive(Debug, Default)]
struct StatusState {
    connectors: BTreeMap<String, Status>,
    tasks: BTreeMap<String, BTreeMap<u32, Status>>,
    topics: BTreeMap<String, BTreeSet<String>>,
}

impl Apply for StatusState {
    fn apply(&mut self, key: &str, value: Option<&[u8]>) {
        let status: Option<Status> = value.and_then(|value| serde_json::from_slice(value).ok());
        if let Some(name) = key.strip_prefix(CONNECTOR) {
            match status {
                Some(status) => self.connectors.insert(name.to_owned(), status),
                None => self.connectors.remove(name),
            };
        } else if let Some((name, number)) = key.strip_prefix(TASK).and_then(|task| task.rsplit_once('-')) {
            let Ok(number) = number.parse() else { return };
            let tasks = self.tasks.entry(name.to_owned()).or_default();
            match status {
                Some(status) => tasks.insert(number, status),
                None => tasks.remove(&number),
            };
        } else if let Some((topic, connector)) = key.strip_prefix(TOPIC).and_then(|key| key.split_once(OF_CONNECTOR)) {
            let topics = self.topics.entry(connector.to_owned()).or_default();
            if value.is_some() {
                topics.insert(topic.to_owned())
            } else {
                topics.remove(topic)
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from a worker of Connect 3.5.1 with the connector "c 1".
    #[test]
    fn records_of_connect_are_understood_and_written_alike() {
        let mut state = StatusState::default();
        let text = r#"{"state":"RUNNING","trace":null,"worker_id":"127.0.0.1:24583","generation":3}"#;
        state.apply("status-task-c 1-0", Some(text.as_bytes()));
        state.apply("status-connector-c 1", Some(text.as_bytes()));
        let status = &state.tasks["c 1"][&0];
        assert_eq!(status.state, State::Running);
        assert_eq!(json!(status).to_string(), text);
        let text = r#"{"topic":{"name":"shop.public.orders","connector":"c 1","task":0,"discoverTimestamp":17}}"#;
        state.apply("status-topic-shop.public.orders:connector-c 1", Some(text.as_bytes()));
        assert!(state.topics["c 1"].contains("shop.public.orders"));
        let topic = TopicUse {
            name: "shop.public.orders".to_owned(),
            connector: "c 1".to_owned(),
            task: 0,
            discover_timestamp: 17,
        };
        assert_eq!(json!({ "topic": topic }).to_string(), text);
        state.apply("status-topic-shop.public.orders:connector-c 1", None);
        state.apply("status-task-c 1-0", None);
        state.apply("status-connector-c 1", None);
        assert!(state.topics["c 1"].is_empty() && state.tasks["c 1"].is_empty() && state.connectors.is_empty());
    }
}
