//! The folder of a private server: made once, found again by the next start.
//!
//! When we are root and the given folder lies where `nobody` may not go (root's home, say), the data directory is
//! made under [`REACHABLE_FOLDER`] and the folder holds a symbolic link to it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::account::Account;
use super::builder::Options;
use crate::command::run;
use crate::error::{Attempt, Error, Result};

/// Where data directories go that would otherwise be out of the account's reach.
const REACHABLE_FOLDER: &str = "/var/lib/walhouse";

/// Our settings, in a file of their own beside `postgresql.conf`, so that `ALTER SYSTEM` still overrides them.
const SETTINGS_FILE: &str = "walhouse.conf";

/// Present when initdb finished; without it the data directory is made anew.
const COMPLETE_MARK: &str = "initdb-complete";

/// A server's folder.
#[derive(Debug)]
pub(super) struct Folder {
    /// Postgres' data directory, free of symbolic links.
    pub(super) data: PathBuf,
    /// What the server prints.
    pub(super) log: PathBuf,
    /// The folder given, or a temporary one.
    pub(super) home: PathBuf,
    /// Keeps the temporary folder until the server is gone.
    temporary: Option<TempDir>,
}

impl Folder {
    /// Opens the folder of `options`, or a temporary one, and makes the data directory when there is none.
    pub(super) async fn open(options: &Options, programs: &Path, account: Account) -> Result<Self> {
        let (home, temporary) = match &options.data_dir {
            Some(path) => {
                fs::create_dir_all(path).attempt(&format!("creating {}", path.display()))?;
                (path.canonicalize().attempt(&format!("resolving {}", path.display()))?, None)
            }
            None => {
                let temporary = tempfile::Builder::new()
                    .prefix("walhouse-postgres-")
                    .permissions(fs::Permissions::from_mode(0o711))
                    .tempdir()
                    .attempt("creating a temporary folder")?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let data = data_directory(&home, account)?;
        let folder = Self { data, log: home.join("server.log"), home, temporary };
        let complete = folder.home.join(COMPLETE_MARK);
        if !complete.exists() {
            folder.initdb(options, programs, account).await?;
            fs::write(&complete, b"").attempt("marking the data directory as complete")?;
        }
        Ok(folder)
    }

    /// The temporary folder that goes with the server, if this is one.
    pub(super) fn temporary(&self) -> Option<&Path> {
        self.temporary.as_ref().map(TempDir::path)
    }

    async fn initdb(&self, options: &Options, programs: &Path, account: Account) -> Result<()> {
        // What an interrupted initdb left behind.
        for entry in fs::read_dir(&self.data).attempt("reading the data directory")?.flatten() {
            let path = entry.path();
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
                .attempt("clearing a half-made data directory")?;
        }
        let mut initdb = Command::new(programs.join("initdb"));
        initdb
            .arg("-D")
            .arg(&self.data)
            .args(["-U", "postgres", "--no-sync", "--locale=C", "-E", "UTF8"])
            .current_dir("/");
        let mut password_file = None;
        match &options.password {
            None => initdb.args(["-A", "trust"]),
            Some(password) => {
                let file = tempfile::NamedTempFile::new().attempt("creating a password file")?;
                fs::write(file.path(), password).attempt("writing a password file")?;
                account.own(file.path())?;
                initdb.args(["-A", "scram-sha-256"]).arg("--pwfile").arg(file.path());
                password_file = Some(file);
                &mut initdb
            }
        };
        account.apply(&mut initdb);
        run(initdb, "creating the Postgres data directory", "apt-get install -y postgresql").await?;
        drop(password_file);

        let conf = self.data.join("postgresql.conf");
        let mut text = fs::read_to_string(&conf).attempt("reading postgresql.conf")?;
        text.push_str(&format!("\ninclude_if_exists = '{SETTINGS_FILE}'\n"));
        fs::write(&conf, text).attempt("writing postgresql.conf")
    }

    /// Writes the settings that the next start reads.
    pub(super) fn write_settings(&self, settings: &[(String, String)], account: Account) -> Result<()> {
        let text: String = settings
            .iter()
            .map(|(key, value)| format!("{key} = '{}'\n", value.replace('\\', "\\\\").replace('\'', "''")))
            .collect();
        let path = self.data.join(SETTINGS_FILE);
        fs::write(&path, text).attempt("writing the server's settings")?;
        account.own(&path)
    }

    /// Replaces `pg_hba.conf`.
    pub(super) fn write_access_rules(&self, rules: &str) -> Result<()> {
        fs::write(self.data.join("pg_hba.conf"), rules).attempt("writing pg_hba.conf")
    }
}

/// Finds or creates `home/data`, or a place for it that the account can reach.
fn data_directory(home: &Path, account: Account) -> Result<PathBuf> {
    let data = home.join("data");
    if data.is_symlink() && !data.exists() {
        fs::remove_file(&data).attempt("removing a dangling link to a data directory")?;
        fs::remove_file(home.join(COMPLETE_MARK)).ok();
    }
    if !data.exists() {
        fs::remove_file(home.join(COMPLETE_MARK)).ok();
        if account.barred_by(home)?.is_none() {
            fs::create_dir(&data).attempt("creating the data directory")?;
        } else {
            let elsewhere = reachable_directory()?;
            symlink(&elsewhere, &data).attempt("linking to the data directory")?;
        }
    }
    let data = data.canonicalize().attempt("resolving the data directory")?;
    account.own(&data)?;
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).attempt("closing the data directory")?;
    match account.barred_by(&data)? {
        None => Ok(data),
        Some(folder) => Err(Error::Invalid(format!(
            "the account nobody, which runs Postgres when we are root, cannot pass {}: choose another folder",
            folder.display()
        ))),
    }
}

fn reachable_directory() -> Result<PathBuf> {
    fs::create_dir_all(REACHABLE_FOLDER).attempt(&format!("creating {REACHABLE_FOLDER}"))?;
    let folder = tempfile::Builder::new()
        .prefix("postgres-")
        .tempdir_in(REACHABLE_FOLDER)
        .attempt(&format!("creating a folder in {REACHABLE_FOLDER}"))?;
    Ok(folder.keep())
}
