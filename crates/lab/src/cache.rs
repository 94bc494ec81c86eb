//! What is fetched once and kept: the cache folder, and the lock under which it is filled.

use std::fs::{self, File};
use std::path::PathBuf;

use crate::error::{Attempt, Error, Result};

/// The user's cache folder: `$XDG_CACHE_HOME`, else `~/.cache`.
pub(crate) fn user_cache() -> Result<PathBuf> {
    let own = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .ok_or_else(|| Error::Invalid("neither XDG_CACHE_HOME nor HOME is set: no cache folder".into()))?;
    fs::create_dir_all(&own).attempt(&format!("creating {}", own.display()))?;
    Ok(own)
}

/// Holds the file's lock until the returned file is dropped.
pub(crate) async fn lock(path: PathBuf) -> Result<File> {
    tokio::task::spawn_blocking(move || -> std::io::Result<File> {
        let file = File::create(path)?;
        file.lock().map(|()| file)
    })
    .await
    .attempt("locking the cache folder")?
    .attempt("locking the cache folder")
}
