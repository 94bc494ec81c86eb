//! Names and text inside SQL.

/// A name in backticks.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("`{}`", escaped(name, '`'))
}

/// `database`.`name`.
#[must_use]
pub fn qualified(database: &str, name: &str) -> String {
    format!("{}.{}", identifier(database), identifier(name))
}

/// Text in single quotes.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", escaped(text, '\''))
}

/// Names in backticks, with commas.
pub(super) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(identifier).collect::<Vec<_>>().join(", ")
}

fn escaped(text: &str, quote: char) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter == quote || letter == '\\' {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_quotes() {
        assert_eq!(identifier("a`b\\c'd"), "`a\\`b\\\\c'd`");
        assert_eq!(literal("a`b\\c'd"), "'a`b\\\\c\\'d'");
        assert_eq!(qualified("d", "t"), "`d`.`t`");
    }
}
