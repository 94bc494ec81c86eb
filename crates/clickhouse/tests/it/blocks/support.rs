//! A database of its own per test, and rows as Postgres sends them.

use std::sync::Arc;

use anyhow::{Context, Result};
use clickhouse::Client;
use walhouse_change::{
    BatchBuilder, Change, ChangeBatch, Column, Image, Lsn, OldImage, Permit, ReplicaIdentity, Span, TableName,
    TableSchema, Transaction, Version,
};
use walhouse_clickhouse::block::{Action, Block, BlockBuilder, RowInput, Stamp};
use walhouse_clickhouse::ddl;
use walhouse_clickhouse::mapping::{Dates, Layout, TableKind, TableOverride, TablePlan};
use walhouse_value::{Kind, PgType};

/// A value as it is sent: kind and bytes.
pub(super) type Value = (Kind, Vec<u8>);

pub(super) const NULL: Value = (Kind::Null, Vec::new());

pub(super) fn text(value: impl ToString) -> Value {
    (Kind::Text, value.to_string().into_bytes())
}

/// One database of the shared engine.
pub(super) struct Database {
    client: Client,
    pub(super) name: String,
}

impl Database {
    /// `name` must be unique among the tests of this binary.
    pub(super) async fn create(name: &str) -> Result<Self> {
        let url = walhouse_chdb::testing::shared().url();
        let this = Self { client: Client::default().with_url(url), name: name.to_owned() };
        this.run(&ddl::create_database(name)).await?;
        this.run(&ddl::create_truncates(name)).await?;
        Ok(this)
    }

    pub(super) fn layout(&self) -> Layout {
        Layout { database: self.name.clone(), history: true, retention: None, dates: Dates::Wide }
    }

    pub(super) async fn run(&self, sql: &str) -> Result<()> {
        // a question mark is the client's placeholder
        self.client.query(&sql.replace('?', "??")).execute().await.with_context(|| sql.to_owned())
    }

    /// Creates the plan's tables and views.
    pub(super) async fn create_all(&self, plan: &TablePlan) -> Result<()> {
        for &kind in plan.tables() {
            self.run(&ddl::create_table(plan, kind, &plan.table_name(kind))).await?;
        }
        for view in ddl::views(plan) {
            self.run(&view).await?;
        }
        Ok(())
    }

    /// The answer's bytes in a format.
    pub(super) async fn bytes(&self, sql: &str, format: &str) -> Result<Vec<u8>> {
        let query = self.client.clone().with_database(&self.name).query(&sql.replace('?', "??"));
        let mut cursor = query.fetch_bytes(format).with_context(|| sql.to_owned())?;
        Ok(cursor.collect().await.with_context(|| sql.to_owned())?.to_vec())
    }

    /// The answer as lines of tab separated text.
    pub(super) async fn rows(&self, sql: &str) -> Result<Vec<String>> {
        let answer = String::from_utf8(self.bytes(sql, "TabSeparated").await?)?;
        Ok(answer.lines().map(str::to_owned).collect())
    }

    /// The answer's only line.
    pub(super) async fn one(&self, sql: &str) -> Result<String> {
        let rows = self.rows(sql).await?;
        anyhow::ensure!(rows.len() == 1, "{sql}: {} rows", rows.len());
        rows.into_iter().next().context("a row")
    }

    /// Inserts a block into all tables of the plan, as the sink does: the log first.
    pub(super) async fn insert(&self, plan: &TablePlan, block: &Block) -> Result<()> {
        for &kind in plan.tables() {
            self.insert_into(plan, kind, block).await?;
        }
        Ok(())
    }

    pub(super) async fn insert_into(&self, plan: &TablePlan, kind: TableKind, block: &Block) -> Result<()> {
        let sql = ddl::insert(plan, &plan.table_name(kind));
        let mut insert = self.client.insert_formatted_with(sql).with_setting("async_insert", "0");
        for chunk in &block.chunks {
            insert.send(chunk.clone()).await?;
        }
        Ok(insert.end().await?)
    }
}

/// A table's shape; the first `key` columns are its key.
pub(super) fn schema(schema: &str, name: &str, columns: Vec<(&str, PgType)>, key: usize) -> Arc<TableSchema> {
    Arc::new(TableSchema {
        relid: 1,
        name: TableName::new(schema, name),
        identity: ReplicaIdentity::Default,
        columns: columns.into_iter().map(|(name, ty)| Column { name: name.into(), ty }).collect(),
        key: (0..key).collect(),
    })
}

pub(super) fn builtin(oid: u32) -> PgType {
    PgType::builtin(oid, -1).expect("a built-in type")
}

pub(super) fn plan(layout: &Layout, schema: &Arc<TableSchema>) -> Arc<TablePlan> {
    Arc::new(TablePlan::new(Arc::clone(schema), &TableOverride::default(), layout).expect("a plan"))
}

/// Images of rows, in one batch.
pub(super) struct Images(ChangeBatch);

impl Images {
    pub(super) fn new(plan: &TablePlan, rows: &[Vec<Value>]) -> Self {
        let mut buffer = Vec::new();
        let mut batch = BatchBuilder::default();
        batch.begin(Transaction { xid: 1, commit_lsn: Lsn(1), commit_time: 0 });
        let table = batch.schema(&plan.schema);
        for row in rows {
            let span = |(kind, bytes): &Value| {
                let offset = buffer.len() as u32;
                buffer.extend_from_slice(bytes);
                Span { offset, len: bytes.len() as u32, kind: *kind }
            };
            let spans: Vec<Span> = row.iter().map(span).collect();
            batch.read(table, Lsn(1), &spans);
        }
        Self(batch.finish(buffer.into(), Permit::default()))
    }

    pub(super) fn get(&self, index: usize) -> Image<'_> {
        match &self.0.changes()[index] {
            Change::Row(change) => self.0.row(change).new_image().expect("a new image"),
            _ => unreachable!("only rows were pushed"),
        }
    }
}

fn stamp(version: u128, commit_ms: i64, action: Action) -> Stamp {
    Stamp { version: Version(version), record_version: Lsn(version as u64), commit_time_us: commit_ms * 1000, action }
}

/// A block of rows that exist, with versions counted from `version`.
pub(super) fn block(plan: &Arc<TablePlan>, rows: &[Vec<Value>], version: u128, commit_ms: i64) -> Block {
    let images = Images::new(plan, rows);
    let mut builder = BlockBuilder::new(Arc::clone(plan));
    for index in 0..rows.len() {
        let stamp = stamp(version + index as u128, commit_ms, Action::Insert);
        builder.push(&RowInput { image: images.get(index), old: None, fill: None, stamp }).expect("a legal row");
    }
    builder.finish().expect("a row")
}

/// A block of one row that is gone.
pub(super) fn tombstone(plan: &Arc<TablePlan>, row: Vec<Value>, version: u128, commit_ms: i64) -> Block {
    let images = Images::new(plan, &[row]);
    let mut builder = BlockBuilder::new(Arc::clone(plan));
    let stamp = stamp(version, commit_ms, Action::Delete);
    builder.push_tombstone(OldImage::Key, images.get(0), &stamp).expect("a legal row");
    builder.finish().expect("a row")
}
