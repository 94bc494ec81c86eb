//! Developer tasks: `cargo xtask tidy | ci | bench | chaos | compat | page | screenshots`.

mod bench;
mod build;
mod chaos;
mod ci;
mod compat;
mod engine;
mod page;
mod screenshots;
mod tidy;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Developer tasks of walhouse
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Check the import walls between the rooms and the house rules that no lint checks
    Tidy,
    /// Everything CI checks: format, lints, documentation, tidy, tests on the Postgres versions
    Ci(ci::Options),
    /// Measure copy, stream and latency against their baselines
    Bench(bench::Options),
    /// Kill -9 walhouse, its engine and Postgres under load, then prove that nothing is lost or doubled
    Chaos(chaos::Options),
    /// Compare walhouse with a real Kafka Connect and Debezium, byte for byte, over generated changes
    Compat(compat::Options),
    /// Build the console's page: what the binary embeds
    Page,
    /// Take the README's pictures of the console, from demos that run
    Screenshots(screenshots::Options),
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    match cli.task {
        Task::Tidy => tidy::run(),
        Task::Ci(options) => ci::run(&options),
        Task::Bench(options) => runtime.block_on(bench::run(options)),
        Task::Page => page::build(),
        Task::Screenshots(options) => screenshots::run(&options),
        Task::Chaos(options) => runtime.block_on(chaos::run(options)),
        Task::Compat(options) => runtime.block_on(compat::run(options)),
    }
}
