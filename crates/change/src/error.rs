//! One error type across the contracts: what was attempted, whose fault, whether waiting helps,
//! and what mends it.
//!
//! Each adapter has an error enum of its own and maps SQLSTATEs and server codes once, at its
//! edge, into this.

use std::fmt;
use std::sync::Arc;

use crate::TableName;

/// Result of everything behind a contract.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Which end is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Postgres.
    Source,
    /// ClickHouse.
    Target,
    /// The program itself.
    Internal,
}

/// What to do about an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Heals by waiting: connect again with backoff and show it as not ready.
    Later,
    /// Concerns one table: stop that table, go on with the others.
    StopTable(TableName),
    /// Changes of one table are missing and will not come: copy that table again, go on with the others.
    CopyAgain(TableName),
    /// A wrong configuration or a refusal: exit and say what mends it.
    Never,
}

/// An error that crossed a contract. Cheap to clone; holds no row value and no secret.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    domain: Domain,
    retry: Retry,
    message: String,
    remedy: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// `message` says what was attempted and what was found, lowercase, without a period.
    pub fn new(domain: Domain, retry: Retry, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner { domain, retry, message: message.into(), remedy: None, source: None }))
    }

    /// Adds the SQL or setting that mends it.
    #[must_use]
    pub fn with_remedy(self, remedy: impl Into<String>) -> Self {
        self.edit(|inner| inner.remedy = Some(remedy.into()))
    }

    /// Chains the cause.
    #[must_use]
    pub fn with_source(self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.edit(|inner| inner.source = Some(Box::new(source)))
    }

    fn edit(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::try_unwrap(self.0).unwrap_or_else(|shared| Inner {
            domain: shared.domain,
            retry: shared.retry.clone(),
            message: shared.message.clone(),
            remedy: shared.remedy.clone(),
            source: Some(Box::new(Error(shared))),
        });
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// Which end is concerned.
    #[must_use]
    pub fn domain(&self) -> Domain {
        self.0.domain
    }

    /// What to do about it.
    #[must_use]
    pub fn retry(&self) -> &Retry {
        &self.0.retry
    }

    /// What mends it, if known.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        self.0.remedy.as_deref()
    }

    /// Message, causes and remedy on one line, for a log or a terminal.
    #[must_use]
    pub fn one_line(&self) -> String {
        let mut line = self.0.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            line.push_str(": ");
            line.push_str(&error.to_string());
            cause = error.source();
        }
        if let Some(remedy) = self.remedy() {
            line.push_str("; to mend it: ");
            line.push_str(remedy);
        }
        line.replace('\n', " ")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_tells_cause_and_remedy() {
        let error = Error::new(Domain::Source, Retry::Never, "cannot open the slot")
            .with_source(std::io::Error::other("first\nsecond"))
            .with_remedy("DROP it");
        assert_eq!(error.one_line(), "cannot open the slot: first second; to mend it: DROP it");
    }
}
