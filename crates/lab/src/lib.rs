//! Instruments that look at walhouse from outside, and what they need to do so.
//!
//! - [`postgres`]: private Postgres servers, for the demo and for tests;
//! - [`kafka`]: private Kafka brokers, and real Connect workers with Debezium;
//! - [`house`]: a walhouse under test, started, frozen and killed;
//! - [`rembo`]: the sample workload;
//! - [`dictionary`]: the data dictionary;
//! - [`superset`]: dashboards in Superset;
//! - [`warehouse`]: what the target holds, in words;
//! - [`python()`]: other people's clients;
//! - [`verify`]: proves that the target is the source;
//! - [`latency`]: measures the time from commit to visible.
//!
//! Nothing here uses walhouse's own encoders, decoders or connections: an instrument that shares a fault with what it
//! measures does not see it.

mod cache;
mod clickhouse;
mod command;
pub mod dictionary;
mod error;
mod guarded;
pub mod house;
pub mod kafka;
pub mod latency;
mod memory;
mod port;
pub mod postgres;
mod progress;
mod python;
pub mod rembo;
pub mod superset;
pub mod verify;
pub mod warehouse;

pub use clickhouse::client as clickhouse_client;
pub use error::{Error, Result};
pub use python::python;
