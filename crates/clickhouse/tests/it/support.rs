//! Batches written by hand, a target per test, and questions to the engine.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not take for tests")]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use walhouse_change::{
    BatchBuilder, ChangeBatch, Column, Error, Lsn, Observer, OldImage, Opening, Permit, ReplicaIdentity, Sink, Span,
    TableName, TableSchema, Target, Transaction,
};
use walhouse_clickhouse::{ClickHouse, Config};
use walhouse_value::{Kind, PgType};

pub(crate) const INT4: u32 = 23;
pub(crate) const INT8: u32 = 20;
pub(crate) const TEXT: u32 = 25;

/// A value that Postgres did not send.
pub(crate) const UNCHANGED: Option<&str> = Some("\u{1}unchanged");

pub(crate) type Values<'a> = &'a [Option<&'a str>];

/// A table of schema `public`; the first column is the key.
pub(crate) fn table(relid: u32, name: &str, columns: &[(&str, u32)]) -> Arc<TableSchema> {
    table_with(relid, name, columns, ReplicaIdentity::Default)
}

pub(crate) fn table_with(
    relid: u32,
    name: &str,
    columns: &[(&str, u32)],
    identity: ReplicaIdentity,
) -> Arc<TableSchema> {
    let column = |&(name, oid): &(&str, u32)| Column {
        name: name.to_owned(),
        ty: PgType::builtin(oid, -1).expect("a built-in type"),
    };
    Arc::new(TableSchema {
        relid,
        name: TableName::new("public", name),
        identity,
        columns: columns.iter().map(column).collect(),
        key: vec![0],
    })
}

/// Writes batches. One script makes one batch.
#[derive(Default)]
pub(crate) struct Script {
    builder: BatchBuilder,
    data: Vec<u8>,
    commit: u64,
    index: u64,
}

impl Script {
    /// Changes that follow are committed at `lsn`.
    pub(crate) fn begin(mut self, lsn: u64) -> Self {
        self.commit = lsn;
        self.index = 0;
        let commit_time = 1_700_000_000_000_000 + i64::try_from(lsn).unwrap() * 1_000;
        self.builder.begin(Transaction { xid: 1, commit_lsn: Lsn(lsn), commit_time });
        self
    }

    pub(crate) fn insert(mut self, table: &Arc<TableSchema>, new: Values<'_>) -> Self {
        let (id, new) = (self.builder.schema(table), self.spans(new));
        self.index += 1;
        self.builder.insert(id, Lsn(self.commit), self.index, &new);
        self
    }

    pub(crate) fn read(mut self, table: &Arc<TableSchema>, new: Values<'_>) -> Self {
        let (id, new) = (self.builder.schema(table), self.spans(new));
        self.builder.read(id, Lsn(self.commit), &new);
        self
    }

    pub(crate) fn update(mut self, table: &Arc<TableSchema>, new: Values<'_>) -> Self {
        let (id, new) = (self.builder.schema(table), self.spans(new));
        self.index += 1;
        self.builder.update(id, Lsn(self.commit), self.index, &new, None);
        self
    }

    /// An update whose old key is sent.
    pub(crate) fn rekey(mut self, table: &Arc<TableSchema>, old: &str, new: Values<'_>) -> Self {
        let (id, old, new) = (self.builder.schema(table), self.spans(&[Some(old)]), self.spans(new));
        self.index += 1;
        self.builder.update(id, Lsn(self.commit), self.index, &new, Some((OldImage::Key, &old)));
        self
    }

    pub(crate) fn update_full(mut self, table: &Arc<TableSchema>, old: Values<'_>, new: Values<'_>) -> Self {
        let (id, old, new) = (self.builder.schema(table), self.spans(old), self.spans(new));
        self.index += 1;
        self.builder.update(id, Lsn(self.commit), self.index, &new, Some((OldImage::Full, &old)));
        self
    }

    pub(crate) fn delete(mut self, table: &Arc<TableSchema>, key: &str) -> Self {
        let (id, old) = (self.builder.schema(table), self.spans(&[Some(key)]));
        self.index += 1;
        self.builder.delete(id, Lsn(self.commit), self.index, (OldImage::Key, &old));
        self
    }

    pub(crate) fn truncate(mut self, tables: &[&Arc<TableSchema>]) -> Self {
        let ids = tables.iter().map(|table| self.builder.schema(table)).collect();
        self.index += 1;
        self.builder.truncate(ids, Lsn(self.commit), self.index);
        self
    }

    pub(crate) fn reshaped(mut self, table: &Arc<TableSchema>) -> Self {
        self.builder.schema_changed(table);
        self
    }

    pub(crate) fn batch(self) -> ChangeBatch {
        self.batch_with(Permit::default())
    }

    pub(crate) fn batch_with(mut self, permit: Permit) -> ChangeBatch {
        self.builder.progress(Lsn(self.commit + 1));
        self.builder.finish(Bytes::from(self.data), permit)
    }

    fn spans(&mut self, values: Values<'_>) -> Vec<Span> {
        let span = |data: &mut Vec<u8>, value: &Option<&str>| {
            let offset = u32::try_from(data.len()).unwrap();
            let (kind, len) = match *value {
                None => (Kind::Null, 0),
                value if value == UNCHANGED => (Kind::Unchanged, 0),
                Some(text) => {
                    data.extend_from_slice(text.as_bytes());
                    (Kind::Text, u32::try_from(text.len()).unwrap())
                }
            };
            Span { offset, len, kind }
        };
        values.iter().map(|value| span(&mut self.data, value)).collect()
    }
}

/// Notes what a sink tells.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) stopped: Mutex<Vec<(TableName, Error)>>,
    pub(crate) visible: Mutex<Vec<(TableName, u64, i64)>>,
}

impl Observer for Notes {
    fn table_stopped(&self, table: &TableName, error: &Error) {
        self.stopped.lock().unwrap().push((table.clone(), error.clone()));
    }

    fn visible(&self, table: &TableName, rows: u64, commit_time: i64) {
        self.visible.lock().unwrap().push((table.clone(), rows, commit_time));
    }
}

impl Notes {
    pub(crate) fn stops(&self) -> Vec<String> {
        self.stopped.lock().unwrap().iter().map(|(table, error)| format!("{table}: {}", error.one_line())).collect()
    }
}

/// A target with a database of its own on the shared engine.
pub(crate) struct Place {
    pub(crate) config: Config,
    pub(crate) target: ClickHouse,
    pub(crate) notes: Arc<Notes>,
}

pub(crate) const EPOCH: u16 = 3;
/// Consistent point of every copy that [`Place::copied`] makes.
pub(crate) const COPIED_AT: u64 = 100;

impl Place {
    /// `name` names database and slot.
    pub(crate) fn shared(name: &str) -> Self {
        Self::at(&walhouse_chdb::testing::shared().url(), name)
    }

    pub(crate) fn at(url: &str, name: &str) -> Self {
        Self::with(url, name, |_| {})
    }

    pub(crate) fn with(url: &str, name: &str, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(url, name);
        config.database = name.to_owned();
        change(&mut config);
        let target = ClickHouse::new(config.clone()).unwrap();
        Self { config, target, notes: Arc::default() }
    }

    /// Loads the state and copies `rows` of `table`.
    pub(crate) async fn copied(&self, table: &Arc<TableSchema>, rows: &[Values<'_>]) {
        self.target.load().await.unwrap();
        self.target.begin_copy(table).await.unwrap();
        let mut sink = self.target.copy_sink(table, EPOCH).await.unwrap();
        let mut script = Script::default().begin(COPIED_AT);
        for row in rows {
            script = script.read(table, row);
        }
        let commit = sink.enqueue(script.batch()).await.unwrap();
        sink.close().await.unwrap();
        commit.await.unwrap();
        self.target.finish_copy(table).await.unwrap();
    }

    /// Opens the stream for tables that were copied.
    pub(crate) async fn open(&self, tables: &[&Arc<TableSchema>]) -> Box<dyn Sink> {
        self.try_open(tables).await.unwrap()
    }

    pub(crate) async fn try_open(&self, tables: &[&Arc<TableSchema>]) -> walhouse_change::Result<Box<dyn Sink>> {
        let openings: Vec<Opening> =
            tables.iter().map(|schema| Opening { schema: Arc::clone(schema), from: Lsn(COPIED_AT) }).collect();
        self.target.open(&openings, EPOCH, Arc::clone(&self.notes) as _).await
    }

    /// Answer as tab-separated text, lines sorted by the query.
    pub(crate) async fn ask(&self, sql: &str) -> String {
        let client = clickhouse::Client::default()
            .with_url(&self.config.url)
            .with_user("default")
            .with_compression(clickhouse::Compression::None)
            .with_database(&self.config.database);
        let mut cursor = client.query_raw(sql).fetch_bytes("TabSeparated").unwrap();
        let answer = cursor.collect().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        String::from_utf8(answer.to_vec()).unwrap().trim_end().to_owned()
    }

    /// The current rows, `columns` of them, by the first column.
    pub(crate) async fn rows(&self, table: &str, columns: &str) -> String {
        self.ask(&format!("SELECT {columns} FROM view_{table}_last_rec ORDER BY 1")).await
    }

    /// Versions that are in the log twice.
    pub(crate) async fn doubles(&self, table: &str) -> String {
        let sql =
            format!("SELECT count() FROM (SELECT id, _version FROM {table} GROUP BY id, _version HAVING count() > 1)");
        self.ask(&sql).await
    }
}

/// Takes a batch over and waits until it is durable.
pub(crate) async fn write(sink: &mut Box<dyn Sink>, script: Script) {
    sink.enqueue(script.batch()).await.unwrap().await.unwrap();
}
