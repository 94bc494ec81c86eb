//! What is wrong with a configuration file, in one line that names file, line and key.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigError {
    path: PathBuf,
    line: Option<usize>,
    message: String,
}

impl ConfigError {
    /// About the file as a whole.
    pub(crate) fn file(path: &Path, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, message: message.into() }
    }

    /// About the bytes `span` of `text`.
    pub(super) fn at(path: &Path, text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { line: Some(line_of(text, span.start)), ..Self::file(path, message) }
    }

    /// What the TOML reader found: a syntax error, an unknown key, a missing one, another type.
    pub(super) fn toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let message = error.message().trim().replace('\n', ", ");
        match error.span() {
            Some(span) => Self::at(path, text, span, message),
            None => Self::file(path, message),
        }
    }
}

/// 1-based line of byte `offset`.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ConfigError {}
