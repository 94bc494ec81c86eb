//! Values that did not change and were not sent.
//!
//! Postgres leaves a large value out of an update that does not touch it, and Debezium puts a
//! placeholder there. The value is the last one that did come: in the same block of messages, or in
//! the current state. What is in neither (its row came before the connector and is not imported yet)
//! is NULL and says so in `_unrepresentable`, until an import mends it.

use super::feed::Feed;
use super::statements::{BYTES, ERROR, EXTRA, UNCHANGED, key_list};
use crate::ddl::{identifier, literal, qualified};
use crate::mapping::{META_COLUMNS, TableKind};

/// Stands in `_unrepresentable` for a value that is not known yet.
pub(super) const UNKNOWN: &str = "(unchanged, not imported yet)";

/// The SELECT of the view that fills values in.
pub(super) fn select(feed: &Feed) -> String {
    let plan = &feed.plan;
    let stage = qualified(&plan.database, &feed.named("stage"));
    let current = qualified(&plan.database, &plan.table_name(TableKind::Current));
    let key = key_list(feed, "");
    let lacking: Vec<&str> = plan
        .columns
        .iter()
        .zip(&feed.columns)
        .filter(|(column, sent)| sent.placeholder.is_some() && !column.key)
        .map(|(column, _)| column.name.as_str())
        .collect();
    let windows = lacking.iter().enumerate().map(|(index, name)| {
        let here = format!("`{ERROR}` = '' AND `is_deleted` = 0 AND NOT has(`{UNCHANGED}`, {})", literal(name));
        format!(
            ",\n        argMaxIf((`_version`, {}, `_unrepresentable`), `_version`, {here}) OVER w AS _kafka_last_{index}",
            identifier(name)
        )
    });
    let windows: String = windows.collect();
    let looked_up: String =
        lacking.iter().chain(&["_unrepresentable"]).map(|name| format!(", {}", identifier(name))).collect();
    let on = plan.sort_key().map(|name| format!("_kafka_p.{0} = _kafka_c.{0}", identifier(name))).collect::<Vec<_>>();
    format!(
        "SELECT\n{}\nFROM\n(\n    SELECT *{windows}\n    FROM {stage}\n    WINDOW w AS (PARTITION BY {key} ORDER BY `_version` ROWS \
         BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)\n) AS _kafka_p\nLEFT JOIN\n(\n    SELECT {key}{looked_up}, 1 AS _kafka_found\n    FROM \
         {current} FINAL\n    WHERE ({key}) IN (SELECT {} FROM {stage} WHERE notEmpty(`{UNCHANGED}`) AND `{ERROR}` = '')\n) AS _kafka_c \
         ON {}",
        columns(feed, &lacking),
        key_list(feed, "assumeNotNull"),
        on.join(" AND "),
    )
}

/// The columns of the stage without the last one, in its order.
fn columns(feed: &Feed, lacking: &[&str]) -> String {
    let mut out = Vec::new();
    let mut mended = Vec::new();
    for column in &feed.plan.columns {
        let name = identifier(&column.name);
        let Some(index) = lacking.iter().position(|lacking| *lacking == column.name) else {
            out.push(format!("_kafka_p.{name} AS {name}"));
            continue;
        };
        let (label, last) = (literal(&column.name), format!("_kafka_p._kafka_last_{index}"));
        let lacks = format!("has(_kafka_p.`{UNCHANGED}`, {label})");
        out.push(format!("if({lacks}, if({last}.1 > 0, {last}.2, _kafka_c.{name}), _kafka_p.{name}) AS {name}"));
        let from = |map: &str| format!("if(mapContains({map}, {label}), [({label}, {map}[{label}])], [])");
        mended.push(format!(
            "if({lacks}, multiIf({last}.1 > 0, {}, _kafka_c._kafka_found = 1, {}, [({label}, {})]), [])",
            from(&format!("{last}.3")),
            from("_kafka_c.`_unrepresentable`"),
            literal(UNKNOWN)
        ));
    }
    for meta in META_COLUMNS.iter().filter(|meta| meta.default.is_none()) {
        let plain = format!("_kafka_p.`{}`", meta.name);
        out.push(match meta.name {
            "_unrepresentable" => format!(
                "if(empty(_kafka_p.`{UNCHANGED}`), {plain}, mapUpdate({plain}, CAST(arrayConcat({}) AS Map(String, String)))) \
                 AS `_unrepresentable`",
                mended.join(", ")
            ),
            name => format!("{plain} AS `{name}`"),
        });
    }
    out.extend([ERROR, BYTES].into_iter().chain(EXTRA).map(|name| format!("_kafka_p.`{name}` AS `{name}`")));
    out.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join(",\n")
}
