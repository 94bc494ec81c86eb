//! The options of `walhouse connect`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::ConsoleOptions;

/// The Connect worker.
#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// Addresses of brokers, separated by commas; bootstrap.servers of the worker's file otherwise
    #[arg(long, value_name = "HOST:PORT", env = "BOOTSTRAP_SERVERS")]
    pub(crate) bootstrap: Option<String>,

    /// Address of the REST API; listeners of the worker's file, or 127.0.0.1:8083, otherwise
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,

    /// Group of the workers that share connectors; group.id of the worker's file, or 1, otherwise
    #[arg(long, value_name = "ID", env = "GROUP_ID")]
    pub(crate) group: Option<String>,

    /// The worker's properties, in the format and under the names of Kafka Connect's worker file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) console: ConsoleOptions,
}
