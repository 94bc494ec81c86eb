//! A target that stands still gives no error. It is shown all the same, and nothing is broken off for it.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use walhouse_change::faults::Rates;
use walhouse_pipeline::{PipelineState, Status};

use crate::flow::{House, put};
use crate::oracle::SLOT;

fn is_silent(status: &Status) -> bool {
    matches!(&status.state, PipelineState::Waiting { domain, error, .. }
        if domain == "target" && error.contains("no answer for 6 s"))
}

#[tokio::test(start_paused = true)]
async fn a_target_that_stands_still_is_shown_and_waited_for() {
    let house = House::new(Rates::default());
    let running = house.run_with(house.origin());
    running.until(Status::is_ready).await;
    for writes in [true, false] {
        // Well within its patience, so that it was asked since the last round.
        sleep(Duration::from_secs(3)).await;
        let sender = house.server.slots();
        house.store.freeze(true);
        let began = Instant::now();
        if writes {
            house.server.transact(&[(&house.table, put(2, "written"))]);
        }
        let status = running.until(is_silent).await;
        assert!(began.elapsed() < Duration::from_secs(10), "shown after {:?}", began.elapsed());
        assert!(!status.is_ready());
        let PipelineState::Waiting { error, .. } = &status.state else { panic!("{:?}", status.state) };
        assert!(error.contains(if writes { "make changes durable" } else { "a sign of life" }), "{error}");
        // For long: it is still the same attempt, and the source is still connected.
        sleep(Duration::from_secs(60)).await;
        assert!(is_silent(&running.board.read()));
        house.store.freeze(false);
        let thawed = Instant::now();
        running.until(Status::is_ready).await;
        assert!(thawed.elapsed() < Duration::from_secs(1), "live after {:?}", thawed.elapsed());
        assert_eq!(house.server.slots(), sender);
        house.until(|| house.value(&house.table, 2).is_some()).await;
    }
    running.stop().await.unwrap();
    assert!(house.store.state(SLOT).checkpoint.is_some());
}

/// A copy is not ready anyway, but its silence has a reason to show.
#[tokio::test(start_paused = true)]
async fn silence_shows_during_a_start_and_a_copy() {
    let house = House::new(Rates::default());
    house.store.freeze(true);
    let running = house.run_with(house.origin());
    let status = running.until(is_silent).await;
    assert!(matches!(&status.state, PipelineState::Waiting { error, .. } if error.contains("read the state")));
    house.store.freeze(false);
    running.until(Status::is_ready).await;
    running.stop().await.unwrap();
}

/// An end that was asked for comes, and is not hidden by the silence.
#[tokio::test(start_paused = true)]
async fn a_silent_target_does_not_hide_the_end() {
    let house = House::new(Rates::default());
    let running = house.run_with(house.origin());
    running.until(Status::is_ready).await;
    house.store.freeze(true);
    house.server.transact(&[(&house.table, put(2, "held"))]);
    running.until(is_silent).await;
    running.cancel.cancel();
    running.until(|status| status.state == PipelineState::Stopping).await;
    running.stop().await.unwrap();
}

/// A slow target that gets on is not silent.
#[tokio::test(start_paused = true)]
async fn a_slow_target_is_not_a_silent_one() {
    let house = House::new(Rates::default());
    let running = house.run_with(house.origin());
    running.until(Status::is_ready).await;
    house.store.slow_down(Duration::from_secs(5));
    for id in 0..200 {
        house.server.transact(&[(&house.table, put(id, "slow"))]);
    }
    while house.value(&house.table, 199).is_none() {
        assert!(running.board.is_ready(), "{:?}", running.board.read().state);
        sleep(Duration::from_millis(100)).await;
    }
    running.stop().await.unwrap();
}
