//! Who changed what, and whether it was done: in the program's log, in memory for the page, and in
//! a file if one is configured. Names of things only, never a value, a statement or a secret.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

use crate::Error;
use crate::live::now_ms;

/// Kept in memory, newest; older ones are in the log.
const KEPT: usize = 500;

/// One change, or the attempt at one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditEntry {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// How the user was known: `local` (no login configured), `password`, `token`, `nobody`.
    pub who: String,
    /// The address that the request came from.
    pub from: Option<String>,
    /// What: `table.pause`, `topic.delete`, `login`, ...
    pub action: String,
    /// To what.
    pub object: String,
    /// `done`, or why not.
    pub outcome: String,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) who: &'static str,
    pub(crate) from: Option<IpAddr>,
}

/// The record.
#[derive(Debug)]
pub(crate) struct Audit {
    kept: Mutex<VecDeque<AuditEntry>>,
    file: Option<Mutex<File>>,
}

impl Audit {
    /// Opens the file, if one is configured, to append to it.
    pub(crate) fn open(file: Option<&Path>) -> Result<Self, Error> {
        let open = |path: &Path| {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.map_err(|source| Error::AuditFile { path: path.to_owned(), source })
        };
        Ok(Self { kept: Mutex::default(), file: file.map(open).transpose()?.map(Mutex::new) })
    }

    /// Puts on record how an attempt ended.
    pub(crate) fn record(&self, actor: &Actor, action: &str, object: &str, outcome: Result<(), &str>) {
        let entry = AuditEntry {
            at_ms: now_ms(),
            who: actor.who.to_owned(),
            from: actor.from.map(|ip| ip.to_string()),
            action: action.to_owned(),
            object: object.to_owned(),
            outcome: outcome.err().unwrap_or("done").to_owned(),
        };
        let AuditEntry { who, from, outcome, .. } = &entry;
        tracing::info!(target: "walhouse::audit", who, from, action, object, outcome, "console");
        if let Some(file) = &self.file
            && let Ok(mut line) = serde_json::to_vec(&entry)
        {
            line.push(b'\n');
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = file.write_all(&line) {
                tracing::error!(error = %error, "could not write to the audit file");
            }
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(entry);
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }

    /// Newest first.
    pub(crate) fn entries(&self) -> Vec<AuditEntry> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_bounded_in_memory_and_whole_in_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let audit = Audit::open(Some(&path)).unwrap();
        let actor = Actor { who: "local", from: None };
        for number in 0..KEPT + 5 {
            audit.record(
                &actor,
                "table.pause",
                &number.to_string(),
                if number == 0 { Err("conflict") } else { Ok(()) },
            );
        }
        let entries = audit.entries();
        assert_eq!((entries.len(), entries.first().unwrap().object.as_str()), (KEPT, "504"));
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.lines().count(), KEPT + 5);
        assert!(text.lines().next().unwrap().contains(r#""outcome":"conflict""#), "{text}");
    }
}
