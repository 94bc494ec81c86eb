//! Which statements run, and how to end them.
//!
//! A statement is known to the engine by its `log_comment`, which is the query id. Ending one takes another
//! connection; this thread's is the one that stays open for the engine's whole life.

use std::collections::HashSet;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::failure::Failure;

/// The statements that run, by query id.
#[derive(Debug, Default)]
pub(crate) struct Running {
    ids: Mutex<HashSet<String>>,
}

/// Marks a statement as running until dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    running: Arc<Running>,
    id: String,
}

impl Running {
    /// Registers a query id, which no other running statement may have.
    pub(crate) fn register(self: &Arc<Running>, id: &str) -> Result<Ticket, Failure> {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if !ids.insert(id.to_owned()) {
            let text = format!("Query with id = {id} is already running");
            return Err(Failure::new(216, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", text));
        }
        Ok(Ticket { running: Arc::clone(self), id: id.to_owned() })
    }

    fn contains(&self, id: &str) -> bool {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    /// How many statements run.
    pub(crate) fn count(&self) -> usize {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.running.ids.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

enum Order {
    /// End the statement with this id.
    Kill(String),
    /// End every statement.
    KillAll,
    /// Close the connection.
    Stop,
}

/// The thread that ends statements.
#[derive(Debug)]
pub(crate) struct Killer {
    orders: Sender<Order>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How often a kill is repeated while the statement is not yet in the engine's list, or has not looked up yet.
const KILL_INTERVAL: Duration = Duration::from_millis(50);
/// A statement that does not end in this time will not: its connection stays busy until it does.
const KILL_LIMIT: Duration = Duration::from_secs(30);

impl Killer {
    /// Starts the thread with the connection that stays open.
    pub(crate) fn start(connection: Connection, running: Arc<Running>) -> std::io::Result<Killer> {
        let (orders, inbox) = channel();
        let thread = std::thread::Builder::new().name("kill".to_owned()).spawn(move || {
            let mut connection = connection;
            let mut dying: Vec<(String, Instant)> = Vec::new();
            loop {
                let order = if dying.is_empty() {
                    inbox.recv().ok()
                } else {
                    match inbox.recv_timeout(KILL_INTERVAL) {
                        Ok(order) => Some(order),
                        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => Some(Order::Kill(String::new())),
                        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => None,
                    }
                };
                match order {
                    Some(Order::Kill(id)) if !id.is_empty() => dying.push((id, Instant::now())),
                    Some(Order::Kill(_)) => {}
                    Some(Order::KillAll) => kill(&mut connection, "1"),
                    Some(Order::Stop) | None => return,
                }
                dying.retain(|(id, since)| running.contains(id) && since.elapsed() < KILL_LIMIT);
                for (id, _) in &dying {
                    kill(&mut connection, &format!("Settings['log_comment'] = {}", quote(id.as_bytes())));
                }
            }
        })?;
        Ok(Killer { orders, thread: Mutex::new(Some(thread)) })
    }

    /// Ends the statement with this query id, soon.
    pub(crate) fn kill(&self, id: &str) {
        // the thread is gone only when the process is about to be
        let _ = self.orders.send(Order::Kill(id.to_owned()));
    }

    /// Ends every statement, soon.
    pub(crate) fn kill_all(&self) {
        let _ = self.orders.send(Order::KillAll);
    }

    /// Closes the connection; the last one closed shuts the engine down.
    pub(crate) fn stop(&self) {
        let _ = self.orders.send(Order::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::warn!("the thread that ends statements had panicked");
        }
    }
}

fn kill(connection: &mut Connection, condition: &str) {
    if let Err(failure) = connection.run(&format!("KILL QUERY WHERE {condition} ASYNC")) {
        tracing::warn!(code = failure.code, "a statement could not be ended");
    }
}

/// A value as an SQL string.
pub(crate) fn quote(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
