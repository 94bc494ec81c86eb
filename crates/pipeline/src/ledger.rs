//! Progress as algebra: a stretch of the log is a delta `(from, to]`, and it counts only where
//! it joins what was counted before. A gap or an overlap is a fault of this program, and is
//! refused rather than acknowledged.

use walhouse_change::{Domain, Error, Lsn, Retry};

/// The stretch of the log that one batch completes: after it, everything up to `to` is covered.
/// A batch that ends within a transaction completes nothing (`from == to`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    /// Covered by the batches before this one.
    pub from: Lsn,
    /// Covered with this one.
    pub to: Lsn,
}

/// A step that does not join the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disorder {
    /// The source handed over changes that end before ones it handed over earlier.
    #[error("the source went backward: a batch ends at {to}, after one that ended at {received}")]
    Backward {
        /// End of the earlier batch.
        received: Lsn,
        /// End of the later batch.
        to: Lsn,
    },
    /// A batch became durable that is not the next one.
    #[error("a batch from {from} became durable while everything up to {durable} was")]
    NotNext {
        /// Where the durable prefix ends.
        durable: Lsn,
        /// Where the batch begins.
        from: Lsn,
    },
    /// A checkpoint was stored that is not durable, or is behind the one before.
    #[error("a checkpoint at {lsn} was stored, outside of the stored {stored} and the durable {durable}")]
    Checkpoint {
        /// The checkpoint before.
        stored: Lsn,
        /// Where the durable prefix ends.
        durable: Lsn,
        /// The checkpoint.
        lsn: Lsn,
    },
}

impl From<Disorder> for Error {
    fn from(disorder: Disorder) -> Self {
        // Starting again from the checkpoint is always sound, so the pipeline may try that.
        let domain = if matches!(disorder, Disorder::Backward { .. }) { Domain::Source } else { Domain::Internal };
        Error::new(domain, Retry::Later, "cannot account for the log's progress").with_source(disorder)
    }
}

/// How far each stage is: `stored <= durable <= received`, none ever moves backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    received: Lsn,
    durable: Lsn,
    stored: Lsn,
}

impl Ledger {
    /// All stages stand at the checkpoint.
    #[must_use]
    pub fn new(checkpoint: Lsn) -> Self {
        Self { received: checkpoint, durable: checkpoint, stored: checkpoint }
    }

    /// A batch came that covers the log up to `progress`; one without changes may repeat an
    /// older progress, and a batch amid a transaction that is the first of all has none (0/0).
    ///
    /// # Errors
    /// [`Disorder::Backward`].
    pub fn receive(&mut self, progress: Lsn, has_changes: bool) -> Result<Delta, Disorder> {
        let from = self.received;
        if has_changes && !progress.is_zero() && progress < from {
            return Err(Disorder::Backward { received: from, to: progress });
        }
        self.received = from.max(progress);
        Ok(Delta { from, to: self.received })
    }

    /// The batch of `delta` is durable.
    ///
    /// # Errors
    /// [`Disorder::NotNext`].
    pub fn commit(&mut self, delta: Delta) -> Result<(), Disorder> {
        if delta.from != self.durable || delta.to < delta.from {
            return Err(Disorder::NotNext { durable: self.durable, from: delta.from });
        }
        self.durable = delta.to;
        Ok(())
    }

    /// What is worth a new checkpoint.
    #[must_use]
    pub fn unstored(&self) -> Option<Lsn> {
        (self.durable > self.stored).then_some(self.durable)
    }

    /// A checkpoint at `lsn` is stored: from now on `lsn` may be acknowledged.
    ///
    /// # Errors
    /// [`Disorder::Checkpoint`].
    pub fn store(&mut self, lsn: Lsn) -> Result<(), Disorder> {
        if lsn < self.stored || lsn > self.durable {
            return Err(Disorder::Checkpoint { stored: self.stored, durable: self.durable, lsn });
        }
        self.stored = lsn;
        Ok(())
    }

    /// Covered by batches handed over by the source.
    #[must_use]
    pub fn received(&self) -> Lsn {
        self.received
    }

    /// Durable in the target.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.durable
    }

    /// Covered by the stored checkpoint.
    #[must_use]
    pub fn stored(&self) -> Lsn {
        self.stored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_contiguous_prefix_only() {
        let mut ledger = Ledger::new(Lsn(10));
        let first = ledger.receive(Lsn(20), true).unwrap();
        let within = ledger.receive(Lsn(20), true).unwrap();
        let second = ledger.receive(Lsn(30), true).unwrap();
        assert_eq!(ledger.commit(second), Err(Disorder::NotNext { durable: Lsn(10), from: Lsn(20) }));
        assert_eq!(ledger.unstored(), None);
        ledger.commit(first).unwrap();
        assert_eq!(ledger.commit(first), Err(Disorder::NotNext { durable: Lsn(20), from: Lsn(10) }));
        ledger.commit(within).unwrap();
        ledger.commit(second).unwrap();
        assert_eq!(ledger.unstored(), Some(Lsn(30)));
    }

    #[test]
    fn refuses_what_goes_backward() {
        let mut ledger = Ledger::new(Lsn(10));
        assert!(ledger.receive(Lsn(9), true).is_err());
        assert_eq!(ledger.receive(Lsn(9), false), Ok(Delta { from: Lsn(10), to: Lsn(10) }));
        assert_eq!(ledger.receive(Lsn::ZERO, true), Ok(Delta { from: Lsn(10), to: Lsn(10) }));
    }

    #[test]
    fn stores_only_what_is_durable() {
        let mut ledger = Ledger::new(Lsn(10));
        let delta = ledger.receive(Lsn(20), false).unwrap();
        assert!(ledger.store(Lsn(20)).is_err());
        ledger.commit(delta).unwrap();
        ledger.store(Lsn(20)).unwrap();
        assert!(ledger.store(Lsn(15)).is_err());
        assert_eq!((ledger.stored(), ledger.unstored()), (Lsn(20), None));
    }
}
