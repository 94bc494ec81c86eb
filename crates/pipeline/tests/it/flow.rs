//! One behaviour each, in virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use walhouse_change::faults::{Faults, Rates};
use walhouse_change::memory::{MemoryOrigin, MemoryTarget, Server, Store, Write};
use walhouse_change::{Domain, Error, Lsn, Origin, Pattern, Phase, Result, Retry, TableName};
use walhouse_pipeline::{Command, Commander, Pipeline, PipelineState, Settings, Status, StatusBoard};

use crate::oracle::{self, SLOT};

pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) store: Store,
    pub(crate) faults: Faults,
    pub(crate) table: TableName,
}

pub(crate) struct Running {
    pub(crate) board: StatusBoard,
    commander: Commander,
    pub(crate) cancel: CancellationToken,
    pub(crate) task: JoinHandle<Result<()>>,
}

pub(crate) fn name(table: &str) -> TableName {
    TableName::new("public", table)
}

pub(crate) fn put(id: i64, value: &str) -> Write {
    Write::Put(id, value.to_owned())
}

impl House {
    /// A table with one row.
    pub(crate) fn new(rates: Rates) -> Self {
        let house = Self {
            server: Server::new(10, Duration::from_millis(100)),
            store: Store::new(1, Duration::from_millis(5)),
            faults: Faults::new(1, rates),
            table: name("t"),
        };
        house.server.create_table(&house.table);
        house.server.transact(&[(&house.table, put(1, "copied"))]);
        house
    }

    pub(crate) fn origin(&self) -> MemoryOrigin {
        MemoryOrigin::new(&self.server, SLOT, vec![Pattern::parse("public.*").unwrap()])
    }

    fn run(&self) -> Running {
        self.run_with(self.origin())
    }

    pub(crate) fn run_with(&self, origin: impl Origin + 'static) -> Running {
        let target = MemoryTarget::new(&self.store, SLOT);
        let settings = Settings { jitter_seed: Some(1), ..Settings::new(SLOT) };
        let pipeline = Pipeline::new(self.faults.origin(origin), self.faults.target(target), settings);
        let (board, cancel) = (pipeline.board(), CancellationToken::new());
        let commander = pipeline.commander();
        Running { board, commander, task: tokio::spawn(pipeline.run(cancel.clone())), cancel }
    }

    /// What is stored of the table's phase.
    fn phase(&self) -> Option<Phase> {
        self.store.state(SLOT).tables.into_iter().find(|state| state.name == self.table).map(|state| state.phase)
    }

    /// The table's value for a key, in the target.
    pub(crate) fn value(&self, table: &TableName, id: i64) -> Option<String> {
        self.store.table(table)?.current().remove(&id)
    }

    pub(crate) async fn until(&self, what: impl Fn() -> bool) {
        let waiting = async {
            while !what() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(120), waiting).await.expect("it happens in time");
    }
}

impl Running {
    pub(crate) async fn until(&self, wanted: impl FnMut(&Status) -> bool) -> Status {
        timeout(Duration::from_secs(120), self.board.wait_for(wanted)).await.expect("the state is reached in time")
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.cancel.cancel();
        self.task.await.expect("the pipeline does not panic")
    }
}

pub(crate) fn phase<'a>(status: &'a Status, table: &TableName) -> Option<&'a Phase> {
    status.tables.iter().find(|shown| shown.name == *table).map(|shown| &shown.phase)
}

#[tokio::test(start_paused = true)]
async fn copies_then_follows_then_ends_in_order() {
    let house = House::new(Rates::default());
    let running = house.run();
    let status = running.until(Status::is_ready).await;
    assert_eq!(status.tables.first().map(|table| (table.rows_copied, table.rows_estimated)), Some((1, 1)));
    let end = house.server.transact(&[(&house.table, put(2, "streamed"))]);
    house.until(|| house.value(&house.table, 2).is_some()).await;
    house.server.transact(&[(&house.table, put(3, "last"))]);
    // Stopped at once: what was taken over is still made durable, stored and acknowledged.
    let board = running.board.clone();
    running.stop().await.unwrap();
    assert_eq!(board.read().state, PipelineState::Stopping);
    assert!(board.read().durable >= end);
    let checkpoint = house.store.state(SLOT).checkpoint.unwrap();
    assert_eq!(Some(checkpoint.lsn), house.server.confirmed(SLOT));
    assert!(checkpoint.lsn >= end);
}

#[tokio::test(start_paused = true)]
async fn shows_lag_and_latency() {
    let house = House::new(Rates::default());
    let running = house.run();
    running.until(Status::is_ready).await;
    house.server.transact(&[(&house.table, put(2, "streamed"))]);
    house.until(|| running.board.read().commit_to_visible.is_some()).await;
    let caught_up = house.server.end();
    let status = running.until(|status| status.checkpoint == caught_up).await;
    assert_eq!((status.lag_bytes, status.lag_seconds), (0, 0.0));
    assert_eq!(status.tables.first().map(|table| table.rows_streamed), Some(1));
    let json = serde_json::to_value(&status).unwrap();
    assert_eq!(json["state"]["name"], "live");
    assert_eq!(json["checkpoint"], caught_up.to_string());
    assert_eq!(serde_json::from_value::<Status>(json).unwrap().checkpoint, status.checkpoint);
    running.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stores_a_checkpoint_at_once_after_quiet_and_then_once_a_second() {
    let house = House::new(Rates::default());
    let stored = Arc::new(Mutex::new(Vec::<(Instant, Lsn)>::new()));
    let log = Arc::clone(&stored);
    house.store.watch_checkpoints(move |_, checkpoint| log.lock().unwrap().push((Instant::now(), checkpoint.lsn)));
    let running = house.run();
    running.until(Status::is_ready).await;
    sleep(Duration::from_secs(5)).await;
    let quiet = stored.lock().unwrap().len();
    let began = Instant::now();
    for id in 0..300 {
        house.server.transact(&[(&house.table, put(id, "busy"))]);
        sleep(Duration::from_millis(10)).await;
    }
    let times: Vec<_> = stored.lock().unwrap().iter().skip(quiet).map(|(at, _)| at.duration_since(began)).collect();
    assert!(times.first().is_some_and(|first| *first < Duration::from_millis(50)), "{times:?}");
    let apart = times.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(1));
    assert!(apart && times.len() >= 3, "{times:?}");
    let before = stored.lock().unwrap().len();
    // An idle source moves on as well, at the same pace.
    for _ in 0..300 {
        house.server.unrelated();
        sleep(Duration::from_millis(10)).await;
    }
    let idle = stored.lock().unwrap().len() - before;
    assert!((3..=5).contains(&idle), "{idle} checkpoints in 3 s");
    running.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stops_one_table_and_follows_the_others() {
    let house = House::new(Rates::default());
    let other = name("u");
    house.server.create_table(&other);
    let running = house.run();
    running.until(Status::is_ready).await;
    house.server.transact(&[(&house.table, put(2, MemoryTarget::POISON)), (&other, put(1, "beside"))]);
    let status = running.until(|status| phase(status, &house.table) == Some(&Phase::Stopped)).await;
    assert!(status.is_ready(), "a table stopped by its own error does not make the pipe unready");
    assert!(
        status.tables.iter().any(|table| table.error.as_deref().is_some_and(|error| error.contains("cannot store")))
    );
    house.server.transact(&[(&house.table, put(3, "dropped")), (&other, put(2, "followed"))]);
    house.until(|| house.value(&other, 2).is_some()).await;
    assert_eq!(house.value(&house.table, 3), None);
    let stored = house.store.state(SLOT).tables;
    assert!(stored.iter().any(|state| state.name == house.table && state.phase == Phase::Stopped));
    // It stays stopped while this process runs, through surveys and reconnects.
    house.server.break_connections();
    sleep(Duration::from_secs(90)).await;
    assert_eq!(phase(&running.board.read(), &house.table), Some(&Phase::Stopped));
    running.stop().await.unwrap();
    // A new process tries again, with the cause mended.
    house.server.transact(&[(&house.table, Write::Delete(2))]);
    let running = house.run();
    house
        .until(|| oracle::difference(&house.server, &house.store, &[house.table.clone(), other.clone()]).is_none())
        .await;
    running.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn picks_up_new_tables_and_mended_ones() {
    let house = House::new(Rates::default());
    let broken = name("broken");
    house.server.create_table(&broken);
    house.server.transact(&[(&broken, put(1, "kept"))]);
    let problem = Error::new(Domain::Source, Retry::StopTable(broken.clone()), "table has no usable identity");
    house.server.set_problem(&broken, Some(problem));
    let running = house.run();
    let status = running.until(Status::is_ready).await;
    assert_eq!(phase(&status, &broken), Some(&Phase::Stopped));
    let new = name("new");
    house.server.create_table(&new);
    house.server.transact(&[(&new, put(1, "new"))]);
    house.server.set_problem(&broken, None);
    house.until(|| house.value(&new, 1).is_some() && house.value(&broken, 1).is_some()).await;
    house.server.transact(&[(&new, put(2, "followed")), (&house.table, put(2, "followed"))]);
    house.until(|| house.value(&new, 2).is_some() && house.value(&house.table, 2).is_some()).await;
    assert_eq!(house.server.slots(), [SLOT]);
    running.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn waits_for_what_heals_and_shows_it() {
    let house = House::new(Rates { reject: 100, ..Rates::default() });
    let running = house.run();
    let shown = |status: &Status| matches!(&status.state, PipelineState::Waiting { attempt, .. } if *attempt >= 12);
    let began = Instant::now();
    let status = running.until(shown).await;
    assert!(!status.is_ready());
    let PipelineState::Waiting { domain, error, .. } = status.state else { panic!("{:?}", status.state) };
    assert_eq!((domain.as_str(), error.as_str()), ("source", "injected fault"));
    // 0.1 + 0.2 + .. + 12.8 s and then 15 s each, less the jitter.
    let waited = began.elapsed();
    assert!((Duration::from_secs(25)..Duration::from_secs(90)).contains(&waited), "{waited:?}");
    house.faults.quiet();
    running.until(Status::is_ready).await;
    house.server.break_connections();
    running.until(|status| matches!(status.state, PipelineState::Waiting { .. })).await;
    running.until(Status::is_ready).await;
    running.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn ends_at_once_while_it_waits() {
    let house = House::new(Rates { reject: 100, ..Rates::default() });
    let running = house.run();
    running.until(|status| matches!(status.state, PipelineState::Waiting { attempt: 5, .. })).await;
    let began = Instant::now();
    running.stop().await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn gives_up_a_drain_that_takes_too_long() {
    let house = House::new(Rates::default());
    let running = house.run();
    running.until(Status::is_ready).await;
    house.store.slow_down(Duration::from_secs(3600));
    house.server.transact(&[(&house.table, put(2, "slow"))]);
    sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    running.stop().await.unwrap();
    let ended = began.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(10)).contains(&ended), "{ended:?}");
    assert_eq!(house.value(&house.table, 2), None);
}

#[tokio::test(start_paused = true)]
async fn refuses_for_good_what_does_not_heal() {
    let house = House::new(Rates::default());
    let first = house.run();
    first.until(Status::is_ready).await;
    first.stop().await.unwrap();
    // The target is lost, the slot is not.
    let lost = House { store: Store::new(1, Duration::ZERO), ..house };
    let running = lost.run();
    let error = timeout(Duration::from_secs(10), running.task).await.expect("it ends").unwrap().unwrap_err();
    assert_eq!(*error.retry(), Retry::Never);
    assert!(error.one_line().contains("pg_drop_replication_slot('walhouse')"), "{}", error.one_line());
    assert!(matches!(running.board.read().state, PipelineState::Failed { .. }));
}

/// A paused table stands still, across a restart too, while the others go on; resumed, it has
/// everything again.
#[tokio::test(start_paused = true)]
async fn a_paused_table_stands_still_and_loses_nothing() {
    let house = House::new(Rates::default());
    let other = name("other");
    house.server.create_table(&other);
    let running = house.run();
    running.until(Status::is_ready).await;
    running.commander.command(&house.table, Command::Pause).unwrap();
    let status = running.until(|status| phase(status, &house.table) == Some(&Phase::Paused)).await;
    assert_eq!(status.tables.len(), 2);
    house.server.transact(&[(&house.table, put(1, "missed")), (&other, put(7, "seen"))]);
    house.until(|| house.value(&other, 7).as_deref() == Some("seen")).await;
    assert_eq!(house.value(&house.table, 1).as_deref(), Some("copied"));
    assert!(running.board.is_ready(), "a paused table is settled");
    running.stop().await.unwrap();
    assert_eq!(house.phase(), Some(Phase::Paused));

    let running = house.run();
    running.until(|status| status.is_ready() && phase(status, &house.table) == Some(&Phase::Paused)).await;
    house.server.transact(&[(&house.table, put(2, "missed as well"))]);
    running.commander.command(&house.table, Command::Resume).unwrap();
    house.until(|| house.value(&house.table, 1).as_deref() == Some("missed")).await;
    running.until(|status| phase(status, &house.table) == Some(&Phase::Live)).await;
    house.server.transact(&[(&house.table, put(2, "followed"))]);
    house.until(|| house.value(&house.table, 2).as_deref() == Some("followed")).await;
    running.stop().await.unwrap();
}

/// What the target was made to hold by somebody else is gone after a resync.
#[tokio::test(start_paused = true)]
async fn a_resync_copies_the_table_anew() {
    let house = House::new(Rates::default());
    let running = house.run();
    running.until(Status::is_ready).await;
    let before = house.store.state(SLOT).tables.first().unwrap().consistent_point;
    let refused = running.commander.command(&house.table, Command::Resume).unwrap_err();
    assert_eq!(refused.to_string(), "cannot resume public.t: it is not paused");
    house.server.transact(&[(&house.table, put(2, "later"))]);
    running.commander.command(&house.table, Command::Resync).unwrap();
    house.until(|| house.store.state(SLOT).tables.first().is_some_and(|state| state.consistent_point > before)).await;
    running.until(Status::is_ready).await;
    assert_eq!(house.value(&house.table, 1).as_deref(), Some("copied"));
    let stranger = running.commander.command(&name("stranger"), Command::Pause).unwrap_err();
    assert!(stranger.to_string().contains("there is no table public.stranger"));
    running.stop().await.unwrap();
}
