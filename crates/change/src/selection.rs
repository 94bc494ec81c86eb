//! Patterns that choose tables: `schema.table`, anchored at both ends, `*` matches any run.

use std::fmt;

use crate::TableName;

/// One pattern of `tables = [..]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    schema: String,
    name: String,
}

/// The pattern is not of the form `schema.table`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("table pattern {0:?} is not of the form schema.table, such as \"public.*\"")]
pub struct PatternError(String);

impl Pattern {
    /// Parses `schema.table`; either part may hold `*`. A name with a dot of its own is reached
    /// by `*`.
    ///
    /// # Errors
    /// When there is not exactly one dot or a part is empty.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        match text.split_once('.') {
            Some((schema, name)) if !schema.is_empty() && !name.is_empty() && !name.contains('.') => {
                Ok(Self { schema: schema.to_owned(), name: name.to_owned() })
            }
            _ => Err(PatternError(text.to_owned())),
        }
    }

    /// True if the whole name matches.
    #[must_use]
    pub fn matches(&self, table: &TableName) -> bool {
        glob(self.schema.as_bytes(), table.schema.as_bytes()) && glob(self.name.as_bytes(), table.name.as_bytes())
    }

    /// True if the pattern names one table and no more.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.schema.contains('*') && !self.name.contains('*')
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// Anchored match with `*`; linear backtracking to the last star only.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut retry) = (0, 0, None);
    while t < text.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            retry = Some((p + 1, t));
            p += 1;
        } else if p < pattern.len() && pattern[p] == text[t] {
            p += 1;
            t += 1;
        } else if let Some((after_star, from)) = retry {
            retry = Some((after_star, from + 1));
            p = after_star;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_anchored_and_knows_stars() {
        let yes = [("public.*", "public", "t"), ("*.*", "a", "b"), ("p.t*e", "p", "table"), ("p.*a*a", "p", "banana")];
        let no = [
            ("public.sale", "public", "sales"),
            ("public.*", "publics", "t"),
            ("p.t*e", "p", "tables"),
            ("p.a", "p", "A"),
        ];
        for (pattern, schema, name) in yes {
            assert!(
                Pattern::parse(pattern).unwrap().matches(&TableName::new(schema, name)),
                "{pattern} {schema}.{name}"
            );
        }
        for (pattern, schema, name) in no {
            assert!(
                !Pattern::parse(pattern).unwrap().matches(&TableName::new(schema, name)),
                "{pattern} {schema}.{name}"
            );
        }
    }

    #[test]
    fn refuses_other_forms() {
        for text in ["", "t", ".t", "s.", "a.b.c"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}
