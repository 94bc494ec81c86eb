//! One byte budget for everything that is in flight.
//!
//! Bytes are charged where they are decoded and given back when the batch that holds them is
//! dropped, that is, once its rows are durable. A source that cannot charge does not read:
//! that is all there is to backpressure.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits are KiB, since the semaphore counts in `u32`.
const UNIT: usize = 1024;

/// A shared bound on bytes in flight.
#[derive(Clone)]
pub struct Budget {
    semaphore: Arc<Semaphore>,
    units: u32,
}

impl Budget {
    /// A budget of `bytes` (at least one KiB).
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 3);
        Self { semaphore: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// Waits until `bytes` are free and takes them. A charge beyond the whole budget takes all
    /// of it, so that one value larger than the budget still passes, alone.
    pub async fn charge(&self, bytes: usize) -> Permit {
        let permit = Arc::clone(&self.semaphore).acquire_many_owned(self.units_of(bytes)).await;
        // The semaphore is never closed; without a permit the charge would simply not count.
        Permit { _held: permit.ok() }
    }

    /// Takes `bytes` if they are free now.
    #[must_use]
    pub fn try_charge(&self, bytes: usize) -> Option<Permit> {
        let permit = Arc::clone(&self.semaphore).try_acquire_many_owned(self.units_of(bytes)).ok()?;
        Some(Permit { _held: Some(permit) })
    }

    /// Bytes charged at the moment.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        (self.units as usize).saturating_sub(self.semaphore.available_permits()) * UNIT
    }

    fn units_of(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.units)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

/// Bytes held; dropping it gives them back.
#[derive(Debug, Default)]
pub struct Permit {
    _held: Option<OwnedSemaphorePermit>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oversized_charge_passes_alone() {
        let budget = Budget::new(10 * UNIT);
        let small = budget.try_charge(1).unwrap();
        assert!(budget.try_charge(1 << 30).is_none());
        drop(small);
        let all = budget.try_charge(1 << 30).unwrap();
        assert!(budget.try_charge(1).is_none());
        assert_eq!(budget.in_flight(), 10 * UNIT);
        drop(all);
        assert_eq!(budget.in_flight(), 0);
    }
}
