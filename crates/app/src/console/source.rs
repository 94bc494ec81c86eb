//! The source's log, for the console's forecast.

use std::path::Path;

use walhouse_change::BoxFuture;
use walhouse_postgres::Postgres;
use walhouse_server::ports::{Result, Source, WalFacts};

/// The source as the console asks it.
pub(super) struct Wal {
    pub(super) postgres: Postgres,
    /// The source runs on this machine, as far as its address tells.
    pub(super) is_local: bool,
}

impl Source for Wal {
    fn wal(&self) -> BoxFuture<'_, Result<WalFacts>> {
        Box::pin(async {
            let (server, slot) = self.postgres.server_and_slot_facts().await?;
            let retained_bytes = slot.as_ref().map_or(0, |slot| slot.retained);
            // What the server itself counts as safe, which the setting in MB is only the cause of.
            let safe = slot.and_then(|slot| slot.safe).and_then(|safe| u64::try_from(safe).ok());
            let setting = u64::try_from(server.max_slot_wal_keep_size).ok().map(|megabytes| megabytes << 20);
            Ok(WalFacts {
                current: server.current,
                retained_bytes,
                keep_limit_bytes: safe.map(|safe| retained_bytes + safe).or(setting),
                disk_free_bytes: server.data_directory.filter(|_| self.is_local).and_then(|folder| free(&folder)),
            })
        })
    }
}

/// Free bytes under the server's log, where its folder is on this machine.
fn free(folder: &str) -> Option<u64> {
    let disk = rustix::fs::statvfs(Path::new(folder).join("pg_wal")).or_else(|_| rustix::fs::statvfs(folder)).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
