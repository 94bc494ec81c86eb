//! `walhouse top`: the console's overview as a live terminal screen.
//!
//! It only reads the console of a running walhouse, so it may be closed and opened at will. Where nobody watches a
//! terminal it prints a line a second instead.

mod reading;
mod screen;
mod words;

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use serde::de::DeserializeOwned;

use crate::cli::Top;
use crate::config::Config;
use crate::{console, runtime};
use reading::{History, Overview, Reading, Tables};
use screen::Screen;

/// The console computes its numbers once a second.
const TICK: Duration = Duration::from_secs(1);
/// How soon a key is answered.
const KEY_TICK: Duration = Duration::from_millis(100);
/// Rows that PgUp and PgDn scroll.
const PAGE: u16 = 10;
/// Seconds of history, one point each: as wide as a terminal's third.
const HISTORY_SECONDS: u32 = 120;

/// Shows it until `q`, Ctrl-C, or the end of the asked number of looks.
pub(crate) fn top(options: &Top) -> Result<()> {
    let config = Config::load(&options.file.config)?;
    if !std::io::stdout().is_terminal() || options.lines.is_some() {
        return runtime::block_on(lines(&config, options.lines));
    }
    let mut terminal = ratatui::try_init().context("cannot use this terminal")?;
    let shown = runtime::block_on(async {
        let mut screen = Screen::default();
        loop {
            let started = Instant::now();
            match read(&config).await {
                Ok(reading) => (screen.reading, screen.problem) = (Some(reading), None),
                Err(error) => screen.problem = Some(format!("{error:#}")),
            }
            while started.elapsed() < TICK {
                terminal.draw(|frame| screen.draw(frame)).context("cannot draw")?;
                if event::poll(KEY_TICK).context("cannot read the keyboard")?
                    && let Event::Key(key) = event::read().context("cannot read the keyboard")?
                    && !handle(&mut screen, key)
                {
                    return Ok(());
                }
            }
        }
    });
    ratatui::restore();
    shown
}

/// False when it is time to go.
fn handle(screen: &mut Screen, key: KeyEvent) -> bool {
    if key.kind != KeyEventKind::Press {
        return true;
    }
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return false,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
        KeyCode::Down | KeyCode::Char('j') => screen.list.scroll_down_by(1),
        KeyCode::Up | KeyCode::Char('k') => screen.list.scroll_up_by(1),
        KeyCode::PageDown => screen.list.scroll_down_by(PAGE),
        KeyCode::PageUp => screen.list.scroll_up_by(PAGE),
        KeyCode::Home => screen.list.select_first(),
        KeyCode::End => screen.list.select_last(),
        _ => {}
    }
    true
}

/// A line a second, for a log or a pipe.
async fn lines(config: &Config, limit: Option<u32>) -> Result<()> {
    for number in 0_u32.. {
        if limit.is_some_and(|limit| number >= limit) {
            break;
        }
        if number > 0 {
            tokio::time::sleep(TICK).await;
        }
        let overview: Overview = fetch(config, "/api/overview").await?;
        let arrow = overview.arrows.last().cloned().unwrap_or_default();
        println!(
            "{}: {}; {} rows/s, behind {}; {} of {} tables live",
            overview.slot,
            overview.health.sentence,
            words::count(arrow.rows_per_second),
            words::seconds(arrow.lag_seconds),
            overview.tables.live,
            overview.tables.total
        );
    }
    Ok(())
}

async fn read(config: &Config) -> Result<Reading> {
    let tables: Tables = fetch(config, "/api/tables").await?;
    let history: History = fetch(config, &format!("/api/history?seconds={HISTORY_SECONDS}")).await?;
    Ok(Reading { overview: fetch(config, "/api/overview").await?, tables: tables.tables, points: history.points })
}

async fn fetch<T: DeserializeOwned>(config: &Config, path: &str) -> Result<T> {
    let body = console::get(config, path).await?;
    serde_json::from_str(&body).with_context(|| format!("cannot read the console's answer to {path}"))
}

#[cfg(test)]
mod tests;
