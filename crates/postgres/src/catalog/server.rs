//! Facts of the server and of our role on it.

use walhouse_change::Lsn;

use crate::Result;
use crate::wire::connection::Connection;

/// End of the log: what was written, or what a standby replayed.
pub(crate) const CURRENT_LSN: &str =
    "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END";

/// Facts of the server and of our role on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// Major version.
    pub version: u32,
    /// The version in the server's own words.
    pub version_text: String,
    /// `wal_level`; logical replication needs `logical`.
    pub wal_level: String,
    /// Whether the server is a standby.
    pub in_recovery: bool,
    /// End of the log (the last replayed position of a standby).
    pub current: Lsn,
    /// `max_replication_slots`.
    pub max_slots: u32,
    /// Slots in use.
    pub used_slots: u32,
    /// `max_wal_senders`.
    pub max_senders: u32,
    /// Senders in use, as far as our role may see them.
    pub used_senders: u32,
    /// `max_slot_wal_keep_size` in MB; -1 for no limit.
    pub max_slot_wal_keep_size: i64,
    /// `idle_replication_slot_timeout` in seconds, 0 when off or unknown to this version.
    pub idle_slot_timeout: u64,
    /// The server's folder of data, on its machine; none where our role may not know it.
    pub data_directory: Option<String>,
    /// Our role.
    pub role: RoleFacts,
}

/// What our role may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleFacts {
    /// Its name.
    pub name: String,
    /// A superuser may do everything below.
    pub superuser: bool,
    /// REPLICATION.
    pub replication: bool,
    /// BYPASSRLS.
    pub bypass_row_security: bool,
    /// CREATE on the database, which a publication needs.
    pub create_on_database: bool,
}

/// Reads the facts.
pub(crate) fn read(connection: &mut Connection) -> Result<ServerFacts> {
    let sql = format!(
        "SELECT current_setting('server_version'), current_setting('wal_level'), pg_is_in_recovery(), {CURRENT_LSN},
           current_setting('max_replication_slots'), (SELECT count(*) FROM pg_replication_slots),
           current_setting('max_wal_senders'),
           (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'),
           (SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),
           coalesce((SELECT setting FROM pg_settings WHERE name = 'idle_replication_slot_timeout'), '0'),
           r.rolname, r.rolsuper, r.rolsuper OR r.rolreplication, r.rolsuper OR r.rolbypassrls,
           has_database_privilege(current_database(), 'CREATE'),
           coalesce((SELECT setting FROM pg_settings WHERE name = 'data_directory'), '')
         FROM pg_roles r WHERE r.rolname = current_user"
    );
    let rows = connection.query("read the server's settings", &sql)?;
    let row = rows.first().ok_or(crate::wire::Malformed("answer about the server's settings"))?;
    Ok(ServerFacts {
        version: connection.version,
        version_text: row.text(0).to_owned(),
        wal_level: row.text(1).to_owned(),
        in_recovery: row.flag(2),
        current: row.parse(3)?,
        max_slots: row.parse(4)?,
        used_slots: row.parse(5)?,
        max_senders: row.parse(6)?,
        used_senders: row.parse(7)?,
        max_slot_wal_keep_size: row.parse(8)?,
        idle_slot_timeout: row.parse(9)?,
        data_directory: Some(row.text(15).to_owned()).filter(|folder| !folder.is_empty()),
        role: RoleFacts {
            name: row.text(10).to_owned(),
            superuser: row.flag(11),
            replication: row.flag(12),
            bypass_row_security: row.flag(13),
            create_on_database: row.flag(14),
        },
    })
}

/// The cluster's identity: system identifier and current timeline, asked of a walsender, which knows the timeline
/// also after a promotion. So it proves on the way that we may open one.
pub(crate) fn identify(replication: &mut Connection) -> Result<(u64, u32)> {
    let rows = replication.query("identify the system over a replication connection", "IDENTIFY_SYSTEM")?;
    let row = rows.first().ok_or(crate::wire::Malformed("answer to IDENTIFY_SYSTEM"))?;
    Ok((row.parse(0)?, row.parse(1)?))
}
