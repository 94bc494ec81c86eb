//! The dictionary as one page of HTML that needs nothing from outside.

use super::{INTRODUCTION, Line, META_HEADING, business, meta, places};
use crate::warehouse::Warehouse;

/// Readable on a phone, in the dark, and on paper.
const STYLE: &str = "\
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th,td{border-bottom:1px solid #8886;padding:.3rem .6rem;text-align:left;vertical-align:top}
code{font:.9em ui-monospace,monospace;white-space:nowrap}
nav a{display:inline-block;margin-right:1rem}";

/// The data dictionary of `warehouse` as HTML.
#[must_use]
pub fn html(warehouse: &Warehouse) -> String {
    let title = format!("Data dictionary: {}", escape(&warehouse.database));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>\n{STYLE}\n</style>\n</head>\n\
         <body>\n<h1>{title}</h1>\n<p>{INTRODUCTION}</p>\n<nav aria-label=\"Tables\">\n"
    );
    for (number, table) in warehouse.tables.iter().enumerate() {
        page.push_str(&format!("<a href=\"#t{number}\">{}</a>\n", escape(&table.source.target)));
    }
    page.push_str("</nav>\n");
    for (number, table) in warehouse.tables.iter().enumerate() {
        page.push_str(&format!("<h2 id=\"t{number}\">{}</h2>\n", escape(&table.source.target)));
        if let Some(description) = &table.source.description {
            page.push_str(&format!("<p>{}</p>\n", escape(description)));
        }
        page.push_str(&format!("<p>{}</p>\n", escape(&places(table))));
        push_table(&mut page, business(table));
    }
    page.push_str(&format!("<h2>{META_HEADING}</h2>\n"));
    push_table(&mut page, meta(warehouse).into_iter());
    if !warehouse.absent.is_empty() {
        page.push_str(&format!("<p>Not in ClickHouse yet: {}.</p>\n", escape(&warehouse.absent.join(", "))));
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn push_table<'a>(page: &mut String, lines: impl Iterator<Item = Line<'a>>) {
    page.push_str(
        "<div class=\"wide\"><table>\n<thead><tr><th>Column</th><th>ClickHouse type</th><th>Postgres type</th>\
         <th>Nullable</th><th>Description</th></tr></thead>\n<tbody>\n",
    );
    for line in lines {
        page.push_str(&format!(
            "<tr><td><code>{}</code></td><td><code>{}</code></td><td><code>{}</code></td><td>{}</td><td>{}</td></tr>\n",
            escape(line.name),
            escape(line.ty),
            escape(line.source),
            line.nullable,
            escape(&line.description)
        ));
    }
    page.push_str("</tbody>\n</table></div>\n");
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(char),
        }
    }
    escaped
}
