//! `walhouse completions` and `walhouse man`: made from the command line's own definition, so that they say what
//! `--help` says.

use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;

use crate::cli::Cli;

/// Prints a shell's completions.
pub(crate) fn completions(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut Cli::command(), "walhouse", &mut io::stdout());
}

/// Writes `walhouse.1` and a page per subcommand, such as `walhouse-rembo-seed.1`.
pub(crate) fn pages(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    clap_mangen::generate_to(Cli::command(), folder)
        .with_context(|| format!("cannot write the manual to {}", folder.display()))
}
