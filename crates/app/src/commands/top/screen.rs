//! The screen: a pure function of a reading, so that a test can look at it.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Sparkline, Table, TableState, Wrap};

use super::reading::{self, Arrow, Progress, Reading};
use super::words::{bytes, count, millis, seconds};

/// What is shown, and how far the list of tables is scrolled.
#[derive(Debug, Default)]
pub(super) struct Screen {
    pub(super) reading: Option<Reading>,
    /// Why there is no newer reading.
    pub(super) problem: Option<String>,
    pub(super) list: TableState,
}

impl Screen {
    /// Draws everything.
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let Some(reading) = &self.reading else {
            let text = self.problem.as_deref().unwrap_or("asking walhouse");
            return frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), frame.area());
        };
        let words = health(reading, self.problem.as_deref());
        let rows = u16::try_from(words.len()).unwrap_or(1);
        let [head, pipe, charts, tables, foot] = Layout::vertical([
            Constraint::Length(rows),
            Constraint::Length(5),
            Constraint::Length(5),
            Constraint::Min(4),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(Paragraph::new(words), head);
        draw_pipe(frame, pipe, reading);
        draw_charts(frame, charts, reading);
        draw_tables(frame, tables, reading, &mut self.list);
        let keys = " q quit   up/down scroll   PgUp/PgDn   Home/End";
        frame.render_widget(Paragraph::new(Span::styled(keys, Style::new().add_modifier(Modifier::DIM))), foot);
    }
}

fn color(level: &str) -> Color {
    match level {
        "good" => Color::Green,
        "busy" => Color::Cyan,
        "warning" => Color::Yellow,
        "bad" => Color::Red,
        _ => Color::Reset,
    }
}

/// The state in a sentence; when something is wrong, the cause and the next step.
fn health<'a>(reading: &'a Reading, problem: Option<&'a str>) -> Vec<Line<'a>> {
    let overview = &reading.overview;
    let style = Style::new().fg(color(&overview.health.level)).add_modifier(Modifier::BOLD);
    let mut lines = vec![Line::from(vec![
        Span::styled(" walhouse ", Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(format!("{}  ", overview.slot)),
        Span::styled(overview.health.sentence.as_str(), style),
    ])];
    let bad = Style::new().fg(Color::Red);
    lines.extend(overview.health.cause.iter().map(|cause| Line::styled(format!(" cause: {cause}"), bad)));
    lines.extend(overview.health.advice.iter().map(|advice| Line::raw(format!(" next:  {advice}"))));
    lines.extend(problem.map(|problem| Line::styled(format!(" no newer numbers: {problem}"), bad)));
    lines
}

fn draw_pipe(frame: &mut Frame<'_>, area: Rect, reading: &Reading) {
    let overview = &reading.overview;
    let mut spans = vec![Span::raw(" ")];
    for (index, stage) in overview.stages.iter().enumerate() {
        let kind = match stage.kind.as_str() {
            "postgres" => "Postgres",
            "clickhouse" => "ClickHouse",
            "kafka" => "Kafka",
            other => other,
        };
        spans.push(Span::styled(format!("[{kind} {}]", stage.name), Style::new().fg(color(&stage.level))));
        if let Some(arrow) = overview.arrows.get(index) {
            let of_bytes = arrow.bytes_per_second.map_or_else(String::new, |rate| format!(", {}/s", bytes(rate)));
            let rate = format!(" --{} rows/s{of_bytes}--> ", count(arrow.rows_per_second));
            spans.push(Span::raw(rate));
        }
    }
    let lines = vec![Line::from(spans), Line::raw(behind(overview.arrows.last())), Line::raw(last(overview))];
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" pipe ")), area);
}

fn behind(arrow: Option<&Arrow>) -> String {
    let Some(arrow) = arrow else { return String::new() };
    let mut text = format!(" behind {}, {}", seconds(arrow.lag_seconds), bytes(arrow.lag_bytes as f64));
    if let Some(latency) = &arrow.latency {
        text.push_str(&format!("; commit to visible p50 {}, p99 {}", millis(latency.p50_ms), millis(latency.p99_ms)));
    }
    text
}

fn last(overview: &reading::Overview) -> String {
    match &overview.copy {
        Some(copy) => format!(" copying: {}", progress(copy)),
        None => format!(" log in Postgres: {}", overview.wal.sentence),
    }
}

fn progress(copy: &Progress) -> String {
    let left = copy.seconds_left.map(|left| format!(", {} left", seconds(left))).unwrap_or_default();
    format!(
        "{:.0} %, {} of about {} rows, {} rows/s{left}",
        copy.fraction * 100.0,
        count(copy.rows as f64),
        count(copy.rows_estimated as f64),
        count(copy.rows_per_second)
    )
}

fn draw_charts(frame: &mut Frame<'_>, area: Rect, reading: &Reading) {
    let areas: [Rect; 3] = Layout::horizontal([Constraint::Ratio(1, 3); 3]).areas(area);
    type Series<'a> = (&'a str, fn(&reading::Point) -> f64, fn(f64) -> String);
    let series: [Series<'_>; 3] = [
        ("rows/s", |point| point.rows_out, count),
        ("behind", |point| point.lag_seconds * 1_000.0, millis),
        ("p99", |point| point.p99_ms.unwrap_or(0.0), millis),
    ];
    for ((name, value, words), area) in series.into_iter().zip(areas) {
        let width = usize::from(area.width.saturating_sub(2));
        let skip = reading.points.len().saturating_sub(width);
        let shown: Vec<u64> =
            reading.points.iter().skip(skip).map(|point| value(point).max(0.0).ceil() as u64).collect();
        let highest = shown.iter().max().copied().unwrap_or(0);
        let title = format!(" {name}, at most {} ", words(highest as f64));
        let line = Sparkline::default().data(shown).style(Style::new().fg(Color::Cyan));
        frame.render_widget(line.block(Block::bordered().title(title)), area);
    }
}

fn draw_tables(frame: &mut Frame<'_>, area: Rect, reading: &Reading, list: &mut TableState) {
    let counts = &reading.overview.tables;
    let mut title = format!(" {} tables: {} live", counts.total, counts.live);
    for (number, word) in [
        (counts.copying, "copying"),
        (counts.pending, "pending"),
        (counts.paused, "paused"),
        (counts.stopped, "stopped"),
    ] {
        if number > 0 {
            title.push_str(&format!(", {number} {word}"));
        }
    }
    title.push(' ');
    let rows = reading.tables.iter().map(|table| row(table, reading.overview.at_ms));
    let widths = [
        Constraint::Fill(2),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(13),
        Constraint::Fill(3),
    ];
    let header = Row::new(["table", "phase", "rows", "changes/s", "last change", ""])
        .style(Style::new().add_modifier(Modifier::BOLD));
    let table = Table::new(rows, widths).header(header).block(Block::bordered().title(title));
    frame.render_stateful_widget(table, area, list);
}

fn row(table: &reading::Table, now_ms: i64) -> Row<'static> {
    let style = Style::new().fg(match table.phase.as_str() {
        "live" => Color::Green,
        "stopped" => Color::Red,
        "paused" => Color::Yellow,
        _ => Color::Cyan,
    });
    let last = table.last_change_ms.map(|then| format!("{} ago", seconds((now_ms - then) as f64 / 1_000.0)));
    let note = match (&table.error, &table.progress) {
        (Some(error), _) => match &table.advice {
            Some(advice) => format!("{error}; {advice}"),
            None => error.clone(),
        },
        (None, Some(copy)) => progress(copy),
        (None, None) => String::new(),
    };
    let rows = table.rows.unwrap_or(table.rows_copied + table.rows_streamed);
    Row::new([
        Cell::new(format!("{}.{}", table.schema, table.name)),
        Cell::new(Span::styled(table.phase.clone(), style)),
        Cell::new(count(rows as f64)),
        Cell::new(count(table.rows_per_second)),
        Cell::new(last.unwrap_or_default()),
        Cell::new(note),
    ])
}
