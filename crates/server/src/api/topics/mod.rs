//! A Kafka cluster: what Kafdrop showed, and more.

pub(super) mod cluster;
pub(super) mod groups;
pub(super) mod manage;
pub(super) mod messages;
pub(super) mod stream;

use axum::Router;
use axum::routing::{get, post};

use crate::ports::{Failure, Result, Topics};
use crate::router::Shared;

pub(crate) use cluster::{brokers, is_under_replicated};
pub(crate) use manage::{make, put, remove};
pub(crate) use stream::{open, partitions};

pub use cluster::{BrokerRow, ClusterReply, PartitionRow, TopicDetail, TopicRow};
pub use groups::{AclsReply, GroupRow, GroupsReply, TopicGroup, TopicGroupsReply};
pub use manage::{NewMessageRequest, NewTopicRequest, Placed};
pub use messages::MessagesQuery;
pub use stream::{SearchQuery, TailQuery};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/topics", get(cluster::cluster).post(manage::create))
        .route("/api/topics/{topic}", get(cluster::topic))
        .route("/api/topics/{topic}/delete", post(manage::delete))
        .route("/api/topics/{topic}/groups", get(groups::of_topic))
        .route("/api/topics/{topic}/messages", get(messages::messages).post(manage::send))
        .route("/api/topics/{topic}/search", get(stream::search))
        .route("/api/topics/{topic}/tail", get(stream::tail))
        .route("/api/groups", get(groups::groups))
        .route("/api/groups/{group}", get(groups::group))
        .route("/api/acls", get(groups::acls))
}

pub(crate) fn port(shared: &Shared) -> Result<&dyn Topics> {
    shared.console.ports.topics.as_deref().ok_or_else(|| Failure::missing("Kafka cluster"))
}
