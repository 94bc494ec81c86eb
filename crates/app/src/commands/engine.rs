//! `walhouse engine`: this process becomes the embedded engine.

use std::path::Path;

use anyhow::{Context, Result};
use walhouse_chdb::{Access, Options, User};

use crate::cli::Engine;
use crate::config::read_secret;

/// Serves until a signal, or the end of the parent that started it.
pub(crate) fn engine(command: Engine) -> Result<()> {
    let mut options = Options::new(command.data);
    options.listen = command.listen;
    options.kafka = command.kafka;
    options.password = command.password_file.as_deref().map(password).transpose()?;
    if let (Some(name), Some(database)) = (command.reader, command.reader_database) {
        let password = command.reader_password_file.as_deref().map(password).transpose()?.unwrap_or_default();
        options.users.push(User { name, password, access: Access::ReadOnly { database } });
    }
    // Before any thread is made: the confinement reaches only this one and its children.
    Ok(walhouse_chdb::serve(options)?)
}

fn password(file: &Path) -> Result<String> {
    read_secret(file).with_context(|| format!("cannot read the password file {}", file.display()))
}
