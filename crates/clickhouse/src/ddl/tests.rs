//! The statements as people will read them.

use std::sync::Arc;
use std::time::Duration;

use walhouse_change::{Column, ReplicaIdentity, TableName, TableSchema};
use walhouse_value::{Class, PgType};

use crate::mapping::{Dates, Layout, TableKind, TableOverride, TablePlan};

fn plan(history: bool, retention: Option<Duration>) -> TablePlan {
    let builtin = |oid, typmod| PgType::builtin(oid, typmod).unwrap();
    let columns = [
        ("id", builtin(23, -1)),
        ("tenant`s", builtin(2950, -1)),
        ("state", PgType::new(70_000, -1, "state", Class::Enum)),
        ("amount", builtin(1700, ((12 << 16) | 2) + 4)),
        ("note", builtin(25, -1)),
        ("created_at", builtin(1184, -1)),
    ];
    let schema = TableSchema {
        relid: 1,
        name: TableName::new("shop", "it's"),
        identity: ReplicaIdentity::Default,
        columns: columns.into_iter().map(|(name, ty)| Column { name: name.into(), ty }).collect(),
        key: vec![1, 0],
    };
    let layout = Layout { database: "d".into(), history, retention, dates: Dates::Wide };
    TablePlan::new(Arc::new(schema), &TableOverride::default(), &layout).unwrap()
}

fn everything(plan: &TablePlan) -> String {
    let mut all = Vec::new();
    for &kind in plan.tables() {
        all.push(super::create_table(plan, kind, &plan.staging_name(kind)));
    }
    all.extend(super::views(plan));
    all.join(";\n\n")
}

#[test]
fn with_history() {
    insta::assert_snapshot!(everything(&plan(true, None)));
}

#[test]
fn with_history_for_a_while() {
    insta::assert_snapshot!(everything(&plan(true, Some(Duration::from_secs(90 * 86_400)))));
}

#[test]
fn without_history() {
    insta::assert_snapshot!(everything(&plan(false, None)));
}

#[test]
fn the_other_statements() {
    let plan = plan(true, None);
    let log = plan.table_name(TableKind::Log);
    let keys = crate::block::StoredRows::parse(&plan, &[], bytes::Bytes::new());
    assert!(keys.is_ok_and(|keys| keys.is_empty()));
    let statements = [
        super::create_database("d"),
        super::create_truncates("d"),
        super::add_column(&plan, &log, 4).unwrap(),
        super::add_column(&plan, &log, 2).unwrap(),
        super::insert(&plan, &log),
        super::exchange("d", &plan.staging_name(TableKind::Log), &log),
        super::rename("d", &plan.staging_name(TableKind::Log), &log),
        super::drop_table("d", &log),
        super::drop_view("d", &plan.view),
    ];
    insta::assert_snapshot!(statements.join(";\n"));
    assert_eq!(super::add_column(&plan, &log, 0), None, "a key cannot be added");
}
