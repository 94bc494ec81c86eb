//! What no client may say, whatever its rights: words that reach files or end the process.
//!
//! This is the third of three walls. The engine's grants refuse table functions, engines, dictionaries and SYSTEM;
//! Landlock refuses files outside the data folder and outgoing connections. The grants do not cover what is refused
//! here, and Landlock does not protect the data folder itself (whose files belong to all databases).

use super::lexer::{Token, tokens};
use crate::failure::Failure;

/// Functions that read files or run text which nobody has checked.
const FUNCTIONS: [&str; 6] = ["file", "eval", "executable", "catboostevaluate", "disk", "filesystem"];

/// Refuses a statement with code 497, or lets it pass.
pub(crate) fn refuse(sql: &[u8]) -> Result<(), Failure> {
    let mut before: Option<Token> = None;
    for (index, token) in tokens(sql).enumerate() {
        if let Some(before) = before {
            pair(sql, index, before, token)?;
        }
        before = Some(token);
    }
    Ok(())
}

/// Refuses functions that read a table or dictionary by a name in a string, for users bound to one database.
pub(crate) fn refuse_lookups(sql: &[u8]) -> Result<(), Failure> {
    let mut before: Option<Vec<u8>> = None;
    for token in tokens(sql) {
        if token.is_symbol(sql, b'(')
            && let Some(name) = before.map(|name| name.to_ascii_lowercase())
            && [b"dict".as_slice(), b"joinget"].iter().any(|prefix| name.starts_with(prefix))
        {
            return Err(Failure::denied("A read-only user may not look up by name"));
        }
        before = token.identifier(sql);
    }
    Ok(())
}

fn pair(sql: &[u8], index: usize, before: Token, token: Token) -> Result<(), Failure> {
    if before.is(sql, "into") && token.is(sql, "outfile") {
        return Err(Failure::denied("INTO OUTFILE is not available to clients"));
    }
    if before.is(sql, "from") && token.is(sql, "infile") {
        return Err(Failure::denied("FROM INFILE is not available to clients"));
    }
    if index == 1 && before.is(sql, "system") && token.is_any(sql, &["shutdown", "kill"]) {
        return Err(Failure::denied("SYSTEM SHUTDOWN and SYSTEM KILL are not available to clients"));
    }
    if token.is_symbol(sql, b'(')
        && let Some(name) = before.identifier(sql)
        && let Some(name) = FUNCTIONS.iter().find(|function| name.eq_ignore_ascii_case(function.as_bytes()))
    {
        return Err(Failure::denied(format_args!("The function {name} is not available to clients")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_every_spelling() {
        for sql in [
            "SELECT 1 INTO OUTFILE '/tmp/x'",
            "select 1 into /* c */ OutFile 'x'",
            "INSERT INTO t FROM INFILE 'x' FORMAT CSV",
            "SELECT file('/etc/passwd')",
            "SELECT \"file\" ('/etc/passwd')",
            "SELECT `FILE`('/etc/passwd')",
            "SELECT arrayMap(x -> file(x), ['/etc/passwd'])",
            "SELECT `f\\x69le`('/etc/passwd')",
            "/* a */ SYSTEM SHUTDOWN",
            "system -- x\n kill",
            "CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = local, path = '/')",
            "SELECT * FROM eval('SELECT 1')",
        ] {
            assert_eq!(refuse(sql.as_bytes()).map_err(|f| f.code), Err(497), "{sql}");
        }
    }

    #[test]
    fn lets_ordinary_sql_pass() {
        for sql in [
            "SELECT 'INTO OUTFILE file(1)' AS file FROM files",
            "SELECT file, filename(x) FROM t -- file('x')",
            "CREATE TABLE t (file String, disk String) ENGINE = MergeTree ORDER BY file",
            "SELECT * FROM system.disks",
        ] {
            assert!(refuse(sql.as_bytes()).is_ok(), "{sql}");
        }
    }
}
