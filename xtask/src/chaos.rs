//! `cargo xtask chaos`: a live load, and kill -9 of walhouse, of its engine and of Postgres at random moments.
//!
//! The first part kills during the copy: walhouse is killed a random moment after its start, again and again, over a
//! load that runs. The second part kills while it streams. In the end the load stops, and source and target must be
//! equal, and the history must hold no change twice. The seed is printed and makes the order of kills repeatable.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use walhouse_lab::house::House;
use walhouse_lab::postgres::{Server, Version};
use walhouse_lab::rembo::{self, LoadCounts, LoadOptions, SeedOptions};
use walhouse_lab::verify;

use crate::build;

/// Share of the kills that fall into the copy.
const COPY_SHARE: f64 = 0.2;
/// How long after the last kill everything may take to be equal.
const EQUAL_PATIENCE: Duration = Duration::from_secs(120);
/// How long a start may take, with everything that has to recover.
const READY_PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many processes are killed in all
    #[arg(long, default_value_t = 50)]
    kills: u32,
    /// Transactions per second of the load
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Customers, and as many sales, before the first start
    #[arg(long, default_value_t = 100_000)]
    rows: u32,
    /// Order of the kills; random when not given
    #[arg(long)]
    seed: Option<u64>,
    /// Test the debug build
    #[arg(long)]
    debug: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Walhouse,
    Engine,
    Postgres,
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Walhouse => "walhouse",
            Self::Engine => "engine",
            Self::Postgres => "postgres",
        })
    }
}

impl Victim {
    fn choose(rng: &mut impl Rng) -> Self {
        match rng.random_range(0..4) {
            0 | 1 => Self::Walhouse,
            2 => Self::Engine,
            _ => Self::Postgres,
        }
    }
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let seed = options.seed.unwrap_or_else(rand::random);
    println!("chaos: {} kills, seed {seed}", options.kills);
    // A copy, so that a build in the meantime does not change what is tested.
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("walhouse");
    std::fs::copy(build::walhouse(options.debug)?, &program).context("copying the program")?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut postgres = Server::builder().version(Version::for_tests()?).start().await?;
    prepare(&postgres, options.rows, seed).await?;
    let mut house = House::builder(program, postgres.url()).rest(rembo::CONFIGURATION).start()?;
    let load = Load::start(postgres.url(), options.rate, seed);
    let started = Instant::now();

    let in_copy = (f64::from(options.kills) * COPY_SHARE) as u32;
    let mut killed = Killed::default();
    for number in 0..options.kills {
        let copying = number < in_copy;
        let victim = Victim::choose(&mut rng);
        if number == in_copy {
            house.ready(READY_PATIENCE).await.context("waiting for the copy to finish after the kills in it")?;
        }
        let longest = if copying { 1_500 } else { 3_000 };
        tokio::time::sleep(Duration::from_millis(rng.random_range(20..longest))).await;
        strike(victim, &mut house, &mut postgres).await?;
        killed.count(victim);
        println!(
            "{:>5.1} s  kill {:>3}: {victim}{}",
            started.elapsed().as_secs_f64(),
            number + 1,
            if copying { " (copy)" } else { "" }
        );
    }
    let counts = load.stop().await?;
    println!("load: {counts}");
    house.ready(READY_PATIENCE).await.context("waiting for walhouse after the last kill")?;
    let mut client = postgres.connect().await?;
    let clickhouse = clickhouse::Client::default().with_url(house.clickhouse_url());
    let report = match verify::until_equal(&mut client, &clickhouse, &rembo::tables(), EQUAL_PATIENCE).await {
        Ok(report) => report,
        Err(error) => bail!("chaos seed {seed}: {error}; the end of walhouse's log:\n{}", house.log_tail()),
    };
    println!("{report}");
    let status = house.terminate(Duration::from_secs(15)).await?;
    if !status.success() {
        bail!("chaos seed {seed}: walhouse did not end in order: {status}");
    }
    println!("chaos: ok, {killed}, source equal to target, no change twice in the history, seed {seed}");
    Ok(())
}

async fn prepare(postgres: &Server, rows: u32, seed: u64) -> Result<()> {
    let mut client = postgres.connect().await?;
    rembo::create(&mut client, false).await?;
    rembo::alter(&client).await?;
    let options = SeedOptions { customers: rows, sales: rows, seed, until: rembo::today() };
    rembo::seed(&mut client, options).await?;
    Ok(())
}

async fn strike(victim: Victim, house: &mut House, postgres: &mut Server) -> Result<()> {
    match victim {
        Victim::Walhouse => {
            house.kill9()?;
            house.start()?;
        }
        Victim::Engine => {
            // It may be about to start: then there is nothing to kill, and walhouse itself is killed instead.
            if !house.kill9_engine() {
                house.kill9()?;
                house.start()?;
            }
        }
        Victim::Postgres => {
            postgres.kill9().await?;
            postgres.start().await?;
        }
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Killed {
    walhouse: u32,
    engine: u32,
    postgres: u32,
}

impl Killed {
    fn count(&mut self, victim: Victim) {
        match victim {
            Victim::Walhouse => self.walhouse += 1,
            Victim::Engine => self.engine += 1,
            Victim::Postgres => self.postgres += 1,
        }
    }
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kills of walhouse, {} of the engine, {} of Postgres", self.walhouse, self.engine, self.postgres)
    }
}

/// A load that outlives Postgres: it connects again after every crash.
struct Load {
    stop: watch::Sender<bool>,
    task: JoinHandle<LoadCounts>,
}

impl Load {
    fn start(url: String, rate: f64, seed: u64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut total = LoadCounts::default();
            let mut round = 0;
            while !*stopped.borrow() {
                round += 1;
                let mut until = stopped.clone();
                let until = async move {
                    until.wait_for(|stop| *stop).await.ok();
                };
                if let Ok(mut client) = rembo::connect(&url).await {
                    let options = LoadOptions { rate, seed: seed.wrapping_add(round) };
                    if let Ok(counts) = rembo::load(&mut client, options, until).await {
                        total += counts;
                    }
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            total
        });
        Self { stop, task }
    }

    async fn stop(self) -> Result<LoadCounts> {
        self.stop.send_replace(true);
        Ok(self.task.await?)
    }
}
