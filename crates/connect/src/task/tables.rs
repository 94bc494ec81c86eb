//! Tables of the catalog in the words of the encoder.

use std::collections::HashMap;
use std::sync::Arc;

use walhouse_change::{Column, ReplicaIdentity, TableName, TableSchema};
use walhouse_kafka::{ColumnFacts, Encoder, TableFacts, UniqueIndex};
use walhouse_postgres::{CatalogTable, Session, identifier};

use super::failure::TaskFailure;

/// `"schema"."table"`
pub(super) fn quoted(name: &TableName) -> String {
    format!("{}.{}", identifier(&name.schema), identifier(&name.name))
}

/// What the encoder wants to know of a table.
pub(super) fn facts(table: &CatalogTable) -> TableFacts {
    let column = |it: &walhouse_postgres::CatalogColumn| ColumnFacts {
        name: it.name.clone(),
        not_null: it.not_null,
        default: it.default.clone(),
    };
    let index =
        |it: &walhouse_postgres::CatalogIndex| UniqueIndex { name: it.name.clone(), columns: it.columns.clone() };
    TableFacts {
        relid: table.relid,
        columns: table.columns.iter().map(column).collect(),
        primary_key: table.primary_key.clone(),
        unique_indexes: table.unique_indexes.iter().map(index).collect(),
    }
}

/// The shape of the rows that are read from a table, all of its columns.
pub(super) fn schema(table: &CatalogTable) -> Arc<TableSchema> {
    let column = |it: &walhouse_postgres::CatalogColumn| Column { name: it.name.clone(), ty: it.ty.clone() };
    let place = |name: &String| table.columns.iter().position(|column| column.name == *name);
    Arc::new(TableSchema {
        relid: table.relid,
        name: table.name.clone(),
        identity: ReplicaIdentity::Default,
        columns: table.columns.iter().map(column).collect(),
        key: table.primary_key.iter().filter_map(place).collect(),
    })
}

/// The columns of a table as they are read, printed as the log prints them.
pub(super) fn columns(table: &CatalogTable) -> String {
    let printed: Vec<String> = table.columns.iter().map(|column| column.printed()).collect();
    if printed.is_empty() { "NULL".to_owned() } else { printed.join(", ") }
}

/// Labels of enum types, told to the encoder when they are new.
#[derive(Default)]
pub(super) struct Labels(HashMap<u32, Vec<String>>);

impl Labels {
    /// Reads the labels of all enum types.
    pub(super) fn refresh(&mut self, session: &mut Session, encoder: &mut Encoder) -> Result<(), TaskFailure> {
        for (oid, labels) in session.enum_labels()? {
            if self.0.get(&oid) != Some(&labels) {
                encoder.set_enum(oid, labels.clone());
                self.0.insert(oid, labels);
            }
        }
        Ok(())
    }
}
