//! Offsets: the key `["NAME",{"server":"PREFIX"}]`, and as value what the connector made of it.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use walhouse_kafka::client::Properties;
use walhouse_kafka::hash_map_order;

use crate::error::Result;
use crate::store::follower::Apply;
use crate::store::{Follower, Writer, follow};

/// The topic of offsets.
#[derive(Clone, Debug)]
pub struct Offsets {
    follower: Follower<OffsetState>,
    writer: Writer,
}

impl Offsets {
    pub(crate) async fn open(client: &Properties, writer: Writer) -> Result<Self> {
        let follower = follow(client, &writer.topic, OffsetState::default()).await?;
        Ok(Self { follower, writer })
    }

    /// All source partitions of a connector with their offsets, members in the order of a Java map.
    #[must_use]
    pub fn of(&self, connector: &str) -> Vec<(Json, Json)> {
        let offsets = self.follower.with(|state| state.0.get(connector).cloned().unwrap_or_default());
        let read = |text: &str| serde_json::from_str(text).unwrap_or(Json::Null);
        offsets
            .into_iter()
            .map(|(partition, offset)| (in_hash_order(read(&partition)), in_hash_order(offset)))
            .collect()
    }

    /// Stores an offset under its key, `["NAME",{"server":"PREFIX"}]`, and waits until it is acknowledged; none
    /// removes it.
    ///
    /// # Errors
    /// Kafka refused.
    pub async fn put(&self, key: &str, offset: Option<&str>) -> Result<()> {
        self.writer.send(key, offset.map(str::to_owned)).await.map(drop)
    }
}

fn in_hash_order(json: Json) -> Json {
    match json {
        Json::Object(members) => {
            let mut members: Vec<(String, Json)> = members.into_iter().collect();
            hash_map_order(&mut members, |(key, _)| key);
            Json::Object(members.into_iter().collect::<Map<String, Json>>())
        }
        other => other,
    }
}

/// Connector, then source partition as compact JSON.
#[derive(Debug, Default)]
struct OffsetState(BTreeMap<String, BTreeMap<String, Json>>);

impl Apply for OffsetState {
    fn apply(&mut self, key: &str, value: Option<&[u8]>) {
        let Ok(Json::Array(parts)) = serde_json::from_str::<Json>(key) else { return };
        let [Json::String(connector), partition] = parts.as_slice() else { return };
        let offsets = self.0.entry(connector.clone()).or_default();
        match value.and_then(|value| serde_json::from_slice::<Json>(value).ok()) {
            Some(offset) if !offset.is_null() => offsets.insert(partition.to_string(), offset),
            _ => offsets.remove(&partition.to_string()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_connect_are_understood() {
        let mut state = OffsetState::default();
        let key = r#"["c 1",{"server":"shop"}]"#;
        state.apply(key, Some(br#"{"transaction_id":null,"lsn":22188384,"ts_usec":1}"#));
        state.apply("nonsense", Some(b"{}"));
        assert_eq!(state.0["c 1"][r#"{"server":"shop"}"#]["lsn"], 22_188_384);
        state.apply(key, None);
        assert!(state.0["c 1"].is_empty());
    }
}
