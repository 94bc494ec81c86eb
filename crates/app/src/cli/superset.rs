//! `walhouse superset`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{ConfigFile, duration};

/// Dashboards in Superset.
#[derive(Debug, Subcommand)]
pub(crate) enum SupersetCommand {
    /// Make the datasets, charts and dashboards, or bring them up to date
    ///
    /// A dataset for every table, on its view of current rows, with descriptions from Postgres'
    /// comments; a dashboard of the pipeline; the sample workload's dashboards, or a starter
    /// dashboard for any other database. It can be run again: what is there is brought up to date,
    /// nothing is made twice, and nothing is removed that walhouse did not make. What was changed
    /// on walhouse's own charts and dashboards is lost then: change a copy.
    ///
    /// The password comes from --password-file or WALHOUSE_SUPERSET_PASSWORD.
    Provision(Provision),

    /// Follow changes of the tables: new ones, new and gone columns, other types
    ///
    /// Touches the datasets that differ, and adds what is missing. Charts and dashboards that are
    /// there stay as they are.
    Sync(Sync),
}

/// Which Superset, and which ClickHouse it sees.
#[derive(Debug, Args)]
pub(crate) struct Provision {
    #[command(flatten)]
    pub(crate) file: ConfigFile,

    /// Superset's address, such as http://localhost:8088
    #[arg(long, value_name = "URL")]
    pub(crate) url: String,

    /// A user of Superset who may import
    #[arg(long, value_name = "USER", default_value = "admin")]
    pub(crate) user: String,

    /// File whose first line is that user's password; without it WALHOUSE_SUPERSET_PASSWORD
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,

    /// Name of the database in Superset; another one for each warehouse in one Superset
    #[arg(long, value_name = "NAME", default_value = "walhouse")]
    pub(crate) name: String,

    /// ClickHouse's address as Superset sees it; by default the one that walhouse uses
    #[arg(long, value_name = "URL")]
    pub(crate) clickhouse_url: Option<String>,

    /// The user of ClickHouse that Superset uses, who may only read; by default `engine.reader`
    #[arg(long, value_name = "USER")]
    pub(crate) clickhouse_user: Option<String>,

    /// File whose first line is that user's password
    #[arg(long, value_name = "FILE", requires = "clickhouse_user")]
    pub(crate) clickhouse_password_file: Option<PathBuf>,

    /// JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// Following.
#[derive(Debug, Args)]
pub(crate) struct Sync {
    #[command(flatten)]
    pub(crate) target: Provision,

    /// Remove datasets of tables that are gone, unless a chart shows them
    #[arg(long)]
    pub(crate) prune: bool,

    /// Go on looking this often, such as 60s, until a signal
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) every: Option<Duration>,
}
