//! The binary as its users run it: real Postgres, the embedded engine, signals and crashes.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere; clippy knows only test functions")]

mod bad_input;
mod console;
mod copy_and_stream;
mod demo;
mod exactly_once;
mod grafana;
mod harness;
mod kafka;
mod lasting;
mod operate;
mod program;
mod reconnects;
mod seed_faults;
mod superset;
mod watch;
