//! `walhouse engine`: this process becomes the embedded engine.

use anyhow::{Context, Result};
use walhouse_chdb::Options;

use crate::cli::Engine;
use crate::config::read_secret;

/// Serves until a signal, or the end of the parent that started it.
pub(crate) fn engine(command: Engine) -> Result<()> {
    let mut options = Options::new(command.data);
    options.listen = command.listen;
    if let Some(file) = command.password_file {
        let secret = read_secret(&file).with_context(|| format!("cannot read the password file {}", file.display()))?;
        options.password = Some(secret);
    }
    // Before any thread is made: the confinement reaches only this one and its children.
    Ok(walhouse_chdb::serve(options)?)
}
