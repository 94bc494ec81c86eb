//! `walhouse`: carries every committed change of a Postgres database into ClickHouse, exactly once.
//!
//! The rooms do the work; this program reads the command line ([`cli`]) and the configuration
//! ([`config`]), wires the rooms together ([`wiring`], [`service`]) and tells a person what
//! happens ([`telemetry`], [`progress`]). One file per command in [`commands`].
//!
//! `main` starts no thread of its own: the engine confines itself with Landlock, which reaches
//! only the thread that asks for it and those it starts. So every command makes its own runtime.

#![expect(clippy::print_stdout, reason = "a program's results go to standard output")]

mod cli;
mod commands;
mod config;
mod console;
mod exit;
mod kafka;
mod progress;
mod runtime;
mod selection;
mod service;
mod telemetry;
mod terminal;
mod warehouse;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match telemetry::init(cli.log_format()).and_then(|()| commands::dispatch(cli)) {
        Ok(code) => code,
        Err(error) => exit::report(&error),
    }
}
