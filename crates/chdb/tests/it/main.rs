//! The engine as its clients meet it: over HTTP, in a process of its own.

mod checks;
mod clients;
mod closed;
mod fetch;
mod kafka;
mod measure;
mod process;
mod reader;
mod statements;
mod streaming;
mod wire;

/// The process that the other tests talk to: see `walhouse_chdb::testing`.
#[test]
fn engine_child() {
    walhouse_chdb::testing::engine_child();
}
