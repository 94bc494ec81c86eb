//! The engine's configuration files, written anew at each start.
//!
//! The engine has one user, `default`, without a password: nobody reaches it but this process. What that user may do
//! is what any client may do, so the grants are a list of what an analytics database needs and nothing that leaves it.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// What clients may do anywhere. Not in it, on purpose: FILE, URL, REMOTE, POSTGRES, MYSQL, S3 and the other sources,
/// SYSTEM, CREATE FUNCTION, CREATE DICTIONARY (a dictionary's source runs commands and reaches hosts), BACKUP, access management.
const GRANTS: &str = "SHOW, SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE TEMPORARY TABLE, \
                      DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, CHECK, KILL QUERY, dictGet";

/// Table engines that keep their data inside the data folder. Log, Buffer, Set and Join need no grant.
const ENGINES: [&str; 10] = [
    "MergeTree",
    "ReplacingMergeTree",
    "SummingMergeTree",
    "AggregatingMergeTree",
    "CollapsingMergeTree",
    "VersionedCollapsingMergeTree",
    "CoalescingMergeTree",
    "GraphiteMergeTree",
    "Memory",
    "Null",
];

/// A consumer that was killed holds its partitions until its session ends: 45 s by librdkafka's default, and a start
/// after a crash would wait for that.
const KAFKA: &str = "
  <kafka>
    <session_timeout_ms>6000</session_timeout_ms>
    <heartbeat_interval_ms>1500</heartbeat_interval_ms>
  </kafka>";

/// Files and folders inside the data folder.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The data folder, absolute: with a relative path the engine applies it twice when it syncs files.
    pub(crate) root: PathBuf,
    /// The engine's own files.
    pub(crate) store: PathBuf,
    /// Results held back until a query's end.
    pub(crate) spill: PathBuf,
    /// Locked while an engine runs.
    pub(crate) lock: PathBuf,
    config: PathBuf,
    users: PathBuf,
}

impl Layout {
    /// Makes the folders.
    pub(crate) fn create(data: &Path) -> Result<Layout, Error> {
        let doing = || format!("create the data folder {}", data.display());
        // other users of the machine have no business in it
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(Error::io(doing()))?;
        let root = data.canonicalize().map_err(Error::io(doing()))?;
        let layout = Layout {
            store: root.join("store"),
            spill: root.join("spill"),
            lock: root.join("lock"),
            config: root.join("engine.xml"),
            users: root.join("engine-users.xml"),
            root,
        };
        for folder in [&layout.store, &layout.spill] {
            std::fs::create_dir_all(folder).map_err(Error::io(doing()))?;
        }
        Ok(layout)
    }

    /// Writes both files; gives the path of the main one.
    pub(crate) fn write_config(&self, kafka: bool) -> Result<&Path, Error> {
        let write = |path: &Path, text: String| {
            std::fs::write(path, text).map_err(Error::io(format!("write {}", path.display())))
        };
        write(&self.config, main_file(&self.store, &self.users, kafka))?;
        write(&self.users, users_file(kafka))?;
        Ok(&self.config)
    }
}

/// Durability: an insert is answered when its part is on disk. Memory: caches of an embedded engine, not of a server
/// that owns its machine. Pools: at least 2, for merges need one while a mutation waits in the other.
fn main_file(store: &Path, users: &Path, kafka: bool) -> String {
    let (store, users) = (escape(&store.display().to_string()), escape(&users.display().to_string()));
    let kafka = if kafka { KAFKA } else { "" };
    format!(
        "<clickhouse>
  <logger><level>none</level></logger>
  <path>{store}/</path>
  <tmp_path>{store}/tmp/</tmp_path>
  <user_files_path>{store}/user_files/</user_files_path>
  <users_config>{users}</users_config>
  <display_name>walhouse</display_name>
  <mark_cache_size>67108864</mark_cache_size>
  <primary_index_cache_size>67108864</primary_index_cache_size>
  <index_mark_cache_size>16777216</index_mark_cache_size>
  <compiled_expression_cache_size>33554432</compiled_expression_cache_size>
  <background_pool_size>2</background_pool_size>
  <background_schedule_pool_size>4</background_schedule_pool_size>
  <merge_tree>
    <fsync_after_insert>1</fsync_after_insert>
    <fsync_part_directory>1</fsync_part_directory>
    <min_compressed_bytes_to_fsync_after_merge>1</min_compressed_bytes_to_fsync_after_merge>
  </merge_tree>{kafka}
</clickhouse>
"
    )
}

fn users_file(kafka: bool) -> String {
    let mut grants = format!("<query>GRANT {GRANTS} ON *.*</query>");
    let engines = ENGINES.into_iter().chain(kafka.then_some("Kafka"));
    for engine in engines {
        grants.push_str(&format!("\n        <query>GRANT TABLE ENGINE ON {engine}</query>"));
    }
    if kafka {
        grants.push_str("\n        <query>GRANT READ, WRITE ON KAFKA</query>");
    }
    format!(
        "<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <password></password>
      <networks><ip>::/0</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants>
        {grants}
      </grants>
    </default>
  </users>
</clickhouse>
"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
