//! What can go wrong with the source, and the one place where SQLSTATEs are understood.

use std::io;

use walhouse_change::{Domain, Retry};

use crate::wire::Malformed;

/// An error of the Postgres adapter. Becomes a [`walhouse_change::Error`] at the contracts' edge.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot work.
    #[error("{what}")]
    Config {
        /// What is wrong.
        what: String,
        /// What mends it.
        remedy: String,
    },
    /// Nobody answers.
    #[error("cannot reach postgres at {endpoint}")]
    Unreachable {
        /// Host and port, or socket folder.
        endpoint: String,
        /// The cause.
        source: io::Error,
    },
    /// TLS was asked for and does not come about.
    #[error("cannot secure the connection to {endpoint}: {what}")]
    Tls {
        /// Host and port.
        endpoint: String,
        /// What is missing or was refused.
        what: String,
    },
    /// The server said no.
    #[error("cannot {attempt}: {refusal}")]
    Refused {
        /// What was attempted, as a verb phrase.
        attempt: String,
        /// Role that attempted it.
        role: String,
        /// The server's words.
        refusal: Refusal,
    },
    /// The connection broke, or nothing came for too long.
    #[error("lost the connection to postgres while trying to {attempt}")]
    Broken {
        /// What was attempted, as a verb phrase.
        attempt: String,
        /// The cause.
        source: io::Error,
    },
    /// The server sent what the protocol does not allow.
    #[error("cannot read what postgres sent")]
    Protocol(#[from] Malformed),
    /// A finding of our own.
    #[error("{message}")]
    Finding {
        /// What was found.
        message: String,
        /// What to do about it.
        retry: Retry,
        /// What mends it.
        remedy: Option<String>,
    },
    /// Whoever waited for the outcome went away.
    #[error("gave up trying to {0}")]
    Abandoned(&'static str),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The server's own words: an ErrorResponse or NoticeResponse. Its detail is left out, which may quote a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{message} (SQLSTATE {code})")]
pub struct Refusal {
    /// Untranslated severity: ERROR, FATAL, WARNING, ...
    pub severity: String,
    /// SQLSTATE.
    pub code: String,
    /// Primary message, in the server's language.
    pub message: String,
}

impl Error {
    pub(crate) fn config(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Config { what: what.into(), remedy: remedy.into() }
    }

    pub(crate) fn finding(retry: Retry, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Finding { message: message.into(), retry, remedy: Some(remedy.into()) }
    }

    pub(crate) fn later(message: impl Into<String>) -> Self {
        Self::Finding { message: message.into(), retry: Retry::Later, remedy: None }
    }

    pub(crate) fn broken(attempt: impl Into<String>, source: io::Error) -> Self {
        Self::Broken { attempt: attempt.into(), source }
    }

    /// The server's SQLSTATE, if it was the server that refused.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { refusal, .. } => Some(&refusal.code),
            _ => None,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Config { .. } | Self::Tls { .. } => Retry::Never,
            Self::Unreachable { source, .. } if source.kind() == io::ErrorKind::InvalidInput => Retry::Never,
            Self::Unreachable { .. } | Self::Broken { .. } | Self::Protocol(_) | Self::Abandoned(_) => Retry::Later,
            Self::Refused { refusal, .. } => retry_of(&refusal.code),
            Self::Finding { retry, .. } => retry.clone(),
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Config { remedy, .. } => Some(remedy.clone()),
            Self::Tls { .. } => Some("give the right ca_file and host name, or choose another sslmode".to_owned()),
            Self::Refused { role, refusal, attempt } => remedy_of(&refusal.code, role, attempt),
            Self::Finding { remedy, .. } => remedy.clone(),
            _ => None,
        }
    }
}

/// SQLSTATE to what to do. Whatever is not known to be final is retried, visibly.
fn retry_of(code: &str) -> Retry {
    match code {
        // wrong password or no such role, refused by pg_hba, no such database, missing right
        "28P01" | "28000" | "3D000" | "42501" => Retry::Never,
        // all slots in use; prerequisite state: wal_level, an invalidated slot; no such object
        "53400" | "55000" | "42704" => Retry::Never,
        // a publication is to be altered on a standby
        "25006" => Retry::Never,
        // statements the server does not understand, unsupported features
        code if code.starts_with("42") || code.starts_with("0A") => Retry::Never,
        _ => Retry::Later,
    }
}

fn remedy_of(code: &str, role: &str, attempt: &str) -> Option<String> {
    let role = crate::sql::identifier(role);
    Some(match code {
        "28P01" => format!("give the password of {role} by PGPASSWORD, ~/.pgpass or password_file"),
        "28000" => format!("let {role} in: add a line to pg_hba.conf, or create the role WITH LOGIN"),
        "3D000" => "name an existing database".to_owned(),
        "42501" if attempt.contains("replication") => format!("ALTER ROLE {role} REPLICATION"),
        "42501" => format!("grant {role} the missing right"),
        "53400" => "raise max_replication_slots and restart postgres, or drop an unused slot".to_owned(),
        "53300" => "raise max_wal_senders or max_connections, or end an unused session".to_owned(),
        "55000" => "set wal_level = logical and restart postgres; if the slot was invalidated, walhouse teardown, \
                    then walhouse run: it copies every table again"
            .to_owned(),
        "25006" => "create and alter the publication on the primary".to_owned(),
        "55006" => "wait for the other consumer to end, or choose another slot".to_owned(),
        _ => return None,
    })
}

impl From<Error> for walhouse_change::Error {
    fn from(error: Error) -> Self {
        let domain = match error {
            Error::Abandoned(_) => Domain::Internal,
            _ => Domain::Source,
        };
        let mut mapped = Self::new(domain, error.retry(), error.to_string());
        if let Some(remedy) = error.remedy() {
            mapped = mapped.with_remedy(remedy);
        }
        match error {
            Error::Unreachable { source, .. } | Error::Broken { source, .. } => mapped.with_source(source),
            Error::Protocol(source) => mapped.with_source(source),
            _ => mapped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str, attempt: &str) -> walhouse_change::Error {
        let refusal = Refusal { severity: "FATAL".into(), code: code.into(), message: "no".into() };
        Error::Refused { attempt: attempt.into(), role: "app".into(), refusal }.into()
    }

    #[test]
    fn refusals_say_what_mends_them() {
        let error = refused("42501", "open a replication connection");
        assert_eq!(error.retry(), &Retry::Never);
        assert_eq!(
            error.one_line(),
            "cannot open a replication connection: no (SQLSTATE 42501); to mend it: ALTER ROLE \"app\" REPLICATION"
        );
    }

    #[test]
    fn what_heals_by_waiting_is_waited_for() {
        for code in ["57P01", "57P03", "53300", "55006", "08006", "40001", "55P03", "XX000"] {
            assert_eq!(refused(code, "x").retry(), &Retry::Later, "{code}");
        }
        for code in ["28P01", "28000", "3D000", "42501", "53400", "55000", "42704", "42601", "0A000"] {
            assert_eq!(refused(code, "x").retry(), &Retry::Never, "{code}");
        }
    }
}
