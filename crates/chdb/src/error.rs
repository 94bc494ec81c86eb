//! Errors of starting and running the engine. Errors of single statements are [`crate::failure::Failure`].

use std::path::PathBuf;
use std::time::Duration;

/// Why the engine could not be found, started or kept running. Each message is one line and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// libchdb could not be fetched.
    #[error("cannot fetch libchdb: {0}")]
    Fetch(String),
    /// The file is not the library this program was built for, or is incomplete.
    #[error("{} is not a usable libchdb: {reason}; {remedy}", path.display())]
    Library {
        /// The file that was tried.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What the user can do.
        remedy: &'static str,
    },
    /// Another process holds the data folder.
    #[error("the data folder {} is held by another process (waited {} s); stop it or choose another folder", path.display(), waited.as_secs())]
    DataLocked {
        /// The data folder.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address} ([engine] listen): {source}{}", hint(source))]
    Listen {
        /// The address asked for.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A combination of options that is refused.
    #[error("{0}")]
    Refused(String),
    /// The engine refused to open its data.
    #[error("the engine does not open {}: {reason}", path.display())]
    Open {
        /// The data folder.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
    /// The process could not be confined.
    #[error("cannot confine the engine process: {0}")]
    Confine(String),
    /// The child process ended before it answered.
    #[error("the engine did not start: {0}")]
    Start(String),
    /// Anything the operating system refused.
    #[error("cannot {doing}")]
    Io {
        /// What was attempted.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "; another process has it, choose another port or stop that process",
        _ => "",
    }
}

impl Error {
    /// For `map_err`: says what was attempted when an I/O error came.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
        let doing = doing.into();
        move |source| Error::Io { doing, source }
    }
}
