//! The binary as its users run it: real Postgres, the embedded engine, signals and crashes.

mod copy_and_stream;
mod exactly_once;
mod harness;
mod lasting;
mod seed_faults;
