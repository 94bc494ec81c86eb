//! What a client may not say about Kafka: neither make the engine connect to brokers, nor touch the tables that do.

use std::collections::BTreeSet;

use super::lexer::{Kind, Token, tokens};
use super::statement::first_word;
use crate::failure::Failure;

/// With what settings begin that let a statement read from a topic directly.
const SETTINGS: &str = "stream_like_engine_";

/// Statements that only describe, so that a name in them does no harm.
const DESCRIBING: [&str; 4] = ["show", "describe", "desc", "exists"];

/// Refuses a statement with code 497, or lets it pass. `queues` are the names of the Kafka tables there are.
pub(crate) fn refuse_kafka(sql: &[u8], queues: &BTreeSet<String>) -> Result<(), Failure> {
    let word = first_word(sql);
    if DESCRIBING.contains(&word.as_str()) {
        return Ok(());
    }
    let reading = matches!(word.as_str(), "select" | "with" | "from" | "(" | "explain");
    let all: Vec<Token> = tokens(sql).collect();
    for (at, token) in all.iter().enumerate() {
        if let Some(name) = token.identifier(sql) {
            let name = String::from_utf8_lossy(&name).into_owned();
            let before = |back: usize| at.checked_sub(back).and_then(|at| all.get(at));
            let equals = before(1).is_some_and(|token| token.is_symbol(sql, b'='));
            let engine = before(if equals { 2 } else { 1 }).is_some_and(|token| token.is(sql, "engine"));
            // a table of that name is nobody's business: only where a table function can stand
            let called = all.get(at + 1).is_some_and(|next| next.is_symbol(sql, b'('))
                && before(1).is_some_and(|token| token.is_any(sql, &["from", "join", "function"]));
            if name.eq_ignore_ascii_case("kafka") && (engine || called) {
                return Err(Failure::denied("Kafka tables are not available to clients"));
            }
            if is_queue_setting(&name) {
                return Err(Failure::denied("Kafka's settings are not available to clients"));
            }
            if queues.contains(&name) {
                return Err(reserved());
            }
        }
        // a Buffer names its table in a string; a condition on system.tables does so too
        if token.kind == Kind::String && !reading && names_one_of(&String::from_utf8_lossy(token.text(sql)), queues) {
            return Err(reserved());
        }
    }
    Ok(())
}

/// Whether a text is one of the names, with or without quotes and a database before it.
pub(crate) fn names_one_of(text: &str, queues: &BTreeSet<String>) -> bool {
    let last = text.rsplit_once('.').map_or(text, |(_, last)| last);
    [text, last].into_iter().any(|name| queues.contains(name.trim_matches(|c| matches!(c, '\'' | '`' | '"'))))
}

/// Whether a setting is about the tables that read streams.
pub(crate) fn is_queue_setting(name: &str) -> bool {
    name.to_ascii_lowercase().starts_with(SETTINGS)
}

/// The answer to who touches a table that is not for clients.
pub(crate) fn reserved() -> Failure {
    Failure::denied("This table reads from Kafka and is not available to clients")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(sql: &str) -> bool {
        let queues = BTreeSet::from(["sales__queue".to_owned()]);
        refuse_kafka(sql.as_bytes(), &queues).is_err_and(|failure| failure.code == 497)
    }

    #[test]
    fn refuses_every_spelling() {
        for sql in [
            "CREATE TABLE t (a String) ENGINE = Kafka('h:1', 't', 'g', 'RawBLOB')",
            "create table t (a String) engine /* c */ `Kafka` settings kafka_broker_list = 'h:1'",
            "ATTACH TABLE t (a String) ENGINE=\"Kafka\"()",
            "CREATE MATERIALIZED VIEW v ENGINE = Kafka AS SELECT 1",
            "SELECT * FROM kafka('h:1')",
            "SELECT * FROM sales__queue",
            "INSERT INTO shop.`sales__queue` VALUES ('x')",
            "CREATE TABLE mine AS shop.sales__queue",
            "CREATE MATERIALIZED VIEW v TO t AS SELECT * FROM sales__queue",
            "CREATE TABLE b (a String) ENGINE = Buffer(shop, 'sales__queue', 1, 1, 1, 1, 1, 1, 1)",
            "ALTER TABLE sales__queue MODIFY SETTING kafka_broker_list = 'h:1'",
            "SET stream_like_engine_allow_direct_select = 1",
            "RENAME TABLE sales__queue TO mine",
        ] {
            assert!(refused(sql), "{sql}");
        }
    }

    #[test]
    fn lets_ordinary_sql_pass() {
        for sql in [
            "SELECT kafka, 'ENGINE = Kafka' FROM engine",
            "SHOW CREATE TABLE sales__queue",
            "SELECT * FROM system.tables WHERE name = 'sales__queue'",
            "SELECT * FROM system.kafka_consumers",
            "CREATE TABLE kafka (a String) ENGINE = MergeTree ORDER BY a",
            "INSERT INTO sales VALUES ('a sales__queue b')",
        ] {
            assert!(!refused(sql), "{sql}");
        }
    }
}
