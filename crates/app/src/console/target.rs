//! Asking ClickHouse for the console.

use clickhouse::Client;
use serde::de::DeserializeOwned;
use walhouse_server::ports::{Failure, FailureKind, Result};

/// Codes of ClickHouse: a limit of the query was hit.
const LIMITS: [u32; 6] = [158, 159, 160, 241, 307, 396];
/// It was ended by somebody.
const CANCELLED: u32 = 394;
/// It would have changed something, or reached beyond its rights.
const REFUSED: [u32; 3] = [164, 452, 497];

/// Rows of a statement of ours.
pub(super) async fn rows<T: DeserializeOwned>(client: &Client, sql: &str) -> Result<Vec<T>> {
    let mut cursor = client.query_raw(sql).fetch_bytes("JSONEachRow").map_err(failure)?;
    let bytes = cursor.collect().await.map_err(failure)?;
    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let parsed: std::result::Result<Vec<T>, _> = lines.map(serde_json::from_slice).collect();
    // serde's message may quote a value.
    parsed.map_err(|_| Failure::new(FailureKind::Internal, "ClickHouse's answer cannot be read"))
}

/// What ClickHouse or the way to it says.
pub(super) fn failure(error: clickhouse::error::Error) -> Failure {
    match error {
        clickhouse::error::Error::BadResponse(text) => of_response(&text),
        clickhouse::error::Error::Network(source) => {
            let failure = Failure::new(FailureKind::Unavailable, format!("cannot reach ClickHouse: {source}"));
            failure.advise("see that it runs and can be reached from here")
        }
        other => Failure::new(FailureKind::Internal, format!("cannot ask ClickHouse: {other}")),
    }
}

fn of_response(text: &str) -> Failure {
    let code = text.strip_prefix("Code: ").and_then(|rest| rest.split('.').next()).and_then(|code| code.parse().ok());
    let message = text.split_once("DB::Exception: ").map_or(text, |(_, message)| message);
    let message = message.split(" (version ").next().unwrap_or(message).trim().trim_end_matches('.');
    let kind = match code {
        Some(code) if LIMITS.contains(&code) => FailureKind::Limit,
        Some(code) if REFUSED.contains(&code) => FailureKind::Refused,
        Some(CANCELLED) => FailureKind::Conflict,
        _ => FailureKind::Invalid,
    };
    let advice = match code {
        Some(CANCELLED) => Some("it was cancelled"),
        Some(159 | 160) => Some("ask for less, or give it more time"),
        Some(241) => Some("ask for less at a time: it needs more memory than a query of the console may have"),
        Some(code) if REFUSED.contains(&code) => Some("the console only reads"),
        _ => None,
    };
    Failure { kind, message: message.to_owned(), advice: advice.map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_clickhouse_are_told_apart() {
        let of = |text: &str| {
            let failure = of_response(text);
            (failure.kind, failure.message)
        };
        assert_eq!(
            of("Code: 62. DB::Exception: Syntax error: failed at position 1. (SYNTAX_ERROR) (version 26.1)"),
            (FailureKind::Invalid, "Syntax error: failed at position 1. (SYNTAX_ERROR)".to_owned())
        );
        assert_eq!(of("Code: 159. DB::Exception: Timeout exceeded (TIMEOUT_EXCEEDED)").0, FailureKind::Limit);
        assert_eq!(of("Code: 164. DB::Exception: Cannot execute query in readonly mode").0, FailureKind::Refused);
        assert_eq!(of("Code: 394. DB::Exception: Query was cancelled").0, FailureKind::Conflict);
        assert_eq!(of("anything"), (FailureKind::Invalid, "anything".to_owned()));
    }
}
