//! The screen, as a terminal would show it.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

use super::*;

fn reading() -> Reading {
    let overview = json!({
        "at_ms": 1_000_000, "slot": "walhouse", "state": "live",
        "health": {"level": "warning", "sentence": "live, 0.2 s behind; 1 table stopped",
                   "cause": "public.bad has no key", "advice": "add a primary key", "since_ms": null},
        "stages": [{"kind": "postgres", "name": "shop", "level": "good"},
                   {"kind": "walhouse", "name": "walhouse", "level": "good"},
                   {"kind": "clickhouse", "name": "default (embedded)", "level": "good"}],
        "arrows": [{"rows_per_second": 1234.0, "bytes_per_second": 45_678.0, "lag_bytes": 0, "lag_seconds": 0.0},
                   {"rows_per_second": 1200.0, "bytes_per_second": 40_000.0, "lag_bytes": 2048, "lag_seconds": 0.2,
                    "latency": {"p50_ms": 45.0, "p99_ms": 1200.0, "count": 9}}],
        "wal": {"retained_bytes": 1, "sentence": "1.2 GiB kept, full in 3 days"},
        "tables": {"total": 3, "live": 1, "copying": 1, "stopped": 1},
    });
    let tables = json!({"tables": [
        {"schema": "public", "name": "bad", "phase": "stopped", "error": "there is no key", "advice": "add one"},
        {"schema": "public", "name": "big", "phase": "copying", "rows_copied": 400_000,
         "progress": {"rows": 400_000, "rows_estimated": 1_000_000, "fraction": 0.4, "rows_per_second": 50_000.0,
                      "seconds_left": 12.0}},
        {"schema": "public", "name": "sales", "phase": "live", "rows": 500_123, "rows_per_second": 1200.0,
         "last_change_ms": 999_700},
    ]});
    let points: Vec<_> = (0..60).map(|at| json!({"rows_out": at * 20, "lag_seconds": 0.1, "p99_ms": null})).collect();
    let history: History = serde_json::from_value(json!({"points": points})).unwrap();
    let tables: Tables = serde_json::from_value(tables).unwrap();
    Reading { overview: serde_json::from_value(overview).unwrap(), tables: tables.tables, points: history.points }
}

fn shown(screen: &mut Screen, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen.draw(frame)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn the_screen() {
    let mut screen = Screen { reading: Some(reading()), ..Screen::default() };
    insta::assert_snapshot!(shown(&mut screen, 110, 24));
}

#[test]
fn a_small_terminal_and_an_empty_answer_do_no_harm() {
    let mut screen = Screen { reading: Some(reading()), ..Screen::default() };
    for (width, height) in [(1, 1), (10, 3), (40, 12)] {
        shown(&mut screen, width, height);
    }
    let mut empty = Screen { reading: Some(Reading::default()), ..Screen::default() };
    assert!(shown(&mut empty, 80, 24).contains("0 tables"));
}

#[test]
fn a_walhouse_that_went_away_is_told() {
    let mut screen = Screen { problem: Some("nothing answers".to_owned()), ..Screen::default() };
    assert!(shown(&mut screen, 80, 24).contains("nothing answers"));
    screen.reading = Some(reading());
    let text = shown(&mut screen, 110, 24);
    assert!(text.contains("no newer numbers: nothing answers") && text.contains("public.sales"), "{text}");
}

#[test]
fn keys_scroll_and_leave() {
    let mut screen = Screen { reading: Some(reading()), ..Screen::default() };
    let press = |code| KeyEvent::new(code, KeyModifiers::NONE);
    assert!(handle(&mut screen, press(KeyCode::End)) && handle(&mut screen, press(KeyCode::Up)));
    assert!(handle(&mut screen, press(KeyCode::Char('x'))));
    assert!(!handle(&mut screen, press(KeyCode::Char('q'))));
    assert!(!handle(&mut screen, KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
}
