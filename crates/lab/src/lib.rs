//! Instruments that look at walhouse from outside, and what they need to do so.
//!
//! - [`postgres`]: private Postgres servers, for the demo and for tests;

mod error;
pub mod postgres;

pub use error::{Error, Result};
