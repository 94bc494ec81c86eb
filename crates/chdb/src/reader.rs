//! What a read-only user may read: one database, and the engine's description of itself.
//!
//! The engine has one user, whose grants hold for everybody, so the wall is here, in two layers. First the words: no
//! other database's name before a dot, no function that takes a name as a string. Then the engine resolves the
//! statement's names (`EXPLAIN QUERY TREE`), and each table must be in the user's database or on the list. The order
//! matters: resolving runs scalar subqueries, whose values could come back in an error.

use crate::connection::Connection;
use crate::failure::Failure;
use crate::http::Request;
use crate::sql;

/// Tables of `system` that describe the engine, not other people's queries.
const SYSTEM_TABLES: [&str; 18] = [
    "one",
    "numbers",
    "numbers_mt",
    "zeros",
    "zeros_mt",
    "databases",
    "tables",
    "columns",
    "settings",
    "functions",
    "formats",
    "data_type_families",
    "table_engines",
    "table_functions",
    "time_zones",
    "keywords",
    "aggregate_function_combinators",
    "collations",
];

/// Table functions that read nothing.
const TABLE_FUNCTIONS: [&str; 9] = [
    "numbers",
    "numbers_mt",
    "zeros",
    "zeros_mt",
    "values",
    "null",
    "generateSeries",
    "generate_series",
    "generateRandom",
];

/// Lets a statement pass that reads what the user may read.
pub(crate) fn allow(
    connection: &mut Connection,
    text: &[u8],
    request: &Request,
    database: &str,
) -> Result<(), Failure> {
    let word = sql::first_word(text);
    let query = matches!(word.as_str(), "select" | "with" | "from" | "(");
    if !query && !matches!(word.as_str(), "show" | "describe" | "desc" | "exists" | "explain" | "set") {
        return Err(Failure::denied("A read-only user may only read"));
    }
    let (names, _) = connection.query(b"SELECT name FROM system.databases", "TSVRaw", &[])?;
    let names = String::from_utf8_lossy(&names);
    let shared = |name: &str| name == "system" || name.eq_ignore_ascii_case("information_schema");
    let others: Vec<String> =
        names.lines().filter(|name| *name != database && !shared(name)).map(str::to_owned).collect();
    sql::refuse_foreign(text, &others, &SYSTEM_TABLES)?;
    for (name, _) in &request.settings {
        sql::refuse_foreign(name.as_bytes(), &others, &SYSTEM_TABLES)?;
    }
    if !query {
        return Ok(());
    }
    let tree = [b"EXPLAIN QUERY TREE ", sql::output_shape(text).body].concat();
    let (tree, _) = connection.query(&tree, "TSVRaw", &request.params)?;
    for (is_function, name) in sql::used_tables(&String::from_utf8_lossy(&tree)) {
        if !allowed(is_function, &name, database) {
            return Err(Failure::denied(format_args!("A read-only user of {database} may not read {name}")));
        }
    }
    Ok(())
}

fn allowed(is_function: bool, name: &str, database: &str) -> bool {
    if is_function {
        return TABLE_FUNCTIONS.contains(&name);
    }
    match name.split_once('.') {
        Some(("system", table)) => SYSTEM_TABLES.contains(&table),
        Some((schema, _)) if schema.eq_ignore_ascii_case("information_schema") => true,
        // a second dot could be part of either name: refused
        Some((schema, table)) => schema == database && !table.contains('.'),
        // a temporary table: the request's own
        None => true,
    }
}
