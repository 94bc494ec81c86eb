//! Cuts SQL into tokens by ClickHouse's rules: strings and quoted identifiers with backslash escapes and doubled
//! quotes, nested comments, heredocs, typographic quotes. It never fails: what does not end is [`Kind::Unfinished`].

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Keyword or bare identifier.
    Word,
    /// `"identifier"` or `` `identifier` ``.
    Quoted,
    /// A number.
    Number,
    /// `'string'`, heredoc, or hexadecimal or binary string.
    String,
    /// One punctuation byte.
    Symbol,
    /// A string, identifier or comment that does not end.
    Unfinished,
}

/// A token: `sql[start..end]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Token {
    /// The token's bytes.
    pub(crate) fn text<'s>(&self, sql: &'s [u8]) -> &'s [u8] {
        sql.get(self.start..self.end).unwrap_or_default()
    }

    /// Whether this is the given bare word, in any case.
    pub(crate) fn is(&self, sql: &[u8], word: &str) -> bool {
        self.kind == Kind::Word && self.text(sql).eq_ignore_ascii_case(word.as_bytes())
    }

    /// Whether this is one of the given bare words, in any case.
    pub(crate) fn is_any(&self, sql: &[u8], words: &[&str]) -> bool {
        words.iter().any(|word| self.is(sql, word))
    }

    /// Whether this is the given punctuation byte.
    pub(crate) fn is_symbol(&self, sql: &[u8], symbol: u8) -> bool {
        self.kind == Kind::Symbol && self.text(sql) == [symbol]
    }

    /// The identifier that is meant, unquoted and unescaped; `None` for anything but an identifier.
    pub(crate) fn identifier(&self, sql: &[u8]) -> Option<Vec<u8>> {
        match self.kind {
            Kind::Word => Some(self.text(sql).to_vec()),
            Kind::Quoted => Some(unescape(inner(self.text(sql)))),
            _ => None,
        }
    }
}

/// What is between the quotes, which are 1 byte or, typographic, 3.
fn inner(quoted: &[u8]) -> &[u8] {
    let width = if quoted.first() == Some(&0xE2) { 3 } else { 1 };
    quoted.get(width..quoted.len().saturating_sub(width)).unwrap_or_default()
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                Some(b'x') => {
                    let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16)).unwrap_or(0);
                    let code = digit() * 16 + digit();
                    out.push(u8::try_from(code).unwrap_or(b'?'));
                }
                Some(b'n') => out.push(b'\n'),
                Some(b't') => out.push(b'\t'),
                Some(b'0') => out.push(0),
                Some(other) => out.push(other),
                None => {}
            },
            b'`' | b'"' if bytes.peek() == Some(&byte) => {
                bytes.next();
                out.push(byte);
            }
            _ => out.push(byte),
        }
    }
    out
}

/// All tokens of a text, without blanks and comments.
pub(crate) fn tokens(sql: &[u8]) -> impl Iterator<Item = Token> {
    Lexer { sql, at: 0 }
}

struct Lexer<'s> {
    sql: &'s [u8],
    at: usize,
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

impl Lexer<'_> {
    fn rest(&self) -> &[u8] {
        self.sql.get(self.at..).unwrap_or_default()
    }

    /// Skips blanks and comments; false when a comment does not end.
    fn skip_blank(&mut self) -> bool {
        loop {
            match self.rest() {
                [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, ..] => self.at += 1,
                [0xC2, 0xA0, ..] => self.at += 2,
                [0xE2, 0x80, 0x80..=0x8D | 0xA8 | 0xA9 | 0xAF, ..]
                | [0xE2, 0x81, 0x9F, ..]
                | [0xE3, 0x80, 0x80, ..] => self.at += 3,
                [0xEF, 0xBB, 0xBF, ..] => self.at += 3,
                [b'-', b'-', ..] | [b'#', b' ' | b'!', ..] => {
                    self.at += self.rest().iter().position(|b| *b == b'\n').unwrap_or(self.rest().len());
                }
                [b'/', b'*', ..] => {
                    if !self.skip_comment() {
                        return false;
                    }
                }
                _ => return true,
            }
        }
    }

    fn skip_comment(&mut self) -> bool {
        let mut depth = 0_u32;
        loop {
            match self.rest() {
                [b'/', b'*', ..] => {
                    depth += 1;
                    self.at += 2;
                }
                [b'*', b'/', ..] => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return true;
                    }
                }
                [] => return false,
                _ => self.at += 1,
            }
        }
    }

    /// The length of a text in the given quotes, with escapes; `None` when it does not end.
    fn quoted(&self, quote: u8) -> Option<usize> {
        let rest = self.rest();
        let mut at = 1;
        loop {
            match rest.get(at..)? {
                [b'\\', _, ..] => at += 2,
                [a, b, ..] if *a == quote && *b == quote => at += 2,
                [a, ..] if *a == quote => return Some(at + 1),
                [] => return None,
                _ => at += 1,
            }
        }
    }

    /// The length up to and including `end`, searched from `from`.
    fn until(&self, from: usize, end: &[u8]) -> Option<usize> {
        let rest = self.rest().get(from..)?;
        rest.windows(end.len()).position(|window| window == end).map(|at| from + at + end.len())
    }

    /// `$tag$ ... $tag$`
    fn heredoc(&self) -> Option<usize> {
        let rest = self.rest();
        let tag = rest.get(1..)?.iter().position(|b| *b == b'$')? + 2;
        let name = rest.get(1..tag - 1)?;
        if !name.iter().all(|b| is_word(*b)) {
            return None;
        }
        self.until(tag, rest.get(..tag)?)
    }

    fn lex(&self) -> (Kind, usize) {
        let rest = self.rest();
        let quoted =
            |kind, length: Option<usize>| length.map_or((Kind::Unfinished, rest.len()), |length| (kind, length));
        match rest {
            [b'\'', ..] => quoted(Kind::String, self.quoted(b'\'')),
            [quote @ (b'"' | b'`'), ..] => quoted(Kind::Quoted, self.quoted(*quote)),
            [0xE2, 0x80, 0x98, ..] => quoted(Kind::String, self.until(3, &[0xE2, 0x80, 0x99])),
            [0xE2, 0x80, 0x9C, ..] => quoted(Kind::Quoted, self.until(3, &[0xE2, 0x80, 0x9D])),
            [b'x' | b'X' | b'b' | b'B', b'\'', ..] => quoted(Kind::String, self.until(2, b"'")),
            [b'$', ..] => match self.heredoc() {
                Some(length) => (Kind::String, length),
                None => (Kind::Symbol, 1),
            },
            [digit, ..] if digit.is_ascii_digit() => (Kind::Number, self.number()),
            [byte, ..] if is_word(*byte) => (Kind::Word, rest.iter().position(|b| !is_word(*b)).unwrap_or(rest.len())),
            _ => (Kind::Symbol, 1),
        }
    }

    /// Digits, fraction, exponent; a letter after them belongs to it as well (`0xff`, `1e5`, `2a`).
    fn number(&self) -> usize {
        let rest = self.rest();
        let mut at = 0;
        while let Some(byte) = rest.get(at) {
            let sign_of_exponent = matches!(byte, b'+' | b'-')
                && at > 0
                && matches!(rest.get(at - 1), Some(b'e' | b'E'))
                && !rest.starts_with(b"0x");
            if !(is_word(*byte) || *byte == b'.' || sign_of_exponent) {
                break;
            }
            at += 1;
        }
        at
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let start = self.at;
        if !self.skip_blank() {
            return Some(Token { kind: Kind::Unfinished, start, end: self.sql.len() });
        }
        if self.rest().is_empty() {
            return None;
        }
        let (kind, length) = self.lex();
        let token = Token { kind, start: self.at, end: self.at + length };
        self.at = token.end;
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<String> {
        tokens(sql.as_bytes()).map(|t| String::from_utf8_lossy(t.text(sql.as_bytes())).into_owned()).collect()
    }

    #[test]
    fn strings_comments_and_identifiers() {
        assert_eq!(
            texts("select 'a''b\\'c' -- x\n, /* a /* b */ c */ `q``r` # y\n;"),
            ["select", "'a''b\\'c'", ",", "`q``r`", ";"]
        );
        assert_eq!(
            texts("$$ a ' b $$ $t$ $$ $t$ x'27' 1e-5+2"),
            ["$$ a ' b $$", "$t$ $$ $t$", "x'27'", "1e-5", "+", "2"]
        );
        assert_eq!(texts("a.b{x:Int32}"), ["a", ".", "b", "{", "x", ":", "Int32", "}"]);
    }

    #[test]
    fn what_does_not_end_is_said_so() {
        for sql in ["select 'abc", "/* never", "`x", "'a\\'"] {
            assert_eq!(tokens(sql.as_bytes()).last().map(|t| t.kind), Some(Kind::Unfinished), "{sql}");
        }
    }

    #[test]
    fn identifiers_are_unquoted() {
        for sql in ["file", "\"file\"", "`f\\x69le`", "\u{201c}file\u{201d}"] {
            let token = tokens(sql.as_bytes()).next().expect("one token");
            assert_eq!(token.identifier(sql.as_bytes()).as_deref(), Some(b"file".as_slice()), "{sql}");
        }
    }
}
