//! One file per command.

mod check;
mod connect;
mod console;
mod demo;
mod dictionary;
mod engine;
mod import;
mod kafka_tables;
mod manual;
mod rembo;
mod run;
mod status;
pub(crate) mod superset;
mod teardown;
mod top;
pub(crate) mod verify;
mod watch;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Cli, Command};
use crate::config;
pub(crate) use kafka_tables::prepare;
pub(crate) use watch::WatchFrom;

/// Runs what the command line asks for.
pub(crate) fn dispatch(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        None => print!("{}", config::DEFAULT_FILE),
        Some(Command::Run(options)) => run::run(&options)?,
        Some(Command::Demo(options)) => return demo::demo(&options),
        Some(Command::Engine(options)) => engine::engine(options)?,
        Some(Command::Check(report)) => return check::check(&report),
        Some(Command::Status(report)) => status::status(&report)?,
        Some(Command::Verify(options)) => return verify::verify(&options),
        Some(Command::Teardown(options)) => teardown::teardown(&options)?,
        Some(Command::KafkaTables(options)) => kafka_tables::kafka_tables(&options)?,
        Some(Command::Console(options)) => console::console(&options)?,
        Some(Command::Import(options)) => import::import(&options)?,
        Some(Command::Watch(options)) => watch::watch(options)?,
        Some(Command::Connect(options)) => connect::connect(&options)?,
        Some(Command::Rembo(command)) => rembo::rembo(command)?,
        Some(Command::Top(options)) => top::top(&options)?,
        Some(Command::Dictionary(options)) => dictionary::dictionary(&options)?,
        Some(Command::Superset(command)) => superset::superset(&command)?,
        Some(Command::Completions { shell }) => manual::completions(shell),
        Some(Command::Man { dir }) => manual::pages(&dir)?,
    }
    Ok(ExitCode::SUCCESS)
}
