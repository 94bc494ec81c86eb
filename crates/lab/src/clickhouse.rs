//! Asking ClickHouse for rows as text.

use clickhouse::Client;

use crate::error::{Attempt, Result};

/// A client of one database. An empty password is none.
pub fn client(url: &str, user: &str, password: &str, database: &str) -> Client {
    let client = Client::default().with_url(url).with_user(user).with_database(database);
    if password.is_empty() { client } else { client.with_password(password) }
}

/// Runs a statement that gives no rows.
pub(crate) async fn execute(client: &Client, sql: &str, attempt: &str) -> Result<()> {
    client.query(&escape(sql)).execute().await.attempt(attempt)
}

/// Runs a query; every value as text, NULL as none.
pub(crate) async fn rows(client: &Client, sql: &str, attempt: &str) -> Result<Vec<Vec<Option<String>>>> {
    let mut cursor = client.query(&escape(sql)).fetch_bytes("TabSeparated").attempt(attempt)?;
    let bytes = cursor.collect().await.attempt(attempt)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().map(|line| line.split('\t').map(unescape).collect()).collect())
}

/// A quoted name.
pub(crate) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// A quoted text.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The client binds question marks; ours are meant.
fn escape(sql: &str) -> String {
    sql.replace('?', "??")
}

/// Reads one field of `TabSeparated`.
fn unescape(field: &str) -> Option<String> {
    if field == "\\N" {
        return None;
    }
    let mut text = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(char) = chars.next() {
        text.push(match char {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('b') => '\x08',
                Some('f') => '\x0c',
                Some('0') => '\0',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_escapes() {
        assert_eq!(unescape("\\N"), None);
        assert_eq!(unescape("a\\tb\\\\c\\'d\\ne").as_deref(), Some("a\tb\\c'd\ne"));
        assert_eq!(unescape("").as_deref(), Some(""));
    }

    #[test]
    fn quotes() {
        assert_eq!(identifier("a`b\\c"), "`a\\`b\\\\c`");
        assert_eq!(literal("it's \\"), "'it\\'s \\\\'");
    }
}
