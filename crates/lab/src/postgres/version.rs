//! Which Postgres a private server is, and where its programs are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use super::maven;
use crate::error::{Error, Result};

/// Names the Postgres that the tests run on: `system` or a major version, 14 to 18.
const TEST_VERSION_VARIABLE: &str = "WALHOUSE_TEST_POSTGRES";

/// Where distributions put Postgres' server programs: a folder of major versions each (Debian, Red Hat).
const DISTRIBUTION_FOLDERS: [(&str, &str); 2] = [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")];

/// The programs that a server needs; a client-only installation has none of them.
const PROGRAMS: [&str; 3] = ["postgres", "initdb", "pg_ctl"];

/// Which Postgres to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The newest one installed on this machine.
    System,
    /// 14, fetched with Maven.
    V14,
    /// 15, fetched with Maven.
    V15,
    /// 16, fetched with Maven.
    V16,
    /// 17, fetched with Maven.
    V17,
    /// 18, fetched with Maven.
    V18,
}

impl Version {
    /// The version that tests run on: `WALHOUSE_TEST_POSTGRES` (`system`, or 14 to 18), else the machine's own, else
    /// 18.
    pub fn for_tests() -> Result<Self> {
        match std::env::var(TEST_VERSION_VARIABLE) {
            Ok(name) if !name.is_empty() => name.parse(),
            _ => Ok(Self::installed_or_newest()),
        }
    }

    /// The machine's own Postgres when it has one, else 18.
    pub fn installed_or_newest() -> Self {
        system_programs().map_or(Self::V18, |_| Self::System)
    }

    /// The folder of `postgres`, `initdb` and `pg_ctl`; fetches them when this is not the machine's own.
    pub(super) async fn programs(self) -> Result<PathBuf> {
        match maven::Artifact::of(self) {
            Some(artifact) => artifact.programs().await,
            None => system_programs().ok_or_else(|| Error::MissingProgram {
                program: "Postgres".into(),
                install: "apt-get install -y postgresql",
            }),
        }
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "system" => Ok(Self::System),
            "14" => Ok(Self::V14),
            "15" => Ok(Self::V15),
            "16" => Ok(Self::V16),
            "17" => Ok(Self::V17),
            "18" => Ok(Self::V18),
            _ => Err(Error::Invalid(format!("no such Postgres version: {name} (system, or 14 to 18)"))),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::V14 => "14",
            Self::V15 => "15",
            Self::V16 => "16",
            Self::V17 => "17",
            Self::V18 => "18",
        })
    }
}

/// The newest of the distribution's Postgres servers, else the one of `pg_config`, else of `PATH`.
fn system_programs() -> Option<PathBuf> {
    newest_of_distribution()
        .or_else(|| pg_config_folder().filter(|folder| is_complete(folder)))
        .or_else(|| std::env::split_paths(&std::env::var_os("PATH")?).find(|folder| is_complete(folder)))
}

fn newest_of_distribution() -> Option<PathBuf> {
    let mut found = Vec::new();
    for (folder, prefix) in DISTRIBUTION_FOLDERS {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let major = name.to_str().and_then(|name| name.strip_prefix(prefix)?.parse::<u32>().ok());
            let programs = entry.path().join("bin");
            if let Some(major) = major.filter(|_| is_complete(&programs)) {
                found.push((major, programs));
            }
        }
    }
    found.into_iter().max().map(|(_, programs)| programs)
}

fn pg_config_folder() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(folder.trim()))
}

fn is_complete(folder: &Path) -> bool {
    PROGRAMS.iter().all(|program| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in ["system", "14", "15", "16", "17", "18"] {
            assert_eq!(name.parse::<Version>().unwrap().to_string(), name);
        }
        assert!("13".parse::<Version>().is_err());
    }
}
