//! Why a port could not do what it was asked for.

use std::fmt;

/// Whose fault it is, which decides the HTTP code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// There is no such thing (404).
    NotFound,
    /// The request makes no sense (400).
    Invalid,
    /// It makes sense and is not allowed (403).
    Refused,
    /// It cannot be done in the present state (409).
    Conflict,
    /// A limit of time, rows or memory was hit (422).
    Limit,
    /// This console has nothing to do it with (501).
    Missing,
    /// A database or broker cannot be reached (503).
    Unavailable,
    /// Anything else (500).
    Internal,
}

/// A failure: what was attempted and found, and what mends it. It holds no row value and no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Failure {
    /// Whose fault it is.
    pub kind: FailureKind,
    /// Lowercase, without a period.
    pub message: String,
    /// The next step.
    pub advice: Option<String>,
}

impl Failure {
    /// A failure without advice.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), advice: None }
    }

    /// Adds the next step.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// This console has no such port.
    #[must_use]
    pub fn missing(what: &str) -> Self {
        Self::new(FailureKind::Missing, format!("this console has no {what}"))
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(FailureKind::NotFound, format!("there is no {what}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<walhouse_change::Error> for Failure {
    fn from(error: walhouse_change::Error) -> Self {
        let kind = match error.domain() {
            walhouse_change::Domain::Internal => FailureKind::Internal,
            _ => FailureKind::Unavailable,
        };
        let advice = error.remedy().map(str::to_owned);
        let line = error.one_line();
        let message = line.split("; to mend it: ").next().unwrap_or(&line).to_owned();
        Self { kind, message, advice }
    }
}
