//! Finds libchdb, or fetches it once.
//!
//! It comes from an npm package at a pinned version, through the user's own npm (so registry, proxy and mirror settings
//! hold), into the cache folder. The digest recorded here is checked while unpacking; a start checks the size only,
//! since hashing half a gigabyte takes longer than everything else a start does.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::error::Error;

/// The npm package.
const PACKAGE: &str = "@chdb/lib-linux-x64-gnu";
/// Version of libchdb's npm package; the engine in it says 26.7.2.1.
pub const LIBRARY_VERSION: &str = "26.7.3-stable.1";
/// SHA-256 of `package/libchdb.so` in it.
const DIGEST: &str = "36ad4e999882821ef13cf2d0f52c93f48e6ee1b4498b35a201c23ce4b8d15bf5";
/// Its size in bytes.
const SIZE: u64 = 566_330_096;
/// Names a file to use instead.
const OVERRIDE: &str = "WALHOUSE_LIBCHDB";

/// What mends a file that [`OVERRIDE`] names, and one of the cache folder.
const OTHER_FILE: &str = "point WALHOUSE_LIBCHDB at a libchdb.so, or unset it";
const FETCH_AGAIN: &str = "delete its folder, it is fetched again at the next start";

/// A stage of fetching, for showing progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Another process is fetching it; waiting for that.
    Waiting,
    /// npm has written this many bytes so far (about 178 MB in the end).
    Downloading(u64),
    /// This many bytes are unpacked and hashed, of this many.
    Unpacking(u64, u64),
    /// It is in its place.
    Done,
}

/// The libchdb that this program uses.
#[derive(Debug)]
pub struct Library;

impl Library {
    /// The library's file: `WALHOUSE_LIBCHDB` if set, else the one in the cache folder, fetched if it is not there yet.
    ///
    /// # Errors
    /// [`Error::Library`] for a torn or foreign file, [`Error::Fetch`] when npm cannot be run or gives something else.
    pub fn locate_or_fetch(progress: &mut dyn FnMut(Progress)) -> Result<PathBuf, Error> {
        if let Some(path) = std::env::var_os(OVERRIDE).filter(|path| !path.is_empty()).map(PathBuf::from) {
            check_override(&path)?;
            return Ok(path);
        }
        let folder = cache_folder()?;
        let path = folder.join("libchdb.so");
        if path.exists() {
            check_cached(&path)?;
            return Ok(path);
        }
        std::fs::create_dir_all(&folder).map_err(Error::io(format!("create {}", folder.display())))?;
        let lock = File::create(folder.join("fetch.lock")).map_err(Error::io("create the lock of the cache folder"))?;
        if lock.try_lock().is_err() {
            progress(Progress::Waiting);
            lock.lock().map_err(Error::io("wait for another process that fetches libchdb"))?;
        }
        if !path.exists() {
            fetch(&folder, &path, progress)?;
        }
        check_cached(&path)?;
        progress(Progress::Done);
        Ok(path)
    }

    /// What to do about a library that does not work: a file of the user's choice is not ours to replace.
    pub(crate) fn remedy() -> &'static str {
        match std::env::var_os(OVERRIDE) {
            Some(path) if !path.is_empty() => OTHER_FILE,
            _ => FETCH_AGAIN,
        }
    }

    /// Draws progress on the terminal (plain lines when there is none).
    pub fn terminal_progress() -> impl FnMut(Progress) {
        let bar = indicatif::ProgressBar::no_length();
        let style = indicatif::ProgressStyle::with_template("{msg} {bytes} {bar:30} {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()));
        let mut said = "";
        move |progress| {
            let message = match progress {
                Progress::Waiting => "waiting for another process that fetches libchdb",
                Progress::Downloading(bytes) => {
                    bar.set_position(bytes);
                    "fetching the ClickHouse engine (178 MB, once)"
                }
                Progress::Unpacking(done, total) => {
                    bar.set_length(total);
                    bar.set_position(done);
                    "unpacking the ClickHouse engine"
                }
                Progress::Done => {
                    bar.finish_and_clear();
                    "the ClickHouse engine is in place"
                }
            };
            if said != message {
                said = message;
                bar.set_message(message);
                if bar.is_hidden() {
                    tracing::info!("{message}");
                }
            }
        }
    }
}

/// Where the library is kept: one folder per version.
fn cache_folder() -> Result<PathBuf, Error> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .ok_or_else(|| Error::Fetch(format!("no home folder to keep it in; set XDG_CACHE_HOME or {OVERRIDE}")))?;
    Ok(cache.join("walhouse").join("libchdb").join(LIBRARY_VERSION))
}

fn unusable(path: &Path, reason: impl Into<String>, remedy: &'static str) -> Error {
    Error::Library { path: path.to_owned(), reason: reason.into(), remedy }
}

/// A file of the user's choice may be of another build, but must at least be a library.
fn check_override(path: &Path) -> Result<(), Error> {
    let remedy = OTHER_FILE;
    let failed = |error: std::io::Error| unusable(path, error.to_string(), remedy);
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    match loaded_size(&file).map_err(failed)? {
        None => Err(unusable(path, "not a shared library", remedy)),
        Some(needed) if size < needed => {
            Err(unusable(path, format!("it is torn: it has {size} bytes of {needed}"), remedy))
        }
        Some(_) => Ok(()),
    }
}

/// Bytes of an x86-64 library's file that are mapped when it is loaded; none when it is no such library. The loader
/// maps what a torn file lacks as well, and the process dies when it reads there.
fn loaded_size(file: &File) -> std::io::Result<Option<u64>> {
    const HEADER: usize = 64;
    const ENTRY: usize = 56;
    let mut start = [0_u8; HEADER];
    match file.read_exact_at(&mut start, 0) {
        Ok(()) if start.starts_with(b"\x7fELF\x02\x01") => {}
        Ok(()) => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    // e_phoff and e_phnum; of each entry p_offset and p_filesz
    let (offset, count) = (number::<8>(&start, 32), number::<2>(&start, 56));
    let mut end = offset.saturating_add(count * ENTRY as u64);
    for index in 0..count {
        let mut entry = [0_u8; ENTRY];
        if file.read_exact_at(&mut entry, offset.saturating_add(index * ENTRY as u64)).is_err() {
            break;
        }
        end = end.max(number::<8>(&entry, 8).saturating_add(number::<8>(&entry, 32)));
    }
    Ok(Some(end))
}

/// The little-endian number of `N` bytes at `at`; 0 beyond the end.
fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let digits = bytes.get(at..at + N).unwrap_or_default();
    digits.iter().rev().fold(0, |number, &digit| number << 8 | u64::from(digit))
}

/// The cached file was hashed when it was fetched; that it is still that file is told by the marker beside it.
fn check_cached(path: &Path) -> Result<(), Error> {
    let remedy = FETCH_AGAIN;
    let meta = path.metadata().map_err(|error| unusable(path, error.to_string(), remedy))?;
    if meta.len() != SIZE {
        return Err(unusable(path, format!("it has {} bytes, not {SIZE}", meta.len()), remedy));
    }
    match std::fs::read_to_string(marker(path)) {
        Ok(text) if text == marker_text(&meta) => Ok(()),
        // copied or touched since: worth one full look
        _ => {
            let file = File::open(path).map_err(|error| unusable(path, error.to_string(), remedy))?;
            let digest = hash(file, &mut std::io::sink(), &mut |_| {}).map_err(Error::io("read libchdb"))?;
            if digest != DIGEST {
                return Err(unusable(path, "its digest is not the recorded one", remedy));
            }
            write_marker(path);
            Ok(())
        }
    }
}

fn marker(path: &Path) -> PathBuf {
    path.with_extension("so.checked")
}

fn marker_text(meta: &std::fs::Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!("{DIGEST} {} {}.{}\n", meta.len(), meta.mtime(), meta.mtime_nsec())
}

/// Saves hashing next time; where it cannot be written, the next start hashes again.
fn write_marker(path: &Path) {
    let written = path.metadata().and_then(|meta| std::fs::write(marker(path), marker_text(&meta)));
    if let Err(error) = written {
        tracing::debug!(error = %error, "libchdb's marker was not written");
    }
}

fn fetch(folder: &Path, path: &Path, progress: &mut dyn FnMut(Progress)) -> Result<(), Error> {
    let scratch = tempfile::Builder::new()
        .prefix("fetch-")
        .tempdir_in(folder)
        .map_err(Error::io(format!("create a folder in {}", folder.display())))?;
    let archive = pack(scratch.path(), progress)?;
    let unpacked = scratch.path().join("libchdb.so");
    unpack(&archive, &unpacked, progress)?;
    std::fs::rename(&unpacked, path).map_err(Error::io(format!("move libchdb to {}", path.display())))?;
    write_marker(path);
    Ok(())
}

/// Runs `npm pack` in `scratch`; gives the archive.
fn pack(scratch: &Path, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf, Error> {
    let mut npm = Command::new("npm")
        .args(["pack", "--silent", &format!("{PACKAGE}@{LIBRARY_VERSION}")])
        .current_dir(scratch)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            Error::Fetch(format!("npm does not run ({error}); install it (apt-get install npm) or set {OVERRIDE}"))
        })?;
    let mut stderr = npm.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.as_mut().map(|pipe| pipe.read_to_string(&mut text));
        text
    });
    let status = loop {
        match npm.try_wait().map_err(Error::io("wait for npm"))? {
            Some(status) => break status,
            None => {
                progress(Progress::Downloading(archive_in(scratch).map_or(0, |(_, size)| size)));
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    };
    let text = reader.join().unwrap_or_default();
    if !status.success() {
        let why = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it gave no reason").to_owned();
        return Err(Error::Fetch(format!("npm pack {PACKAGE}@{LIBRARY_VERSION} failed: {why}; or set {OVERRIDE}")));
    }
    let (archive, _) = archive_in(scratch).ok_or_else(|| Error::Fetch("npm pack left no archive".to_owned()))?;
    Ok(archive)
}

fn archive_in(scratch: &Path) -> Option<(PathBuf, u64)> {
    std::fs::read_dir(scratch).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        let size = entry.metadata().ok()?.len();
        (path.extension()? == "tgz").then_some((path, size))
    })
}

/// Takes the library out of the archive, hashing on the way.
fn unpack(archive: &Path, target: &Path, progress: &mut dyn FnMut(Progress)) -> Result<(), Error> {
    let broken = |error: std::io::Error| Error::Fetch(format!("the package does not unpack: {error}; try again"));
    let file = File::open(archive).map_err(broken)?;
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
    for entry in tar.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        if entry.path().map_err(broken)? != Path::new("package/libchdb.so") {
            continue;
        }
        let mut out = File::create(target).map_err(broken)?;
        let digest = hash(entry, &mut out, &mut |done| progress(Progress::Unpacking(done, SIZE))).map_err(broken)?;
        out.sync_all().map_err(broken)?;
        if digest != DIGEST {
            return Err(Error::Fetch(format!(
                "{PACKAGE}@{LIBRARY_VERSION} holds another libchdb than expected (SHA-256 {digest})"
            )));
        }
        return Ok(());
    }
    Err(Error::Fetch(format!("{PACKAGE}@{LIBRARY_VERSION} holds no libchdb.so")))
}

/// Copies while hashing; gives the digest in hexadecimal.
fn hash(mut from: impl Read, to: &mut dyn Write, step: &mut dyn FnMut(u64)) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 20];
    let mut done = 0_u64;
    loop {
        let read = from.read(&mut buffer)?;
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else { break };
        hasher.update(piece);
        to.write_all(piece)?;
        done += read as u64;
        step(done);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_or_foreign_library_is_one_line_with_a_way_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("libchdb.so");
        std::fs::write(&path, b"\x7fELF torn").expect("a file");
        let error = check_cached(&path).expect_err("torn").to_string();
        assert!(error.contains("fetched again") && !error.contains('\n'), "{error}");
        std::fs::write(&path, b"hello").expect("a file");
        let error = check_override(&path).expect_err("foreign").to_string();
        assert!(error.contains("not a shared library") && !error.contains('\n'), "{error}");
    }
}
