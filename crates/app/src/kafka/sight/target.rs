//! What ClickHouse has read, and the newest change that its tables show.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use walhouse_change::TableName;
use walhouse_clickhouse::ClickHouse;
use walhouse_clickhouse::ddl::{literal, qualified};
use walhouse_clickhouse::mapping::{TableKind, TablePlan};

use super::topics::Offsets;

/// Blocks of messages are small and new; larger and older parts are not read.
const NEW_SECONDS: u32 = 30;
const NEW_ROWS: u32 = 1_000_000;

/// How far the consumers of one table have read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) topic: String,
    pub(super) group: String,
    /// By partition; negative where nothing was read yet.
    pub(super) offsets: BTreeMap<i32, i64>,
}

struct Table {
    name: TableName,
    /// The table that the newest changes are in.
    target: String,
    plan: Arc<TablePlan>,
    topic: String,
    group: String,
}

pub(super) struct Target {
    clickhouse: Arc<ClickHouse>,
    plans: Vec<Arc<TablePlan>>,
    tables: Vec<Table>,
    before: Offsets,
    newest: BTreeMap<TableName, i64>,
}

#[derive(Deserialize)]
struct ConsumerRow {
    table: String,
    partitions: Vec<i32>,
    offsets: Vec<i64>,
}

#[derive(Deserialize)]
struct NewestRow {
    table: String,
    commit_ms: i64,
}

impl Target {
    pub(super) fn new(clickhouse: Arc<ClickHouse>, plans: &[Arc<TablePlan>]) -> Self {
        let (tables, before, newest) = (Vec::new(), Offsets::new(), BTreeMap::new());
        Self { clickhouse, plans: plans.to_vec(), tables, before, newest }
    }

    /// How far each table's consumers have read; tables without consumers are left out.
    pub(super) async fn read(&mut self) -> Result<Vec<Reading>> {
        if self.tables.len() < self.plans.len() {
            self.find().await?;
        }
        let Some(first) = self.plans.first() else { return Ok(Vec::new()) };
        let sql = format!(
            "SELECT table, groupArrayArray(assignments.partition_id) AS partitions, \
             groupArrayArray(assignments.current_offset) AS offsets FROM system.kafka_consumers \
             WHERE database = {} GROUP BY table SETTINGS output_format_json_quote_64bit_integers = 0",
            literal(&first.database)
        );
        let rows: Vec<ConsumerRow> = self.rows("cannot ask how far ClickHouse has read", &sql).await?;
        let reading = |table: &Table| {
            let row = rows.iter().find(|row| row.table == queue(&table.plan))?;
            let offsets = row.partitions.iter().copied().zip(row.offsets.iter().copied()).collect();
            Some(Reading { topic: table.topic.clone(), group: table.group.clone(), offsets })
        };
        Ok(self.tables.iter().filter_map(reading).collect())
    }

    /// The tables that were made for topics.
    async fn find(&mut self) -> Result<()> {
        let known = self.clickhouse.topics().await?;
        let table = |plan: &Arc<TablePlan>| {
            let state = known.get(&plan.name)?;
            let kind = plan.tables().first().copied().unwrap_or(TableKind::Current);
            Some(Table {
                name: plan.schema.name.clone(),
                target: plan.table_name(kind),
                plan: Arc::clone(plan),
                topic: state.topic.clone(),
                group: state.group.clone(),
            })
        };
        self.tables = self.plans.iter().filter_map(table).collect();
        Ok(())
    }

    /// Commit times, in microseconds, of the newest changes that became visible since the last look.
    pub(super) async fn newest(&mut self, read: &Offsets) -> Result<Vec<(TableName, i64)>> {
        let moved = self.tables.iter().filter(|table| read.get(&table.topic) != self.before.get(&table.topic));
        let selects: Vec<String> = moved.map(newest_of).collect();
        self.before.clone_from(read);
        if selects.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT * FROM ({}) SETTINGS output_format_json_quote_64bit_integers = 0",
            selects.join(" UNION ALL ")
        );
        let rows: Vec<NewestRow> = self.rows("cannot look at the newest changes", &sql).await?;
        let mut seen = Vec::new();
        for row in rows {
            let Some(table) = self.tables.iter().find(|table| table.target == row.table) else { continue };
            let before = self.newest.insert(table.name.clone(), row.commit_ms);
            // What was there at the first look did not come now.
            if before.is_some_and(|before| before < row.commit_ms) {
                seen.push((table.name.clone(), row.commit_ms * 1000));
            }
        }
        Ok(seen)
    }

    async fn rows<T: DeserializeOwned>(&self, attempt: &'static str, sql: &str) -> Result<Vec<T>> {
        let mut cursor = self.clickhouse.http_client().query_raw(sql).fetch_bytes("JSONEachRow").context(attempt)?;
        let bytes = cursor.collect().await.context(attempt)?;
        let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).context(attempt)).collect()
    }
}

fn queue(plan: &TablePlan) -> String {
    format!("{}__queue", plan.name)
}

fn newest_of(table: &Table) -> String {
    let (name, plan) = (literal(&table.target), &table.plan);
    format!(
        "SELECT {name} AS table, ifNull(max(source_updated_at_ms), 0) AS commit_ms FROM {} WHERE _part IN (SELECT name \
         FROM system.parts WHERE database = {} AND table = {name} AND active AND rows < {NEW_ROWS} AND \
         modification_time > now() - {NEW_SECONDS})",
        qualified(&plan.database, &table.target),
        literal(&plan.database),
    )
}
