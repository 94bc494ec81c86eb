//! The dictionary as Markdown.

use super::{INTRODUCTION, Line, META_HEADING, business, meta, places};
use crate::warehouse::Warehouse;

/// The data dictionary of `warehouse` as Markdown.
#[must_use]
pub fn markdown(warehouse: &Warehouse) -> String {
    let mut text = format!("# Data dictionary: {}\n\n{INTRODUCTION}\n", escape(&warehouse.database));
    for table in &warehouse.tables {
        text.push_str(&format!("\n## {}\n\n", escape(&table.source.target)));
        if let Some(description) = &table.source.description {
            text.push_str(&format!("{}\n\n", escape(description)));
        }
        text.push_str(&format!("{}\n\n", escape(&places(table))));
        push_table(&mut text, business(table));
    }
    text.push_str(&format!("\n## {META_HEADING}\n\n"));
    push_table(&mut text, meta(warehouse).into_iter());
    if !warehouse.absent.is_empty() {
        text.push_str(&format!("\nNot in ClickHouse yet: {}.\n", escape(&warehouse.absent.join(", "))));
    }
    text
}

fn push_table<'a>(text: &mut String, lines: impl Iterator<Item = Line<'a>>) {
    text.push_str("| column | ClickHouse type | Postgres type | nullable | description |\n|---|---|---|---|---|\n");
    for line in lines {
        let cells = [line.name, line.ty, line.source, line.nullable, &line.description].map(escape);
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
}

/// A text that stays one cell, and says what it says.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\\' | '|' | '`' | '*' | '_' | '<' | '>' | '[' | ']' => {
                escaped.push('\\');
                escaped.push(char);
            }
            '\n' => escaped.push(' '),
            '\r' => {}
            _ => escaped.push(char),
        }
    }
    escaped
}
