//! How far the topics go, and how far ClickHouse has read where it does not say.

use std::collections::BTreeMap;

use anyhow::Result;
use walhouse_kafka::client::{Admin, Properties};

use super::target::Reading;

/// By topic and partition an offset.
pub(super) type Offsets = BTreeMap<String, BTreeMap<i32, i64>>;

pub(super) struct Topics {
    admin: Admin,
    partitions: BTreeMap<String, Vec<i32>>,
    /// What groups had committed when their consumer had read nothing yet.
    committed: Offsets,
}

impl Topics {
    pub(super) fn new(properties: Properties) -> Result<Self> {
        Ok(Self { admin: Admin::new(&properties)?, partitions: BTreeMap::new(), committed: Offsets::new() })
    }

    /// The offsets that the next messages get; topics that are not there are left out.
    pub(super) async fn ends(&mut self, topics: &[&str]) -> Result<Offsets> {
        if topics.iter().any(|topic| !self.partitions.contains_key(*topic)) {
            let cluster = self.admin.cluster().await?;
            let found = cluster.topics.into_iter().filter(|topic| topics.contains(&topic.name.as_str()));
            self.partitions =
                found.map(|topic| (topic.name, topic.partitions.iter().map(|one| one.id).collect())).collect();
        }
        let mut all = Offsets::new();
        for (topic, partitions) in &self.partitions {
            match self.admin.ends(topic, partitions).await {
                Ok(ends) => {
                    all.insert(topic.clone(), ends.into_iter().map(|ends| (ends.partition, ends.end)).collect());
                }
                Err(error) => {
                    // Looked at anew the next time: it may have been deleted.
                    self.partitions.clear();
                    return Err(error.into());
                }
            }
        }
        Ok(all)
    }

    /// Where ClickHouse stands in each partition: what its consumers say, and where they have read nothing yet,
    /// what their group has committed.
    pub(super) async fn settle(&mut self, ends: &Offsets, readings: Vec<Reading>) -> Result<Offsets> {
        let mut all = Offsets::new();
        for reading in readings {
            let Some(ends) = ends.get(&reading.topic) else { continue };
            let is_known = |partition: &i32| reading.offsets.get(partition).is_some_and(|&offset| offset >= 0);
            if !ends.keys().all(is_known) && !self.committed.contains_key(&reading.topic) {
                let asked: Vec<(String, i32)> = ends.keys().map(|&one| (reading.topic.clone(), one)).collect();
                let found = self.admin.committed_in(&reading.group, &asked).await?;
                let found = found.into_iter().map(|one| (one.partition, one.offset)).collect();
                self.committed.insert(reading.topic.clone(), found);
            }
            let committed = self.committed.get(&reading.topic);
            let stand = |&partition: &i32| {
                let said = reading.offsets.get(&partition).copied().filter(|&offset| offset >= 0);
                let before = || committed.and_then(|known| known.get(&partition)).copied();
                (partition, said.or_else(before).unwrap_or(0))
            };
            all.insert(reading.topic.clone(), ends.keys().map(stand).collect());
        }
        Ok(all)
    }
}
