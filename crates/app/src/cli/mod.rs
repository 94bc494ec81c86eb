//! The command line. Its `--help` is the manual.

mod connect;
mod console;
mod duration;
mod rembo;
mod superset;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::exit;
use crate::telemetry::LogFormat;

pub(crate) use connect::Connect;
pub(crate) use console::{ConsoleAddress, ConsoleOptions};
pub(crate) use duration::parse as parse_duration;
pub(crate) use rembo::{Load, RemboCommand, Seed};
pub(crate) use superset::{Provision, SupersetCommand, Sync};
pub(crate) use watch::{Colour, Watch};

/// Carries every committed change of a Postgres database into ClickHouse, exactly once
///
/// walhouse copies the tables of a Postgres database into ClickHouse and then follows the
/// write-ahead log: every committed change shows in ClickHouse, in order and once, across crashes
/// of walhouse and of either database. Without a ClickHouse server it brings its own engine.
///
/// Start with `walhouse demo`, or write a walhouse.toml, look at it with `walhouse check` and
/// start `walhouse run`.
#[derive(Debug, Parser)]
#[command(name = "walhouse", version, after_long_help = exit::HELP, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Print a configuration file with every key, its default and its meaning
    #[arg(long, exclusive = true)]
    pub(crate) default_config: bool,

    /// Log lines on standard error: auto (human on a terminal, JSON elsewhere), human or json
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Auto, value_name = "FORMAT")]
    #[arg(help_heading = "Logging", hide_possible_values = true)]
    log_format: LogFormat,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Cli {
    /// How log lines look: a demo is for a person, wherever its output goes.
    pub(crate) fn log_format(&self) -> LogFormat {
        match (self.log_format, &self.command) {
            (LogFormat::Auto, Some(Command::Demo(_) | Command::Watch(_))) => LogFormat::Human,
            (format, _) => format,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy the tables, then follow the log, until SIGTERM or SIGINT
    ///
    /// Into ClickHouse; with a section "kafka" into Kafka, in the format of Debezium, as a Connect worker does. With
    /// both, into both.
    ///
    /// The first signal drains: what was read is made durable, the checkpoint is stored and
    /// acknowledged, and the process ends with 0 within 10 seconds. A second one ends it at once;
    /// nothing is lost by that, the next start replays a little more.
    ///
    /// A database that is down is waited for and shown as not ready. Only a wrong configuration or
    /// a refusal ends the process.
    Run(Run),

    /// Show it all on this machine: a private Postgres with a sample workload, followed live
    ///
    /// Starts a Postgres of its own, fills it with the sample workload, starts the embedded engine,
    /// copies, and keeps a mixed load running. Everything lies in one folder; a second demo in the
    /// same folder goes on where the first one ended. FOLDER/demo.json holds the addresses as soon
    /// as they answer. The last line of output is the final count of rows on both sides.
    Demo(Demo),

    /// The embedded ClickHouse engine, on ClickHouse's own HTTP interface
    ///
    /// `run` starts one by itself unless [clickhouse] url is set. The library is fetched once, with
    /// npm, into a cache folder, and checked against its recorded digest. SIGTERM or SIGINT ends it.
    Engine(Engine),

    /// Look at everything that could go wrong, before it does
    ///
    /// Each finding comes with the SQL or the setting that mends it. Nothing is changed. The exit
    /// code is 1 when a finding blocks.
    Check(Report),

    /// Show each table's phase, rows, position and lag
    ///
    /// Reads the state that ClickHouse keeps and Postgres' slot, so it works without a running
    /// walhouse too.
    Status(Report),

    /// Compare each table with its copy in ClickHouse, row by row
    ///
    /// Reads Postgres at one snapshot and shares no decoder with the pipeline. The exit code is 1
    /// when they differ. A pipeline that is behind makes a difference: stop writing first, or use
    /// --wait.
    Verify(Verify),

    /// Remove the slot, the publication and the checkpoint
    ///
    /// Stop `run` first. The tables in ClickHouse stay, unless --tables is given.
    Teardown(Teardown),

    /// Show what flows through Kafka topics, decoded
    ///
    /// Reads keys and values as connectors write them: JSON with and without a schema, enveloped or
    /// unwrapped. Joins no consumer group and commits nothing, so no consumer notices. Follows until
    /// Ctrl-C, unless --no-follow or --count ends it.
    Watch(Watch),

    /// Run connectors as a Kafka Connect worker with Debezium does, with its REST API
    ///
    /// Takes the place of a worker of Kafka Connect 3.5 with Debezium 2.4: the same topics of
    /// configurations, offsets and statuses, the same REST API, the same messages. Stop that one,
    /// start this one with its group.id, and it goes on where the other stopped; and back.
    ///
    /// SIGTERM or SIGINT ends it in order: what was sent is acknowledged and its offset stored.
    Connect(Connect),

    /// ClickHouse's tables over a connector's topics: Kafka-engine tables, views, targets
    ///
    /// Reads the connector's options from "kafka" and the tables' shapes from Postgres. Refuses a connector whose
    /// deletes ClickHouse could not see, with what to change. Running it again changes what differs, and nothing
    /// else.
    KafkaTables(KafkaTables),

    /// Copy the rows that were there before the connector, from Postgres into the tables of kafka-tables
    ///
    /// For a connector with snapshot.mode=never. Needs the connector's slot to exist, so that whatever changes
    /// meanwhile is in the topics: it is newer than any imported row. An interrupted import is begun again by the
    /// next one; a table that is imported is left alone.
    Import(ImportOptions),

    /// The console of the way through Kafka, until SIGTERM or SIGINT
    ///
    /// Watches Postgres' slot, the connector, the topics and ClickHouse as "kafka" in the configuration names them,
    /// and changes none of them. The straight way needs no such command: `run` has its console.
    Console(Run),

    /// The sample workload "rembo"
    #[command(subcommand)]
    Rembo(RemboCommand),

    /// The state of a running walhouse as a live screen: lag, rates, the last minutes, every table
    ///
    /// Reads the console of the walhouse that runs with this configuration. Without a terminal it
    /// prints a line a second.
    Top(Top),

    /// Write the data dictionary: every table and column, with its types on both sides and what it means
    ///
    /// Descriptions are Postgres' own comments (COMMENT ON TABLE, COMMENT ON COLUMN). It is made from
    /// the live schemas of both sides, so that it is never out of date.
    Dictionary(Dictionary),

    /// Dashboards in Superset
    #[command(subcommand)]
    Superset(SupersetCommand),

    /// Print the completions of a shell
    ///
    /// For bash: `walhouse completions bash > ~/.local/share/bash-completion/completions/walhouse`.
    Completions {
        /// The shell
        #[arg(value_enum, value_name = "SHELL")]
        shell: clap_complete::Shell,
    },

    /// Write the manual pages
    Man {
        /// Folder to write them to; created when missing
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
}

/// The configuration file.
#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file; see --default-config
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// The pipeline.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) file: ConfigFile,

    #[command(flatten)]
    pub(crate) console: ConsoleOptions,
}

/// A report.
#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) file: ConfigFile,

    /// JSON on standard output instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// The live screen.
#[derive(Debug, Args)]
pub(crate) struct Top {
    #[command(flatten)]
    pub(crate) file: ConfigFile,

    /// Print this many lines, one a second, instead of the screen
    #[arg(long, value_name = "N")]
    pub(crate) lines: Option<u32>,
}

/// The data dictionary.
#[derive(Debug, Args)]
pub(crate) struct Dictionary {
    #[command(flatten)]
    pub(crate) file: ConfigFile,

    /// The document's form
    #[arg(long, value_enum, default_value_t = DictionaryFormat::Markdown, value_name = "FORMAT")]
    pub(crate) format: DictionaryFormat,

    /// File to write; without it standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Forms of the data dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DictionaryFormat {
    /// Markdown, with a table per table
    Markdown,
    /// One page that needs nothing from outside
    Html,
}

/// The comparison.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) file: ConfigFile,

    /// Look again until equal, for at most this long, such as 30s
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) wait: Option<Duration>,

    /// JSON on standard output instead of a line per table
    #[arg(long)]
    pub(crate) json: bool,
}

/// The end.
#[derive(Debug, Args)]
pub(crate) struct Teardown {
    #[command(flatten)]
    pub(crate) file: ConfigFile,

    /// Remove the tables and views in ClickHouse as well
    #[arg(long)]
    pub(crate) tables: bool,

    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Tables over topics.
#[derive(Debug, Args)]
pub(crate) struct KafkaTables {
    #[command(flatten)]
    pub(crate) file: ConfigFile,

    /// Print the SQL to review it; the default
    #[arg(long, conflicts_with = "apply")]
    pub(crate) print: bool,

    /// Make and change the tables, and say what was done
    #[arg(long)]
    pub(crate) apply: bool,
}

/// The rows of before.
#[derive(Debug, Args)]
pub(crate) struct ImportOptions {
    #[command(flatten)]
    pub(crate) file: ConfigFile,

    /// Import tables that are imported already, once more
    #[arg(long)]
    pub(crate) again: bool,

    /// JSON on standard output, an object per table
    #[arg(long)]
    pub(crate) json: bool,
}

/// The embedded engine.
#[derive(Debug, Args)]
pub(crate) struct Engine {
    /// Folder of the data; created when missing
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,

    /// Address to listen on; an address other than loopback needs --password-file
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: SocketAddr,

    /// File whose first line is the password of the user "default"
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,

    /// A further user, who may only read, and only the database of --reader-database
    #[arg(long, value_name = "USER", requires = "reader_database")]
    pub(crate) reader: Option<String>,

    /// File whose first line is that user's password
    #[arg(long, value_name = "FILE", requires = "reader")]
    pub(crate) reader_password_file: Option<PathBuf>,

    /// The database that this user may read
    #[arg(long, value_name = "DATABASE", requires = "reader")]
    pub(crate) reader_database: Option<String>,

    /// Allow tables that read from Kafka, to whoever asks over DIR/operator.socket; never to clients
    #[arg(long)]
    pub(crate) kafka: bool,
}

/// The demo.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Folder of everything the demo keeps
    #[arg(long, value_name = "DIR", default_value = "walhouse-demo")]
    pub(crate) dir: PathBuf,

    #[command(flatten)]
    pub(crate) seed: Seed,

    /// Transactions per second of the live load; 0 for none
    #[arg(long, value_name = "R", default_value_t = 50.0)]
    pub(crate) rate: f64,

    /// Stop by itself after this much live load, such as 30s or 5m; otherwise at Ctrl-C
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse)]
    pub(crate) duration: Option<Duration>,

    /// Install a Superset from PyPI, once, start it in production mode, and fill it with dashboards
    #[arg(long)]
    pub(crate) superset: bool,

    /// Through Kafka: a broker from Maven Central, `connect` with a connector posted to it, and ClickHouse reading the
    /// topics; needs Java and Maven
    #[arg(long, conflicts_with = "superset")]
    pub(crate) kafka: bool,

    /// Use this Postgres instead of a private one; it needs wal_level = logical
    #[arg(long, value_name = "URL")]
    pub(crate) postgres: Option<String>,
}

#[cfg(test)]
mod tests;
