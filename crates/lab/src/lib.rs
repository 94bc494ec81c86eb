//! Instruments that look at walhouse from outside, and what they need to do so.
//!
//! - [`postgres`]: private Postgres servers, for the demo and for tests;
//! - [`house`]: a walhouse under test, started, frozen and killed;
//! - [`rembo`]: the sample workload;
//! - [`verify`]: proves that the target is the source;
//! - [`latency`]: measures the time from commit to visible.
//!
//! Nothing here uses walhouse's own encoders, decoders or connections: an instrument that shares a fault with what it
//! measures does not see it.

mod clickhouse;
mod error;
pub mod house;
pub mod latency;
pub mod postgres;
mod progress;
pub mod rembo;
pub mod verify;

pub use clickhouse::client as clickhouse_client;
pub use error::{Error, Result};
