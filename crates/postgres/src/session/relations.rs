//! The tables as the stream describes them.
//!
//! A Relation message comes before a table's first change of a connection and after each change of its shape, also
//! unchanged; it is compared with what is known, and only a difference becomes a change of schema. Relations are
//! known strictly by `relid`: leaves of a partitioned table are described too, with an order of columns of their own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use walhouse_change::{Column, ReplicaIdentity, TableName, TableSchema};
use walhouse_value::PgType;

use super::Wanted;
use super::watch::Watch;
use crate::assembly::TableSlot;
use crate::wire::pgoutput::{Relation, RelationColumn};
use crate::{Error, Result};

/// A wanted table.
pub(super) struct Table {
    pub(super) slot: TableSlot,
    /// Declared type and modifier of each column in the last description; none before the first one.
    declared: Option<Vec<(u32, i32)>>,
}

impl Table {
    /// Whether its rows can be read: they come after a description.
    pub(super) const fn is_described(&self) -> bool {
        self.declared.is_some()
    }
}

/// The wanted tables by `relid`.
pub(super) struct Relations {
    tables: HashMap<u32, Table>,
    /// Which tables are taken in as they are described; none where they are known before.
    wanted: Option<Wanted>,
    binary: bool,
    text_only: Arc<AtomicBool>,
}

impl Relations {
    pub(super) fn new(tables: &[Arc<TableSchema>], binary: bool, text_only: Arc<AtomicBool>) -> Self {
        let table = |schema: &Arc<TableSchema>| Table { slot: TableSlot::new(Arc::clone(schema)), declared: None };
        let tables = tables.iter().map(|schema| (schema.relid, table(schema))).collect();
        Self { tables, wanted: None, binary, text_only }
    }

    /// Knows no table yet, and takes in those that are wanted.
    pub(super) fn all(wanted: Wanted) -> Self {
        Self { tables: HashMap::new(), wanted: Some(wanted), binary: false, text_only: Arc::default() }
    }

    /// Whether the whole log is shown, and not some tables' changes.
    pub(super) const fn whole_log(&self) -> bool {
        self.wanted.is_some()
    }

    /// A wanted table.
    #[inline]
    pub(super) fn get(&mut self, relid: u32) -> Option<&mut Table> {
        self.tables.get_mut(&relid)
    }

    /// Takes a description in; the new shape when it differs from the known one.
    pub(super) fn describe(&mut self, relation: &Relation, watch: &mut Watch) -> Result<Option<Arc<TableSchema>>> {
        if let Some(wanted) = &self.wanted {
            let wanted = wanted(&TableName::new(&relation.schema, &relation.name));
            return if wanted { self.take_in(relation, watch).map(Some) } else { Ok(self.forget(relation.relid)) };
        }
        let Some(table) = self.tables.get_mut(&relation.relid) else { return Ok(None) };
        let known = Arc::clone(&table.slot.schema);
        let columns = columns(&known, table.declared.as_deref(), relation, watch)?;
        if self.binary && !columns.iter().all(|column| column.ty.binary_decodable()) {
            self.text_only.store(true, Ordering::Release);
            return Err(Error::later(format!(
                "table {} has a column now whose binary form is not read; going on with text values",
                known.name
            )));
        }
        table.declared = Some(relation.columns.iter().map(|column| (column.type_oid, column.typmod)).collect());
        let described = TableSchema {
            relid: relation.relid,
            name: TableName::new(&relation.schema, &relation.name),
            identity: relation.identity,
            key: key(&known, relation, watch)?,
            columns,
        };
        if described == *known {
            return Ok(None);
        }
        let described = Arc::new(described);
        table.slot = TableSlot::new(Arc::clone(&described));
        Ok(Some(described))
    }

    /// Takes a table as it is described; the description is news, even if it says what was known.
    fn take_in(&mut self, relation: &Relation, watch: &mut Watch) -> Result<Arc<TableSchema>> {
        let known = self.tables.remove(&relation.relid);
        let empty = TableSchema {
            relid: relation.relid,
            name: TableName::new(&relation.schema, &relation.name),
            identity: relation.identity,
            columns: Vec::new(),
            key: Vec::new(),
        };
        let (before, declared) = match &known {
            Some(table) => (&*table.slot.schema, table.declared.as_deref()),
            None => (&empty, None),
        };
        let columns = columns(before, declared, relation, watch)?;
        let flagged = relation.columns.iter().enumerate().filter(|(_, column)| column.in_identity);
        let key = flagged.map(|(index, _)| index).collect();
        let schema = Arc::new(TableSchema { columns, key, ..empty });
        let declared = relation.columns.iter().map(|column| (column.type_oid, column.typmod)).collect();
        let table = Table { slot: TableSlot::new(Arc::clone(&schema)), declared: Some(declared) };
        self.tables.insert(relation.relid, table);
        Ok(schema)
    }

    /// A table that got a name under which it is not wanted.
    fn forget<T>(&mut self, relid: u32) -> Option<T> {
        self.tables.remove(&relid);
        None
    }
}

/// The columns with their types; a type that is known already is not looked up again.
fn columns(
    known: &TableSchema,
    declared: Option<&[(u32, i32)]>,
    relation: &Relation,
    watch: &mut Watch,
) -> Result<Vec<Column>> {
    let mut unknown = Vec::new();
    let types: Vec<Option<PgType>> = relation
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let at = known.columns.get(index)?;
            let same = match declared.and_then(|declared| declared.get(index)) {
                Some(&before) => before == (column.type_oid, column.typmod),
                // a domain's own modifier is not the column's
                None => at.ty.oid == column.type_oid && (at.ty.base.is_some() || at.ty.typmod == column.typmod),
            };
            same.then(|| at.ty.clone())
        })
        .collect();
    for (column, ty) in relation.columns.iter().zip(&types) {
        if ty.is_none() && PgType::builtin(column.type_oid, -1).is_none() {
            unknown.push(column.type_oid);
        }
    }
    let looked_up = if unknown.is_empty() { crate::catalog::types::Types::default() } else { watch.types(&unknown)? };
    let resolved = |column: &RelationColumn| looked_up.resolve(column.type_oid, column.typmod);
    let column = |(column, ty): (&RelationColumn, Option<PgType>)| Column {
        name: column.name.clone(),
        ty: ty.unwrap_or_else(|| resolved(column)),
    };
    Ok(relation.columns.iter().zip(types).map(column).collect())
}

/// The key as indexes into the described columns.
///
/// Under DEFAULT and INDEX the flags say exactly which columns it has, as of this place in the log; under FULL they
/// say nothing and the catalog is asked. The catalog also knows the order, but it speaks of now, so it counts only
/// where it agrees.
fn key(known: &TableSchema, relation: &Relation, watch: &mut Watch) -> Result<Vec<usize>> {
    let place = |name: &str| relation.columns.iter().position(|column| column.name == name);
    let before: Option<Vec<usize>> = known.key.iter().map(|&index| place(&known.columns.get(index)?.name)).collect();
    let by_name = |names: Vec<String>| names.iter().map(|name| place(name)).collect::<Option<Vec<usize>>>();
    match relation.identity {
        ReplicaIdentity::Default | ReplicaIdentity::Index => {
            let flagged: Vec<usize> =
                relation.columns.iter().enumerate().filter(|(_, it)| it.in_identity).map(|(index, _)| index).collect();
            let agrees = |key: &Vec<usize>| {
                let mut sorted = key.clone();
                sorted.sort_unstable();
                sorted == flagged
            };
            if let Some(before) = before.clone().filter(|before| agrees(before)) {
                return Ok(before);
            }
            if flagged.is_empty() {
                // The key was dropped: inserts go on, updates fail at the source.
                return Ok(before.unwrap_or_default());
            }
            let now = watch.key_names(relation.relid)?.and_then(by_name);
            Ok(now.filter(agrees).unwrap_or(flagged))
        }
        ReplicaIdentity::Full => {
            let now = watch.key_names(relation.relid)?.and_then(by_name).filter(|key| !key.is_empty());
            Ok(now.or(before).unwrap_or_default())
        }
        ReplicaIdentity::Nothing => Ok(before.unwrap_or_default()),
    }
}
