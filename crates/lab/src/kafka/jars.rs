//! Sets of jars from Maven Central, fetched once into a cache folder.
//!
//! A set is complete when its folder is there: it is fetched beside its place and renamed, under a lock, so any number
//! of test runs may ask for it at once. Maven checks every jar against the checksum that its registry gives.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::{lock, user_cache};
use crate::command::run;
use crate::error::{Attempt, Result};

/// A set of jars under one name, which holds its version: another version is another set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Jars {
    /// The folder's name in the cache.
    name: &'static str,
    /// `group:artifact:version`, each with all that it needs to run.
    artifacts: &'static [&'static str],
}

/// The broker.
pub(super) const BROKER: Jars =
    Jars { name: "kafka-3.9.1", artifacts: &["org.apache.kafka:kafka_2.13:3.9.1", "org.slf4j:slf4j-reload4j:1.7.36"] };

/// The worker of the image `debezium/connect:2.4`. `connect-file` is left out, as in Kafka's own start script.
pub(super) const CONNECT_3_5: Jars = Jars {
    name: "connect-3.5.1",
    artifacts: &[
        "org.apache.kafka:connect-runtime:3.5.1",
        "org.apache.kafka:connect-json:3.5.1",
        "org.apache.kafka:connect-transforms:3.5.1",
        "org.apache.kafka:connect-mirror:3.5.1",
        "org.apache.kafka:connect-basic-auth-extension:3.5.1",
        "org.slf4j:slf4j-reload4j:1.7.36",
    ],
};

/// Its connector. The set's folder is the worker's `plugin.path`.
pub(super) const DEBEZIUM_2_4: Jars =
    Jars { name: "debezium-postgres-2.4.2", artifacts: &["io.debezium:debezium-connector-postgres:2.4.2.Final"] };

/// A worker for Debezium 3.
pub(super) const CONNECT_3_9: Jars = Jars {
    name: "connect-3.9.1",
    artifacts: &[
        "org.apache.kafka:connect-runtime:3.9.1",
        "org.apache.kafka:connect-json:3.9.1",
        "org.apache.kafka:connect-transforms:3.9.1",
        "org.slf4j:slf4j-reload4j:1.7.36",
    ],
};

/// Its connector.
pub(super) const DEBEZIUM_3_0: Jars =
    Jars { name: "debezium-postgres-3.0.8", artifacts: &["io.debezium:debezium-connector-postgres:3.0.8.Final"] };

impl Jars {
    /// The folder that holds the jars' folder `lib`; fetches them when they are not in the cache.
    pub(super) async fn folder(self) -> Result<PathBuf> {
        let cache = user_cache()?.join("walhouse/kafka");
        let home = cache.join(self.name);
        if home.is_dir() {
            return Ok(home);
        }
        fs::create_dir_all(&cache).attempt(&format!("creating {}", cache.display()))?;
        let _lock = lock(cache.join(format!("{}.lock", self.name))).await?;
        if !home.is_dir() {
            self.install(&cache, &home).await?;
        }
        Ok(home)
    }

    async fn install(self, cache: &Path, home: &Path) -> Result<()> {
        tracing::info!(set = self.name, "fetching jars with maven");
        let scratch = tempfile::tempdir_in(cache).attempt("creating a folder for jars")?;
        let set = scratch.path().join("set");
        fs::create_dir(&set).attempt("creating a folder for jars")?;
        fs::write(scratch.path().join("pom.xml"), self.pom()).attempt("writing Maven's pom.xml")?;
        let mut maven = Command::new("mvn");
        maven
            // -C: a jar that does not fit its checksum is an error.
            .args(["-q", "-B", "-C", "dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", set.join("lib").display()))
            .current_dir(scratch.path());
        run(maven, &format!("fetching {} with Maven", self.name), "apt-get install -y maven").await?;
        fs::rename(&set, home).attempt("moving the fetched jars into the cache")
    }

    /// A project that needs the artifacts and is nothing itself.
    fn pom(self) -> String {
        let dependencies: String = self.artifacts.iter().filter_map(|artifact| dependency(artifact)).collect();
        format!(
            "<project>\n<modelVersion>4.0.0</modelVersion>\n<groupId>walhouse</groupId>\n<artifactId>jars</artifactId>\n\
             <version>1</version>\n<packaging>pom</packaging>\n<dependencies>\n{dependencies}</dependencies>\n</project>\n"
        )
    }
}

fn dependency(artifact: &str) -> Option<String> {
    let mut parts = artifact.split(':');
    let (group, artifact, version) = (parts.next()?, parts.next()?, parts.next()?);
    Some(format!(
        "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_artifact_is_in_the_pom() {
        assert_eq!(BROKER.pom().matches("<dependency>").count(), BROKER.artifacts.len());
        assert_eq!(dependency("no version"), None);
    }
}
