//! The replication slot: what the server says of it, and its end.

use std::time::{Duration, Instant};

use walhouse_change::{Lsn, Retry, SlotState};

use crate::catalog::server::CURRENT_LSN;
use crate::wire::connection::Connection;
use crate::{Error, Result, sql};

/// A walsender whose client went away may hold its slot for a moment (it cleans spilled transactions up).
const RELEASE_PATIENCE: Duration = Duration::from_secs(5);
const RELEASE_POLL: Duration = Duration::from_millis(100);

/// All that the server says of our slot, for `status` and `check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotFacts {
    /// `pgoutput` for ours.
    pub plugin: String,
    /// Whether it is a logical slot of this database.
    pub of_this_database: bool,
    /// Process id of the walsender that holds it.
    pub active_pid: Option<i32>,
    /// Transactions with a commit LSN below are confirmed.
    pub confirmed: Lsn,
    /// Log from here on is kept; zero when it was removed.
    pub restart: Lsn,
    /// Bytes of log that the slot retains.
    pub retained: u64,
    /// Bytes that may be written before the slot is in danger; none without a limit.
    pub safe: Option<i64>,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub wal_status: String,
    /// Why the slot is of no use, in the server's words.
    pub invalidation: Option<String>,
    /// Whether somebody switched two-phase decoding on, which we do not read.
    pub two_phase: bool,
    /// What the walsender waits for (`WaitForStandbyConfirmation`: a standby of `synchronized_standby_slots` is down).
    pub wait_event: Option<String>,
}

impl SlotFacts {
    /// Whether its log is gone.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.invalidation.is_some()
    }
}

/// Reads the slot `name`; none when there is no such slot.
pub(crate) fn read(connection: &mut Connection, name: &str) -> Result<Option<SlotFacts>> {
    // On 16 `conflicting` means "invalidated", removed log included; later versions say why.
    let invalidation = match connection.version {
        ..16 => "NULL",
        16 => "CASE WHEN s.conflicting THEN 'conflicting' END",
        _ => "s.invalidation_reason",
    };
    let sql = format!(
        "SELECT coalesce(s.plugin, ''), s.slot_type = 'logical' AND s.database = current_database(), s.active_pid,
                coalesce(s.confirmed_flush_lsn, '0/0'), coalesce(s.restart_lsn, '0/0'),
                greatest(coalesce(pg_wal_lsn_diff({CURRENT_LSN}, s.restart_lsn), 0), 0)::int8, s.safe_wal_size,
                coalesce(s.wal_status, 'lost'),
                coalesce({invalidation}, CASE WHEN s.wal_status = 'lost' THEN 'wal_removed' END),
                coalesce(s.two_phase, false), a.wait_event
         FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid WHERE s.slot_name = {}",
        sql::literal(name)
    );
    let rows = connection.query("read the replication slot", &sql)?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(SlotFacts {
        plugin: row.text(0).to_owned(),
        of_this_database: row.flag(1),
        active_pid: row.parse(2).ok(),
        confirmed: row.parse(3)?,
        restart: row.parse(4)?,
        retained: row.parse(5)?,
        safe: row.parse(6).ok(),
        wal_status: row.text(7).to_owned(),
        invalidation: row.optional(8).map(str::to_owned),
        two_phase: row.flag(9),
        wait_event: row.optional(10).map(str::to_owned),
    }))
}

/// The slot as the contract says it.
pub(crate) fn state(connection: &mut Connection, name: &str) -> Result<SlotState> {
    let Some(facts) = read(connection, name)? else { return Ok(SlotState::Missing) };
    if !facts.of_this_database || facts.plugin != "pgoutput" {
        return Err(Error::finding(
            Retry::Never,
            format!("slot {name:?} belongs to somebody else: it is not a pgoutput slot of this database"),
            "choose another slot",
        ));
    }
    if facts.two_phase {
        return Err(Error::finding(
            Retry::Never,
            format!("slot {name:?} decodes prepared transactions at PREPARE, which may be rolled back"),
            "walhouse teardown, then walhouse run: it copies every table again",
        ));
    }
    Ok(match facts.invalidation {
        Some(reason) => SlotState::Lost { reason, confirmed: facts.confirmed },
        None => {
            SlotState::Present { confirmed: facts.confirmed, active_pid: facts.active_pid, retained: facts.retained }
        }
    })
}

/// Drops the slot if it exists; waits a moment for a walsender that is just ending.
pub(crate) fn drop(connection: &mut Connection, name: &str) -> Result<()> {
    let sql = format!(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = {}",
        sql::literal(name)
    );
    let deadline = Instant::now() + RELEASE_PATIENCE;
    loop {
        match connection.query("drop the replication slot", &sql) {
            Ok(_) => return Ok(()),
            Err(error) if error.code() == Some("42704") => return Ok(()),
            Err(error) if error.code() == Some("55006") && Instant::now() < deadline => {
                std::thread::sleep(RELEASE_POLL);
            }
            Err(error) => return Err(error),
        }
    }
}
