//! The pipeline between two ends in memory.

mod flow;
mod model;
mod oracle;
mod workload;
