//! The account that a private server runs as: Postgres refuses to run as root, so root uses `nobody`.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Attempt, Error, Result};

/// Who runs the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    /// The account we run as, which is an ordinary one.
    Ourselves,
    /// We are root and step down to this account.
    Other {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
    },
}

impl Account {
    /// Ourselves, or `nobody` when we are root.
    pub(super) fn choose() -> Result<Self> {
        let own = fs::metadata("/proc/self").attempt("reading our own user id")?.uid();
        if own != 0 {
            return Ok(Self::Ourselves);
        }
        let passwd = fs::read_to_string("/etc/passwd").attempt("looking up the account nobody")?;
        parse_nobody(&passwd)
            .ok_or_else(|| Error::Invalid("Postgres does not run as root, and there is no account nobody".into()))
    }

    /// Makes `command` run as this account.
    pub(super) fn apply(self, command: &mut Command) {
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
    }

    /// Gives `path` to this account.
    pub(super) fn own(self, path: &Path) -> Result<()> {
        match self {
            Self::Ourselves => Ok(()),
            Self::Other { uid, gid } => {
                chown(path, Some(uid), Some(gid)).attempt(&format!("giving {} to the account nobody", path.display()))
            }
        }
    }

    /// The first folder on the way to `path` (which exists) that this account may not pass, if any.
    pub(super) fn barred_by(self, path: &Path) -> Result<Option<PathBuf>> {
        let Self::Other { uid, gid } = self else {
            return Ok(None);
        };
        let path = path.canonicalize().attempt(&format!("resolving {}", path.display()))?;
        let mut folders: Vec<&Path> = path.ancestors().collect();
        folders.reverse();
        for folder in folders {
            let meta = fs::metadata(folder).attempt(&format!("looking at {}", folder.display()))?;
            let search_bit = if meta.uid() == uid {
                0o100
            } else if meta.gid() == gid {
                0o010
            } else {
                0o001
            };
            if meta.mode() & search_bit == 0 {
                return Ok(Some(folder.to_owned()));
            }
        }
        Ok(None)
    }
}

fn parse_nobody(passwd: &str) -> Option<Account> {
    let line = passwd.lines().find(|line| line.starts_with("nobody:"))?;
    let mut fields = line.split(':').skip(2);
    Some(Account::Other { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_nobody_in_passwd() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\n";
        assert_eq!(parse_nobody(passwd), Some(Account::Other { uid: 65534, gid: 65533 }));
        assert_eq!(parse_nobody("root:x:0:0:root:/root:/bin/bash"), None);
    }
}
