//! Commands of the console to the supervisor.

use walhouse_change::{BoxFuture, TableName};
use walhouse_pipeline::{Command, Commander, NotTaken};
use walhouse_server::ports::{Commands, Failure, FailureKind, Result, TableCommand};

/// The supervisor's ear.
pub(super) struct Ear(pub(super) Commander);

impl Commands for Ear {
    fn command<'a>(&'a self, table: &'a TableName, command: TableCommand) -> BoxFuture<'a, Result<()>> {
        let command = match command {
            TableCommand::Pause => Command::Pause,
            TableCommand::Resume => Command::Resume,
            TableCommand::Resync => Command::Resync,
        };
        let taken = self.0.command(table, command).map_err(|refusal| match refusal {
            NotTaken::Unknown { .. } => Failure::new(FailureKind::NotFound, refusal.to_string()),
            NotTaken::Phase { .. } => Failure::new(FailureKind::Conflict, refusal.to_string()),
        });
        Box::pin(std::future::ready(taken))
    }
}
