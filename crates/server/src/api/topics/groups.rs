//! Consumer groups, and access rules.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::cluster::find;
use super::port;
use crate::ports::{Acl, Failure, Result};
use crate::router::Shared;
use crate::topics::lag::{GroupDetail, GroupTopic, standing};

/// A group among others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct GroupRow {
    /// Its id.
    pub id: String,
    /// In the broker's words: `Stable`, `Empty`, ...
    pub state: String,
    /// Its assignment strategy.
    pub protocol: String,
    /// How many are in it.
    pub members: usize,
    /// Messages not yet read, when last looked at; null when nobody looked yet.
    pub lag: Option<i64>,
}

/// All groups, those furthest behind first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct GroupsReply {
    /// The groups.
    pub groups: Vec<GroupRow>,
}

/// A group's standing in one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TopicGroup {
    /// The group.
    pub id: String,
    /// In the broker's words.
    pub state: String,
    /// How it stands.
    pub standing: GroupTopic,
}

/// Groups that have committed offsets in a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TopicGroupsReply {
    /// In name order.
    pub groups: Vec<TopicGroup>,
}

/// Access rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AclsReply {
    /// The rules.
    pub acls: Vec<Acl>,
}

/// All consumer groups.
#[utoipa::path(get, path = "/api/groups", tag = "topics", responses((status = 200, body = GroupsReply)))]
pub(crate) async fn groups(State(shared): State<Shared>) -> Result<Json<GroupsReply>> {
    let found = port(&shared)?.groups().await?;
    let row = |group: crate::ports::Group| GroupRow {
        lag: shared.topics.lags.lag(&group.id).map(|point| point.lag),
        members: group.members.len(),
        id: group.id,
        state: group.state,
        protocol: group.protocol,
    };
    let mut groups: Vec<GroupRow> = found.into_iter().map(row).collect();
    groups.sort_by(|one, other| other.lag.cmp(&one.lag).then_with(|| one.id.cmp(&other.id)));
    Ok(Json(GroupsReply { groups }))
}

/// One group: where it stands in each partition, its lag, and the lag of the last hour.
#[utoipa::path(
    get, path = "/api/groups/{group}", tag = "topics", params(("group" = String, Path)),
    responses((status = 200, body = GroupDetail), (status = 404, body = crate::api::Problem))
)]
pub(crate) async fn group(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Json<GroupDetail>> {
    let topics = port(&shared)?;
    let found = topics.groups().await?.into_iter().find(|group| group.id == id);
    let found = found.ok_or_else(|| Failure::not_found(format_args!("consumer group {id}")))?;
    shared.topics.lags.detail(topics, found).await.map(Json)
}

/// Groups that have committed offsets in a topic.
#[utoipa::path(
    get, path = "/api/topics/{topic}/groups", tag = "topics", params(("topic" = String, Path)),
    responses((status = 200, body = TopicGroupsReply), (status = 404, body = crate::api::Problem))
)]
pub(crate) async fn of_topic(State(shared): State<Shared>, Path(name): Path<String>) -> Result<Json<TopicGroupsReply>> {
    let topics = port(&shared)?;
    let cluster = topics.cluster().await?;
    let meta = [find(&cluster, &name)?.clone()];
    let mut groups = Vec::new();
    for group in topics.groups().await? {
        if let Some(standing) = standing(topics, &group.id, &meta).await?.pop() {
            groups.push(TopicGroup { id: group.id, state: group.state, standing });
        }
    }
    Ok(Json(TopicGroupsReply { groups }))
}

/// Access rules, where the client library can read them.
#[utoipa::path(
    get, path = "/api/acls", tag = "topics",
    responses((status = 200, body = AclsReply), (status = 501, description = "it cannot", body = crate::api::Problem))
)]
pub(crate) async fn acls(State(shared): State<Shared>) -> Result<Json<AclsReply>> {
    Ok(Json(AclsReply { acls: port(&shared)?.acls().await? }))
}
