//! What is true now: a frame a second, for every reader.
//!
//! One task reads the status board once a second, and when tables come or go, and makes a frame of it: the overview, the rows
//! of the tables, a point of the last hour. Readers take the newest frame; followers get what
//! changed through a bounded channel that drops what a slow one does not fetch. So neither the
//! number of browsers nor their speed reaches the pipe.
//!
//! Slow facts (the limits of the source's log, sizes in the target) come from ports, by a task of
//! their own; a port that hangs or fails leaves them as they were.

mod facts;
mod health;
mod history;
mod sampler;
mod wal;

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::broadcast;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use walhouse_change::TableName;
use walhouse_pipeline::StatusBoard;

use crate::Console;
use crate::api::{Overview, Stage, TableRow, TablesEvent};

pub(crate) use facts::Facts;
use history::History;
pub use history::Point;
use sampler::Sampler;

/// A person sees no more; a second of 1,000 tables costs about a millisecond.
const TICK: Duration = Duration::from_secs(1);
/// Frames kept for a follower before it has missed some. Each is serialized once and shared.
const FRAMES_KEPT: usize = 8;

/// One second's truth.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) overview: Overview,
    /// In name order.
    pub(crate) tables: Vec<TableRow>,
}

impl Frame {
    /// The row of a table.
    pub(crate) fn table(&self, name: &TableName) -> Option<&TableRow> {
        let order = |row: &TableRow| (row.schema.as_str(), row.name.as_str()).cmp(&(&name.schema, &name.name));
        self.tables.binary_search_by(order).ok().and_then(|index| self.tables.get(index))
    }
}

/// What followers get for one frame, as JSON.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) overview: String,
    /// None when no table changed.
    pub(crate) tables: Option<String>,
}

/// The newest frame, and the way to follow.
#[derive(Debug)]
pub(crate) struct Live {
    frame: RwLock<Arc<Frame>>,
    history: Mutex<History>,
    feed: broadcast::Sender<Arc<Feed>>,
    facts: Mutex<Facts>,
    closing: CancellationToken,
}

impl Live {
    /// With a first frame of the board as it is.
    pub(crate) fn new(console: &Console) -> Arc<Self> {
        let mut sampler = Sampler::new(console.stages.clone());
        let frame = sampler.sample(&console.board.read(), &Facts::default(), now_ms());
        Arc::new(Self {
            frame: RwLock::new(Arc::new(frame)),
            history: Mutex::default(),
            feed: broadcast::Sender::new(FRAMES_KEPT),
            facts: Mutex::default(),
            closing: CancellationToken::new(),
        })
    }

    /// Makes frames until it is dropped; then everybody who follows is let go.
    pub(crate) async fn run(self: Arc<Self>, console: Arc<Console>) {
        let _closing = self.closing.clone().drop_guard();
        let frames = self.make_frames(&console.board, console.stages.clone());
        tokio::join!(frames, facts::refresh(&self.facts, &console.ports, &self.feed));
    }

    async fn make_frames(&self, board: &StatusBoard, stages: Vec<Stage>) {
        let mut sampler = Sampler::new(stages);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let shown = self.frame().tables.len();
            tokio::select! {
                _ = tick.tick() => {}
                // Who was told of a table asks for it at once.
                _ = board.wait_for(|status| status.tables.len() != shown) => {}
            }
            let facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone();
            self.show(sampler.sample(&board.read(), &facts, now_ms()));
        }
    }

    fn show(&self, frame: Frame) {
        let before = self.frame();
        self.history.lock().unwrap_or_else(PoisonError::into_inner).push(Point::of(&frame.overview));
        if self.feed.receiver_count() > 0 {
            // Our types can all be written as JSON; were one not, its event would be left out.
            if let Ok(overview) = serde_json::to_string(&frame.overview) {
                let tables = difference(&before.tables, &frame.tables);
                let tables = tables.and_then(|event| serde_json::to_string(&event).ok());
                let _ = self.feed.send(Arc::new(Feed { overview, tables }));
            }
        }
        *self.frame.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(frame);
    }

    /// The newest frame.
    pub(crate) fn frame(&self) -> Arc<Frame> {
        Arc::clone(&self.frame.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Points of the last `seconds`.
    pub(crate) fn history(&self, seconds: u32) -> Vec<Point> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).since(now_ms() - i64::from(seconds) * 1000)
    }

    /// Everything from the next frame on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Feed>> {
        self.feed.subscribe()
    }

    /// Cancelled when no frame comes any more.
    pub(crate) fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }
}

/// What changed between two lists in name order; none when nothing did.
fn difference(before: &[TableRow], now: &[TableRow]) -> Option<TablesEvent> {
    let key = |row: &TableRow| (row.schema.clone(), row.name.clone());
    let find = |rows: &[TableRow], row: &TableRow| rows.binary_search_by(|other| key(other).cmp(&key(row))).ok();
    let changed = |row: &&TableRow| find(before, row).and_then(|index| before.get(index)) != Some(*row);
    let tables: Vec<TableRow> = now.iter().filter(changed).cloned().collect();
    let gone = before.iter().filter(|row| find(now, row).is_none());
    let removed: Vec<String> = gone.map(|row| format!("{}.{}", row.schema, row.name)).collect();
    (!tables.is_empty() || !removed.is_empty()).then_some(TablesEvent { full: false, tables, removed })
}

/// Milliseconds since 1970-01-01 UTC.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
