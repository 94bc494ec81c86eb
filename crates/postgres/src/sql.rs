//! Quoting of names and literals, always, so that any name is a name.

use walhouse_change::TableName;

/// `"name"`, quotes doubled.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `'text'`; right whatever `standard_conforming_strings` says.
#[must_use]
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// `"schema"."table"`.
pub(crate) fn table(name: &TableName) -> String {
    format!("{}.{}", identifier(&name.schema), identifier(&name.name))
}

/// `1,2,3`; `0` (no object's oid) when there is none, so that `IN (..)` stays valid.
pub(crate) fn oids(oids: impl IntoIterator<Item = u32>) -> String {
    let texts: Vec<String> = oids.into_iter().map(|oid| oid.to_string()).collect();
    if texts.is_empty() { "0".to_owned() } else { texts.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_everything() {
        assert_eq!(identifier("we\"ird"), "\"we\"\"ird\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), " E'a\\\\''b'");
        assert_eq!(table(&TableName::new("S", "a.b")), "\"S\".\"a.b\"");
        assert_eq!(oids([]), "0");
    }
}
