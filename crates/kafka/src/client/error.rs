//! What can go wrong between here and a Kafka cluster, and what mends it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// One line that says what was attempted and what to do. Values of properties and of records are never part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A client property cannot be used.
    #[error("client property {key}: {problem}")]
    Property {
        /// The property, as the user wrote it.
        key: String,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// No broker answered.
    #[error(
        "reaching Kafka at {bootstrap} ({attempt}): {cause}; check the address, security.protocol and the firewall"
    )]
    Unreachable {
        /// Where it was looked for.
        bootstrap: String,
        /// What was attempted.
        attempt: String,
        /// librdkafka's words.
        cause: String,
    },
    /// The cluster refused.
    #[error("{attempt}: {cause}{remedy}")]
    Refused {
        /// What was attempted.
        attempt: String,
        /// The broker's reason.
        cause: String,
        /// What mends it, with `; ` in front, or nothing.
        remedy: String,
    },
    /// A record is larger than the producer or the topic takes.
    #[error(
        "sending a record of {bytes} bytes to {topic}: it is too large; raise producer.override.max.request.size and the topic's max.message.bytes"
    )]
    TooLarge {
        /// The topic.
        topic: String,
        /// Size of key and value.
        bytes: usize,
    },
    /// A newer producer with the same transactional id took over.
    #[error("producer {transactional_id} was replaced by a newer one: another worker runs this task")]
    Fenced {
        /// The id that both used.
        transactional_id: String,
    },
    /// The transaction was given up; nothing of it will be seen.
    #[error("committing a transaction of {transactional_id}: {cause}; it was aborted")]
    Aborted {
        /// The producer.
        transactional_id: String,
        /// librdkafka's words.
        cause: String,
    },
    /// An earlier record could not be delivered, so nothing is sent after it.
    #[error("not sending after a failed delivery: {cause}")]
    Failed {
        /// The first failure.
        cause: String,
    },
    /// The client was closed meanwhile.
    #[error("{attempt}: the client was closed")]
    Closed {
        /// What was attempted.
        attempt: String,
    },
}

/// Result of the client half.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether waiting may mend it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// From the library's error for `attempt`.
    pub(crate) fn from_kafka(bootstrap: &str, attempt: impl Into<String>, error: &KafkaError) -> Self {
        let attempt = attempt.into();
        let code = match error {
            KafkaError::AdminOp(code) => Some(*code),
            other => other.rdkafka_error_code(),
        };
        match code {
            Some(code) => Self::from_code(bootstrap, attempt, code),
            None => Self::Refused { attempt, cause: lower(&error.to_string()), remedy: String::new() },
        }
    }

    pub(crate) fn from_code(bootstrap: &str, attempt: impl Into<String>, code: RDKafkaErrorCode) -> Self {
        let attempt = attempt.into();
        if is_unreachable(code) {
            return Self::Unreachable { bootstrap: bootstrap.to_owned(), attempt, cause: words(code) };
        }
        Self::Refused { attempt, cause: words(code), remedy: remedy(code).to_owned() }
    }
}

/// What a code says, in our case and without a full stop.
pub(crate) fn words(code: RDKafkaErrorCode) -> String {
    lower(&code.to_string())
}

/// librdkafka's texts begin with its own name for the error's place; what follows is a sentence.
pub(crate) fn lower(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

fn is_unreachable(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::MessageTimedOut
            | Code::Resolve
            | Code::SSL
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::NetworkException
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
    )
}

fn remedy(code: RDKafkaErrorCode) -> &'static str {
    use RDKafkaErrorCode as Code;
    match code {
        Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism => {
            "; check sasl.mechanism, the user and the password"
        }
        Code::TopicAuthorizationFailed => "; give this user the right to describe, write and create the topic",
        Code::GroupAuthorizationFailed => "; give this user the right to read the group",
        Code::ClusterAuthorizationFailed => "; give this user the right IdempotentWrite on the cluster",
        Code::TransactionalIdAuthorizationFailed => "; give this user the right to write the transactional id",
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            "; create the topic, or set topic.creation.default.partitions and .replication.factor in the connector"
        }
        Code::InvalidReplicationFactor => "; the cluster has fewer brokers than replicas were asked for",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_broker_is_transient_and_a_refusal_is_not() {
        let down = Error::from_code("b:9092", "listing topics", RDKafkaErrorCode::AllBrokersDown);
        assert!(down.is_transient());
        assert!(down.to_string().starts_with("reaching Kafka at b:9092 (listing topics): "), "{down}");
        let refused = Error::from_code("b:9092", "writing", RDKafkaErrorCode::TopicAuthorizationFailed);
        assert!(!refused.is_transient());
        assert!(refused.to_string().contains("give this user the right"), "{refused}");
    }
}
