//! The adapter against real servers; the version by `WALHOUSE_TEST_POSTGRES`.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere; clippy knows only test functions")]

mod claim;
mod conformance;
mod copy;
mod database;
mod races;
mod refusals;
mod schema_changes;
mod session;
mod speed;
mod stream;
mod support;
mod survey;
mod tls;
