//! The lab against real servers.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere; clippy knows only test functions")]

mod kafka;
mod latency;
mod mirror;
mod postgres;
mod rembo;
mod rembo_views;
mod verify;

/// Becomes the engine when this binary is started as one.
#[test]
fn engine_child() {
    walhouse_chdb::testing::engine_child();
}
