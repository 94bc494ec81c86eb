//! The commands of the sample workload.

use clap::{Args, Subcommand};

/// What to do with the sample workload.
#[derive(Debug, Subcommand)]
pub(crate) enum RemboCommand {
    /// Create the tables, empty
    Create {
        #[command(flatten)]
        postgres: Postgres,
        /// Drop tables of these names first
        #[arg(long)]
        force: bool,
    },
    /// Set REPLICA IDENTITY FULL on the tables
    Alter(Postgres),
    /// Fill the tables; the same options give the same rows
    Seed {
        #[command(flatten)]
        postgres: Postgres,
        #[command(flatten)]
        seed: Seed,
        /// The last sale is just before this day (UTC), written 2024-01-31 [default: today]
        #[arg(long, value_name = "DATE")]
        until: Option<String>,
        /// JSON on standard output
        #[arg(long)]
        json: bool,
    },
    /// Insert one random sale, and print it
    Sell(Postgres),
    /// Run a mixed load of inserts, updates and deletes, until SIGTERM or SIGINT
    Load(Load),
    /// Drop the tables
    Drop(Postgres),
    /// Create the workload's own views in ClickHouse, on top of walhouse's
    Views {
        /// ClickHouse's HTTP address, such as http://localhost:8123
        #[arg(long, value_name = "URL")]
        clickhouse: String,
        /// The database that walhouse writes to
        #[arg(long, value_name = "NAME", default_value = "default")]
        database: String,
    },
}

/// The workload's database.
#[derive(Debug, Args)]
pub(crate) struct Postgres {
    /// The database, such as postgresql://app@localhost:5432/shop
    #[arg(long, value_name = "URL")]
    pub(crate) postgres: String,
}

/// How much data, and which.
#[derive(Clone, Copy, Debug, Args)]
// Derived from the name it would clash with the command's.
#[group(skip)]
pub(crate) struct Seed {
    /// Number of customers
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    pub(crate) customers: u32,
    /// Number of sales
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    pub(crate) sales: u32,
    /// Which random data
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// A load.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Load {
    #[command(flatten)]
    pub(crate) postgres: Postgres,
    /// Transactions per second
    #[arg(long, value_name = "R")]
    pub(crate) rate: f64,
    /// Which random load
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}
