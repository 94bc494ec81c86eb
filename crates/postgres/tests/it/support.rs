//! A database of its own for each test, and changes shown as texts.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::{Client, NoTls};
use walhouse_change::{
    Budget, Change, ChangeBatch, Lsn, OldImage, Op, Origin, Pattern, SlotKind, Snapshot, Source, TableSchema,
};
use walhouse_lab::postgres::Server;
use walhouse_postgres::{Config, Postgres, Secret};
use walhouse_value::{PgType, Wire, render};

/// Enough for everything that a test has in flight.
pub(crate) const BUDGET: usize = 64 << 20;

/// A database, and a session on it.
pub(crate) struct Db {
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Db {
    /// On the server that tests share. `name` also names slot and publication.
    pub(crate) async fn new(name: &str) -> Self {
        Self::on(Server::shared().await.unwrap(), name).await
    }

    pub(crate) async fn on(server: &Server, name: &str) -> Self {
        let url = server.create_database(name).await.unwrap();
        Self { client: connect(&url).await, url, name: name.to_owned() }
    }

    pub(crate) async fn sql(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    /// The first value of the first row, as text.
    pub(crate) async fn text(&self, sql: &str) -> String {
        let messages = self.client.simple_query(sql).await.unwrap();
        let row = messages.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        row.unwrap().get(0).unwrap_or_default().to_owned()
    }

    pub(crate) async fn lsn(&self, sql: &str) -> Lsn {
        self.text(sql).await.parse().unwrap()
    }

    pub(crate) async fn confirmed(&self) -> Lsn {
        let sql = "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = ";
        self.lsn(&format!("{sql}'{}'", self.name)).await
    }

    pub(crate) fn config(&self, tables: &[&str]) -> Config {
        Config {
            url: Some(Secret::new(&self.url)),
            tables: tables.iter().map(|text| Pattern::parse(text).unwrap()).collect(),
            slot: Some(self.name.clone()),
            publication: Some(self.name.clone()),
            ..Config::default()
        }
    }

    pub(crate) fn origin(&self, tables: &[&str]) -> Postgres {
        Postgres::new(self.config(tables), Budget::new(BUDGET)).unwrap()
    }

    /// Surveys, publishes and takes a snapshot of `public.*` with the lasting slot.
    pub(crate) async fn begin(&self) -> Begun {
        self.begin_with(self.origin(&["public.*"])).await
    }

    pub(crate) async fn begin_with(&self, origin: Postgres) -> Begun {
        let tables = usable(&origin).await;
        origin.publish(&tables).await.unwrap();
        let snapshot = origin.snapshot(&tables, SlotKind::Lasting).await.unwrap();
        Begun { origin, tables, consistent_point: snapshot.consistent_point(), snapshot: Some(snapshot) }
    }
}

/// Tables without a problem.
pub(crate) async fn usable(origin: &Postgres) -> Vec<Arc<TableSchema>> {
    let survey = origin.survey().await.unwrap();
    survey.tables.iter().filter(|table| table.problem.is_none()).map(|table| Arc::clone(&table.schema)).collect()
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(async move { connection.await.ok() });
    client
}

/// A slot with its snapshot.
pub(crate) struct Begun {
    pub(crate) origin: Postgres,
    pub(crate) tables: Vec<Arc<TableSchema>>,
    /// Holds locks on the tables until it is dropped.
    pub(crate) snapshot: Option<Arc<dyn Snapshot>>,
    pub(crate) consistent_point: Lsn,
}

impl Begun {
    /// Ends the snapshot and streams from the consistent point.
    pub(crate) async fn stream(&mut self) -> Reader {
        self.snapshot = None;
        self.stream_from(self.consistent_point).await
    }

    pub(crate) async fn stream_from(&self, from: Lsn) -> Reader {
        Reader::new(self.origin.stream(from, &self.tables).await.unwrap())
    }

    /// All rows of the snapshot, sorted.
    pub(crate) async fn copied(&self) -> Vec<String> {
        let mut shown = Vec::new();
        let snapshot = self.snapshot.as_ref().unwrap();
        for part in snapshot.parts() {
            let mut source = snapshot.open(part).await.unwrap();
            while let Some(batch) = source.next().await.unwrap() {
                shown.extend(show(&batch));
            }
        }
        shown.sort();
        shown
    }
}

/// Reads a stream and keeps what it said.
pub(crate) struct Reader {
    pub(crate) source: Box<dyn Source>,
    pub(crate) shown: Vec<String>,
    pub(crate) batches: Vec<ChangeBatch>,
    pub(crate) progress: Lsn,
}

/// Longer than anything that a test waits for may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

impl Reader {
    pub(crate) fn new(source: Box<dyn Source>) -> Self {
        Self { source, shown: Vec::new(), batches: Vec::new(), progress: Lsn::ZERO }
    }

    /// One batch more.
    pub(crate) async fn step(&mut self) -> walhouse_change::Result<()> {
        let batch = tokio::time::timeout(PATIENCE, self.source.next()).await.expect("no batch came")?.unwrap();
        assert!(batch.progress() >= self.progress, "the progress moved backward");
        self.progress = batch.progress();
        self.shown.extend(show(&batch));
        self.batches.push(batch);
        Ok(())
    }

    /// Until a change that is shown with `end`.
    pub(crate) async fn until(&mut self, end: &str) -> &[String] {
        while !self.shown.iter().any(|shown| shown.contains(end)) {
            self.step().await.unwrap_or_else(|error| panic!("{} after {:#?}", error.one_line(), self.shown));
        }
        &self.shown
    }

    pub(crate) async fn until_progress(&mut self, lsn: Lsn) {
        while self.progress < lsn {
            self.step().await.unwrap();
        }
    }

    /// The error that ends the stream.
    pub(crate) async fn error(&mut self) -> walhouse_change::Error {
        loop {
            if let Err(error) = self.step().await {
                return error;
            }
        }
    }

    pub(crate) fn acknowledge(&self, upto: Lsn) {
        self.source.acknowledger()(upto);
    }
}

/// `insert t 1: [1, 'a']`, with the index in the transaction; `~` null, `?` unchanged.
pub(crate) fn show(batch: &ChangeBatch) -> Vec<String> {
    batch.changes().iter().map(|change| show_change(batch, change)).collect()
}

fn show_change(batch: &ChangeBatch, change: &Change) -> String {
    match change {
        Change::Row(change) => {
            let row = batch.row(change);
            let columns: Vec<&PgType> = row.schema().columns.iter().map(|column| &column.ty).collect();
            let op = match change.op {
                Op::Read => "read",
                Op::Insert => "insert",
                Op::Update => "update",
                Op::Delete => "delete",
            };
            let mut shown = format!("{op} {} {}:", row.schema().name.name, change.index);
            if let Some((kind, image)) = row.old_image() {
                let kind = if kind == OldImage::Key { "key" } else { "old" };
                shown.push_str(&format!(" {kind} [{}]", values(&columns, |index| image.value(index))));
            }
            if let Some(image) = row.new_image() {
                shown.push_str(&format!(" [{}]", values(&columns, |index| image.value(index))));
            }
            shown
        }
        Change::Truncate(truncate) => {
            let mut names: Vec<_> =
                truncate.tables.iter().map(|&table| batch.schemas()[table as usize].name.name.clone()).collect();
            names.sort();
            format!("truncate {} {}", names.join(" "), truncate.index)
        }
        Change::Schema { table } => {
            let schema = &batch.schemas()[*table as usize];
            let columns: Vec<_> =
                schema.columns.iter().map(|column| format!("{} {}", column.name, column.ty.sql_type())).collect();
            format!("schema {}: {} key {:?} {:?}", schema.name, columns.join(", "), schema.key, schema.identity)
        }
        Change::Begin { .. } => "begin".to_owned(),
        Change::Commit { .. } => "commit".to_owned(),
        Change::Message(message) => {
            let text = |span| String::from_utf8_lossy(batch.bytes(span)).into_owned();
            let kind = if message.transaction.is_some() { "message" } else { "message outside" };
            format!("{kind} {}: {}", text(message.prefix), text(message.content))
        }
    }
}

fn values<'a>(types: &[&PgType], value: impl Fn(usize) -> Wire<'a>) -> String {
    let one = |(index, ty): (usize, &&PgType)| match value(index) {
        Wire::Null => "~".to_owned(),
        Wire::Unchanged => "?".to_owned(),
        wire => {
            let mut text = Vec::new();
            render::text(ty, wire, &mut text).unwrap();
            let text = String::from_utf8_lossy(&text).into_owned();
            if text.len() > 40 { format!("<{}>", text.len()) } else { text }
        }
    };
    types.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
}
