//! Instruments that look at walhouse from outside, and what they need to do so.
//!
//! - [`postgres`]: private Postgres servers, for the demo and for tests;
//! - [`house`]: a walhouse under test, started, frozen and killed;
//! - [`rembo`]: the sample workload.

mod clickhouse;
mod error;
pub mod house;
pub mod postgres;
mod progress;
pub mod rembo;

pub use error::{Error, Result};
