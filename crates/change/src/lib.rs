//! The vocabulary of the house: what a change is, where it stands in the log, and the
//! contracts between those who read changes and those who keep them.
//!
//! Reading order: [`Lsn`], [`Position`] and [`Version`] say *where*; [`TableSchema`] says *of
//! what*; [`ChangeBatch`] carries a stretch of the log; [`Checkpoint`] and [`TableState`] are
//! what survives a restart; [`Source`] and [`Sink`] move batches, [`Origin`] and [`Target`]
//! are everything else that a pipeline asks of the two ends.
//!
//! With the feature `testing` come both ends in memory (`memory`), a wrapper that injects
//! faults (`faults`) and the suite that every implementation of the contracts passes
//! (`conformance`).
//!
//! No I/O happens here. Architecture invariant: this crate names no database.

mod batch;
mod budget;
#[cfg(feature = "testing")]
pub mod conformance;
mod contract;
mod error;
#[cfg(feature = "testing")]
pub mod faults;
mod lsn;
#[cfg(feature = "testing")]
pub mod memory;
mod schema;
mod selection;
mod state;
mod version;

pub use batch::{
    BatchBuilder, Change, ChangeBatch, Image, LogMessage, OldImage, Op, Row, RowChange, Span, Transaction, Truncate,
};
pub use budget::{Budget, Permit};
pub use contract::{
    Acknowledge, BoxFuture, Commit, CopyPart, Observer, Opening, Origin, Sink, SlotKind, SlotState, Snapshot, Source,
    Survey, SurveyedTable, Target,
};
pub use error::{Domain, Error, Result, Retry};
pub use lsn::Lsn;
pub use schema::{Column, ReplicaIdentity, TableName, TableSchema};
pub use selection::{Pattern, PatternError};
pub use state::{Checkpoint, Phase, SlotPhase, State, TableState};
pub use version::{Position, Version};
