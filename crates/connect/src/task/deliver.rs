//! The async side: sends chunks, waits for their delivery, stores offsets, confirms to Postgres.
//!
//! An offset is stored as soon as everything before it is delivered, so that a kill repeats no more than what was on
//! its way. One write is under way at a time; what is delivered meanwhile waits, and only the newest is written next,
//! so that a fast stream writes no more offsets than brokers acknowledge one after the other.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use walhouse_change::Lsn;

use super::TaskContext;
use super::failure::TaskFailure;
use super::outbox::Parcel;
use super::ports::{Delivery, OffsetStore, PortResult, StoredOffset};
use super::settings::Settings;
use super::thread::Confirm;

/// Chunks that are sent and not acknowledged, at most: what fills a producer's buffer several times over.
const IN_FLIGHT: usize = 64;
/// Before an offset that could not be stored is written again.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// A chunk on its way.
struct Flight {
    delivery: Delivery,
    offset: Option<StoredOffset>,
    commit: Option<Lsn>,
    progress: Option<Lsn>,
}

/// An offset on its way.
struct Saving {
    write: BoxFuture<'static, PortResult<()>>,
    commit: Option<Lsn>,
}

/// What was delivered and what that allows.
struct Ledger<'a> {
    context: &'a TaskContext,
    settings: &'a Settings,
    confirm: &'a Confirm,
    flights: VecDeque<Flight>,
    saving: Option<Saving>,
    /// Delivered, and written when the write under way is done.
    unsaved: Option<(StoredOffset, Option<Lsn>)>,
    progress: Option<Lsn>,
}

/// What was waited for.
enum Event {
    /// The oldest chunk is delivered, or cannot be.
    Arrived(PortResult<()>),
    /// The offset under way is stored, or cannot be.
    Stored(PortResult<()>),
}

/// Delivers parcels until the task is stopped or there are none any more. Everything that was sent is settled then.
pub(super) async fn deliver(
    context: &TaskContext,
    settings: &Settings,
    confirm: &Confirm,
    mut parcels: mpsc::Receiver<Parcel>,
) -> Result<(), TaskFailure> {
    let (flights, saving, unsaved, progress) = (VecDeque::new(), None, None, None);
    let mut ledger = Ledger { context, settings, confirm, flights, saving, unsaved, progress };
    let outcome = ledger.work(&mut parcels).await;
    parcels.close();
    ledger.settle(outcome).await
}

impl Ledger<'_> {
    /// Until the task is stopped, or something fails, or nothing more comes.
    async fn work(&mut self, parcels: &mut mpsc::Receiver<Parcel>) -> Result<(), TaskFailure> {
        let mut paused = self.context.paused.clone();
        let mut pausable = true;
        let stop = self.context.stop.clone();
        let stopped = stop.cancelled();
        tokio::pin!(stopped);
        loop {
            let is_paused = *paused.borrow_and_update();
            let takes = !is_paused && self.flights.len() < IN_FLIGHT;
            // The order is that of urgency; each branch is cancel-safe.
            tokio::select! {
                biased;
                () = &mut stopped => return Ok(()),
                event = self.next() => self.handle(event)?,
                changed = paused.changed(), if pausable => pausable = changed.is_ok(),
                parcel = parcels.recv(), if takes => match parcel {
                    Some(parcel) => {
                        if !self.send(parcel, &mut stopped).await? {
                            return Ok(());
                        }
                    }
                    None => return Ok(()),
                },
            }
        }
    }

    /// Sends a chunk, while older ones arrive; false when the task was stopped meanwhile.
    async fn send(
        &mut self,
        parcel: Parcel,
        stopped: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<bool, TaskFailure> {
        let Parcel { chunk, commit, progress } = parcel;
        let offset = chunk.offset.clone();
        if chunk.records.is_empty() && offset.is_none() {
            let delivery: Delivery = Box::pin(std::future::ready(Ok(())));
            self.flights.push_back(Flight { delivery, offset, commit, progress });
            return Ok(true);
        }
        let output = Arc::clone(&self.context.output);
        let mut sending = output.send(chunk);
        loop {
            tokio::select! {
                biased;
                sent = &mut sending => {
                    self.flights.push_back(Flight { delivery: sent?, offset, commit, progress });
                    return Ok(true);
                }
                () = &mut *stopped => return Ok(false),
                event = self.next() => self.handle(event)?,
            }
        }
    }

    /// What happens next to what is on its way; never, when nothing is. Cancel-safe.
    async fn next(&mut self) -> Event {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(saving) = &mut self.saving
            && let Poll::Ready(outcome) = saving.write.poll_unpin(cx)
        {
            return Poll::Ready(Event::Stored(outcome));
        }
        match self.flights.front_mut() {
            Some(flight) => flight.delivery.poll_unpin(cx).map(Event::Arrived),
            None => Poll::Pending,
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), TaskFailure> {
        match event {
            Event::Arrived(outcome) => {
                let flight = self.flights.pop_front();
                outcome?;
                flight.into_iter().for_each(|flight| self.arrived(flight));
            }
            Event::Stored(outcome) => {
                let saving = self.saving.take();
                outcome?;
                self.confirm(saving.and_then(|saving| saving.commit));
            }
        }
        self.save();
        if self.saving.is_none() && self.flights.is_empty() {
            self.confirm(self.progress);
        }
        Ok(())
    }

    fn arrived(&mut self, flight: Flight) {
        if let Some(offset) = flight.offset {
            if self.context.output.stores_offsets() {
                self.confirm(flight.commit);
            } else {
                self.unsaved = Some((offset, flight.commit));
            }
        }
        self.progress = self.progress.max(flight.progress);
    }

    /// Begins to write the newest delivered offset, unless a write is under way.
    fn save(&mut self) {
        if self.saving.is_none()
            && let Some((offset, commit)) = self.unsaved.take()
        {
            let write = Box::pin(write(Arc::clone(&self.context.offsets), offset));
            self.saving = Some(Saving { write, commit });
        }
    }

    /// Waits for what is on its way, as long as a flush may take, and for its offset. After a chunk that cannot be
    /// delivered, only the offset of those before it is waited for.
    async fn settle(&mut self, mut outcome: Result<(), TaskFailure>) -> Result<(), TaskFailure> {
        let deadline = Instant::now() + self.settings.flush_timeout.max(Duration::from_secs(1));
        loop {
            if outcome.is_err() {
                self.flights.clear();
            }
            if self.saving.is_none() && self.flights.is_empty() {
                return outcome;
            }
            match timeout_at(deadline, self.next()).await {
                Ok(event) => outcome = outcome.and(self.handle(event)),
                Err(_) => {
                    tracing::warn!(chunks = self.flights.len(), "what was sent last is not acknowledged in time");
                    return outcome;
                }
            }
        }
    }

    fn confirm(&self, upto: Option<Lsn>) {
        if let (Some(upto), true) = (upto, self.settings.confirm) {
            self.confirm.confirm(upto);
        }
    }
}

/// Stores an offset. Brokers that are away are waited for: what is not stored yet is sent again after a crash, and
/// nothing is confirmed meanwhile.
async fn write(store: Arc<dyn OffsetStore>, offset: StoredOffset) -> PortResult<()> {
    loop {
        match store.save(&offset).await {
            Err(error) if error.retriable => {
                tracing::warn!(error = %error, "cannot store the offset; it is tried again");
                sleep(STORE_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}
