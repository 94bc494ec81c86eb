//! The statements as people will read them.

use std::collections::BTreeMap;
use std::sync::Arc;

use walhouse_change::{Column, ReplicaIdentity, TableName, TableSchema};
use walhouse_value::{Class, PgType};

use super::*;
use crate::mapping::{Dates, Layout, TableOverride, TablePlan};

fn feed(identity: ReplicaIdentity, history: bool, around: Around) -> Feed {
    let builtin = |oid, typmod| PgType::builtin(oid, typmod).unwrap();
    let columns = [
        ("id", builtin(20, -1), Wire::Number),
        ("tenant`s", builtin(2950, -1), Wire::Text),
        ("state", PgType::new(70_000, -1, "state", Class::Enum), Wire::Text),
        ("amount", builtin(1700, ((12 << 16) | 2) + 4), Wire::Decimal { scale: 2 }),
        ("note", builtin(25, -1), Wire::Text),
        ("born", builtin(1082, -1), Wire::Days),
        ("created_at", builtin(1184, -1), Wire::ZonedTimestamp),
    ];
    let schema = TableSchema {
        relid: 1,
        name: TableName::new("shop", "it's"),
        identity,
        columns: columns.iter().map(|(name, ty, _)| Column { name: (*name).into(), ty: ty.clone() }).collect(),
        key: vec![1, 0],
    };
    let layout = Layout { database: "d".into(), history, retention: None, dates: Dates::Wide };
    let plan = TablePlan::new(Arc::new(schema), &TableOverride::default(), &layout).unwrap();
    let column = |(name, _, wire): (&str, PgType, Wire)| FeedColumn {
        field: name.to_owned(),
        placeholder: (name == "note" && identity != ReplicaIdentity::Full)
            .then(|| "__debezium_unavailable_value".into()),
        wire,
    };
    Feed {
        plan: Arc::new(plan),
        queue: Queue {
            brokers: "kafka:9092".into(),
            topic: "rembo.shop.it_s".into(),
            group: "walhouse-d-shop_it's".into(),
            settings: BTreeMap::new(),
        },
        schemas: true,
        numbers: false,
        truncates: false,
        around,
        columns: columns.into_iter().map(column).collect(),
        epochs: Epochs::default(),
    }
}

fn everything(feed: &Feed) -> String {
    objects(feed).into_iter().map(|object| object.sql).collect::<Vec<_>>().join(";\n\n")
}

#[test]
fn rows_alone_with_whole_deletes() {
    let field = |name: &str| Some(Source::Field(name.to_owned()));
    let around = Around::Row {
        op: field("__op"),
        lsn: field("__lsn"),
        committed: field("__source_ts_ms"),
        added: ["__table", "__op", "__lsn", "__source_ts_ms"].map(str::to_owned).to_vec(),
    };
    insta::assert_snapshot!(everything(&feed(ReplicaIdentity::Full, true, around)));
}

#[test]
fn the_envelope_with_everything_that_can_be() {
    let mut feed = feed(ReplicaIdentity::Default, false, Around::Envelope);
    feed.schemas = false;
    feed.numbers = true;
    feed.columns[3].wire = Wire::DecimalText;
    feed.truncates = true;
    feed.epochs = Epochs { first: 1, cuts: vec![BTreeMap::from([(0, 100), (1, 90)])] };
    feed.queue.settings.insert("kafka_security_protocol".into(), "ssl".into());
    insta::assert_snapshot!(everything(&feed));
}

#[test]
fn what_cannot_be_is_refused() {
    let one = feed(ReplicaIdentity::Full, true, Around::Envelope);
    assert!(check(std::slice::from_ref(&one)).is_ok());
    let twice = check(&[one.clone(), one.clone()]).unwrap_err().to_string();
    assert!(twice.contains("are both in topic rembo.shop.it_s"), "{twice}");
    let mut other = one.clone();
    other.queue.topic = "another".into();
    let twice = check(&[one.clone(), other]).unwrap_err().to_string();
    assert!(twice.contains("would both create \"shop_it's\""), "{twice}");
    let mut reserved = one;
    let mut plan = (*reserved.plan).clone();
    plan.columns[4].name = "_kafka_error".into();
    reserved.plan = Arc::new(plan);
    assert!(matches!(check(&[reserved]), Err(FeedError::ReservedColumn { .. })));
}
