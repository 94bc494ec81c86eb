//! From two looks at the status board to a frame: rates are differences. Pure; the clock is an
//! argument.

use std::collections::{BTreeMap, VecDeque};

use walhouse_change::{Lsn, Phase, TableName};
use walhouse_pipeline::{PipelineState, Status, TableStatus, Traffic};

use super::wal::Forecast;
use super::{Facts, Frame, health};
use crate::api::{
    Arrow, Latency, Level, Overview, PipeState, Progress, Stage, StageKind, TableCounts, TablePhase, TableRow,
};

/// Rates of tables are over this many samples: one second's rate of a copy jumps with its blocks.
const TABLE_SAMPLES: usize = 5;
/// A copy whose estimate was too small stays below done until it is.
const ALMOST: f64 = 0.99;

/// What was seen before.
#[derive(Debug)]
pub(super) struct Sampler {
    stages: Vec<Stage>,
    traffic: Option<(i64, Traffic)>,
    forecast: Forecast,
    tables: BTreeMap<TableName, VecDeque<Counted>>,
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    at_ms: i64,
    copied: u64,
    streamed: u64,
}

/// Per second.
#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    copied: f64,
    streamed: f64,
}

impl Sampler {
    pub(super) fn new(stages: Vec<Stage>) -> Self {
        Self { stages, traffic: None, forecast: Forecast::default(), tables: BTreeMap::new() }
    }

    pub(super) fn sample(&mut self, status: &Status, facts: &Facts, now_ms: i64) -> Frame {
        let rates: Vec<Rates> = status.tables.iter().map(|table| self.table_rates(table, now_ms)).collect();
        if self.tables.len() > status.tables.len() {
            let is_there = |name: &TableName| status.tables.binary_search_by(|table| table.name.cmp(name)).is_ok();
            self.tables.retain(|name, _| is_there(name));
        }
        let tables: Vec<TableRow> =
            status.tables.iter().zip(&rates).map(|(table, rates)| row(table, *rates, facts)).collect();
        let wal = self.forecast.tell(now_ms, status.retained_bytes, facts.wal.as_ref());
        let copy = overall(status, &rates);
        let overview = Overview {
            at_ms: now_ms,
            slot: status.slot.clone(),
            state: state(&status.state),
            health: health::health(status, &wal, copy.as_ref()),
            stages: self.stages(status),
            arrows: self.arrows(status, facts, now_ms),
            wal,
            tables: counts(&tables),
            copy,
        };
        Frame { overview, tables }
    }

    fn table_rates(&mut self, table: &TableStatus, now_ms: i64) -> Rates {
        let now = Counted { at_ms: now_ms, copied: table.rows_copied, streamed: table.rows_streamed };
        let seen = match self.tables.get_mut(&table.name) {
            Some(seen) => seen,
            None => self.tables.entry(table.name.clone()).or_default(),
        };
        // A copy that begins anew counts from zero.
        if seen.back().is_some_and(|last| last.copied > now.copied || last.streamed > now.streamed) {
            seen.clear();
        }
        seen.push_back(now);
        if seen.len() > TABLE_SAMPLES {
            seen.pop_front();
        }
        match seen.front() {
            Some(then) if then.at_ms < now_ms => {
                let rate = |before: u64, after: u64| (after - before) as f64 * 1000.0 / (now_ms - then.at_ms) as f64;
                Rates { copied: rate(then.copied, now.copied), streamed: rate(then.streamed, now.streamed) }
            }
            _ => Rates::default(),
        }
    }

    fn stages(&self, status: &Status) -> Vec<Stage> {
        let trouble = match &status.state {
            PipelineState::Waiting { domain, .. } => Some(domain.as_str()),
            _ => None,
        };
        let level = |kind: StageKind| match (kind, trouble) {
            (StageKind::Postgres, Some("source")) | (StageKind::Walhouse, Some("internal" | "worker")) => Level::Bad,
            (StageKind::Kafka, Some("broker")) | (StageKind::Clickhouse, Some("target")) => Level::Bad,
            _ if matches!(status.state, PipelineState::Starting) => Level::Busy,
            (StageKind::Walhouse, _) if matches!(status.state, PipelineState::Failed { .. }) => Level::Bad,
            _ => Level::Good,
        };
        self.stages.iter().map(|stage| Stage { level: level(stage.kind), ..stage.clone() }).collect()
    }

    /// The first arrow is what comes from the source, the last one what the target has. Into a broker goes what
    /// came from the source.
    fn arrows(&mut self, status: &Status, facts: &Facts, now_ms: i64) -> Vec<Arrow> {
        let (then, before) = self.traffic.replace((now_ms, status.traffic)).unwrap_or((now_ms, status.traffic));
        let seconds = (now_ms - then).max(1) as f64 / 1000.0;
        let rate = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
        let current = facts.wal.map_or(status.current, |wal| wal.current.max(status.current)).max(status.received);
        let after = status.traffic;
        // While everything is copied, nothing of the log was asked for yet.
        let unread = if status.received == Lsn::ZERO { 0 } else { current.bytes_since(status.received) };
        let usual = status.commit_to_received.map_or(0.0, |latency| latency.p50_ms / 1000.0);
        let flow = Arrow {
            rows_per_second: rate(before.rows_received, after.rows_received),
            bytes_per_second: Some(rate(before.bytes_received, after.bytes_received)),
            ..Arrow::default()
        };
        let arriving = Arrow {
            lag_bytes: unread,
            lag_seconds: if unread > 0 { usual } else { 0.0 },
            latency: status.commit_to_received.map(latency),
            ..flow.clone()
        };
        let leaving = Arrow {
            rows_per_second: rate(before.rows_durable, after.rows_durable),
            bytes_per_second: status.waiting.is_none().then(|| rate(before.bytes_durable, after.bytes_durable)),
            lag_bytes: status.received.bytes_since(status.durable),
            lag_messages: status.waiting,
            lag_seconds: status.lag_seconds,
            latency: status.commit_to_visible.map(latency),
        };
        let between = self.stages.len().saturating_sub(3);
        let arrows = std::iter::once(arriving).chain(std::iter::repeat_n(flow, between)).chain([leaving]);
        arrows.take(self.stages.len().saturating_sub(1)).collect()
    }
}

fn state(state: &PipelineState) -> PipeState {
    match state {
        PipelineState::Starting => PipeState::Starting,
        PipelineState::Copying => PipeState::Copying,
        PipelineState::Live => PipeState::Live,
        PipelineState::Waiting { .. } => PipeState::Waiting,
        PipelineState::Stopping => PipeState::Stopping,
        PipelineState::Failed { .. } => PipeState::Failed,
    }
}

fn latency(latency: walhouse_pipeline::Latency) -> Latency {
    Latency { p50_ms: latency.p50_ms, p99_ms: latency.p99_ms, count: latency.count }
}

fn row(table: &TableStatus, rates: Rates, facts: &Facts) -> TableRow {
    let size = facts.sizes.get(&table.name);
    let (error, advice) = match &table.error {
        Some(error) => {
            let (cause, advice) = health::split(error);
            (Some(cause), advice)
        }
        None => (None, None),
    };
    let phase = phase(&table.phase);
    let copying = phase == TablePhase::Copying;
    TableRow {
        schema: table.name.schema.clone(),
        name: table.name.name.clone(),
        target: size.map(|size| size.target.clone()),
        view: size.map(|size| size.view.clone()),
        phase,
        rows: size.and_then(|size| size.rows),
        bytes: size.and_then(|size| size.bytes),
        rows_copied: table.rows_copied,
        rows_estimated: table.rows_estimated,
        rows_streamed: table.rows_streamed,
        rows_per_second: rates.streamed,
        progress: copying.then(|| progress(table.rows_copied, table.rows_estimated, rates.copied)),
        last_change_ms: table.visible_commit_time.map(|micros| micros / 1000),
        lag_ms: table.visible_took.map(|micros| micros as f64 / 1000.0),
        error,
        advice,
    }
}

fn phase(phase: &Phase) -> TablePhase {
    match phase {
        Phase::Pending => TablePhase::Pending,
        Phase::Copying => TablePhase::Copying,
        Phase::Live => TablePhase::Live,
        Phase::Stopped => TablePhase::Stopped,
        Phase::Paused => TablePhase::Paused,
    }
}

fn progress(rows: u64, rows_estimated: u64, rows_per_second: f64) -> Progress {
    let estimated = rows_estimated.max(1) as f64;
    let left = (rows_per_second > 0.0).then(|| rows_estimated.saturating_sub(rows) as f64 / rows_per_second);
    Progress {
        rows,
        rows_estimated,
        fraction: (rows as f64 / estimated).min(ALMOST),
        rows_per_second,
        seconds_left: left,
    }
}

/// All tables of the copy that is under way; none when there is none.
fn overall(status: &Status, rates: &[Rates]) -> Option<Progress> {
    let busy = status.tables.iter().any(|table| matches!(table.phase, Phase::Copying | Phase::Pending));
    if !busy {
        return None;
    }
    let part_of_it = |table: &&TableStatus| !matches!(table.phase, Phase::Stopped | Phase::Paused);
    let rows = status.tables.iter().filter(part_of_it).map(|table| table.rows_copied).sum();
    let estimate = |table: &TableStatus| match table.phase {
        Phase::Live => table.rows_copied,
        _ => table.rows_estimated.max(table.rows_copied),
    };
    let estimated = status.tables.iter().filter(part_of_it).map(estimate).sum();
    Some(progress(rows, estimated, rates.iter().map(|rates| rates.copied).sum()))
}

fn counts(tables: &[TableRow]) -> TableCounts {
    let of = |phase| tables.iter().filter(|table| table.phase == phase).count();
    TableCounts {
        total: tables.len(),
        live: of(TablePhase::Live),
        copying: of(TablePhase::Copying),
        pending: of(TablePhase::Pending),
        stopped: of(TablePhase::Stopped),
        paused: of(TablePhase::Paused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages() -> Vec<Stage> {
        [(StageKind::Postgres, "shop"), (StageKind::Walhouse, "walhouse"), (StageKind::Clickhouse, "default")]
            .into_iter()
            .map(|(kind, name)| Stage::new(kind, name))
            .collect()
    }

    fn table(phase: Phase) -> TableStatus {
        TableStatus {
            name: TableName::new("public", "t"),
            phase,
            rows_copied: 0,
            rows_estimated: 1000,
            rows_streamed: 0,
            visible_commit_time: None,
            visible_took: None,
            error: None,
        }
    }

    fn status(state: PipelineState, tables: Vec<TableStatus>) -> Status {
        let mut status = walhouse_pipeline::StatusBoard::new("s").read();
        status.state = state;
        status.tables = tables;
        status
    }

    #[test]
    fn rates_are_differences() {
        let mut sampler = Sampler::new(stages());
        let mut status = status(PipelineState::Copying, vec![table(Phase::Copying)]);
        sampler.sample(&status, &Facts::default(), 0);
        status.traffic = Traffic { rows_received: 300, bytes_received: 6_000, rows_durable: 200, bytes_durable: 4_000 };
        status.tables.iter_mut().for_each(|table| table.rows_copied = 200);
        let frame = sampler.sample(&status, &Facts::default(), 2_000);
        let rates: Vec<_> =
            frame.overview.arrows.iter().map(|arrow| (arrow.rows_per_second, arrow.bytes_per_second)).collect();
        assert_eq!(rates, [(150.0, Some(3_000.0)), (100.0, Some(2_000.0))]);
        let progress = frame.tables.first().unwrap().progress.unwrap();
        assert_eq!((progress.fraction, progress.rows_per_second, progress.seconds_left), (0.2, 100.0, Some(8.0)));
        assert_eq!(frame.overview.copy, Some(progress));
        assert_eq!(frame.overview.health.sentence, "copying, 20 % done, about 8.0 s left");
    }

    #[test]
    fn what_waits_in_a_broker_waits_before_the_last_arrow() {
        let mut stages = stages();
        stages.insert(2, Stage::new(StageKind::Kafka, "kafka:9092"));
        let mut sampler = Sampler::new(stages);
        let mut status = status(PipelineState::Live, vec![]);
        sampler.sample(&status, &Facts::default(), 0);
        status.traffic = Traffic { rows_received: 300, bytes_received: 6_000, rows_durable: 200, bytes_durable: 0 };
        status.waiting = Some(100);
        let arrows = sampler.sample(&status, &Facts::default(), 1_000).overview.arrows;
        let seen: Vec<_> =
            arrows.iter().map(|arrow| (arrow.rows_per_second, arrow.bytes_per_second, arrow.lag_messages)).collect();
        assert_eq!(seen, [(300.0, Some(6_000.0), None), (300.0, Some(6_000.0), None), (200.0, None, Some(100))]);
        status.state = PipelineState::Waiting {
            domain: "broker".to_owned(),
            error: "cannot reach Kafka".to_owned(),
            since_ms: 5,
            attempt: 2,
        };
        let overview = sampler.sample(&status, &Facts::default(), 2_000).overview;
        let bad = overview.stages.iter().filter(|stage| stage.level == Level::Bad).map(|stage| stage.kind);
        assert_eq!(bad.collect::<Vec<_>>(), [StageKind::Kafka]);
        assert!(overview.health.sentence.starts_with("waiting for Kafka"), "{}", overview.health.sentence);
    }

    #[test]
    fn a_copy_that_begins_anew_has_no_negative_rate() {
        let mut sampler = Sampler::new(stages());
        let mut status = status(PipelineState::Copying, vec![table(Phase::Copying)]);
        for (second, copied) in [500, 700, 0, 10].into_iter().enumerate() {
            status.tables.iter_mut().for_each(|table| table.rows_copied = copied);
            let frame = sampler.sample(&status, &Facts::default(), second as i64 * 1000);
            let rate = frame.tables.first().unwrap().progress.unwrap().rows_per_second;
            assert_eq!(rate, [0.0, 200.0, 0.0, 10.0].get(second).copied().unwrap());
        }
    }

    #[test]
    fn every_state_has_a_sentence_and_what_is_wrong_a_next_step() {
        let mut broken = table(Phase::Stopped);
        broken.error = Some("cannot map column c; to mend it: leave it out".to_owned());
        let waiting = |error: &str| PipelineState::Waiting {
            domain: "target".to_owned(),
            error: error.to_owned(),
            since_ms: 5,
            attempt: 2,
        };
        let cases = [
            (PipelineState::Starting, vec![]),
            (PipelineState::Live, vec![table(Phase::Live)]),
            (PipelineState::Live, vec![broken]),
            (waiting("cannot connect"), vec![]),
            (waiting("the disk is full; to mend it: free some"), vec![]),
            (PipelineState::Failed { error: "slot s is gone; to mend it: walhouse teardown".to_owned() }, vec![]),
        ];
        let told = cases.map(|(state, tables)| {
            let frame = Sampler::new(stages()).sample(&status(state, tables), &Facts::default(), 0);
            let health = frame.overview.health;
            let levels: Vec<_> = frame.overview.stages.iter().map(|stage| stage.level).collect();
            (health.level, health.sentence, health.cause, health.advice, levels)
        });
        insta::assert_debug_snapshot!(told);
    }
}
