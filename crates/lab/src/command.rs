//! Running other programs to their end.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use crate::error::{Attempt, Error, Result};

/// How much of a failed command's output an error carries: enough for any message of initdb or Maven.
const OUTPUT_TAIL_BYTES: usize = 2_000;

/// Runs `command` and returns its standard output. A failure carries the end of what it printed; a program that is
/// not there becomes [`Error::MissingProgram`] with `install`.
pub(crate) async fn run(mut command: Command, attempt: &str, install: &'static str) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output()).await.attempt(attempt)?;
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Error::MissingProgram { program, install });
        }
        other => other.attempt(attempt)?,
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let printed = [output.stdout, output.stderr].concat();
    Err(Error::Command { attempt: attempt.to_owned(), output: tail(&printed, OUTPUT_TAIL_BYTES) })
}

/// The last `limit` bytes of `text`, trimmed, as text.
pub(crate) fn tail(text: &[u8], limit: usize) -> String {
    let from = text.len().saturating_sub(limit);
    String::from_utf8_lossy(text.get(from..).unwrap_or_default()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_program_says_how_to_get_it() {
        let error = run(Command::new("no-such-program"), "trying", "apt-get install -y it").await.unwrap_err();
        assert_eq!(error.to_string(), "no-such-program is not installed: install it with `apt-get install -y it`");
    }

    #[tokio::test]
    async fn a_failure_carries_what_was_printed() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo because >&2; exit 3"]);
        let error = run(command, "trying", "").await.unwrap_err();
        assert_eq!(error.to_string(), "trying failed: because");
    }

    #[test]
    fn the_tail_is_the_end() {
        assert_eq!(tail(b"one\ntwo\n", 5), "two");
    }
}
