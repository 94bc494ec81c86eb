//! The lab against real servers.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere; clippy knows only test functions")]

mod postgres;
mod rembo;
