//! A script as psql reads it: statements, and lines for the recorder between them.

/// A part of a script.
#[derive(Debug, PartialEq)]
pub(crate) enum Part {
    Sql(String),
    /// A line `--! WORDS`.
    Directive(String),
}

pub(crate) fn parse(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut sql = String::new();
    for line in text.lines() {
        if let Some(words) = line.strip_prefix("--!") {
            split(&mut sql, &mut parts);
            parts.push(Part::Directive(words.trim().to_owned()));
        } else {
            sql.push_str(line);
            sql.push('\n');
        }
    }
    split(&mut sql, &mut parts);
    parts
}

/// Cuts at semicolons outside of quotes, comments, dollar quotes and brackets.
fn split(text: &mut String, parts: &mut Vec<Part>) {
    let characters: Vec<char> = std::mem::take(text).chars().collect();
    let mut statement = String::new();
    let mut at = 0;
    let mut depth = 0;
    while at < characters.len() {
        let rest: String = characters[at..].iter().take(40).collect();
        let end = if rest.starts_with("--") {
            characters[at..].iter().position(|c| *c == '\n').map_or(characters.len(), |it| at + it)
        } else if let Some(quote) = characters.get(at).copied().filter(|c| matches!(c, '\'' | '"')) {
            let escapes = quote == '\'' && at > 0 && matches!(characters[at - 1], 'e' | 'E');
            quoted(&characters, at, quote, escapes)
        } else if let Some(tag) = dollar(&rest) {
            let all: String = characters[at + tag.len()..].iter().collect();
            let body = all.split_once(&tag);
            at + tag.len() + body.map_or(all.chars().count(), |(body, _)| body.chars().count() + tag.len())
        } else {
            at + 1
        };
        let piece: String = characters[at..end].iter().collect();
        depth += i32::from(piece == "(") - i32::from(piece == ")");
        if piece == ";" && depth <= 0 {
            push(&mut statement, parts);
        } else {
            statement.push_str(&piece);
        }
        at = end;
    }
    push(&mut statement, parts);
}

fn quoted(characters: &[char], start: usize, quote: char, escapes: bool) -> usize {
    let mut at = start + 1;
    while at < characters.len() {
        if escapes && characters[at] == '\\' {
            at += 2;
        } else if characters[at] == quote {
            return at + 1;
        } else {
            at += 1;
        }
    }
    characters.len()
}

fn dollar(rest: &str) -> Option<String> {
    let (tag, _) = rest.strip_prefix('$')?.split_once('$')?;
    tag.chars().all(|c| c.is_alphanumeric() || c == '_').then(|| format!("${tag}$"))
}

fn push(statement: &mut String, parts: &mut Vec<Part>) {
    let text = std::mem::take(statement);
    let only_comments = text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with("--"));
    if !only_comments {
        parts.push(Part::Sql(text.trim().to_owned()));
    }
}

#[test]
fn scripts_are_cut_where_psql_cuts_them() {
    let script =
        "insert into a values ('x;''y', E'\\';');\n-- no; statement\n--! sleep 3\ndo $b$ begin; end $b$; select 1";
    let parts = parse(script);
    assert_eq!(
        parts,
        [
            Part::Sql("insert into a values ('x;''y', E'\\';')".into()),
            Part::Directive("sleep 3".into()),
            Part::Sql("do $b$ begin; end $b$".into()),
            Part::Sql("select 1".into()),
        ]
    );
}
