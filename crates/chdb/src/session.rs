//! Sessions: a connection kept between requests, with its SET, USE and temporary tables. One request at a time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::connection::{Connection, Connector};
use crate::failure::Failure;

/// User and session id.
pub(crate) type Key = (String, String);

/// What a request says about its session.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) id: String,
    pub(crate) timeout: Duration,
    /// Fail unless the session exists.
    pub(crate) check: bool,
    /// End it after this request.
    pub(crate) close: bool,
}

#[derive(Debug)]
enum Slot {
    Busy,
    Idle { connection: Connection, until: Instant },
}

/// All sessions of the process.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    slots: Mutex<HashMap<Key, Slot>>,
}

impl Sessions {
    /// Takes the session's connection, or opens one for a new session. It must be given back.
    pub(crate) fn take(&self, key: &Key, asked: &Asked, connector: &Connector) -> Result<Connection, Failure> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = match slots.remove(key) {
            Some(Slot::Idle { until, connection }) if until < Instant::now() => {
                drop(connection);
                None
            }
            other => other,
        };
        match slot {
            Some(Slot::Busy) => {
                slots.insert(key.clone(), Slot::Busy);
                Err(Failure::new(
                    373,
                    "SESSION_IS_LOCKED",
                    format_args!("Session {} is locked by a concurrent client", asked.id),
                ))
            }
            Some(Slot::Idle { connection, .. }) => {
                slots.insert(key.clone(), Slot::Busy);
                Ok(connection)
            }
            None if asked.check => Err(Failure::new(372, "SESSION_NOT_FOUND", "Session not found")),
            None => {
                let connection = connector.open()?;
                slots.insert(key.clone(), Slot::Busy);
                Ok(connection)
            }
        }
    }

    /// Keeps the connection for the next request of this session, or ends the session.
    pub(crate) fn give_back(&self, key: &Key, asked: &Asked, connection: Connection) {
        let slot = Slot::Idle { connection, until: Instant::now() + asked.timeout };
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = if asked.close {
            slots.remove(key);
            Some(slot)
        } else {
            slots.insert(key.clone(), slot)
        };
        drop(slots);
        drop(gone);
    }

    /// Ends the sessions whose time is over.
    pub(crate) fn expire(&self) {
        let now = Instant::now();
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let over: Vec<Slot> = slots
            .extract_if(|_, slot| matches!(slot, Slot::Idle { until, .. } if *until < now))
            .map(|(_, slot)| slot)
            .collect();
        drop(slots);
        drop(over);
    }

    /// Ends all idle sessions.
    pub(crate) fn clear(&self) {
        let slots = std::mem::take(&mut *self.slots.lock().unwrap_or_else(PoisonError::into_inner));
        drop(slots);
    }
}
