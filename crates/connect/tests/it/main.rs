//! The worker against a real broker, a real Postgres, and what real workers wrote.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fake;
mod house;
mod replay;
mod stored;
