//! The engine's Kafka tables, which belong to the operator.
//!
//! A table that reads a topic is told by its engine; what names one is refused to clients: reading would take
//! messages away, writing would produce them, and a table made like it would join its consumer group.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use crate::connection::Connection;
use crate::failure::Failure;
use crate::http::Request;
use crate::operator::Peer;
use crate::sql;

/// Names of the Kafka tables of all databases, as of the operator's last change.
#[derive(Debug)]
pub(crate) struct Queues {
    enabled: bool,
    names: RwLock<BTreeSet<String>>,
}

impl Queues {
    /// None are looked for unless the engine may have some.
    pub(crate) fn new(enabled: bool) -> Queues {
        Queues { enabled, names: RwLock::default() }
    }

    /// Looks which there are.
    pub(crate) fn read(&self, connection: &mut Connection) -> Result<(), Failure> {
        if !self.enabled {
            return Ok(());
        }
        let (names, _) = connection.query(b"SELECT name FROM system.tables WHERE engine = 'Kafka'", "TSVRaw", &[])?;
        let names = String::from_utf8_lossy(&names).lines().map(str::to_owned).collect();
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
        Ok(())
    }

    /// Refuses a client's statement that makes or touches one.
    pub(crate) fn refuse(&self, text: &[u8], request: &Request) -> Result<(), Failure> {
        if request.peer == Peer::Operator {
            return Ok(());
        }
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        sql::refuse_kafka(text, &names)?;
        let values = request.params.iter().map(|(_, value)| String::from_utf8_lossy(value));
        if values.into_iter().any(|value| sql::names_one_of(&value, &names)) {
            return Err(sql::reserved());
        }
        if request.settings.iter().any(|(name, _)| sql::is_queue_setting(name)) {
            return Err(Failure::denied("Kafka's settings are not available to clients"));
        }
        Ok(())
    }
}
