//! The async side: sends chunks, waits for their delivery, stores offsets, confirms to Postgres.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use walhouse_change::Lsn;

use super::TaskContext;
use super::failure::TaskFailure;
use super::outbox::Parcel;
use super::ports::{Delivery, PortResult, StoredOffset};
use super::settings::Settings;
use super::thread::Confirm;

/// Chunks that are sent and not acknowledged, at most: what fills a producer's buffer several times over.
const IN_FLIGHT: usize = 64;

/// A chunk on its way.
struct Flight {
    delivery: Delivery,
    offset: Option<StoredOffset>,
    commit: Option<Lsn>,
    progress: Option<Lsn>,
}

/// What was delivered and what that allows.
struct Ledger<'a> {
    context: &'a TaskContext,
    settings: &'a Settings,
    confirm: &'a Confirm,
    flights: VecDeque<Flight>,
    /// Delivered, and not stored yet.
    unsaved: Option<(StoredOffset, Option<Lsn>)>,
    progress: Option<Lsn>,
}

/// Delivers parcels until the task is stopped or there are none any more. Everything that was sent is settled then.
pub(super) async fn deliver(
    context: &TaskContext,
    settings: &Settings,
    confirm: &Confirm,
    mut parcels: mpsc::Receiver<Parcel>,
) -> Result<(), TaskFailure> {
    let mut ledger = Ledger { context, settings, confirm, flights: VecDeque::new(), unsaved: None, progress: None };
    let mut paused = context.paused.clone();
    let mut pausable = true;
    let mut flush = Instant::now() + settings.flush_interval;
    let stopped = context.stop.cancelled();
    tokio::pin!(stopped);
    loop {
        let is_paused = *paused.borrow_and_update();
        let takes = !is_paused && ledger.flights.len() < IN_FLIGHT;
        // The order is that of urgency; each branch is cancel-safe.
        tokio::select! {
            biased;
            () = &mut stopped => break,
            outcome = arrived(&mut ledger.flights), if !ledger.flights.is_empty() => ledger.arrived(outcome)?,
            () = tokio::time::sleep_until(flush) => {
                ledger.save().await?;
                flush = Instant::now() + settings.flush_interval;
            }
            changed = paused.changed(), if pausable => pausable = changed.is_ok(),
            parcel = parcels.recv(), if takes => match parcel {
                Some(parcel) => {
                    if !ledger.send(parcel, &mut stopped, &mut flush).await? {
                        break;
                    }
                }
                None => break,
            },
        }
    }
    parcels.close();
    ledger.settle().await
}

/// Resolves when the oldest chunk is acknowledged; cancel-safe.
async fn arrived(flights: &mut VecDeque<Flight>) -> PortResult<()> {
    poll_fn(|cx| match flights.front_mut() {
        Some(flight) => flight.delivery.poll_unpin(cx),
        None => Poll::Pending,
    })
    .await
}

impl Ledger<'_> {
    /// Sends a chunk, while older ones arrive; false when the task was stopped meanwhile.
    async fn send(
        &mut self,
        parcel: Parcel,
        stopped: &mut (impl Future<Output = ()> + Unpin),
        flush: &mut Instant,
    ) -> Result<bool, TaskFailure> {
        let Parcel { chunk, commit, progress } = parcel;
        let offset = chunk.offset.clone();
        if chunk.records.is_empty() && offset.is_none() {
            let delivery: Delivery = Box::pin(std::future::ready(Ok(())));
            self.flights.push_back(Flight { delivery, offset, commit, progress });
            return Ok(true);
        }
        let output = std::sync::Arc::clone(&self.context.output);
        let mut sending = output.send(chunk);
        loop {
            tokio::select! {
                biased;
                sent = &mut sending => {
                    self.flights.push_back(Flight { delivery: sent?, offset, commit, progress });
                    return Ok(true);
                }
                () = &mut *stopped => return Ok(false),
                outcome = arrived(&mut self.flights), if !self.flights.is_empty() => self.arrived(outcome)?,
                () = tokio::time::sleep_until(*flush) => {
                    self.save().await?;
                    *flush = Instant::now() + self.settings.flush_interval;
                }
            }
        }
    }

    /// The oldest chunk is delivered, or cannot be.
    fn arrived(&mut self, outcome: PortResult<()>) -> Result<(), TaskFailure> {
        let flight = self.flights.pop_front();
        outcome?;
        let Some(flight) = flight else { return Ok(()) };
        if let Some(offset) = flight.offset {
            if self.context.output.stores_offsets() {
                self.confirm(flight.commit);
            } else {
                self.unsaved = Some((offset, flight.commit));
            }
        }
        self.progress = self.progress.max(flight.progress);
        if self.unsaved.is_none() && self.flights.is_empty() {
            self.confirm(self.progress);
        }
        Ok(())
    }

    /// Stores the newest delivered offset, and confirms what is behind it.
    async fn save(&mut self) -> Result<(), TaskFailure> {
        let Some((offset, commit)) = self.unsaved.clone() else { return Ok(()) };
        match timeout(self.settings.flush_timeout, self.context.offsets.save(&offset)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.retriable => {
                tracing::warn!(error = %error, "cannot store the offset; it is tried again");
                return Ok(());
            }
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                tracing::warn!("storing the offset takes too long; it is tried again");
                return Ok(());
            }
        }
        self.unsaved = None;
        self.confirm(commit);
        if self.flights.is_empty() {
            self.confirm(self.progress);
        }
        Ok(())
    }

    /// Waits for what is on its way, as long as a flush may take, and stores the offset.
    async fn settle(&mut self) -> Result<(), TaskFailure> {
        let deadline = Instant::now() + self.settings.flush_timeout.max(Duration::from_secs(1));
        let mut outcome = Ok(());
        while !self.flights.is_empty() && outcome.is_ok() {
            match timeout_at(deadline, arrived(&mut self.flights)).await {
                Ok(arrived) => outcome = self.arrived(arrived),
                Err(_) => {
                    tracing::warn!(chunks = self.flights.len(), "what was sent last is not acknowledged in time");
                    break;
                }
            }
        }
        self.save().await?;
        outcome
    }

    fn confirm(&self, upto: Option<Lsn>) {
        if let (Some(upto), true) = (upto, self.settings.confirm) {
            self.confirm.confirm(upto);
        }
    }
}
