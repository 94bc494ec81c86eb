//! Talking to a Kafka cluster: [`Producer`], [`Admin`], [`Log`] and [`Consumer`], over librdkafka.
//!
//! All of them are made from [`Properties`], which take the names that Java clients use as well as
//! librdkafka's own, so that what users have in `producer.override.*` or in a worker's file goes on
//! working. What librdkafka logs goes to `tracing`; property values never do.
//!
//! Architecture invariant: what [`Delivery`] has resolved for is acknowledged by all in-sync
//! replicas, and records of one partition lie there in the order in which they were sent.

mod admin;
mod consumer;
mod context;
mod error;
mod java;
mod log;
mod look;
mod membership;
mod producer;
mod properties;
mod transaction;

pub use admin::{Admin, Broker, Group, GroupMember, NewTopic, Setting, Topic};
pub use consumer::{ConsumedRecord, Consumer, Read, Start};
pub use error::{Error, Result};
pub use log::Log;
pub use look::{Cluster, Ends, GroupOffset, PartitionLayout, TopicLayout};
pub use membership::{Membership, Seat};
pub use producer::{Delivery, Placed, Producer};
pub use properties::Properties;
