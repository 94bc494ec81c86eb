//! What is known of a cluster, in the form of Kafdrop's JSON.

use serde_json::{Map, Value, json};

use crate::api::topics::{brokers as standing_brokers, is_under_replicated};
use crate::ports::{Acl, Broker, Cluster, PartitionMeta, TopicMeta, TopicSetting, Watermarks};
use crate::topics::lag::{GroupPartition, GroupTopic};

pub(super) fn cluster(cluster: &Cluster) -> Value {
    let partitions = || cluster.topics.iter().flat_map(|topic| &topic.partitions);
    let rows = standing_brokers(cluster);
    let by_id = |of: fn(&crate::api::BrokerRow) -> usize| -> Map<String, Value> {
        rows.iter().map(|row| (row.id.to_string(), json!(of(row)))).collect()
    };
    let percents: Vec<f64> = cluster.topics.iter().map(preferred).collect();
    let topic = |topic| self::topic(topic, &cluster.brokers, None, &[]);
    json!({
        "summary": {
            "topicCount": cluster.topics.len(),
            "partitionCount": partitions().count(),
            "underReplicatedCount": partitions().filter(|one| is_under_replicated(one)).count(),
            "preferredReplicaPercent": percents.iter().sum::<f64>() / percents.len().max(1) as f64,
            "brokerLeaderPartitionCount": by_id(|row| row.leads),
            "brokerPreferredLeaderPartitionCount": by_id(|row| row.should_lead),
            "expectedBrokerIds": rows.iter().map(|row| row.id).collect::<Vec<_>>(),
        },
        "brokers": cluster.brokers,
        "topics": cluster.topics.iter().map(topic).collect::<Vec<_>>(),
    })
}

/// Without watermarks, sizes are -1 as Kafdrop gives them where it did not ask.
pub(super) fn topic(
    topic: &TopicMeta,
    brokers: &[Broker],
    watermarks: Option<&[Watermarks]>,
    settings: &[TopicSetting],
) -> Value {
    let ends = |id: i32| match watermarks.and_then(|all| all.iter().find(|one| one.partition == id)) {
        Some(one) => (one.first, one.end),
        None => (-1, -1),
    };
    let partitions: Vec<Value> = topic.partitions.iter().map(|one| partition(one, brokers, ends(one.id))).collect();
    let under = topic.partitions.iter().zip(&partitions).filter(|(meta, _)| is_under_replicated(meta));
    let sizes = || topic.partitions.iter().map(|one| ends(one.id));
    let own = settings.iter().filter(|setting| !setting.default);
    json!({
        "name": topic.name,
        "underReplicatedPartitions": under.map(|(_, shape)| shape.clone()).collect::<Vec<_>>(),
        "partitions": partitions,
        "config": own.map(|one| (one.name.clone(), json!(one.value))).collect::<Map<String, Value>>(),
        "totalSize": sizes().map(|(_, end)| end).sum::<i64>(),
        "availableSize": sizes().map(|(first, end)| end - first).sum::<i64>(),
        "preferredReplicaPercent": preferred(topic),
    })
}

/// The part of partitions that their preferred broker leads.
fn preferred(topic: &TopicMeta) -> f64 {
    let led = topic.partitions.iter().filter(|one| one.replicas.first() == Some(&one.leader)).count();
    led as f64 / topic.partitions.len().max(1) as f64
}

fn partition(meta: &PartitionMeta, brokers: &[Broker], (first, end): (i64, i64)) -> Value {
    let is_there = |id: i32| brokers.iter().any(|broker| broker.id == id);
    let replica = |id: i32| {
        let in_sync = meta.in_sync.contains(&id);
        json!({ "id": id, "inSync": in_sync, "leader": id == meta.leader, "offline": !is_there(id) })
    };
    let some = |wanted: &dyn Fn(i32) -> bool| -> Vec<Value> {
        meta.replicas.iter().filter(|id| wanted(**id)).map(|id| replica(*id)).collect()
    };
    json!({
        "id": meta.id,
        "replicas": some(&|_| true),
        "leader": (meta.leader >= 0).then(|| replica(meta.leader)),
        "preferredLeader": meta.replicas.first().map(|id| replica(*id)),
        "leaderPreferred": meta.replicas.first() == Some(&meta.leader),
        "inSyncReplicas": some(&|id| meta.in_sync.contains(&id)),
        "offlineReplicas": some(&|id| !is_there(id)),
        "underReplicated": is_under_replicated(meta),
        "size": end,
        "firstOffset": first,
    })
}

pub(super) fn consumer(group: &str, stands: &[GroupTopic]) -> Value {
    let partition = |topic: &str, one: &GroupPartition| {
        json!({
            "topic": topic,
            "partitionId": one.partition,
            "firstOffset": one.first,
            "size": one.end,
            "offset": one.committed,
            "lag": one.lag,
        })
    };
    let topic = |stand: &GroupTopic| {
        let partitions: Vec<Value> = stand.partitions.iter().map(|one| partition(&stand.topic, one)).collect();
        json!({ "topic": stand.topic, "lag": stand.lag, "partitions": partitions })
    };
    json!({ "groupId": group, "topics": stands.iter().map(topic).collect::<Vec<_>>() })
}

pub(super) fn acl(acl: &Acl) -> Value {
    json!({
        "name": acl.name,
        "resourceType": acl.resource_type,
        "patternType": acl.pattern_type,
        "principal": acl.principal,
        "host": acl.host,
        "operation": acl.operation,
        "permissionType": acl.permission_type,
    })
}
