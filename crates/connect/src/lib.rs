//! A Kafka Connect worker for Debezium's Postgres connector: its REST API, its internal topics,
//! and the tasks that carry changes from Postgres into Kafka.
//!
//! A task joins one source to one Kafka under Debezium's rules (snapshot modes, offsets, signals),
//! as `app` joins both ends of the direct way; so this room, and no adapter, sees both.

pub mod task;
