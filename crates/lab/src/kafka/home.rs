//! The folder of a Java server: given and kept, or a temporary one that goes with the server.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{Attempt, Result};

/// A server's folder.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    temporary: Option<TempDir>,
}

impl Home {
    /// Opens `folder`, or makes a temporary one whose name starts with `prefix`.
    pub(super) fn open(folder: Option<&Path>, prefix: &str) -> Result<Self> {
        if let Some(folder) = folder {
            fs::create_dir_all(folder).attempt(&format!("creating {}", folder.display()))?;
            let path = folder.canonicalize().attempt(&format!("resolving {}", folder.display()))?;
            return Ok(Self { path, temporary: None });
        }
        let temporary = tempfile::Builder::new().prefix(prefix).tempdir().attempt("creating a temporary folder")?;
        Ok(Self { path: temporary.path().to_owned(), temporary: Some(temporary) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path, if it goes with the server.
    pub(super) fn temporary(&self) -> Option<&Path> {
        self.temporary.as_ref().map(TempDir::path)
    }

    /// What the server prints.
    pub(super) fn log(&self) -> PathBuf {
        self.path.join("server.log")
    }

    /// Writes a Java properties file and returns its path; the last one of a key counts.
    pub(super) fn write_properties(&self, name: &str, properties: &[(String, String)]) -> Result<PathBuf> {
        let text: String = properties.iter().map(|(key, value)| property(key, value)).collect();
        let path = self.path.join(name);
        fs::write(&path, text).attempt(&format!("writing {}", path.display()))?;
        Ok(path)
    }
}

/// One line of a properties file; a backslash and a line's end in a value are escaped.
fn property(key: &str, value: &str) -> String {
    format!("{key}={}\n", value.replace('\\', "\\\\").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_on_its_line() {
        assert_eq!(property("a.b", "1\\2\n3"), "a.b=1\\\\2\\n3\n");
    }
}
