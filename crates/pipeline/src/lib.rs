//! Carries changes from an [`Origin`](walhouse_change::Origin) to a
//! [`Target`](walhouse_change::Target), exactly once, across crashes of either end and of itself.
//!
//! Reading order is the order in which a start runs: `plan` decides, without any I/O, what the
//! stored state and the source as found mean together; `copy` fills tables from a snapshot;
//! `stream` follows the log in one event loop, with `ledger` as the arithmetic of its progress;
//! `supervisor` runs these again from the checkpoint whenever something breaks that heals by
//! waiting; `status` shows it.
//!
//! Architecture invariant: LSN acknowledged to the source <= checkpoint stored in the target <=
//! LSN durable in the target, at every instant, across a crash anywhere (held by
//! `tests/it/model.rs`). This crate names no database.

mod aside;
mod backoff;
mod copy;
mod latency;
mod ledger;
mod metrics;
mod observer;
mod orders;
mod plan;
mod pulse;
mod settings;
mod status;
mod stream;
mod supervisor;
mod tasks;

pub use copy::copy_tables;
pub use latency::Latency;
pub use ledger::{Delta, Disorder, Ledger};
pub use metrics::describe as describe_metrics;
pub use orders::{Command, Commander, NotTaken};
pub use plan::{Action, Held, Plan, PlannedTable, Refusal, Start};
pub use settings::Settings;
pub use status::{PipelineState, Status, StatusBoard, TableStatus, Traffic};
pub use supervisor::Pipeline;
pub use tasks::{OnCancel, OnError, TaskKind, Tasks};
