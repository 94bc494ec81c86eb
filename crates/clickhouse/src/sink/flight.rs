//! The inserts of one table that are under way, in order.
//!
//! A block goes to the log first, then to the current state. The log may take block n + 1 while
//! the current state takes block n: after a crash the log is ahead, and what the current state
//! lacks comes again and goes to it alone. The other way round would show rows whose history is
//! missing.

use std::sync::Arc;

use tokio::task::JoinHandle;
use walhouse_change::{Domain, Error, Result, Retry};

use super::gather::Sealed;
use super::inserter::{Destination, Inserter};

/// At most two inserts, and one block between them.
#[derive(Debug)]
pub(super) struct Flight {
    inserter: Inserter,
    log: Option<Arc<Destination>>,
    current: Arc<Destination>,
    to_log: Option<Running>,
    waiting: Option<Sealed>,
    to_current: Option<Running>,
}

/// An insert in a task of its own, so that it goes on while rows are encoded. Ends with its handle.
#[derive(Debug)]
struct Running(JoinHandle<Result<Sealed>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Flight {
    pub(super) fn new(inserter: Inserter, log: Option<Destination>, current: Destination) -> Self {
        Self {
            inserter,
            log: log.map(Arc::new),
            current: Arc::new(current),
            to_log: None,
            waiting: None,
            to_current: None,
        }
    }

    /// Changes where blocks go; nothing may be under way.
    pub(super) fn redirect(&mut self, log: Option<Destination>, current: Destination) {
        self.log = log.map(Arc::new);
        self.current = Arc::new(current);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.to_log.is_none() && self.waiting.is_none() && self.to_current.is_none()
    }

    /// True if a block can set off now.
    pub(super) fn has_room(&self) -> bool {
        let first_stage_is_free = self.to_log.is_none() && self.waiting.is_none();
        first_stage_is_free && (self.log.is_some() || self.to_current.is_none())
    }

    /// Sets a block off; there must be room.
    pub(super) fn send(&mut self, sealed: Sealed) {
        match &self.log {
            Some(log) if sealed.to_log => self.to_log = Some(self.start(Arc::clone(log), sealed)),
            _ => {
                self.waiting = Some(sealed);
                self.move_along();
            }
        }
    }

    /// Waits for the next insert to end. A block that is durable everywhere is returned; the first
    /// error is final. Waits for ever when nothing is under way. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Option<Sealed>> {
        tokio::select! {
            // what is further comes first: it makes room
            biased;
            sealed = ended(&mut self.to_current) => {
                self.to_current = None;
                let sealed = sealed?;
                self.move_along();
                Ok(Some(sealed))
            }
            sealed = ended(&mut self.to_log), if self.waiting.is_none() => {
                self.to_log = None;
                self.waiting = Some(sealed?);
                self.move_along();
                Ok(None)
            }
        }
    }

    fn move_along(&mut self) {
        if self.to_current.is_none()
            && let Some(sealed) = self.waiting.take()
        {
            self.to_current = Some(self.start(Arc::clone(&self.current), sealed));
        }
    }

    fn start(&self, to: Arc<Destination>, sealed: Sealed) -> Running {
        let inserter = self.inserter.clone();
        Running(tokio::spawn(async move {
            let token = inserter.stream_token(&to, &sealed.block);
            inserter.insert(&to, &sealed.block, token).await?;
            Ok(sealed)
        }))
    }
}

async fn ended(running: &mut Option<Running>) -> Result<Sealed> {
    match running {
        Some(running) => (&mut running.0).await.unwrap_or_else(|error| Err(broken(&error))),
        None => std::future::pending().await,
    }
}

/// A task that did not come to its end: a bug, or the runtime is shutting down.
pub(super) fn broken(error: &tokio::task::JoinError) -> Error {
    Error::new(Domain::Internal, Retry::Later, format!("a task of the sink ended early: {error}"))
}
