//! Whether a user of ClickHouse is fit for Superset: it must read, it must not write, and times must be in UTC.

use crate::clickhouse::rows;
use crate::error::{Error, Result};

/// Tries the client's user out. True when a session's time zone has to be set to UTC.
///
/// # Errors
/// The user cannot read the state of walhouse, or may write; or the zone is wrong and cannot be set.
pub async fn try_reader(client: &clickhouse::Client) -> Result<bool> {
    const READING: &str = "reading as Superset's user";
    rows(client, "SELECT count() FROM walhouse_tables", READING).await?;
    // An insert of nothing: without the right to write it is refused, with it nothing is written.
    let insert = "INSERT INTO walhouse_tables SELECT * FROM walhouse_tables WHERE 0";
    if client.query(insert).execute().await.is_ok() {
        return Err(Error::Invalid(
            "the user that Superset is to use may write: give it SELECT alone, and the setting readonly = 1".into(),
        ));
    }
    let zone = |rows: Vec<Vec<Option<String>>>| rows.into_iter().flatten().next().flatten().unwrap_or_default();
    let server = zone(rows(client, "SELECT timezone()", READING).await?);
    if is_utc(&server) {
        return Ok(false);
    }
    let set = client.clone().with_setting("session_timezone", "UTC");
    match rows(&set, "SELECT timezone()", READING).await.map(zone) {
        Ok(zone) if is_utc(&zone) => Ok(true),
        _ => Err(Error::Invalid(format!(
            "Superset writes times in UTC, ClickHouse's zone is {server}, and Superset's user may not set another: \
             ALTER USER ... SETTINGS readonly = 1, session_timezone = 'UTC'"
        ))),
    }
}

fn is_utc(zone: &str) -> bool {
    ["UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "Etc/UCT", "UCT"].contains(&zone)
}
