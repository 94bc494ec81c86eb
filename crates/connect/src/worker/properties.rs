//! Java's `.properties` format, in which worker files are written and from which `${file:..}` reads.

use std::collections::BTreeMap;

/// Reads the `name=value` lines of a properties file; later ones win.
#[must_use]
pub fn parse(text: &str) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let start = line.trim_start_matches(BLANK);
        if start.is_empty() || start.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = start.to_owned();
        while continues(&logical) {
            logical.pop();
            logical.push_str(lines.next().unwrap_or_default().trim_start_matches(BLANK));
        }
        let (key, value) = split(&logical);
        properties.insert(unescape(key), unescape(value));
    }
    properties
}

/// White space in this format.
const BLANK: [char; 3] = [' ', '\t', '\u{c}'];

/// An odd number of backslashes at the end joins the next line.
fn continues(line: &str) -> bool {
    line.chars().rev().take_while(|letter| *letter == '\\').count() % 2 == 1
}

/// At the first unescaped `=`, `:` or white space; white space around the separator is not part of either side.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, letter) in line.char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == '=' || letter == ':' || BLANK.contains(&letter) {
            let (key, rest) = line.split_at(at);
            let rest = rest.trim_start_matches(BLANK);
            let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(BLANK);
            return (key, value);
        }
    }
    (line, "")
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits: String = letters.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok();
                out.push(code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_java_reads() {
        let text =
            "# comment\n! too\n\na=1\n b : two words \nc\\ d\\=e  = f\\\n   g\nempty\npath=C\\:\\\\x\nu=\\u00e9\na=2\n";
        let read = parse(text);
        let expected = [("a", "2"), ("b", "two words "), ("c d=e", "fg"), ("empty", ""), ("path", "C:\\x"), ("u", "é")];
        assert_eq!(read, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }
}
