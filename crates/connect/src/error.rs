//! What can go wrong in a worker. What a REST client is told is made of these in `rest`.

use walhouse_kafka::client;

/// An error of the worker or of its stores.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A worker's property cannot be used.
    #[error("worker property {key}: {problem}")]
    Setting {
        /// The property.
        key: String,
        /// What is expected.
        problem: String,
    },
    /// An internal topic cannot be used as it is.
    #[error("internal topic {topic}: {problem}")]
    Topic {
        /// The topic.
        topic: String,
        /// What is wrong, and the command that mends it.
        problem: String,
    },
    /// Kafka did not do what was asked.
    #[error(transparent)]
    Kafka(#[from] client::Error),
    /// The address of the REST API cannot be listened on.
    #[error("listening on {address}: {cause}; another worker may run there, choose another with --listen")]
    Listen {
        /// The address.
        address: String,
        /// The system's reason.
        cause: String,
    },
    /// Another worker of the group runs its connectors.
    #[error("another worker of the group is in charge, or none is yet")]
    NotInCharge,
    /// The worker is ending.
    #[error("the worker is ending")]
    Ending,
}

/// Result of the worker.
pub type Result<T> = std::result::Result<T, Error>;
