//! One error type for all instruments of the lab.

use std::path::PathBuf;

/// What can go wrong in the lab. Messages say what was attempted; the cause is the error's source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program that is needed is not installed.
    #[error("{program} is not installed: install it with `{install}`")]
    MissingProgram {
        /// The missing program, as a person would name it.
        program: String,
        /// The command that installs it.
        install: &'static str,
    },
    /// A command ran and failed.
    #[error("{attempt} failed: {output}")]
    Command {
        /// What was attempted.
        attempt: String,
        /// The end of what the command printed.
        output: String,
    },
    /// A server did not come up.
    #[error("starting {server} in {} failed: {reason}\n{log}", folder.display())]
    Start {
        /// Which kind of server.
        server: &'static str,
        /// The server's folder.
        folder: PathBuf,
        /// Why we gave up.
        reason: String,
        /// The last lines of the server's log.
        log: String,
    },
    /// A fetched file is not the recorded one.
    #[error("{} has sha256 {found}, expected {expected}", file.display())]
    Digest {
        /// The file.
        file: PathBuf,
        /// Digest of the file as found, hexadecimal.
        found: String,
        /// Digest recorded in the source, hexadecimal.
        expected: &'static str,
    },
    /// A file operation failed.
    #[error("{attempt} failed")]
    Io {
        /// What was attempted.
        attempt: String,
        /// The cause.
        source: std::io::Error,
    },
    /// Postgres refused, or went away.
    #[error("{attempt} on Postgres failed")]
    Postgres {
        /// What was attempted.
        attempt: String,
        /// The cause.
        source: tokio_postgres::Error,
    },
    /// ClickHouse refused, or went away.
    #[error("{attempt} on ClickHouse failed")]
    ClickHouse {
        /// What was attempted.
        attempt: String,
        /// The cause.
        source: clickhouse::error::Error,
    },
    /// Kafka refused, or went away.
    #[error("{attempt} on Kafka failed")]
    Kafka {
        /// What was attempted.
        attempt: String,
        /// The cause.
        source: rdkafka::error::KafkaError,
    },
    /// Superset refused, or went away.
    #[error("{attempt} on Superset failed: {cause}")]
    Superset {
        /// What was attempted.
        attempt: String,
        /// What it answered.
        cause: String,
    },
    /// The sample workload's tables are there already.
    #[error("these tables exist already: {}; --force drops and recreates them", tables.join(", "))]
    TablesExist {
        /// Their names, with schema.
        tables: Vec<String>,
    },
    /// An option or a state that cannot work.
    #[error("{0}")]
    Invalid(String),
    /// Something was waited for and did not happen.
    #[error("{waited_for} did not happen within {seconds} s: {last}")]
    Timeout {
        /// What was waited for.
        waited_for: String,
        /// How long.
        seconds: u64,
        /// The last state seen.
        last: String,
    },
}

/// A result with the lab's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Gives a cause the name of what was attempted.
pub(crate) trait Attempt<T> {
    /// Wraps the error; `attempt` is a phrase such as "creating the tables".
    fn attempt(self, attempt: &str) -> Result<T>;
}

impl<T> Attempt<T> for std::io::Result<T> {
    fn attempt(self, attempt: &str) -> Result<T> {
        self.map_err(|source| Error::Io { attempt: attempt.to_owned(), source })
    }
}

impl<T> Attempt<T> for Result<T, tokio_postgres::Error> {
    fn attempt(self, attempt: &str) -> Result<T> {
        self.map_err(|source| Error::Postgres { attempt: attempt.to_owned(), source })
    }
}

impl<T> Attempt<T> for Result<T, clickhouse::error::Error> {
    fn attempt(self, attempt: &str) -> Result<T> {
        self.map_err(|source| Error::ClickHouse { attempt: attempt.to_owned(), source })
    }
}

impl<T> Attempt<T> for Result<T, rdkafka::error::KafkaError> {
    fn attempt(self, attempt: &str) -> Result<T> {
        self.map_err(|source| Error::Kafka { attempt: attempt.to_owned(), source })
    }
}

impl<T> Attempt<T> for Result<T, tokio::task::JoinError> {
    fn attempt(self, attempt: &str) -> Result<T> {
        self.map_err(|error| Error::Io { attempt: attempt.to_owned(), source: std::io::Error::other(error) })
    }
}
