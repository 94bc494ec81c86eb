//! The shape of a statement: where an INSERT's data begins, where the output clauses of a query are.

use std::borrow::Cow;

use super::lexer::{Kind, Token, tokens};

/// What a text that may begin with INSERT turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Insert {
    /// Not an INSERT, or one without data of its own (INSERT ... SELECT): run it as it is.
    No,
    /// More text is needed to tell.
    Incomplete,
    /// An INSERT whose data follows.
    Data {
        /// The statement without its FORMAT clause is `sql[..head]`.
        head: usize,
        /// Name of the data's format.
        format: String,
        /// The data is `sql[data..]`.
        data: usize,
    },
}

/// Finds the data of an INSERT. `whole`: no more text will come.
pub(crate) fn insert_shape(sql: &[u8], whole: bool) -> Insert {
    let incomplete = if whole { Insert::No } else { Insert::Incomplete };
    let mut tokens = tokens(sql);
    let Some(first) = tokens.next() else { return incomplete };
    if first.end == sql.len() && !whole {
        return Insert::Incomplete;
    }
    if !first.is(sql, "insert") {
        return Insert::No;
    }
    let mut depth = 0_u32;
    let mut head = first.end;
    let mut opened = false;
    let mut before = first;
    while let Some(token) = tokens.next() {
        // a token that touches the end of an unfinished text may still grow
        if token.kind == Kind::Unfinished || (token.end == sql.len() && !whole) {
            return incomplete;
        }
        let names_table = before.is_any(sql, &["into", "table", "function"]) || before.is_symbol(sql, b'.');
        if opened && token.is_any(sql, &["select", "with"]) {
            return Insert::No;
        }
        opened = depth == 0 && token.is_symbol(sql, b'(');
        if token.is_symbol(sql, b'(') {
            depth += 1;
        } else if token.is_symbol(sql, b')') {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && !names_table {
            if token.is_any(sql, &["select", "with", "watch", "from"]) || token.is_symbol(sql, b';') {
                return Insert::No;
            }
            if token.is(sql, "values") {
                return Insert::Data { head, format: "Values".to_owned(), data: token.end };
            }
            if token.is(sql, "format") {
                return format_clause(sql, whole, head, tokens.next());
            }
        }
        head = token.end;
        before = token;
    }
    incomplete
}

/// The data begins after the format's name, blanks, and at most one newline.
fn format_clause(sql: &[u8], whole: bool, head: usize, name: Option<Token>) -> Insert {
    let incomplete = if whole { Insert::No } else { Insert::Incomplete };
    let Some(name) = name.filter(|name| name.end < sql.len() || whole) else { return incomplete };
    let Some(format) = name.identifier(sql) else { return Insert::No };
    let mut data = name.end;
    while matches!(sql.get(data), Some(b' ' | b'\t' | 0x0c | b'\r')) {
        data += 1;
    }
    match sql.get(data) {
        Some(b'\n') => data += 1,
        Some(_) => {}
        None if whole => {}
        None => return Insert::Incomplete,
    }
    let format = String::from_utf8_lossy(&format).into_owned();
    if format.eq_ignore_ascii_case("values") {
        return Insert::Data { head, format: "Values".to_owned(), data };
    }
    Insert::Data { head, format, data }
}

/// Where the output clauses of a query are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output<'s> {
    /// The query without FORMAT and what follows it, without the final semicolon.
    pub(crate) body: &'s [u8],
    /// The format named, if one is.
    pub(crate) format: Option<String>,
    /// A SETTINGS clause after FORMAT.
    pub(crate) tail: &'s [u8],
}

/// Words after which `format` is a name, not a clause.
const BEFORE_NAME: [&str; 26] = [
    "select", "distinct", "from", "join", "as", "in", "and", "or", "not", "by", "where", "prewhere", "having", "using",
    "on", "limit", "offset", "like", "ilike", "between", "when", "then", "else", "case", "table", "exists",
];

/// Splits a query (anything that returns rows) before its trailing FORMAT clause.
pub(crate) fn output_shape(sql: &[u8]) -> Output<'_> {
    let all: Vec<Token> = tokens(sql).collect();
    let mut count = all.len();
    while count > 0 && all.get(count - 1).is_some_and(|token| token.is_symbol(sql, b';')) {
        count -= 1;
    }
    let significant = all.get(..count).unwrap_or_default();
    let end = significant.last().map_or(0, |token| token.end);
    let slice = |from: usize, to: usize| sql.get(from..to).unwrap_or_default();
    for (at, token) in significant.iter().enumerate().rev().take(MAX_TAIL_TOKENS) {
        if !token.is(sql, "format") || at == 0 {
            continue;
        }
        let Some(before) = significant.get(at - 1) else { continue };
        let Some(name) = significant.get(at + 1) else { continue };
        let ends_operand = match before.kind {
            Kind::Word => !before.is_any(sql, &BEFORE_NAME),
            Kind::Symbol => matches!(before.text(sql), b")" | b"]" | b"}" | b"*"),
            _ => true,
        };
        let followed = significant.get(at + 2).is_none_or(|token| token.is(sql, "settings"));
        if let Some(format) = name.identifier(sql).filter(|_| ends_operand && followed) {
            return Output {
                body: slice(0, before.end),
                format: Some(String::from_utf8_lossy(&format).into_owned()),
                tail: slice(name.end, end),
            };
        }
    }
    Output { body: slice(0, end), format: None, tail: &[] }
}

/// FORMAT and the SETTINGS after it are searched in this many last tokens: 200 settings are more than anyone writes.
const MAX_TAIL_TOKENS: usize = 1000;

/// The first word of a statement in lower case; `(` for a parenthesis; empty for anything else.
pub(crate) fn first_word(sql: &[u8]) -> String {
    match tokens(sql).next() {
        Some(token) if token.kind == Kind::Word => String::from_utf8_lossy(token.text(sql)).to_ascii_lowercase(),
        Some(token) if token.is_symbol(sql, b'(') => "(".to_owned(),
        _ => String::new(),
    }
}

/// Statements whose grammar takes INTO OUTFILE; `1+1` and `VALUES (1)` return rows but do not.
pub(crate) fn returns_rows(first_word: &str) -> bool {
    matches!(
        first_word,
        "select" | "with" | "from" | "(" | "show" | "describe" | "desc" | "explain" | "exists" | "check"
    )
}

/// `KILL QUERY WHERE query_id = 'X' SYNC` in the terms of this engine: a query's id is its `log_comment`, and
/// only ASYNC ends, since a cancelled query leaves the list when its connection is next used.
pub(crate) fn kill_by_comment(sql: &[u8]) -> Cow<'_, [u8]> {
    let all: Vec<Token> = tokens(sql).collect();
    if !matches!(all.as_slice(), [kill, query, ..] if kill.is(sql, "kill") && query.is(sql, "query")) {
        return Cow::Borrowed(sql);
    }
    let mut out: Vec<u8> = Vec::with_capacity(sql.len() + 40);
    let test = all.iter().any(|token| token.is(sql, "test"));
    let mut pending = !test;
    for (at, token) in all.iter().enumerate() {
        let id = token.kind != Kind::String && token.identifier(sql).is_some_and(|name| name == b"query_id");
        if token.is_any(sql, &["sync", "async"]) || token.is_symbol(sql, b';') {
            continue;
        }
        if pending && token.is(sql, "format") && at > 2 {
            out.extend_from_slice(b" ASYNC ");
            pending = false;
        }
        // names and their dots, operators of two signs: keep what was adjacent adjacent
        let adjacent =
            at.checked_sub(1).and_then(|before| all.get(before)).is_some_and(|before| before.end == token.start);
        if !adjacent {
            out.push(b' ');
        }
        out.extend_from_slice(if id { b"Settings['log_comment']" } else { token.text(sql) });
    }
    if pending {
        out.extend_from_slice(b" ASYNC");
    }
    Cow::Owned(out)
}

/// Tables and table functions named in the text of `EXPLAIN QUERY TREE`, as (is a function, name).
pub(crate) fn used_tables(tree: &str) -> Vec<(bool, String)> {
    tree.lines()
        .filter_map(|line| {
            let line = line.trim_start();
            let (is_function, key) = if line.starts_with("TABLE id:") {
                (false, "table_name: ")
            } else if line.starts_with("TABLE_FUNCTION id:") {
                (true, "table_function_name: ")
            } else {
                return None;
            };
            let name = line.split_once(key).map_or("", |(_, rest)| rest);
            Some((is_function, name.split(", ").next().unwrap_or_default().trim().to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(sql: &str) -> Option<(String, String, String)> {
        match insert_shape(sql.as_bytes(), true) {
            Insert::Data { head, format, data } => {
                let text = |range: &[u8]| String::from_utf8_lossy(range).into_owned();
                Some((text(&sql.as_bytes()[..head]), format, text(&sql.as_bytes()[data..])))
            }
            _ => None,
        }
    }

    #[test]
    fn finds_the_data_of_an_insert() {
        let own = |a: &str, b: &str, c: &str| Some((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(data("INSERT INTO t FORMAT TSV\n\n1\t2"), own("INSERT INTO t", "TSV", "\n1\t2"));
        assert_eq!(
            data("insert into t (a, format) -- x\n values (1);"),
            own("insert into t (a, format)", "Values", " (1);")
        );
        assert_eq!(data("INSERT INTO format FORMAT CSV  \n1"), own("INSERT INTO format", "CSV", "1"));
        assert_eq!(data("INSERT INTO d.values VALUES (1)"), own("INSERT INTO d.values", "Values", " (1)"));
        assert_eq!(
            data("INSERT INTO t SETTINGS a = 1 FORMAT JSONEachRow {}"),
            own("INSERT INTO t SETTINGS a = 1", "JSONEachRow", "{}")
        );
        assert_eq!(
            data("INSERT INTO FUNCTION null('a Int8') VALUES (1)"),
            own("INSERT INTO FUNCTION null('a Int8')", "Values", " (1)")
        );
        for sql in [
            "INSERT INTO t SELECT 1 AS format",
            "INSERT INTO t (SELECT 1)",
            "SELECT 1 FORMAT TSV",
            "INSERT INTO t (a) WITH 1 AS x SELECT x",
            "",
        ] {
            assert_eq!(insert_shape(sql.as_bytes(), true), Insert::No, "{sql}");
        }
    }

    #[test]
    fn an_insert_cut_anywhere_is_incomplete() {
        let sql = b"INSERT INTO t (a) FORMAT TSV\n1";
        for cut in 0..sql.len() - 1 {
            assert_eq!(insert_shape(&sql[..cut], false), Insert::Incomplete, "{cut}");
        }
        assert!(matches!(insert_shape(sql, false), Insert::Data { .. }));
    }

    #[test]
    fn splits_the_output_clauses() {
        let shape = |sql: &'static str| {
            let shape = output_shape(sql.as_bytes());
            (
                String::from_utf8_lossy(shape.body).into_owned(),
                shape.format,
                String::from_utf8_lossy(shape.tail).into_owned(),
            )
        };
        assert_eq!(shape("SELECT 1 FORMAT JSON;"), ("SELECT 1".into(), Some("JSON".into()), String::new()));
        assert_eq!(
            shape("SELECT 1 -- c\nFORMAT JSON SETTINGS a=1 "),
            ("SELECT 1".into(), Some("JSON".into()), " SETTINGS a=1".into())
        );
        assert_eq!(shape("SELECT a FROM format f"), ("SELECT a FROM format f".into(), None, String::new()));
        assert_eq!(shape("SELECT 1 AS format -- x"), ("SELECT 1 AS format".into(), None, String::new()));
        assert_eq!(shape("SELECT 'FORMAT JSON' ; "), ("SELECT 'FORMAT JSON'".into(), None, String::new()));
        assert_eq!(
            shape("SELECT 1 SETTINGS max_threads=1"),
            ("SELECT 1 SETTINGS max_threads=1".into(), None, String::new())
        );
    }

    #[test]
    fn kill_is_by_comment_and_never_waits() {
        let kill = |sql: &str| String::from_utf8_lossy(&kill_by_comment(sql.as_bytes())).into_owned();
        assert_eq!(kill("KILL QUERY WHERE query_id='x' SYNC"), " KILL QUERY WHERE Settings['log_comment']='x' ASYNC");
        assert_eq!(
            kill("kill query where query_id = 'x' FORMAT TSV"),
            " kill query where Settings['log_comment'] = 'x' ASYNC  FORMAT TSV"
        );
        assert_eq!(
            kill("KILL QUERY WHERE Settings['log_comment'] LIKE 'p%' ASYNC"),
            " KILL QUERY WHERE Settings['log_comment'] LIKE 'p%' ASYNC"
        );
        assert_eq!(kill("SELECT query_id"), "SELECT query_id");
    }
}
