//! What was recorded from a real Debezium comes out of the encoder in the same bytes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod client;
mod columns;
mod ddl;
mod golden;
mod offsets;
mod pgoutput;
mod right;
mod scenario;
mod snapshot;
mod speed;
