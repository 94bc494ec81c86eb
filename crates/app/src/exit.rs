//! Exit codes: what a supervisor such as systemd may conclude. `docs/exit-codes.md` explains them.

use std::process::ExitCode;

use walhouse_change::Retry;

use crate::config::ConfigError;

/// Something failed that may well work the next time; or `check` found what blocks.
pub(crate) const FAILURE: u8 = 1;
/// The command line or the configuration file is wrong.
pub(crate) const USAGE: u8 = 2;
/// A database refuses, or going on would lose data: somebody has to act first.
pub(crate) const REFUSED: u8 = 3;
/// A second signal asked for an end at once, without a drain. As a shell reports an interrupt.
pub(crate) const INTERRUPTED: u8 = 130;

/// For `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0    done, or stopped in order
  1    failed; trying again may help (check: something blocks; verify: the databases differ)
  2    the command line or the configuration is wrong
  3    refused: a database said no, or going on would lose data; somebody has to act first
  130  stopped at once by a second signal; nothing is lost, the next start replays a little more

Environment:
  WALHOUSE_LOG      what is logged, such as debug, or warn,walhouse_pipeline=debug (default info)
  WALHOUSE_LIBCHDB  the libchdb.so to use instead of the one that is fetched once
  WALHOUSE_SUPERSET_PASSWORD  the password for `superset provision` and `superset sync`
  PGPASSWORD, PGPASSFILE, PGHOST, PGPORT, PGUSER, PGDATABASE  as for psql";

/// A mistake on the command line that clap cannot see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Prints the error on one line and gives its code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    crate::terminal::line(&format!("walhouse: {}", one_line(error)));
    ExitCode::from(code_of(error))
}

fn code_of(error: &anyhow::Error) -> u8 {
    if error.is::<ConfigError>() || error.is::<UsageError>() {
        return USAGE;
    }
    match error.downcast_ref::<walhouse_change::Error>() {
        Some(error) if *error.retry() == Retry::Never => REFUSED,
        _ => FAILURE,
    }
}

/// The error with its causes and what mends it.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    match error.downcast_ref::<walhouse_change::Error>() {
        Some(error) => error.one_line(),
        None => format!("{error:#}").trim_end().replace('\n', " "),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use walhouse_change::{Domain, Error};

    use super::*;

    #[test]
    fn a_code_for_every_kind() {
        let refused = Error::new(Domain::Source, Retry::Never, "no").with_remedy("GRANT it");
        let cases = [
            (anyhow::Error::new(ConfigError::file(Path::new("f"), "x")), USAGE),
            (anyhow::Error::new(UsageError("x".to_owned())), USAGE),
            (anyhow::Error::new(Error::new(Domain::Source, Retry::Later, "x")), FAILURE),
            (anyhow::anyhow!("x"), FAILURE),
            (anyhow::Error::new(refused.clone()), REFUSED),
        ];
        for (error, code) in cases {
            assert_eq!(code_of(&error), code, "{error}");
        }
        assert_eq!(one_line(&anyhow::Error::new(refused)), "no; to mend it: GRANT it");
        assert_eq!(one_line(&anyhow::anyhow!("a\nb").context("c")), "c: a b");
    }
}
