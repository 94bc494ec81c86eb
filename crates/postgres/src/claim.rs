//! The claim: whoever works for a slot holds an advisory lock of its name, from the first survey to the end.
//!
//! Postgres lets one process at a time read a slot, but nothing keeps two from copying tables for it, or from touching
//! the target before they read. The lock belongs to a session of its own. A thread listens to that session, so that its
//! loss is noticed at once: then whatever works under the claim ends with an error that heals by waiting, and the next
//! survey takes the lock anew, or finds who has it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use walhouse_change::Retry;

use crate::endpoint::Endpoint;
use crate::wire::connection::{Connection, Mode};
use crate::{Error, Result};

/// How long the lock is waited for: a predecessor's session may end a moment after its process.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the listening thread looks up; bounds how long the lock outlives its origin.
const LISTEN: Duration = Duration::from_millis(250);
/// How often the session is asked something, so that nothing on the way takes it for idle, and a dead network shows.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// Lets the server notice within a minute that we are gone without a word, and free the lock.
const KEEPALIVES: &str = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3";
const ATTEMPT: &str = "hold the lock of the slot's name";

/// What the listening thread shares with those who rely on the lock.
#[derive(Debug, Default)]
struct Shared {
    lost: AtomicBool,
    released: AtomicBool,
}

/// Told by the claim whether the work may go on. One without a claim always may.
#[derive(Clone, Debug, Default)]
pub(crate) struct License(Option<Arc<Shared>>);

impl License {
    /// # Errors
    /// The lock was lost; somebody else may work for the slot by now.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.0 {
            Some(shared) if shared.lost.load(Ordering::Acquire) => {
                Err(Error::later("lost the session whose lock keeps other processes off the slot"))
            }
            _ => Ok(()),
        }
    }
}

/// The lock while it is held; dropping it frees it within [`LISTEN`].
#[derive(Debug)]
struct Claim {
    shared: Arc<Shared>,
    pid: i32,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.shared.released.store(true, Ordering::Release);
    }
}

/// The claim of one slot, taken when first needed.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<Option<Claim>>);

impl Claims {
    /// Makes sure that we hold the lock. `connection` is one to ask with.
    ///
    /// # Errors
    /// Another process holds it: `Retry::Later`, with that process.
    pub(crate) fn hold(&self, endpoint: &Endpoint, slot: &str, connection: &mut Connection) -> Result<()> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let holder = holder(connection, slot)?;
        let ours = |claim: &Claim| Some(claim.pid) == holder && !claim.shared.lost.load(Ordering::Acquire);
        if held.as_ref().is_some_and(ours) {
            return Ok(());
        }
        // Given up first: were it half lost, we would wait for ourselves.
        *held = None;
        *held = Some(take(endpoint, slot, connection)?);
        Ok(())
    }

    /// What work that begins now relies on.
    pub(crate) fn license(&self) -> License {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        License(held.as_ref().map(|claim| Arc::clone(&claim.shared)))
    }
}

/// The server process that holds the lock of this slot's name, in our database.
pub(crate) fn holder(connection: &mut Connection, slot: &str) -> Result<Option<i32>> {
    let key = key(slot).cast_unsigned();
    let sql = format!(
        "SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.classid = {} AND l.objid = {}",
        key >> 32,
        key & u64::from(u32::MAX)
    );
    let rows = connection.query("look for whoever works for the slot", &sql)?;
    Ok(rows.first().map(|row| row.parse(0)).transpose()?)
}

fn take(endpoint: &Endpoint, slot: &str, other: &mut Connection) -> Result<Claim> {
    let mut connection = Connection::open(endpoint, Mode::Sql)?;
    connection.query(ATTEMPT, KEEPALIVES)?;
    let wait = format!("SET lock_timeout = {}; SELECT pg_advisory_lock({})", PATIENCE.as_millis(), key(slot));
    match connection.query(ATTEMPT, &wait) {
        Ok(_) => {}
        Err(error) if error.code() == Some("55P03") => {
            connection.close();
            return Err(in_use(slot, holder(other, slot)?));
        }
        Err(error) => return Err(error),
    }
    let shared = Arc::new(Shared::default());
    let claim = Claim { shared: Arc::clone(&shared), pid: connection.pid() };
    let slot = slot.to_owned();
    let body = move || {
        if let Err(error) = keep(connection, &shared) {
            shared.lost.store(true, Ordering::Release);
            // whoever has given it up no longer relies on it
            if !shared.released.load(Ordering::Acquire) {
                tracing::warn!(slot, error = %error, "lost the lock that keeps other processes off the slot");
            }
        }
    };
    let started = std::thread::Builder::new().name("walhouse-claim".to_owned()).spawn(body);
    started.map_err(|error| Error::later(format!("cannot start a thread: {error}")))?;
    tracing::debug!(pid = claim.pid, "holding the lock of the slot's name");
    Ok(claim)
}

fn in_use(slot: &str, holder: Option<i32>) -> Error {
    let Some(pid) = holder else { return Error::later(format!("slot {slot} was in use by another walhouse just now")) };
    Error::finding(
        Retry::Later,
        format!("slot {slot} is in use by another walhouse, the server process {pid}"),
        format!("stop that walhouse; if it is dead it ends by itself, or by SELECT pg_terminate_backend({pid})"),
    )
}

/// Listens to the session until it is released.
fn keep(mut connection: Connection, shared: &Shared) -> Result<()> {
    let mut asked = Instant::now();
    while !shared.released.load(Ordering::Acquire) {
        match connection.poll_frame(ATTEMPT, LISTEN)? {
            Some(frame) if frame.tag == b'E' => return Err(connection.refused(ATTEMPT, frame)),
            // A notice, or a setting that was changed for all sessions.
            Some(_) => {}
            None if asked.elapsed() >= ASK_EVERY => {
                connection.query(ATTEMPT, "SELECT 1")?;
                asked = Instant::now();
            }
            None => {}
        }
    }
    connection.close();
    Ok(())
}

/// The lock's key, out of a namespace of our own.
fn key(slot: &str) -> i64 {
    let digest = Sha256::new().chain_update("walhouse slot ").chain_update(slot).finalize();
    digest.iter().take(8).fold(0, |key, byte| key << 8 | i64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_the_same_over_versions() {
        // A newer walhouse must find the lock of an older one.
        assert_eq!((key("walhouse"), key("other")), (6_909_397_963_235_565_766, -7_551_873_412_044_206_845));
    }
}
