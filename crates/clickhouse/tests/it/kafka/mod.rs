//! Tables over topics, on the real engine. The queue is a table without rows that has Kafka's virtual
//! columns: what is inserted into it is read as messages are.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not take for tests")]

mod changes;
mod values;

use std::fmt::Write;
use std::sync::Arc;

use serde_json::Value;
use walhouse_change::{Column, ReplicaIdentity, TableName, TableSchema, Target};
use walhouse_clickhouse::kafka::{Around, Epochs, Feed, FeedColumn, Queue, Source, objects};
use walhouse_clickhouse::kafka::{Binary, Wire};
use walhouse_clickhouse::mapping::{Dates, Layout, TableOverride, TablePlan};
use walhouse_value::PgType;

use crate::support::Place;

/// A column: name, type, Connect schema.
pub(crate) type Field<'a> = (&'a str, PgType, Value);

pub(crate) fn builtin(oid: u32) -> PgType {
    PgType::builtin(oid, -1).expect("a built-in type")
}

/// What the seed's connector adds.
pub(crate) fn seed() -> Around {
    let field = |name: &str| Some(Source::Field(name.to_owned()));
    Around::Row {
        op: field("__op"),
        lsn: field("__lsn"),
        committed: field("__source_ts_ms"),
        added: ["__table", "__op", "__lsn", "__source_ts_ms"].map(str::to_owned).to_vec(),
    }
}

/// A feed whose first column is the key.
pub(crate) fn feed(database: &str, identity: ReplicaIdentity, around: Around, fields: &[Field<'_>]) -> Feed {
    let schema = TableSchema {
        relid: 1,
        name: TableName::new("public", "t"),
        identity,
        columns: fields.iter().map(|(name, ty, _)| Column { name: (*name).into(), ty: ty.clone() }).collect(),
        key: vec![0],
    };
    let layout = Layout { database: database.into(), history: true, retention: None, dates: Dates::Wide };
    let column = |(name, ty, schema): &Field<'_>| FeedColumn {
        field: (*name).to_owned(),
        wire: Wire::of(schema, ty, Binary::Base64, false).unwrap_or_else(|| panic!("{name}: {schema}")),
        placeholder: None,
    };
    Feed {
        plan: Arc::new(TablePlan::new(Arc::new(schema), &TableOverride::default(), &layout).unwrap()),
        queue: Queue { brokers: "h:1".into(), topic: "x.public.t".into(), group: "g".into(), settings: [].into() },
        schemas: false,
        numbers: false,
        around,
        columns: fields.iter().map(column).collect(),
        truncates: false,
        epochs: Epochs::default(),
    }
}

/// Makes everything of the feed but the reading from Kafka itself.
pub(crate) async fn create(place: &Place, feed: &Feed) {
    place.target.load().await.unwrap();
    let queue = format!("{}__queue", feed.plan.name);
    for object in objects(feed) {
        let sql = match object.name == queue {
            false => object.sql,
            true => format!(
                "CREATE TABLE {queue} (raw String, _topic String, _partition UInt64, _offset UInt64, _key String, _timestamp_ms \
                 Nullable(DateTime64(3)), `_headers.name` Array(String), `_headers.value` Array(String)) ENGINE = Null"
            ),
        };
        place.ask(&sql).await;
    }
}

/// One block of messages: partition, offset, value.
pub(crate) async fn send(place: &Place, messages: &[(i32, i64, String)]) {
    let mut rows = String::new();
    for (partition, offset, value) in messages {
        let row = serde_json::json!({
            "raw": value, "_topic": "x.public.t", "_partition": partition, "_offset": offset, "_key": "k",
            "_timestamp_ms": "2024-01-01 00:00:00.123", "_headers.name": ["__op"], "_headers.value": ["c"],
        });
        writeln!(rows, "{row}").unwrap();
    }
    let rows = rows.replace('\\', "\\\\").replace('\'', "\\'");
    let structure = "raw String, _topic String, _partition UInt64, _offset UInt64, _key String, _timestamp_ms DateTime64(3), \
                     `_headers.name` Array(String), `_headers.value` Array(String)";
    place.ask(&format!("INSERT INTO t__queue SELECT * FROM format(JSONEachRow, '{structure}', '{rows}')")).await;
}
