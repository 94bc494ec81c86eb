//! The order of all changes, and the number by which a target keeps it.
//!
//! Why not the row's own LSN, and why not a clock: a row's log record can lie below the
//! consistent point of the snapshot that does not contain it, and an insert writes its record
//! before it waits for another transaction's unique key. Only the commit order is the order in
//! which rows became true; within one transaction it is the order of its messages.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Lsn;

/// Where a change stands in the log: its transaction's commit, then its place among that
/// transaction's messages, counted from 1 before any filter (0 is a snapshot row's).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// LSN at which the commit record starts (`final_lsn` of pgoutput's Begin).
    pub commit_lsn: Lsn,
    /// 1-based index of the message in its transaction.
    pub index: u64,
}

/// `epoch << 112 | commit LSN << 48 | ordinal`: greater is newer, equal is the same event.
///
/// A message with index `i` has ordinal `2i` for the tombstone of an old key and `2i + 1` for
/// the row, so that a key's rotation within one transaction converges. A snapshot's rows have
/// ordinal 0 at the snapshot's consistent point: older than any event with that commit LSN.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u128);

impl Version {
    /// Bits of the ordinal; 2^47 messages in one transaction is far beyond what Postgres can hold.
    const ORDINAL_BITS: u32 = 48;
    const EPOCH_SHIFT: u32 = 64 + Self::ORDINAL_BITS;
    const ORDINAL_MASK: u64 = (1 << Self::ORDINAL_BITS) - 1;

    const fn new(epoch: u16, commit_lsn: Lsn, ordinal: u64) -> Self {
        let ordinal = ordinal & Self::ORDINAL_MASK;
        Self((epoch as u128) << Self::EPOCH_SHIFT | (commit_lsn.0 as u128) << Self::ORDINAL_BITS | ordinal as u128)
    }

    /// Version of the rows of a snapshot taken at `consistent_point`.
    #[must_use]
    pub const fn snapshot(epoch: u16, consistent_point: Lsn) -> Self {
        Self::new(epoch, consistent_point, 0)
    }

    /// Version of the row that the message at `position` writes (or deletes).
    #[must_use]
    pub const fn row(epoch: u16, position: Position) -> Self {
        Self::new(epoch, position.commit_lsn, 2 * position.index + 1)
    }

    /// Version of the tombstone for the old key that the message at `position` leaves.
    #[must_use]
    pub const fn tombstone(epoch: u16, position: Position) -> Self {
        Self::new(epoch, position.commit_lsn, 2 * position.index)
    }

    /// The epoch: bumped when the log's numbering starts anew (restore, another cluster).
    #[must_use]
    pub const fn epoch(self) -> u16 {
        (self.0 >> Self::EPOCH_SHIFT) as u16
    }

    /// The commit LSN (a snapshot's consistent point).
    #[must_use]
    pub const fn commit_lsn(self) -> Lsn {
        Lsn((self.0 >> Self::ORDINAL_BITS) as u64)
    }

    /// The ordinal within the transaction, 0 for a snapshot's row.
    #[must_use]
    pub const fn ordinal(self) -> u64 {
        self.0 as u64 & Self::ORDINAL_MASK
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.epoch(), self.commit_lsn(), self.ordinal())
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keeps_its_parts(epoch: u16, lsn: u64, index in 1u64..1 << 46) {
            let at = Position { commit_lsn: Lsn(lsn), index };
            let row = Version::row(epoch, at);
            prop_assert_eq!((row.epoch(), row.commit_lsn(), row.ordinal()), (epoch, Lsn(lsn), 2 * index + 1));
            let tombstone = Version::tombstone(epoch, at);
            prop_assert!(Version::snapshot(epoch, Lsn(lsn)) < tombstone);
            prop_assert!(tombstone < row);
            let next = Position { commit_lsn: Lsn(lsn), index: index + 1 };
            prop_assert!(row < Version::tombstone(epoch, next));
        }

        #[test]
        fn orders_by_epoch_then_commit(a: (u16, u64), b: (u16, u64), i in 1u64..1 << 46, j in 1u64..1 << 46) {
            prop_assume!(a != b);
            let version = |(epoch, lsn): (u16, u64), index| Version::row(epoch, Position { commit_lsn: Lsn(lsn), index });
            prop_assert_eq!(a < b, version(a, i) < version(b, j));
        }
    }
}
