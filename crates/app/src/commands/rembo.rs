//! `walhouse rembo`: the sample workload, one function of the lab per command.

use anyhow::{Context, Result};
use walhouse_lab::rembo::{self, LoadOptions, SeedOptions};

use crate::cli::{Load, RemboCommand, Seed};
use crate::{runtime, wiring};

/// Runs one of the workload's commands.
pub(crate) fn rembo(command: RemboCommand) -> Result<()> {
    runtime::block_on(async {
        match command {
            RemboCommand::Create { postgres, force } => {
                rembo::create(&mut rembo::connect(&postgres.postgres).await?, force).await?;
                println!("created the tables");
            }
            RemboCommand::Alter(postgres) => {
                rembo::alter(&rembo::connect(&postgres.postgres).await?).await?;
                println!("set the replica identity");
            }
            RemboCommand::Seed { postgres, seed, until, json } => {
                let options = seed_options(seed, until.as_deref())?;
                let counts = rembo::seed(&mut rembo::connect(&postgres.postgres).await?, options).await?;
                match json {
                    true => println!("{}", serde_json::to_string(&counts)?),
                    false => println!("seeded {counts}"),
                }
            }
            RemboCommand::Sell(postgres) => {
                let sold = rembo::sell(&rembo::connect(&postgres.postgres).await?, random_seed()).await?;
                println!("{sold}");
            }
            RemboCommand::Load(load) => println!("{}", run_load(&load).await?),
            RemboCommand::Drop(postgres) => {
                rembo::drop(&rembo::connect(&postgres.postgres).await?).await?;
                println!("dropped the tables");
            }
            RemboCommand::Views { clickhouse, database } => {
                rembo::views(&wiring::plain_client(&clickhouse, &database)).await?;
                println!("created the view {}", rembo::TIME_BETWEEN_PURCHASES);
            }
        }
        Ok(())
    })
}

async fn run_load(load: &Load) -> Result<rembo::LoadCounts> {
    let stop = runtime::stop_on_signals()?;
    let mut client = rembo::connect(&load.postgres.postgres).await?;
    let options = LoadOptions { rate: load.rate, seed: load.seed };
    rembo::load(&mut client, options, stop.cancelled()).await.context("the load ended")
}

/// The lab's options from the command line's.
pub(crate) fn seed_options(seed: Seed, until: Option<&str>) -> Result<SeedOptions> {
    let until = until.map_or_else(|| Ok(rembo::today()), rembo::parse_date)?;
    Ok(SeedOptions { customers: seed.customers, sales: seed.sales, seed: seed.seed, until })
}

/// Another sale each time.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // Its keys are random for each value, which is all that is needed here.
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
