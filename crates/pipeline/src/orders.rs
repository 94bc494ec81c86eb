//! What a user wants done with a table, from anywhere, to be carried out by the supervisor.
//!
//! An order is kept until it was carried out, which means stored in the target: it takes effect
//! between two attempts, before the next plan. The one exception is pausing a table that is being
//! copied, which must not wait for a copy of hours. Of two orders for one table the later counts.
//!
//! Nothing is lost by any of them: a paused table leaves the publication and the stream, its rows
//! stay as they are, and resuming copies it anew.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use walhouse_change::{Phase, TableName};

use crate::StatusBoard;

/// What to do with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Follow it no longer.
    Pause,
    /// Copy it anew and follow it again; for a table that is paused or stopped.
    Resume,
    /// Copy it anew; readers see the old rows until the new ones stand.
    Resync,
}

/// Why a command is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It is not among the selected tables.
    #[error("there is no table {table} among the selected ones")]
    Unknown {
        /// Its name.
        table: TableName,
    },
    /// The table is not in a phase in which that means something.
    #[error("cannot {command} {table}: it {is}")]
    Phase {
        /// Its name.
        table: TableName,
        /// What was wanted.
        command: Command,
        /// What it is.
        is: &'static str,
    },
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Resync => "resync",
        })
    }
}

impl Command {
    /// The phase that it brings a table to.
    pub(crate) fn phase(self) -> Phase {
        match self {
            Self::Pause => Phase::Paused,
            Self::Resume | Self::Resync => Phase::Pending,
        }
    }

    /// What a table is in whose phase it means nothing.
    fn refusal(self, phase: &Phase) -> Option<&'static str> {
        match (self, phase) {
            (Self::Pause, Phase::Paused) => Some("is paused already"),
            (Self::Resume, Phase::Live) => Some("is not paused"),
            (Self::Resync, Phase::Paused) => Some("is paused: resuming copies it anew"),
            (Self::Resume | Self::Resync, Phase::Pending | Phase::Copying) => Some("is about to be copied anyway"),
            _ => None,
        }
    }
}

/// Takes commands for a running pipeline. Clones command the same one.
#[derive(Clone, Debug)]
pub struct Commander {
    board: StatusBoard,
    orders: Orders,
}

impl Commander {
    pub(crate) fn new(board: StatusBoard, orders: Orders) -> Self {
        Self { board, orders }
    }

    /// Takes a command. It is carried out at the next opportunity, and seen in the table's phase.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn command(&self, table: &TableName, command: Command) -> Result<(), NotTaken> {
        let tables = self.board.read().tables;
        let found = tables.into_iter().find(|found| found.name == *table);
        let found = found.ok_or_else(|| NotTaken::Unknown { table: table.clone() })?;
        self.orders.give(table, command, found.phase)
    }
}

/// The orders that are not carried out yet, at most one per table.
#[derive(Clone, Debug)]
pub(crate) struct Orders(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    open: Mutex<BTreeMap<TableName, Command>>,
    /// Counts orders.
    given: watch::Sender<u64>,
}

impl Orders {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner { open: Mutex::default(), given: watch::Sender::new(0) }))
    }

    fn give(&self, table: &TableName, command: Command, phase: Phase) -> Result<(), NotTaken> {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let phase = open.get(table).map_or(phase, |open| open.phase());
        if let Some(is) = command.refusal(&phase) {
            return Err(NotTaken::Phase { table: table.clone(), command, is });
        }
        open.insert(table.clone(), command);
        drop(open);
        self.0.given.send_modify(|given| *given += 1);
        Ok(())
    }

    /// All of them.
    pub(crate) fn open(&self) -> Vec<(TableName, Command)> {
        let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().map(|(table, command)| (table.clone(), *command)).collect()
    }

    /// Takes an order off the list, unless another one for the table came meanwhile.
    pub(crate) fn carried_out(&self, table: &TableName, command: Command) {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.get(table) == Some(&command) {
            open.remove(table);
        }
    }

    /// Waits until `wanted` finds something among the orders.
    pub(crate) async fn wait_for<T>(&self, wanted: impl Fn(&TableName, Command) -> Option<T>) -> T {
        let mut given = self.0.given.subscribe();
        loop {
            given.mark_unchanged();
            let open = self.open();
            if let Some(found) = open.iter().find_map(|(table, command)| wanted(table, *command)) {
                return found;
            }
            // We hold the sender, so this cannot fail.
            let _ = given.changed().await;
        }
    }

    /// Waits for one more order than there are when it is first polled.
    pub(crate) async fn next(&self) {
        let mut given = self.0.given.subscribe();
        let _ = given.changed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_phase_allows() {
        let table = TableName::new("public", "t");
        let phases = [Phase::Pending, Phase::Copying, Phase::Live, Phase::Stopped, Phase::Paused];
        let taken = |command| phases.clone().map(|phase| Orders::new().give(&table, command, phase).is_ok());
        assert_eq!(taken(Command::Pause), [true, true, true, true, false]);
        assert_eq!(taken(Command::Resume), [false, false, false, true, true]);
        assert_eq!(taken(Command::Resync), [false, false, true, true, false]);
    }

    #[test]
    fn an_order_is_given_on_top_of_the_one_before() {
        let (orders, table) = (Orders::new(), TableName::new("public", "t"));
        orders.give(&table, Command::Pause, Phase::Live).unwrap();
        let twice = orders.give(&table, Command::Pause, Phase::Live).unwrap_err();
        assert_eq!(twice.to_string(), "cannot pause public.t: it is paused already");
        orders.give(&table, Command::Resume, Phase::Live).unwrap();
        orders.carried_out(&table, Command::Pause);
        assert_eq!(orders.open(), [(table.clone(), Command::Resume)], "a newer one stays");
        orders.carried_out(&table, Command::Resume);
        assert!(orders.open().is_empty());
    }
}
