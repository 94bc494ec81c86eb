//! The pipeline between two ends in memory.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod flow;
mod model;
mod operator;
mod oracle;
mod silence;
mod slow_copy;
mod workload;
