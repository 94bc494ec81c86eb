//! `cargo xtask compat`: a real Kafka Connect 3.5.1 with Debezium 2.4.2 and `walhouse connect` side by side.
//!
//! Both follow the same database through a slot each and write to a broker each, under the same connector's options.
//! Scenarios are generated ([`scenario`], [`columns`], [`options`]) from a seed that is printed, played on both
//! ([`play`], [`side`]), and compared byte for byte ([`compare`]); [`known`] is the list of what may differ and why.
//! [`swap`] puts one worker in the other's place and back.

mod columns;
mod compare;
mod known;
mod options;
mod play;
mod scenario;
mod side;
mod swap;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use walhouse_lab::kafka::Software;
use walhouse_lab::postgres::{Server, Version};

use crate::build;
use play::Stage;
use scenario::Scenario;
use side::Side;

/// Differences of one scenario that are printed in full.
const SHOWN: usize = 3;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long scenarios are played
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// What is generated; random when not given
    #[arg(long)]
    seed: Option<u64>,
    /// Only this scenario of the seed
    #[arg(long)]
    scenario: Option<u64>,
    /// Print the scenario (the first, unless one is named) and play nothing
    #[arg(long)]
    print: bool,
    /// Leave out the swaps of workers
    #[arg(long)]
    no_swap: bool,
    /// Compare a real worker with another real one: is the comparison itself fair?
    #[arg(long)]
    self_check: bool,
    /// Test the debug build
    #[arg(long)]
    debug: bool,
}

/// What was found in all.
#[derive(Debug, Default)]
struct Sum {
    scenarios: usize,
    messages: usize,
    swapped: usize,
    known: BTreeMap<&'static str, usize>,
    unexplained: usize,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let seed = options.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    println!("compat: {} minutes, seed {seed}", options.minutes);
    if options.print {
        print!("{}", Scenario::generate(seed, options.scenario.unwrap_or_default()).describe());
        return Ok(());
    }
    // A copy, so that a build in the meantime does not change what is tested.
    let folder = tempfile::tempdir()?;
    let software = if options.self_check {
        Software::Debezium24
    } else {
        let program = folder.path().join("walhouse");
        std::fs::copy(build::walhouse(options.debug)?, &program).context("copying the program")?;
        Software::Walhouse(program)
    };
    let postgres = Server::builder().version(Version::for_tests()?).start().await?;
    let (theirs, ours) =
        tokio::try_join!(Side::start("debezium", Software::Debezium24), Side::start("walhouse", software.clone()))?;
    let mut stage = Stage::new(postgres, theirs, ours);
    let deadline = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    let mut sum = Sum::default();
    if !options.no_swap && options.scenario.is_none() {
        for (number, kill) in [(0, false), (1, true)] {
            sum.swapped += swap::swap(&mut stage, number, &software, kill).await?;
            println!("swap {number} ({}): ok", if kill { "killed" } else { "stopped in order" });
        }
    }
    let mut number = options.scenario.unwrap_or_default();
    while sum.scenarios == 0 || (options.scenario.is_none() && Instant::now() < deadline) {
        let scenario = Scenario::generate(seed, number);
        one(&mut stage, &scenario, &mut sum).await.with_context(|| format!("seed {seed}, scenario {number}"))?;
        number += 1;
    }
    report(seed, &sum)
}

async fn one(stage: &mut Stage, scenario: &Scenario, sum: &mut Sum) -> Result<()> {
    let started = Instant::now();
    let comparison = stage.play(scenario).await?;
    println!(
        "scenario {}: {} messages, {} differences, {:.1} s",
        scenario.number,
        comparison.messages,
        comparison.unexplained.len(),
        started.elapsed().as_secs_f64()
    );
    if !comparison.unexplained.is_empty() {
        println!("  setup: {:?}\n  options: {:?}", scenario.setup, scenario.config);
        for difference in comparison.unexplained.iter().take(SHOWN) {
            println!("  {difference}");
        }
    }
    sum.scenarios += 1;
    sum.messages += comparison.messages;
    sum.unexplained += comparison.unexplained.len();
    for (name, count) in comparison.known {
        *sum.known.entry(name).or_default() += count;
    }
    Ok(())
}

fn report(seed: u64, sum: &Sum) -> Result<()> {
    for (name, count) in &sum.known {
        let reason = known::KNOWN.iter().find(|known| known.name == *name).map_or("", |known| known.reason);
        println!("known: {name}: {count} ({reason})");
    }
    println!(
        "compat: {} scenarios, {} messages compared, {} messages across swaps, {} differences known, {} unexplained, \
         seed {seed}",
        sum.scenarios,
        sum.messages,
        sum.swapped,
        sum.known.values().sum::<usize>(),
        sum.unexplained
    );
    if sum.unexplained > 0 {
        bail!("{} unexplained differences, seed {seed}", sum.unexplained);
    }
    Ok(())
}
