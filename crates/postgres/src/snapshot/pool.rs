//! The sessions that see the snapshot, lent to one copy at a time.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::wire::connection::Connection;
use crate::{Error, Result};

/// Sessions that are not lent out.
pub(super) struct Pool {
    idle: Mutex<Vec<Connection>>,
    /// One permit per session in `idle`; closed when the last session is lost.
    permits: Arc<Semaphore>,
    living: Mutex<usize>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("idle", &self.permits.available_permits()).finish_non_exhaustive()
    }
}

impl Pool {
    pub(super) fn new(sessions: Vec<Connection>) -> Arc<Self> {
        let count = sessions.len();
        Arc::new(Self {
            idle: Mutex::new(sessions),
            permits: Arc::new(Semaphore::new(count)),
            living: Mutex::new(count),
        })
    }

    /// Lends a session, waiting for one.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Lent> {
        let lost = || Error::later("all sessions of the snapshot were lost");
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| lost())?;
        let session = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop().ok_or_else(lost)?;
        Ok(Lent { session, permit, pool: Arc::clone(self) })
    }
}

/// Tells the server that we leave, so that it does not log lost connections.
impl Drop for Pool {
    fn drop(&mut self) {
        for session in self.idle.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            session.close();
        }
    }
}

/// A session on loan.
pub(super) struct Lent {
    pub(super) session: Connection,
    permit: OwnedSemaphorePermit,
    pool: Arc<Pool>,
}

impl Lent {
    pub(super) fn give_back(self) {
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.session);
        drop(self.permit);
    }

    pub(super) fn lose(self) {
        self.permit.forget();
        let mut living = self.pool.living.lock().unwrap_or_else(PoisonError::into_inner);
        *living -= 1;
        if *living == 0 {
            self.pool.permits.close();
        }
    }
}
