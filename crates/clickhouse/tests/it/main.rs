//! The target against the real engine.

mod admin;
mod blocks;
mod conformance;
mod copies;
mod faults;
mod holes;
mod kafka;
mod load;
mod shapes;
mod stream;
mod support;
mod tls;
mod wire;

/// The engine's process: this binary again.
#[test]
fn engine_child() {
    walhouse_chdb::testing::engine_child();
}
