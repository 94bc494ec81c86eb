//! Waiting until something holds: what tests do instead of sleeping.

use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::compare::verify;
use super::report::Report;
use super::table::Table;
use crate::error::{Error, Result};

/// Pause between two looks. A look at a small table takes less.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until `look` finds what it looks for. `look` says what it sees, `Ok` when that is it; a failing look (an
/// engine that starts again, say) counts as not yet.
///
/// # Errors
/// [`Error::Timeout`] with what was seen last.
pub async fn until<T>(
    waited_for: &str,
    timeout: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(last) if Instant::now() >= deadline => {
                return Err(Error::Timeout { waited_for: waited_for.to_owned(), seconds: timeout.as_secs(), last });
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Waits until the tables equal their targets, the history included, and returns the report that says so.
///
/// # Errors
/// [`Error::Timeout`] with the last report, or the last failure to make one.
pub async fn until_equal(
    postgres: &mut Client,
    clickhouse: &clickhouse::Client,
    tables: &[Table],
    timeout: Duration,
) -> Result<Report> {
    until("equality of source and target", timeout, async || match verify(postgres, clickhouse, tables).await {
        Ok(report) if report.is_equal() => Ok(report),
        Ok(report) => Err(report.to_string()),
        Err(error) => Err(chain(&error)),
    })
    .await
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gives_up_with_what_it_saw() {
        let mut looks = 0;
        let found = until("three looks", Duration::from_secs(5), async || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err(format!("{looks} looks")) }
        });
        assert_eq!(found.await.unwrap(), 3);
        let error = until("never", Duration::ZERO, async || Err::<(), _>("nothing".to_owned())).await.unwrap_err();
        assert_eq!(error.to_string(), "never did not happen within 0 s: nothing");
    }
}
