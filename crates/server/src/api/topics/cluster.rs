//! Brokers and topics: the whole cluster by one metadata request, offsets only of one topic.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::port;
use crate::ports::{Broker, Cluster, Failure, PartitionMeta, Result, TopicMeta, TopicSetting, Watermarks};
use crate::router::Shared;

/// A broker, and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BrokerRow {
    /// Its id.
    pub id: i32,
    /// Where clients reach it; null for one that partitions name and the cluster does not know.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<i32>,
    /// Its rack.
    pub rack: Option<String>,
    /// Whether it is the controller; null where the client library cannot tell.
    pub controller: Option<bool>,
    /// Partitions that it leads.
    pub leads: usize,
    /// Partitions that it should lead.
    pub should_lead: usize,
}

/// A topic, without offsets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TopicRow {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: usize,
    /// How many copies of each, at most.
    pub replication: usize,
    /// Partitions that are not led by their preferred broker.
    pub not_preferred: usize,
    /// Partitions of which a copy is behind or gone.
    pub under_replicated: usize,
    /// Partitions that nobody leads.
    pub leaderless: usize,
    /// Made by Kafka or Connect for themselves.
    pub internal: bool,
}

/// The cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClusterReply {
    /// The addresses that clients begin with.
    pub bootstrap: String,
    /// In order of their ids; those that are missing too.
    pub brokers: Vec<BrokerRow>,
    /// In name order.
    pub topics: Vec<TopicRow>,
    /// Partitions of all topics.
    pub partitions: usize,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PartitionRow {
    /// Its number.
    pub id: i32,
    /// Offset of the first message that is kept.
    pub first: i64,
    /// Offset that the next message gets.
    pub end: i64,
    /// The broker that leads it; null when none does.
    pub leader: Option<i32>,
    /// The broker that should.
    pub preferred_leader: Option<i32>,
    /// Brokers that should have it.
    pub replicas: Vec<i32>,
    /// Brokers that have all of it.
    pub in_sync: Vec<i32>,
    /// Brokers that should have it and are not there.
    pub offline: Vec<i32>,
}

/// A topic in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TopicDetail {
    /// As in the list.
    pub topic: TopicRow,
    /// In order of their numbers.
    pub partitions: Vec<PartitionRow>,
    /// Sum of the offsets that partitions end at.
    pub total_size: i64,
    /// Messages that are kept, gaps counted.
    pub available: i64,
    /// Its settings, those of its own first; empty when they may not be read, see `settings_problem`.
    pub settings: Vec<TopicSetting>,
    /// Why there are no settings.
    pub settings_problem: Option<String>,
}

/// Brokers and topics, by one request to the cluster however many there are.
#[utoipa::path(get, path = "/api/topics", tag = "topics", responses((status = 200, body = ClusterReply)))]
pub(crate) async fn cluster(State(shared): State<Shared>) -> Result<Json<ClusterReply>> {
    let topics = port(&shared)?;
    let cluster = topics.cluster().await?;
    Ok(Json(ClusterReply {
        bootstrap: topics.bootstrap(),
        brokers: brokers(&cluster),
        topics: cluster.topics.iter().map(row).collect(),
        partitions: cluster.topics.iter().map(|topic| topic.partitions.len()).sum(),
    }))
}

/// One topic: partitions with their offsets, settings.
#[utoipa::path(
    get, path = "/api/topics/{topic}", tag = "topics", params(("topic" = String, Path)),
    responses((status = 200, body = TopicDetail), (status = 404, body = crate::api::Problem))
)]
pub(crate) async fn topic(State(shared): State<Shared>, Path(name): Path<String>) -> Result<Json<TopicDetail>> {
    let topics = port(&shared)?;
    let cluster = topics.cluster().await?;
    let meta = find(&cluster, &name)?;
    let watermarks = topics.watermarks(&name).await?;
    let partitions: Vec<PartitionRow> =
        meta.partitions.iter().map(|meta| partition(meta, &cluster.brokers, &watermarks)).collect();
    let (mut settings, settings_problem) = match topics.settings(&name).await {
        Ok(settings) => (settings, None),
        Err(failure) => (Vec::new(), Some(failure.message)),
    };
    settings.sort_by(|one, other| (one.default, &one.name).cmp(&(other.default, &other.name)));
    Ok(Json(TopicDetail {
        topic: row(meta),
        total_size: partitions.iter().map(|one| one.end).sum(),
        available: partitions.iter().map(|one| one.end - one.first).sum(),
        partitions,
        settings,
        settings_problem,
    }))
}

pub(super) fn find<'a>(cluster: &'a Cluster, name: &str) -> Result<&'a TopicMeta> {
    let found = cluster.topics.iter().find(|topic| topic.name == name);
    found.ok_or_else(|| Failure::not_found(format_args!("topic {name}")))
}

pub(crate) fn row(topic: &TopicMeta) -> TopicRow {
    let count = |wanted: fn(&PartitionMeta) -> bool| topic.partitions.iter().filter(|one| wanted(one)).count();
    TopicRow {
        name: topic.name.clone(),
        partitions: topic.partitions.len(),
        replication: topic.partitions.iter().map(|one| one.replicas.len()).max().unwrap_or(0),
        not_preferred: count(|one| one.replicas.first() != Some(&one.leader)),
        under_replicated: count(is_under_replicated),
        leaderless: count(|one| one.leader < 0),
        internal: is_internal(&topic.name),
    }
}

pub(crate) fn is_under_replicated(partition: &PartitionMeta) -> bool {
    partition.in_sync.len() < partition.replicas.len()
}

fn is_internal(name: &str) -> bool {
    name.starts_with("__") || ["connect_configs", "connect_offsets", "connect_statuses", "_schemas"].contains(&name)
}

/// Those that the cluster knows, and those that only partitions name.
pub(crate) fn brokers(cluster: &Cluster) -> Vec<BrokerRow> {
    let partitions = || cluster.topics.iter().flat_map(|topic| &topic.partitions);
    let named = partitions().flat_map(|one| one.replicas.iter().copied());
    let mut ids: Vec<i32> = cluster.brokers.iter().map(|broker| broker.id).chain(named).collect();
    ids.sort_unstable();
    ids.dedup();
    let broker = |id: i32| {
        let known: Option<&Broker> = cluster.brokers.iter().find(|broker| broker.id == id);
        BrokerRow {
            id,
            host: known.map(|broker| broker.host.clone()),
            port: known.map(|broker| broker.port),
            rack: known.and_then(|broker| broker.rack.clone()),
            controller: known.and_then(|broker| broker.controller),
            leads: partitions().filter(|one| one.leader == id).count(),
            should_lead: partitions().filter(|one| one.replicas.first() == Some(&id)).count(),
        }
    };
    ids.into_iter().map(broker).collect()
}

fn partition(meta: &PartitionMeta, brokers: &[Broker], watermarks: &[Watermarks]) -> PartitionRow {
    let among = watermarks.iter().find(|one| one.partition == meta.id);
    let is_there = |id: &i32| brokers.iter().any(|broker| broker.id == *id);
    PartitionRow {
        id: meta.id,
        first: among.map_or(0, |one| one.first),
        end: among.map_or(0, |one| one.end),
        leader: (meta.leader >= 0).then_some(meta.leader),
        preferred_leader: meta.replicas.first().copied(),
        replicas: meta.replicas.clone(),
        in_sync: meta.in_sync.clone(),
        offline: meta.replicas.iter().filter(|id| !is_there(id)).copied().collect(),
    }
}
