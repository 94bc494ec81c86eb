//! The model test: whatever fails or crashes, and wherever, the target ends up with exactly what
//! the log says, and at no instant was anything acknowledged that could have been lost.
//!
//! Each seed is one history: an application writes, the pipeline runs in one life after the
//! other, each ended by a crash at some call, a crash at some time, or a stop by the user. A
//! failing seed is printed; `WALHOUSE_MODEL_SEED` runs that one alone.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use walhouse_change::faults::{Faults, Rates};
use walhouse_change::memory::{MemoryOrigin, MemoryTarget, Random, Server, Store};
use walhouse_change::{Pattern, TableName};
use walhouse_pipeline::{Command, Commander, Pipeline, Settings};

use crate::oracle::{self, SLOT, Violations};
use crate::workload::{Options, Workload};

/// Virtual time after which a pipeline without faults must have caught up.
const CATCH_UP: Duration = Duration::from_secs(300);

const ALL: &str = "public.*";

const RATES: Rates = Rates {
    reject: 1,
    fail_after: 1,
    delay: 8,
    crash: 2,
    longest: Duration::from_millis(60),
    lost_checkpoint: 0,
    lost_batch: 0,
};

struct World {
    server: Server,
    store: Store,
    faults: Faults,
    violations: Violations,
    random: Random,
}

impl World {
    fn new(seed: u64, rates: Rates) -> Self {
        let mut random = Random::new(seed);
        let batch = 1 + random.below(5) as usize;
        let server = Server::new(batch, random.time_below(Duration::from_millis(200)));
        let store = Store::new(random.bits(), Duration::from_millis(1 + random.below(80)));
        let violations = oracle::watch(&server, &store);
        Self { faults: Faults::new(random.bits(), rates), server, store, violations, random }
    }

    fn pipeline(&self, seed: u64, selection: &str) -> Pipeline {
        let patterns = vec![Pattern::parse(selection).unwrap()];
        let origin = self.faults.origin(MemoryOrigin::new(&self.server, SLOT, patterns));
        let target = self.faults.target(MemoryTarget::new(&self.store, SLOT));
        let settings = Settings {
            copy_workers: 2,
            checkpoint_interval: Duration::from_millis(40),
            survey_interval: Duration::from_millis(250),
            drain_deadline: Duration::from_secs(8),
            farewell: Duration::from_millis(20),
            backoff_min: Duration::from_millis(10),
            backoff_max: Duration::from_millis(300),
            jitter_seed: Some(seed),
            ..Settings::new(SLOT)
        };
        Pipeline::new(origin, target, settings)
    }

    /// One life of the process, ended by a crash, or stopped by the user after `limit`.
    /// With `meddles`, a user gives commands all the while.
    async fn live(&mut self, limit: Duration, selection: &str, meddles: bool) -> Result<(), String> {
        self.faults.restart();
        let cancel = CancellationToken::new();
        let pipeline = self.pipeline(self.random.clone().bits(), selection);
        let user = meddle(pipeline.commander(), self.random.clone(), meddles);
        let life = pipeline.run(cancel.clone());
        let crash_instead = self.random.chance(30);
        let stop = async {
            tokio::time::sleep(limit).await;
            if !crash_instead {
                cancel.cancel();
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = self.faults.crashed() => Ok(()),
            ended = life => ended.map_err(|error| format!("gave up: {}", error.one_line())),
            () = stop => Ok(()),
            () = user => Ok(()),
        }
    }

    /// The last life, without faults, until all is carried over; then an orderly end. One life
    /// before it meets the values in the log that cannot be stored: their tables stop until the
    /// process is started anew.
    async fn settle(&mut self, workload: &Workload) -> Result<(), String> {
        self.faults.quiet();
        self.live(Duration::from_secs(5), ALL, false).await?;
        let cancel = CancellationToken::new();
        let pipeline = self.pipeline(1, ALL);
        let commander = pipeline.commander();
        let life = pipeline.run(cancel.clone());
        let difference = || oracle::difference(&self.server, &self.store, &workload.tables);
        let caught_up = async {
            let until = tokio::time::Instant::now() + CATCH_UP;
            while difference().is_some() && tokio::time::Instant::now() < until {
                // Refused for each that is not paused.
                for table in &workload.tables {
                    let _ = commander.command(table, Command::Resume);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            cancel.cancel();
        };
        let (ended, ()) = tokio::join!(life, caught_up);
        ended.map_err(|error| format!("gave up: {}", error.one_line()))?;
        difference().map_or(Ok(()), Err)?;
        oracle::check_history(&self.server, &self.store)?;
        let checkpoint = self.store.state(SLOT).checkpoint.map(|checkpoint| checkpoint.lsn);
        let confirmed = self.server.confirmed(SLOT);
        if checkpoint != confirmed || self.server.slots() != [SLOT] {
            return Err(format!("ended at {checkpoint:?}, confirmed {confirmed:?}, slots {:?}", self.server.slots()));
        }
        Ok(())
    }
}

/// A user who pauses, resumes and resyncs whatever there is, for ever; with `meddles` false, nobody.
async fn meddle(commander: Commander, mut random: Random, meddles: bool) {
    if !meddles {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(Duration::from_millis(1 + random.below(400))).await;
        let table = TableName::new("public", format!("t{}", random.below(3)));
        let commands = [Command::Pause, Command::Resume, Command::Resync];
        if let Some(command) = commands.get(random.below(3) as usize) {
            let _ = commander.command(&table, *command);
        }
    }
}

async fn history(seed: u64, rates: Rates, options: Options) -> Result<(), String> {
    let mut world = World::new(seed, rates);
    let lived = live_through(&mut world, options).await;
    // What broke an invariant explains what came of it.
    world.violations.first().map_or(lived, Err)
}

async fn live_through(world: &mut World, options: Options) -> Result<(), String> {
    let workload = tokio::spawn(Workload::new(&world.server, world.random.bits(), options).run());
    while !workload.is_finished() {
        let limit = Duration::from_millis(1 + world.random.below(1500));
        let selection = if options.operator && world.random.chance(20) { "public.t0" } else { ALL };
        world.live(limit, selection, options.operator).await?;
    }
    let workload = workload.await.map_err(|error| error.to_string())?;
    world.settle(&workload).await
}

fn run(seed: u64, rates: Rates, options: Options) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(history(seed, rates, options))
}

fn seeds(count: u64) -> std::ops::Range<u64> {
    match std::env::var("WALHOUSE_MODEL_SEED").map(|seed| seed.parse::<u64>()) {
        Ok(seed) => {
            let seed = seed.expect("WALHOUSE_MODEL_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..count,
    }
}

fn run_all(count: u64, options: Options) {
    for seed in seeds(count) {
        if let Err(found) = run(seed, RATES, options) {
            panic!("WALHOUSE_MODEL_SEED={seed}: {found}");
        }
    }
}

#[test]
fn survives_faults_and_crashes_anywhere() {
    run_all(1500, Options { steps: 80, operator: false });
}

#[test]
fn survives_an_operator_as_well() {
    run_all(1500, Options { steps: 80, operator: true });
}

/// How many of 20 histories with a target that breaks its promises end with this complaint.
fn noticed(rates: Rates, complaint: &str) -> usize {
    let failures = (0..20).filter_map(|seed| run(seed, rates, Options { steps: 80, operator: false }).err());
    failures.filter(|found| found.starts_with(complaint)).count()
}

#[test]
fn notices_an_acknowledgement_before_the_checkpoint() {
    assert!(noticed(Rates { lost_checkpoint: 30, ..RATES }, "acknowledged") >= 10);
}

#[test]
fn notices_a_lost_batch() {
    assert!(noticed(Rates { lost_batch: 20, ..RATES }, "checkpoint") >= 10);
}
