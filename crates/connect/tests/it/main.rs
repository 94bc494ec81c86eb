//! The worker against a real broker, a real Postgres, and what real workers wrote; the task against
//! a real Postgres, with a Kafka in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod clients;
mod crash;
mod fake;
mod golden;
mod harness;
mod house;
mod masks;
mod replay;
mod scenario;
mod statements;
mod stored;
