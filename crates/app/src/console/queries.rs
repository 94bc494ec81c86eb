//! A user's SQL, read-only by the engine's own doing.
//!
//! The request carries `readonly = 1`: the server refuses whatever is not a read, and the text
//! cannot change a setting, the limits included. They hold twice, there and here. What ClickHouse
//! counts as a read and is none to us (KILL QUERY would end the pipeline's inserts) is refused by
//! its first word.

use std::time::Duration;

use clickhouse::Client;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;
use walhouse_change::BoxFuture;
use walhouse_clickhouse::ddl::literal;
use walhouse_server::ports::{Failure, FailureKind, Queries, QueryColumn, QueryReply, QueryRequest, Result};

use super::target;

/// Of an answer. The browser holds it all.
const MOST_BYTES: usize = 64 << 20;
/// A query of the console must leave room for the pipeline.
const MOST_MEMORY: &str = "4000000000";
/// After the server should have ended it by itself.
const GRACE: Duration = Duration::from_secs(5);

/// With what a statement that reads begins.
const READS: [&str; 8] = ["SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS"];

/// The target as users ask it.
pub(super) struct Reader {
    pub(super) client: Client,
    pub(super) database: String,
}

#[derive(Deserialize)]
struct Answer {
    meta: Vec<AnswerColumn>,
    data: Vec<Value>,
    #[serde(default)]
    statistics: Statistics,
}

#[derive(Deserialize)]
struct AnswerColumn {
    name: String,
    #[serde(rename = "type")]
    ty: String,
}

#[derive(Default, Deserialize)]
struct Statistics {
    elapsed: f64,
    rows_read: u64,
    bytes_read: u64,
}

impl Reader {
    /// Ids of the console's queries, so that no other can be cancelled from here.
    fn id(id: &str) -> String {
        format!("console-{id}")
    }

    async fn answer(&self, request: &QueryRequest) -> Result<Vec<u8>> {
        let word = first_word(&request.sql);
        if !READS.iter().any(|read| read.eq_ignore_ascii_case(word)) {
            let failure = Failure::new(FailureKind::Refused, "the console only reads");
            return Err(failure.advise(format!("begin with one of {}", READS.join(", "))));
        }
        let seconds = request.timeout.as_secs().max(1).to_string();
        let rows = (request.max_rows + 1).to_string();
        let settings = [
            ("readonly", "1"),
            ("max_execution_time", &seconds),
            ("limit", &rows),
            ("max_memory_usage", MOST_MEMORY),
            ("output_format_json_quote_64bit_integers", "1"),
            ("output_format_json_quote_decimals", "1"),
            ("output_format_json_quote_denormals", "1"),
            ("cancel_http_readonly_queries_on_client_close", "1"),
        ];
        let mut query = self.client.query_raw(&request.sql).with_setting("query_id", Self::id(&request.id));
        query = query.with_setting("database", &self.database);
        for (name, value) in settings {
            query = query.with_setting(name, value);
        }
        let mut cursor = query.fetch_bytes("JSONCompact").map_err(target::failure)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = cursor.next().await.map_err(target::failure)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MOST_BYTES {
                let failure = Failure::new(FailureKind::Limit, "the answer is larger than a browser should hold");
                return Err(failure.advise("select fewer columns or rows"));
            }
        }
        Ok(bytes)
    }
}

impl Queries for Reader {
    fn run<'a>(&'a self, request: &'a QueryRequest) -> BoxFuture<'a, Result<QueryReply>> {
        Box::pin(async move {
            let Ok(answer) = timeout(request.timeout + GRACE, self.answer(request)).await else {
                let _ = self.cancel(&request.id).await;
                let failure = Failure::new(FailureKind::Limit, "the query took too long and was ended");
                return Err(failure.advise("ask for less, or give it more time"));
            };
            read(&answer?, request)
        })
    }

    fn cancel<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            #[derive(Deserialize)]
            struct Row {
                running: String,
            }
            let id = literal(&Self::id(id));
            let condition = format!("query_id = {id} OR Settings['log_comment'] = {id}");
            let sql = format!("SELECT toString(count()) AS running FROM system.processes WHERE {condition}");
            let rows: Vec<Row> = target::rows(&self.client, &sql).await?;
            let is_running = rows.first().is_some_and(|row| row.running != "0");
            if is_running {
                let kill = format!("KILL QUERY WHERE {condition} ASYNC");
                self.client.query_raw(&kill).execute().await.map_err(target::failure)?;
            }
            Ok(is_running)
        })
    }
}

/// The first word after comments and parentheses.
fn first_word(sql: &str) -> &str {
    let mut rest = sql;
    loop {
        rest = rest.trim_start_matches(|char: char| char.is_whitespace() || char == '(');
        rest = if let Some(comment) = rest.strip_prefix("--").or_else(|| rest.strip_prefix('#')) {
            comment.split_once('\n').map_or("", |(_, rest)| rest)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, rest)| rest)
        } else {
            break;
        };
    }
    let end = rest.find(|char: char| !char.is_ascii_alphabetic()).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

fn read(answer: &[u8], request: &QueryRequest) -> Result<QueryReply> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|_| {
        let failure = Failure::new(FailureKind::Invalid, "the answer is not in the form that was asked for");
        failure.advise("leave FORMAT out: the console chooses it")
    })?;
    let mut rows = answer.data;
    let most = usize::try_from(request.max_rows).unwrap_or(usize::MAX);
    let truncated = rows.len() > most;
    rows.truncate(most);
    Ok(QueryReply {
        query_id: request.id.clone(),
        columns: answer.meta.into_iter().map(|column| QueryColumn { name: column.name, ty: column.ty }).collect(),
        rows,
        truncated,
        rows_read: answer.statistics.rows_read,
        bytes_read: answer.statistics.bytes_read,
        elapsed_ms: answer.statistics.elapsed * 1000.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_tells_a_read() {
        for sql in ["SELECT 1", " (select 1)", "-- KILL\nWITH x AS (SELECT 1) SELECT 1", "/* a */ # b\nshow tables"] {
            assert!(READS.iter().any(|read| read.eq_ignore_ascii_case(first_word(sql))), "{sql}");
        }
        for sql in ["", "KILL QUERY WHERE 1", "/* SELECT", "-- SELECT", "SYSTEM x", "SELECTED", "\u{e9}SELECT 1"] {
            assert!(!READS.iter().any(|read| read.eq_ignore_ascii_case(first_word(sql))), "{sql}");
        }
    }
}
