//! What can go wrong at a ClickHouse server, and the one place that decides what to do about it.
//!
//! A server tells its errors by number; [`Error::retry`] maps the numbers once. The server's own
//! words are kept, cut short: they hold names and types. Where a statement holds values of rows
//! (reading back what an update left out), the words are dropped and only number and name stay.

use std::path::PathBuf;

use walhouse_change::{Domain, Retry, TableName};

/// Longest piece of a server's message that is kept, in bytes.
const DETAIL_LIMIT: usize = 600;

/// Result of everything in this crate that talks to a server.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the target.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server answered with an error.
    #[error("cannot {action}: ClickHouse code {code}{detail}")]
    Server {
        /// What was attempted.
        action: String,
        /// ClickHouse's number.
        code: u32,
        /// Its words, with a colon before them; may be empty.
        detail: String,
    },
    /// The answer is not one of ClickHouse.
    #[error("cannot {action}: {detail}")]
    Answer {
        /// What was attempted.
        action: String,
        /// What was found.
        detail: String,
    },
    /// No connection, or one that broke.
    #[error("cannot {action}: no connection to {address}")]
    Network {
        /// What was attempted.
        action: String,
        /// The server's URL.
        address: String,
        /// What the connection said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time; whether the server did it is unknown.
    #[error("cannot {action}: no answer from {address} in {seconds} s")]
    Timeout {
        /// What was attempted.
        action: String,
        /// The server's URL.
        address: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(String),
    /// The file of certificates cannot be used.
    #[error("cannot read certificates from {}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// One table cannot go on.
    #[error("{message}")]
    Table {
        /// The table.
        table: TableName,
        /// What is wrong.
        message: String,
        /// What mends it.
        remedy: String,
    },
    /// Something of a former process does not end.
    #[error("{0}")]
    Busy(String),
    /// A rule of the house was broken by a caller.
    #[error("{0}")]
    Misuse(String),
}

impl Error {
    /// From an error of the client library; `address` names the server.
    pub(crate) fn from_client(action: &str, address: &str, error: clickhouse::error::Error) -> Self {
        let action = action.to_owned();
        match error {
            clickhouse::error::Error::BadResponse(text) => Self::from_answer(action, &text),
            clickhouse::error::Error::TimedOut => {
                Self::Timeout { action, address: address.to_owned(), seconds: super::client::ANSWER_TIMEOUT.as_secs() }
            }
            clickhouse::error::Error::Network(source) => Self::Network { action, address: address.to_owned(), source },
            other => Self::Network { action, address: address.to_owned(), source: Box::new(other) },
        }
    }

    /// From the text of a refused request: `Code: N. DB::Exception: ...`, or any server's words.
    pub(crate) fn from_answer(action: String, text: &str) -> Self {
        let text = text.trim();
        let number = text.strip_prefix("Code: ").map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
        match number.flatten().and_then(|number| number.parse().ok()) {
            Some(code) => {
                let words = text.split_once("DB::Exception: ").map_or("", |(_, words)| words);
                // the version at the end says nothing that `status` does not
                let words = words.rsplit_once(" (version ").map_or(words, |(words, _)| words);
                let detail = if words.is_empty() { String::new() } else { format!(": {}", shortened(words)) };
                Self::Server { action, code, detail }
            }
            None => Self::Answer { action, detail: format!("unexpected answer {:?}", shortened(text)) },
        }
    }

    /// Without the server's words, for statements that hold values of rows.
    pub(crate) fn without_detail(self) -> Self {
        match self {
            Self::Server { action, code, detail } => {
                let name = symbolic_name(&detail).map_or_else(String::new, |name| format!(" ({name})"));
                Self::Server { action, code, detail: name }
            }
            Self::Answer { action, .. } => Self::Answer { action, detail: "unexpected answer".to_owned() },
            other => other,
        }
    }

    /// ClickHouse's number, if the server answered with one.
    pub(crate) fn code(&self) -> Option<u32> {
        match self {
            Self::Server { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// True if the server surely did not do what was asked, so that it can be asked the same again.
    ///
    /// An error's text is no proof of that: a query may be killed, run out of time or fail in a user's materialized
    /// view when its block is stored already. So this names what is said before any row is written, and a view's
    /// trouble is none of it. Words that were cut could hide a view's name.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Server { code, detail, .. } => {
                REFUSED_BEFORE_WRITING.contains(code) && !detail.contains(IN_A_VIEW) && !detail.ends_with("...")
            }
            _ => false,
        }
    }

    /// What to do about it; `table` is the one that was being worked on, if it was one.
    pub(crate) fn retry(&self, table: Option<&TableName>) -> Retry {
        let stop = |table: &TableName| Retry::StopTable(table.clone());
        match self {
            Self::Server { code, .. } => match (class(*code), table) {
                (Class::Refusal, _) | (Class::Table, None) => Retry::Never,
                (Class::Table, Some(table)) => stop(table),
                (Class::Passing, _) => Retry::Later,
            },
            Self::Table { table, .. } => stop(table),
            Self::Answer { .. } | Self::Network { .. } | Self::Timeout { .. } | Self::Busy(_) => Retry::Later,
            Self::Config(_) | Self::Certificates { .. } | Self::Misuse(_) => Retry::Never,
        }
    }

    fn remedy(&self, retry: &Retry) -> Option<String> {
        match self {
            Self::Table { remedy, .. } => Some(remedy.clone()),
            Self::Server { code: 192..=194 | 516, .. } => Some("check [clickhouse] user and password_file".to_owned()),
            Self::Server { code: 497, .. } => Some(
                "grant the user what is missing: GRANT SELECT, INSERT, ALTER, CREATE, DROP ON <database>.* and \
                 GRANT SELECT ON system.*, KILL QUERY ON *.*"
                    .to_owned(),
            ),
            Self::Server { code: 164, .. } => Some("use a user whose profile is not readonly".to_owned()),
            Self::Server { code: 243, .. } => Some("free space on the disk of ClickHouse".to_owned()),
            Self::Answer { .. } => Some("check that [clickhouse] url is ClickHouse's HTTP interface".to_owned()),
            Self::Network { .. } | Self::Timeout { .. } => {
                Some("check that ClickHouse runs and [clickhouse] url is its HTTP interface".to_owned())
            }
            _ if matches!(retry, Retry::StopTable(_)) => {
                Some("mend the table in ClickHouse, or drop it there and have it copied anew".to_owned())
            }
            _ => None,
        }
    }

    /// Crosses the contract; `table` is the one that was being worked on, if it was one.
    pub(crate) fn outward(self, table: Option<&TableName>) -> walhouse_change::Error {
        let retry = self.retry(table);
        let domain = if matches!(self, Self::Misuse(_)) { Domain::Internal } else { Domain::Target };
        let remedy = self.remedy(&retry);
        let error = walhouse_change::Error::new(domain, retry, self.to_string());
        let error = match self {
            Self::Network { source, .. } | Self::Certificates { source, .. } => error.with_source(Chain(source)),
            _ => error,
        };
        match remedy {
            Some(remedy) => error.with_remedy(remedy),
            None => error,
        }
    }
}

impl From<Error> for walhouse_change::Error {
    fn from(error: Error) -> Self {
        error.outward(None)
    }
}

/// A boxed error as a link of a chain.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Chain(Box<dyn std::error::Error + Send + Sync>);

/// Kinds of server errors.
enum Class {
    /// Heals by waiting.
    Passing,
    /// Stays until somebody changes a right or a setting.
    Refusal,
    /// Lies in a table's shape or a value.
    Table,
}

/// Too many queries, too many parts of the table, an overloaded server: checked before a block is written.
const REFUSED_BEFORE_WRITING: [u32; 3] = [202, 252, 745];

/// How ClickHouse names the materialized view that failed behind an insert.
const IN_A_VIEW: &str = "while pushing to view";

/// ClickHouse's numbers, mapped once. What is not listed is taken for passing: the sink is opened
/// again from the checkpoint, and the text is shown meanwhile.
fn class(code: u32) -> Class {
    match code {
        // users, passwords, rights, settings, syntax, features that are switched off
        48 | 62 | 115 | 164 | 192..=194 | 344 | 392 | 452 | 497 | 511 | 512 | 516 => Class::Refusal,
        // columns, types and values that do not fit; a table that is gone or is another one
        6 | 10 | 15 | 16 | 20 | 26 | 27 | 36 | 38 | 41 | 43 | 44 | 47 | 50 | 53 | 57 | 60 | 69 | 70 | 72 | 80 | 117
        | 122 | 125 | 128 | 131 | 190 | 321 | 349 | 407 | 441 | 469 | 524 | 636 => Class::Table,
        _ => Class::Passing,
    }
}

/// `(NAME)` at the end of a server's message.
fn symbolic_name(words: &str) -> Option<&str> {
    let name = words.trim_end().strip_suffix(')')?.rsplit_once('(')?.1;
    name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_' || byte.is_ascii_digit()).then_some(name)
}

/// At most [`DETAIL_LIMIT`] bytes of `text`, on one line.
fn shortened(text: &str) -> String {
    let text = text.trim().replace(['\n', '\r'], " ");
    if text.len() <= DETAIL_LIMIT {
        return text;
    }
    let end = text.char_indices().map(|(at, _)| at).take_while(|&at| at <= DETAIL_LIMIT).last().unwrap_or(0);
    let mut cut = text;
    cut.truncate(end);
    cut.push_str("...");
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Error {
        Error::from_answer("insert".to_owned(), text)
    }

    #[test]
    fn numbers_decide() {
        let table = TableName::new("public", "t");
        let stop = Retry::StopTable(table.clone());
        let cases = [
            (252, Retry::Later),
            (241, Retry::Later),
            (242, Retry::Later),
            (243, Retry::Later),
            (159, Retry::Later),
            (99_999, Retry::Later),
            (516, Retry::Never),
            (192, Retry::Never),
            (194, Retry::Never),
            (497, Retry::Never),
            (53, stop.clone()),
            (6, stop.clone()),
            (27, stop.clone()),
            (16, stop.clone()),
            (36, stop),
        ];
        for (code, expected) in cases {
            let error = server(&format!("Code: {code}. DB::Exception: why. (NAME) (version 26.7.2.1)"));
            assert_eq!(error.retry(Some(&table)), expected, "{code}");
            assert_eq!(error.to_string(), format!("cannot insert: ClickHouse code {code}: why. (NAME)"));
        }
        assert_eq!(server("Code: 53. DB::Exception: why").retry(None), Retry::Never);
    }

    #[test]
    fn only_what_wrote_nothing_is_tried_again() {
        let refused = |text: &str| server(text).is_refusal();
        assert!(refused("Code: 252. DB::Exception: Too many parts (3000). (TOO_MANY_PARTS)"));
        assert!(refused("Code: 202. DB::Exception: Too many simultaneous queries. (TOO_MANY_SIMULTANEOUS_QUERIES)"));
        // The block may be stored already.
        assert!(!refused("Code: 394. DB::Exception: Query was cancelled. (QUERY_WAS_CANCELLED)"));
        assert!(!refused(
            "Code: 252. DB::Exception: Too many parts: while pushing to view default.v. (TOO_MANY_PARTS)"
        ));
        assert!(!refused(&format!("Code: 252. DB::Exception: {}", "x".repeat(2 * DETAIL_LIMIT))));
        let timeout = Error::Timeout { action: "insert".to_owned(), address: String::new(), seconds: 1 };
        assert!(!timeout.is_refusal());
    }

    #[test]
    fn a_stranger_is_told_from_clickhouse() {
        let error = server("<html>nginx</html>").outward(None);
        assert_eq!(error.retry(), &Retry::Later);
        assert!(error.one_line().contains("HTTP interface"), "{}", error.one_line());
    }

    #[test]
    fn values_can_be_kept_out() {
        let error = server("Code: 62. DB::Exception: Syntax error near 'secret'. (SYNTAX_ERROR) (version 1)");
        assert_eq!(error.without_detail().to_string(), "cannot insert: ClickHouse code 62 (SYNTAX_ERROR)");
    }

    #[test]
    fn long_words_are_cut() {
        let text = format!("Code: 6. DB::Exception: {}", "\u{e4}".repeat(5_000));
        assert!(server(&text).to_string().len() < DETAIL_LIMIT + 60);
    }
}
