//! Every table and view of a feed, in the order in which they are made.

use super::DEAD_LETTERS;
use super::feed::Feed;
use super::{fill, read, views};
use crate::ddl::{self, TRUNCATES, identifier, literal, qualified};
use crate::mapping::{ClickHouseType, META_COLUMNS, TableKind};

/// Columns of the stage beyond the table's own.
pub(super) const ERROR: &str = "_kafka_error";
pub(super) const BYTES: &str = "_kafka_bytes";
pub(super) const EXTRA: [&str; 5] = ["_kafka_topic", "_kafka_partition", "_kafka_offset", "_kafka_key", "_kafka_time"];
pub(super) const UNCHANGED: &str = "_kafka_unchanged";

/// Settings of a queue that make rows visible in a fraction of a second. Measured with one broker: the
/// defaults give 4.5 s in the middle and 7.5 s at worst, these 0.15 s and 0.6 s. A thread of its own,
/// since the pool that queues share has as many threads as the machine has cores.
const QUICK: [(&str, &str); 5] = [
    ("kafka_num_consumers", "1"),
    ("kafka_thread_per_consumer", "1"),
    ("kafka_flush_interval_ms", "200"),
    ("kafka_poll_timeout_ms", "50"),
    ("kafka_max_block_size", "65536"),
];

/// Parts that were made by small blocks stay in one file; see the direct way's tables.
const SETTINGS: &str = "min_bytes_for_wide_part = 67108864";

/// What an object is to whoever changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// Holds rows: it is adapted and never replaced.
    Table(TableKind),
    /// Holds rows of every table; made when missing.
    Shared,
    /// Holds nothing: it is replaced when it should be another.
    Passage,
    /// What users read.
    View,
    /// Starts the reading: comes last, and goes first when anything else changes.
    Reader,
}

/// A table or view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name in the database.
    pub name: String,
    /// What it is.
    pub kind: ObjectKind,
    /// The statement that makes it; secrets are in it.
    pub sql: String,
    /// The feed's table, none for an object that all share.
    pub table: Option<walhouse_change::TableName>,
}

/// All objects of a feed.
#[must_use]
pub fn objects(feed: &Feed) -> Vec<Object> {
    let plan = &feed.plan;
    let mut all = vec![
        shared(DEAD_LETTERS, create_dead_letters(&plan.database)),
        shared(TRUNCATES, ddl::create_truncates(&plan.database)),
    ];
    let mut add = |name: String, kind, sql| {
        all.push(Object { name, kind, sql, table: Some(plan.schema.name.clone()) });
    };
    for &kind in plan.tables() {
        let name = plan.table_name(kind);
        add(name.clone(), ObjectKind::Table(kind), create_table(feed, kind, &name));
    }
    for (name, sql) in views::views(feed) {
        add(name, ObjectKind::View, sql);
    }
    add(feed.named("queue"), ObjectKind::Passage, create_queue(feed));
    add(feed.named("stage"), ObjectKind::Passage, create_stage(feed, "stage"));
    let last = if feed.may_lack_values() {
        add(feed.named("whole"), ObjectKind::Passage, create_stage(feed, "whole"));
        "whole"
    } else {
        "stage"
    };
    let view = |name: &str, to: &str, select: &str| {
        let (name, to) = (qualified(&plan.database, &feed.named(name)), qualified(&plan.database, to));
        format!("CREATE MATERIALIZED VIEW IF NOT EXISTS {name} TO {to} AS\n{select}")
    };
    if plan.history {
        add(feed.named("to_log"), ObjectKind::Passage, view("to_log", &plan.name, &to_log(feed, last)));
    }
    let current = plan.table_name(TableKind::Current);
    add(feed.named("to_current"), ObjectKind::Passage, view("to_current", &current, &to_current(feed, last)));
    add(feed.named("to_dead"), ObjectKind::Passage, view("to_dead", DEAD_LETTERS, &to_dead(feed)));
    if feed.truncates {
        add(feed.named("to_truncates"), ObjectKind::Passage, view("to_truncates", TRUNCATES, &to_truncates(feed)));
    }
    if feed.may_lack_values() {
        add(feed.named("fill"), ObjectKind::Passage, view("fill", &feed.named("whole"), &fill::select(feed)));
    }
    add(feed.named("read"), ObjectKind::Reader, view("read", &feed.named("stage"), &read::select(feed)));
    all
}

fn shared(name: &str, sql: String) -> Object {
    Object { name: name.to_owned(), kind: ObjectKind::Shared, sql, table: None }
}

/// The key's columns with commas, each inside of `function`.
pub(super) fn key_list(feed: &Feed, function: &str) -> String {
    let each = feed.plan.sort_key().map(|name| match function {
        "" => identifier(name),
        _ => format!("{function}({})", identifier(name)),
    });
    each.collect::<Vec<_>>().join(", ")
}

fn create_dead_letters(database: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {}\n(\n    `topic` String,\n    `partition` Int32,\n    `offset` Int64,\n    `key` String,\n    \
         `time` Nullable(DateTime64(3, 'UTC')),\n    `raw` String,\n    `error` String,\n    `arrival_date_time_tz` DateTime DEFAULT \
         now(),\n    `version` UInt128\n)\nENGINE = ReplacingMergeTree\nORDER BY (`topic`, `version`)",
        qualified(database, DEAD_LETTERS)
    )
}

/// The log keeps a change once: by key, position in the source's log and operation. The projection
/// tells in no time up to where each partition is in it.
pub(super) fn create_table(feed: &Feed, kind: TableKind, name: &str) -> String {
    match kind {
        TableKind::Current => ddl::create_table(&feed.plan, kind, name),
        TableKind::Log => {
            let projection = format!(
                "    PROJECTION marks (SELECT {PARTITION}, max(`record_version`), max(`_version`) GROUP BY {PARTITION})"
            );
            ddl::create_table_with(
                &feed.plan,
                name,
                &ddl::Layout {
                    engine: "ReplacingMergeTree",
                    order_by: format!("{}, `record_version`, ifNull(`db_action`, '')", key_list(feed, "")),
                    body: Some(projection),
                    settings: format!("{SETTINGS}, deduplicate_merge_projection_mode = 'rebuild'"),
                    retention: feed.plan.retention,
                },
            )
        }
    }
}

fn create_queue(feed: &Feed) -> String {
    let queue = &feed.queue;
    let own = [
        ("kafka_broker_list", queue.brokers.as_str()),
        ("kafka_topic_list", &queue.topic),
        ("kafka_group_name", &queue.group),
        ("kafka_format", "RawBLOB"),
        ("kafka_client_id", "walhouse"),
    ];
    let setting = |(name, value): (&str, &str)| match value.parse::<u32>() {
        Ok(number) if name != "kafka_topic_list" && name != "kafka_group_name" => format!("{name} = {number}"),
        _ => format!("{name} = {}", literal(value)),
    };
    let further = queue.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let settings: Vec<String> = own.into_iter().chain(QUICK).chain(further).map(setting).collect();
    format!(
        "CREATE TABLE IF NOT EXISTS {}\n(\n    `raw` String\n)\nENGINE = Kafka\nSETTINGS {}",
        qualified(&feed.plan.database, &feed.named("queue")),
        settings.join(",\n    ")
    )
}

/// Rows on their way; nothing stays in it.
fn create_stage(feed: &Feed, role: &str) -> String {
    let nullable = |ty: ClickHouseType| ty.sql(true);
    let business = feed.plan.columns.iter().map(|column| (column.name.as_str(), nullable(column.ty)));
    let meta =
        META_COLUMNS.iter().filter(|meta| meta.default.is_none()).map(|meta| (meta.name, meta.sql_type.to_owned()));
    let extra_types = ["String", "Int32", "Int64", "String", "Nullable(DateTime64(3))"];
    let extra = EXTRA.into_iter().zip(extra_types).map(|(name, ty)| (name, ty.to_owned()));
    let own = [(ERROR, "String".to_owned()), (BYTES, "String".to_owned())];
    let unchanged = (role == "stage" && feed.may_lack_values()).then(|| (UNCHANGED, "Array(String)".to_owned()));
    let lines = business.chain(meta).chain(own).chain(extra).chain(unchanged);
    let lines: Vec<String> = lines.map(|(name, ty)| format!("    {} {ty}", identifier(name))).collect();
    format!(
        "CREATE TABLE IF NOT EXISTS {}\n(\n{}\n)\nENGINE = Null",
        qualified(&feed.plan.database, &feed.named(role)),
        lines.join(",\n")
    )
}

/// The partition, from a version's lowest bits; 0 for a row that was imported.
const PARTITION: &str = "bitAnd(`_version`, 4294967295)";

fn columns(feed: &Feed) -> String {
    let business = feed.plan.columns.iter().map(|column| match column.key {
        true => format!("assumeNotNull({0}) AS {0}", identifier(&column.name)),
        false => identifier(&column.name),
    });
    let meta = META_COLUMNS.iter().filter(|meta| meta.default.is_none()).map(|meta| identifier(meta.name));
    business.chain(meta).collect::<Vec<_>>().join(", ")
}

/// Rows and nothing else.
fn is_row(feed: &Feed) -> String {
    let truncate = if feed.truncates { " AND ifNull(`db_action`, '') != 'truncate'" } else { "" };
    format!("`{ERROR}` = ''{truncate}")
}

fn to_current(feed: &Feed, from: &str) -> String {
    format!(
        "SELECT {}\nFROM {}\nWHERE {}",
        columns(feed),
        qualified(&feed.plan.database, &feed.named(from)),
        is_row(feed)
    )
}

/// Only a change that is not newer than its partition's mark can be in the log already; only such are
/// looked for, by key.
fn to_log(feed: &Feed, from: &str) -> String {
    let plan = &feed.plan;
    let (log, from) = (qualified(&plan.database, &plan.name), qualified(&plan.database, &feed.named(from)));
    let again = format!(
        "if(`record_version` < 0, `_version` <= mapping[{PARTITION}].2, `record_version` <= mapping[{PARTITION}].1)"
    )
    .replace("mapping", "_kafka_marks");
    let identity = format!("{}, `record_version`, ifNull(`db_action`, '')", key_list(feed, ""));
    let sent = format!("{}, `record_version`, ifNull(`db_action`, '')", key_list(feed, "assumeNotNull"));
    format!(
        "WITH (SELECT mapFromArrays(groupArray(p), groupArray((l, v))) FROM (SELECT {PARTITION} AS p, max(`record_version`) AS l, \
         max(`_version`) AS v FROM {log} GROUP BY p)) AS _kafka_marks\nSELECT {}\nFROM {from}\nWHERE {} AND NOT ({again} AND \
         ({sent}) IN (SELECT {identity} FROM {log} WHERE ({}) IN (SELECT {} FROM {from} WHERE {} AND {again})))\n\
         LIMIT 1 BY {identity}",
        columns(feed),
        is_row(feed),
        key_list(feed, ""),
        key_list(feed, "assumeNotNull"),
        is_row(feed),
    )
}

fn to_dead(feed: &Feed) -> String {
    let (stage, dead) =
        (qualified(&feed.plan.database, &feed.named("stage")), qualified(&feed.plan.database, DEAD_LETTERS));
    let topic = literal(&feed.queue.topic);
    format!(
        "SELECT `_kafka_topic` AS `topic`, `_kafka_partition` AS `partition`, `_kafka_offset` AS `offset`, `_kafka_key` AS `key`, \
         `_kafka_time` AS `time`, `{BYTES}` AS `raw`, `{ERROR}` AS `error`, `_version` AS `version`\nFROM {stage}\nWHERE `{ERROR}` \
         != '' AND `_version` NOT IN (SELECT `version` FROM {dead} WHERE `topic` = {topic} AND `version` IN (SELECT `_version` FROM \
         {stage} WHERE `{ERROR}` != ''))"
    )
}

/// A TRUNCATE hides what is older in the source's log: nobody else changes the table meanwhile, so
/// here positions are an order, and it may come by any partition.
fn to_truncates(feed: &Feed) -> String {
    format!(
        "SELECT {} AS `table`, bitOr(bitShiftLeft(bitShiftRight(`_version`, 112), 112), \
         bitShiftLeft(toUInt128(`record_version`), 48)) AS `version`, assumeNotNull(`source_updated_at_ms`) AS \
         `source_updated_at_ms`\nFROM {}\nWHERE `{ERROR}` = '' AND `db_action` = 'truncate' AND `record_version` >= 0",
        literal(&feed.plan.name),
        qualified(&feed.plan.database, &feed.named("stage")),
    )
}
