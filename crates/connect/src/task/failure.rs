//! Why a task ended, in the words that Connect would show.

use walhouse_change::Retry;

use super::ports::PortError;

const CONNECT: &str = "org.apache.kafka.connect.errors.ConnectException";
const DEBEZIUM: &str = "io.debezium.DebeziumException";

/// Why a task ended. Its text is what Connect shows as a failed task's trace: Java's classes, without the places in
/// Java's code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{trace}")]
pub struct TaskFailure {
    /// The trace.
    pub trace: String,
    /// Whether the task may be started again as it is.
    pub retriable: bool,
}

impl TaskFailure {
    fn new(class: &str, message: impl std::fmt::Display) -> Self {
        Self { trace: format!("{class}: {message}"), retriable: false }
    }

    /// A failure in Connect's own name.
    pub(crate) fn connect(message: impl std::fmt::Display) -> Self {
        Self::new(CONNECT, message)
    }

    /// A failure in Debezium's name.
    pub(crate) fn debezium(message: impl std::fmt::Display) -> Self {
        Self::new(DEBEZIUM, message)
    }

    /// Another failure that this one was caused by.
    pub(crate) fn caused_by(mut self, cause: &Self) -> Self {
        self.trace.push_str("\nCaused by: ");
        self.trace.push_str(&cause.trace);
        self.retriable |= cause.retriable;
        self
    }

    /// What stopped the stream of changes.
    pub(crate) fn producer(cause: &Self) -> Self {
        let message = "An exception occurred in the change event producer. This connector will be stopped.";
        Self::connect(message).caused_by(cause)
    }

    /// Whether the configuration is at fault.
    pub(crate) fn option(error: &walhouse_kafka::Error) -> Self {
        Self::new("org.apache.kafka.common.config.ConfigException", error)
    }
}

impl From<walhouse_kafka::Error> for TaskFailure {
    fn from(error: walhouse_kafka::Error) -> Self {
        use walhouse_kafka::Error as Kafka;
        let data = |text: String| Self::new("org.apache.kafka.connect.errors.DataException", text);
        let tolerance = || Self::connect("Tolerance exceeded in error handler");
        match &error {
            Kafka::RequiredField { column, .. } => Self::producer(&data(format!(
                "Invalid value: null used for required field: \"{column}\", schema type: STRUCT"
            ))),
            Kafka::DefaultScale { .. } => {
                tolerance().caused_by(&data("Decimal value has mismatching scale for given Decimal schema.".to_owned()))
            }
            Kafka::Transform { problem, .. } => tolerance().caused_by(&data(problem.clone())),
            Kafka::ColumnsDifferByCase { .. } => {
                Self::producer(&Self::new("java.lang.IndexOutOfBoundsException", &error))
            }
            Kafka::SnapshotKey { .. } => Self::producer(&Self::connect(
                "Data row is smaller than a column index, internal schema representation is probably out of sync \
                 with real database schema",
            )),
            Kafka::Option { .. } | Kafka::UnknownClass { .. } => Self::option(&error),
            _ => Self::producer(&Self::debezium(&error)),
        }
    }
}

impl From<walhouse_postgres::Error> for TaskFailure {
    fn from(error: walhouse_postgres::Error) -> Self {
        walhouse_change::Error::from(error).into()
    }
}

impl From<walhouse_change::Error> for TaskFailure {
    fn from(error: walhouse_change::Error) -> Self {
        let retriable = matches!(error.retry(), Retry::Later);
        let cause = Self::new("org.postgresql.util.PSQLException", error.one_line());
        Self { retriable, ..Self::producer(&cause) }
    }
}

impl From<PortError> for TaskFailure {
    fn from(error: PortError) -> Self {
        let failure = Self::connect(&error.message);
        Self { retriable: error.retriable, ..failure }
    }
}
