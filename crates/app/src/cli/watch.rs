//! The options of `walhouse watch`.

use clap::{Args, ValueEnum};

use crate::commands::WatchFrom;

/// Looking into topics.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The topics to watch; `*` stands for any text, such as 'rembo.public.*'
    #[arg(required = true, value_name = "TOPIC")]
    pub(crate) topics: Vec<String>,

    /// Addresses of brokers, HOST:PORT, separated by commas
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) bootstrap: String,

    /// Where to begin: beginning, latest, a position of Postgres' log (0/16B3748, or 23803720 as records write it), a
    /// time (2024-05-01T12:00:00Z, 2024-05-01) or how long ago (10m)
    #[arg(long, value_name = "PLACE", default_value = "latest")]
    pub(crate) from: WatchFrom,

    /// Show one key only: its value (7), some of its columns (id=7,part=2), or the key itself ('{"id":7}')
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,

    /// Show one table only: sales, or public.sales
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Option<String>,

    /// Show what changed: before against after, or an unwrapped row against the former version of its key
    #[arg(long)]
    pub(crate) diff: bool,

    /// One JSON object per line and record, with values as the record has them
    #[arg(long)]
    pub(crate) json: bool,

    /// End with the last record that is there now
    #[arg(long)]
    pub(crate) no_follow: bool,

    /// End after so many records
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,

    /// When to use colours
    #[arg(long = "color", value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub(crate) colour: Colour,

    /// A property of the Kafka client, under Java's name or librdkafka's; may be given more than once
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<String>,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Even into a file
    Always,
    /// Never
    Never,
}
