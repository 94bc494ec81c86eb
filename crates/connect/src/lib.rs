//! A Kafka Connect worker for Debezium's Postgres connector: its REST API, its internal topics,
//! and the tasks that carry changes from Postgres into Kafka.
//!
//! A task joins one source to one Kafka under Debezium's rules (snapshot modes, offsets, signals),
//! as `app` joins both ends of the direct way; so this room, and no adapter, sees both.
//!
//! Reading order: [`Worker`] runs connectors as they are stored in the internal topics (`store`); `rest` is Connect's
//! API over it, with what `plugins` knows of classes and options; a [`Runner`] is what runs in a task.
//!
//! Architecture invariant: a worker of Kafka Connect 3.5.1 can be put in this one's place, and the other way round, and
//! each goes on where the other stopped.

mod error;
mod map;
mod plugins;
mod rest;
mod store;
pub mod task;
mod worker;

pub use error::{Error, Result};
pub use map::ConfigMap;
pub use rest::{Api, LevelSetter, Rest};
pub use store::{Configs, Connector, Offsets, State, Status, Statuses, Stores, TargetState, TopicUse};
pub use worker::read_properties;
pub use worker::{DEFAULT_GROUP, DEFAULT_LISTEN, Fault, InternalTopic, PostgresRunner, Runner, Settings, Worker};
