//! What the stored state and the source as found mean together: where to start, which tables to
//! stream, copy or leave, or why not to start at all. Pure: no I/O, no clock.
//!
//! Why so many refusals: Postgres does not refuse for us. A start position older than the slot's
//! is fast-forwarded in silence, one that lies in the future of a restored server skips rows in
//! silence, and since Postgres 18 a publication that is gone filters every row in silence.

use std::collections::BTreeMap;
use std::sync::Arc;

use walhouse_change::{
    Checkpoint, Domain, Error, Lsn, Phase, Retry, SlotPhase, SlotState, State, Survey, SurveyedTable, TableName,
    TableSchema, TableState,
};

/// Tables that stopped while this process runs, with the shape they had. They are not copied
/// again before the process is started anew or the table's shape changes.
pub type Held = BTreeMap<TableName, Arc<TableSchema>>;

/// Error text of a table that is left out because no pattern selects it any more.
const NOT_SELECTED: &str = "no longer among the selected tables of the source";

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to start.
    pub start: Start,
    /// The selection, in name order.
    pub tables: Vec<PlannedTable>,
    /// Table states to store before the publication is touched: from then on a table that must
    /// be copied is known as such, even if this process dies.
    pub saves: Vec<TableState>,
}

/// Where to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Store this checkpoint, drop a slot that a former process left if told so, create the slot.
    Fresh {
        /// Phase `Creating`.
        checkpoint: Checkpoint,
        /// True when a slot is there that is ours.
        drop_slot: bool,
    },
    /// Go on from this checkpoint.
    Resume(Checkpoint),
}

/// What to do with one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is copied already.
    Stream,
    /// Copy it, then stream.
    Copy,
    /// It is stopped or paused.
    Leave,
}

/// One table of the selection.
#[derive(Clone, Debug)]
pub struct PlannedTable {
    /// Its shape.
    pub schema: Arc<TableSchema>,
    /// Planner's estimate of its rows.
    pub estimated_rows: u64,
    /// What to do.
    pub action: Action,
    /// Its state with that decision.
    pub state: TableState,
}

impl PlannedTable {
    pub(crate) fn is_live(&self) -> bool {
        self.state.phase == Phase::Live
    }
}

/// Why there is nothing to do but wait or ask the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A slot of our name, of which the target knows nothing.
    #[error(
        "slot {slot} exists, but the target has no checkpoint for it: it is another consumer's, or the target was lost"
    )]
    ForeignSlot {
        /// Name.
        slot: String,
    },
    /// No slot, though the target has followed it.
    #[error("slot {slot} is gone, and with it the changes after the checkpoint at {lsn}")]
    SlotGone {
        /// Name.
        slot: String,
        /// The checkpoint.
        lsn: Lsn,
    },
    /// The slot cannot be used any more.
    #[error("slot {slot} lost its log after {confirmed}: {reason}")]
    SlotLost {
        /// Name.
        slot: String,
        /// In the source's words.
        reason: String,
        /// From here on data is gone.
        confirmed: Lsn,
    },
    /// Somebody confirmed changes that the target does not have.
    #[error(
        "slot {slot} was advanced to {confirmed}, beyond the checkpoint at {lsn}: another consumer read the changes between"
    )]
    SlotAdvanced {
        /// Name.
        slot: String,
        /// The slot's position.
        confirmed: Lsn,
        /// The checkpoint.
        lsn: Lsn,
    },
    /// The target is ahead of the source.
    #[error(
        "the source's log ends at {current}, before the checkpoint at {lsn}: it was restored from a backup or failed over"
    )]
    SourceBehind {
        /// End of the log.
        current: Lsn,
        /// The checkpoint.
        lsn: Lsn,
    },
    /// A former primary answers.
    #[error(
        "the source is on timeline {found}, before timeline {known} of the checkpoint: it is a former primary or a restored one"
    )]
    OlderTimeline {
        /// The source's.
        found: u32,
        /// The checkpoint's.
        known: u32,
    },
    /// Not the cluster we know.
    #[error("the source is another cluster ({found}) than the one of the checkpoint ({known})")]
    OtherCluster {
        /// The source's system identifier.
        found: u64,
        /// The checkpoint's.
        known: u64,
    },
    /// Changes committed since it vanished are not in the stream.
    #[error("the publication of slot {slot} is gone, and with it the changes since then")]
    PublicationGone {
        /// The slot's name.
        slot: String,
    },
    /// Somebody reads the slot now.
    #[error("slot {slot} is in use by the server process {pid}")]
    SlotActive {
        /// Name.
        slot: String,
        /// The walsender.
        pid: i32,
    },
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let copy_again = || "walhouse teardown, then walhouse run: it copies every table again".to_owned();
        let (retry, remedy) = match &refusal {
            Refusal::SlotActive { pid, .. } => {
                let remedy =
                    format!("it ends by itself when a dead consumer's; else SELECT pg_terminate_backend({pid})");
                (Retry::Later, remedy)
            }
            Refusal::ForeignSlot { slot } => {
                let drop = format!("SELECT pg_drop_replication_slot('{slot}')");
                (Retry::Never, format!("choose another slot name, or, if nobody needs it, {drop}"))
            }
            Refusal::OtherCluster { .. } | Refusal::OlderTimeline { .. } => {
                (Retry::Never, format!("connect to the former source, or else {}", copy_again()))
            }
            _ => (Retry::Never, copy_again()),
        };
        Error::new(Domain::Source, retry, refusal.to_string()).with_remedy(remedy)
    }
}

/// Refuses before the target is touched: while somebody reads the slot, it may be a living
/// process that writes to the same target.
pub(crate) fn slot_is_free(slot: &str, survey: &Survey) -> Result<(), Refusal> {
    match survey.slot {
        SlotState::Present { active_pid: Some(pid), .. } => Err(Refusal::SlotActive { slot: slot.to_owned(), pid }),
        _ => Ok(()),
    }
}

/// Decides.
///
/// # Errors
/// When starting would lose changes or take somebody else's slot.
pub(crate) fn plan(slot: &str, state: &State, survey: &Survey, held: &Held) -> Result<Plan, Refusal> {
    let start = start(slot, state.checkpoint.as_ref(), survey)?;
    let fresh = matches!(start, Start::Fresh { .. });
    let tables = tables(slot, &state.tables, survey, held, fresh)?;
    let saves = saves(&state.tables, &tables);
    Ok(Plan { start, tables, saves })
}

fn start(slot: &str, checkpoint: Option<&Checkpoint>, survey: &Survey) -> Result<Start, Refusal> {
    slot_is_free(slot, survey)?;
    let present = survey.slot != SlotState::Missing;
    match checkpoint {
        None if present => Err(Refusal::ForeignSlot { slot: slot.to_owned() }),
        None => Ok(fresh(1, survey, false)),
        Some(found) if found.phase == SlotPhase::Creating => Ok(fresh(found.epoch, survey, present)),
        Some(found) => resume(slot, found, survey).map(Start::Resume),
    }
}

fn fresh(epoch: u16, survey: &Survey, drop_slot: bool) -> Start {
    let checkpoint = Checkpoint {
        phase: SlotPhase::Creating,
        epoch,
        lsn: Lsn::ZERO,
        system_identifier: survey.system_identifier,
        timeline: survey.timeline,
    };
    Start::Fresh { checkpoint, drop_slot }
}

/// Same cluster, same or later timeline, and the checkpoint within what slot and log cover. The
/// log's numbering goes on across a promotion, so the epoch stays.
fn resume(slot: &str, known: &Checkpoint, survey: &Survey) -> Result<Checkpoint, Refusal> {
    let slot = slot.to_owned();
    let lsn = known.lsn;
    if survey.system_identifier != known.system_identifier {
        return Err(Refusal::OtherCluster { found: survey.system_identifier, known: known.system_identifier });
    }
    if survey.timeline < known.timeline {
        return Err(Refusal::OlderTimeline { found: survey.timeline, known: known.timeline });
    }
    if survey.current < lsn {
        return Err(Refusal::SourceBehind { current: survey.current, lsn });
    }
    match &survey.slot {
        SlotState::Missing => Err(Refusal::SlotGone { slot, lsn }),
        SlotState::Lost { reason, confirmed } => {
            Err(Refusal::SlotLost { slot, reason: reason.clone(), confirmed: *confirmed })
        }
        SlotState::Present { confirmed, .. } if *confirmed > lsn => {
            Err(Refusal::SlotAdvanced { slot, confirmed: *confirmed, lsn })
        }
        SlotState::Present { .. } => Ok(Checkpoint { timeline: survey.timeline, ..known.clone() }),
    }
}

/// Decides for each table of the selection. `fresh`: no table's copy counts any more.
pub(crate) fn tables(
    slot: &str,
    stored: &[TableState],
    survey: &Survey,
    held: &Held,
    fresh: bool,
) -> Result<Vec<PlannedTable>, Refusal> {
    let stored: BTreeMap<_, _> = stored.iter().map(|state| (&state.name, state)).collect();
    let published = survey.published.as_deref();
    let mut planned = Vec::with_capacity(survey.tables.len());
    for found in &survey.tables {
        let table = table(stored.get(&found.schema.name).copied(), found, published, held, fresh);
        if table.action == Action::Stream && published.is_none() {
            return Err(Refusal::PublicationGone { slot: slot.to_owned() });
        }
        planned.push(table);
    }
    Ok(planned)
}

fn table(
    stored: Option<&TableState>,
    found: &SurveyedTable,
    published: Option<&[u32]>,
    held: &Held,
    fresh: bool,
) -> PlannedTable {
    let schema = &found.schema;
    let pending = || TableState::pending(schema.name.clone(), schema.relid);
    if let Some(paused) = stored.filter(|state| state.phase == Phase::Paused) {
        // By name: a table made anew under it is what the user meant, too.
        let state = TableState { relid: schema.relid, ..paused.clone() };
        let schema = Arc::clone(schema);
        return PlannedTable { schema, estimated_rows: found.estimated_rows, action: Action::Leave, state };
    }
    let stored = stored.filter(|state| state.relid == schema.relid);
    let (action, state) = match (&found.problem, stored) {
        (Some(problem), _) => {
            let before = stored.cloned().unwrap_or_else(pending);
            (Action::Leave, stopped(before, problem.one_line()))
        }
        (None, Some(state)) if state.phase == Phase::Stopped && held.get(&schema.name) == Some(schema) => {
            (Action::Leave, state.clone())
        }
        // A live table that left the publication has missed changes. (That the whole publication
        // is gone is refused by the caller.)
        (None, Some(state))
            if !fresh
                && state.phase == Phase::Live
                && published.is_none_or(|published| published.contains(&schema.relid)) =>
        {
            (Action::Stream, state.clone())
        }
        (None, _) => (Action::Copy, pending()),
    };
    PlannedTable { schema: Arc::clone(schema), estimated_rows: found.estimated_rows, action, state }
}

/// States that must be stored before the publication changes. A table that is not known as live
/// is copied at the next start anyway, whatever else is stored.
fn saves(stored: &[TableState], planned: &[PlannedTable]) -> Vec<TableState> {
    let mut saves = Vec::new();
    for state in stored.iter().filter(|state| state.phase == Phase::Live) {
        match planned.iter().find(|table| table.schema.name == state.name) {
            None => saves.push(stopped(state.clone(), NOT_SELECTED.to_owned())),
            Some(table) if table.action == Action::Copy => saves.push(table.state.clone()),
            Some(_) => {}
        }
    }
    let known = |wanted: &TableState| stored.iter().any(|state| state == wanted);
    let left = planned.iter().filter(|table| table.action == Action::Leave && !known(&table.state));
    saves.extend(left.map(|table| table.state.clone()));
    saves
}

/// The state of a table that is stopped for this reason.
pub(crate) fn stopped(state: TableState, error: String) -> TableState {
    TableState { phase: Phase::Stopped, error: Some(error), ..state }
}

#[cfg(test)]
mod tests;
