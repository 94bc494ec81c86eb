//! What no client may say, whatever its rights: words that reach files or command the process.
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

/// Functions and table functions that read a table or dictionary whose name is in a string, by their beginnings.
const LOOKUPS: [&str; 9] =
    ["dict", "joinget", "merge", "loop", "remote", "cluster", "timeseries", "prometheus", "viewifpermitted"];

/// Settings whose value is an expression that nobody has checked, by their beginnings.
const SQL_SETTINGS: [&str; 3] = ["additional_", "parallel_replicas_custom_key", "allow_experimental_eval"];

/// For a user bound to one database: refuses the name of another database before a dot, names that come as
/// parameters, and functions that take names as strings. `others` are the names of all other databases; of `system`
/// only some tables may be named.
pub(crate) fn refuse_foreign(sql: &[u8], others: &[String], system: &[&str]) -> Result<(), Failure> {
    let all: Vec<Token> = tokens(sql).collect();
    for (at, token) in all.iter().enumerate() {
        let Some(name) = token.identifier(sql) else { continue };
        let next = |symbol| all.get(at + 1).is_some_and(|next| next.is_symbol(sql, symbol));
        let after_colon = at > 0 && all.get(at - 1).is_some_and(|before| before.is_symbol(sql, b':'));
        if next(b'.') && others.iter().any(|other| other.as_bytes() == name) {
            return Err(Failure::denied("A read-only user may read its own database only"));
        }
        let table = all.get(at + 2).and_then(|table| table.identifier(sql));
        if next(b'.') && name == b"system" && !system.iter().any(|known| Some(known.as_bytes()) == table.as_deref()) {
            return Err(Failure::denied("A read-only user may read its own database only"));
        }
        let lower = name.to_ascii_lowercase();
        if SQL_SETTINGS.iter().any(|prefix| lower.starts_with(prefix.as_bytes())) {
            return Err(Failure::denied("A read-only user may not set expressions"));
        }
        if next(b'(') && LOOKUPS.iter().any(|prefix| lower.starts_with(prefix.as_bytes())) {
            return Err(Failure::denied("A read-only user may not look up by name"));
        }
        if after_colon && lower == b"identifier" {
            return Err(Failure::denied("A read-only user may not pass names as parameters"));
        }
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
    // no grant covers any of them; some answer without doing anything, two end the process
    if index == 1 && before.is(sql, "system") {
        return Err(Failure::denied("SYSTEM statements are not available to clients"));
    }
    if token.is_symbol(sql, b'(') && before.is(sql, "input") {
        // its data would stand in the statement's text, where a blank line ends it and the rest is run
        return Err(Failure::new(
            48,
            "NOT_IMPLEMENTED",
            "INSERT ... SELECT FROM input() is not supported by this server",
        ));
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
            "SYSTEM STOP MERGES",
            "CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = local, path = '/')",
            "SELECT * FROM eval('SELECT 1')",
        ] {
            assert_eq!(refuse(sql.as_bytes()).map_err(|f| f.code), Err(497), "{sql}");
        }
    }

    #[test]
    fn a_bound_user_names_its_own_database() {
        let others = ["secret".to_owned(), "my db".to_owned()];
        for sql in [
            "SELECT * FROM secret.salary",
            "SELECT * FROM `secret` . `salary`",
            "SELECT 1 IN \"my db\".t",
            "SELECT joinGet('secret.t', 'a', 1)",
            "SELECT * FROM mergeTreeIndex(secret, t)",
            "SELECT * FROM {d:Identifier}.t",
            "SELECT (SELECT query FROM system.processes)",
            "SELECT 1 SETTINGS additional_result_filter = '1 IN secret.t'",
        ] {
            assert!(refuse_foreign(sql.as_bytes(), &others, &["one"]).is_err(), "{sql}");
        }
        for sql in [
            "SELECT secret FROM shop.t",
            "SELECT 'secret.salary'",
            "SELECT t.secret FROM t",
            "SELECT {x:UInt8} FROM system.one",
        ] {
            assert!(refuse_foreign(sql.as_bytes(), &others, &["one"]).is_ok(), "{sql}");
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
