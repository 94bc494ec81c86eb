//! A table's plan: topic, schemas and the conversion of each column, made once per relation.

use std::collections::HashMap;
use std::sync::Arc;

use walhouse_change::{Column, Image, TableName, TableSchema};
use walhouse_value::{Class, PgType, Wire};

use crate::catalog::TableFacts;
use crate::error::{Error, Result};
use crate::names;
use crate::options::{Mask, Options, TypeOptions};
use crate::schema::{Field, Schema};
use crate::source::Common;
use crate::types::{self, ColumnType, Default};
use crate::value::Value;

/// A column of a row or of a key.
pub(crate) struct ColumnPlan {
    /// Index in the relation.
    index: usize,
    name: String,
    schema: Arc<Schema>,
    ty: ColumnType,
    mask: Option<Mask>,
    /// Not in the rows that 2.4.2's snapshot reads.
    absent: bool,
}

/// What a row's values are read from.
pub(crate) struct Images<'a> {
    pub(crate) image: Image<'a>,
    /// Where values are that the image leaves out because they did not change.
    pub(crate) old: Option<Image<'a>>,
}

impl ColumnPlan {
    fn value(&self, images: &Images<'_>, table: &str, options: &TypeOptions) -> Result<Value> {
        let mut wire = if self.absent { Wire::Null } else { images.image.value(self.index) };
        if matches!(wire, Wire::Unchanged)
            && let Some(old) = images.old
        {
            wire = match old.value(self.index) {
                Wire::Null => Wire::Unchanged,
                sent => sent,
            };
        }
        let converted = match wire {
            Wire::Text(text) => self.ty.convert(text, options),
            Wire::Unchanged => self.ty.placeholder(options),
            Wire::Null if self.schema.optional => Ok(Value::Null),
            Wire::Null => return Ok(self.masked(self.required(options))),
            Wire::Binary(_) => Err(types::Unfit),
        };
        let value = self.masked(converted.unwrap_or(Value::Null));
        if !value.is_null() || self.schema.optional || self.schema.default.is_some() {
            return Ok(value);
        }
        if options.oddities {
            return Err(Error::RequiredField { table: table.to_owned(), column: self.name.clone() });
        }
        Ok(self.required(options))
    }

    /// What stands for a null where one may not be.
    fn required(&self, options: &TypeOptions) -> Value {
        self.schema.default.clone().unwrap_or_else(|| self.ty.fallback(options))
    }

    fn masked(&self, value: Value) -> Value {
        match (&self.mask, value) {
            (None, value) => value,
            (Some(mask), Value::Str(text)) => Value::Str(mask.apply(&text)),
            (Some(mask @ Mask::Asterisks(_)), Value::Null) => Value::Str(mask.apply("")),
            (Some(_), value) => value,
        }
    }
}

/// Columns with the struct's schema they fill.
pub(crate) struct RowPlan {
    pub(crate) schema: Arc<Schema>,
    columns: Vec<ColumnPlan>,
}

/// What others may know of a column.
pub(crate) struct RowColumn<'a> {
    pub(crate) index: usize,
    pub(crate) name: &'a str,
    pub(crate) schema: &'a Schema,
    pub(crate) ty: &'a ColumnType,
    pub(crate) masked: bool,
}

impl RowPlan {
    /// The columns in the order of the schema's fields.
    pub(crate) fn columns(&self) -> impl Iterator<Item = RowColumn<'_>> {
        self.columns.iter().map(|column| RowColumn {
            index: column.index,
            name: &column.name,
            schema: &column.schema,
            ty: &column.ty,
            masked: column.mask.is_some(),
        })
    }

    pub(crate) fn value(&self, images: &Images<'_>, table: &str, options: &TypeOptions) -> Result<Value> {
        let values: Result<Vec<Value>> =
            self.columns.iter().map(|column| column.value(images, table, options)).collect();
        values.map(Value::Struct)
    }
}

/// Everything that a table's changes need.
pub(crate) struct TablePlan {
    pub(crate) captured: bool,
    /// Made for a snapshot's rows.
    pub(crate) snapshot: bool,
    pub(crate) topic: Arc<str>,
    pub(crate) schema: String,
    pub(crate) table: String,
    /// `schema.table`.
    pub(crate) id: String,
    pub(crate) row: RowPlan,
    pub(crate) key: Option<RowPlan>,
    pub(crate) envelope: Arc<Schema>,
    /// What 2.4.2 would stop the task with at the first row.
    pub(crate) fatal: Option<Error>,
}

/// What a plan is made of.
pub(crate) struct Planner<'a> {
    pub(crate) options: &'a Options,
    pub(crate) types: &'a TypeOptions,
    pub(crate) common: &'a Common,
    pub(crate) labels: &'a HashMap<u32, Vec<String>>,
}

impl Planner<'_> {
    pub(crate) fn plan(&self, relation: &TableSchema, facts: Option<&TableFacts>) -> TablePlan {
        let options = self.options;
        let garbles = options.oddities && !self.types.snapshot;
        let rename = |name: &str| if garbles { names::garbled(name) } else { name.to_owned() };
        let (schema, table) = (rename(&relation.name.schema), rename(&relation.name.name));
        // A table whose name was garbled is not found in the catalog.
        let known = schema == relation.name.schema && table == relation.name.name;
        let facts = facts.filter(|_| known);
        let name = TableName::new(schema.as_str(), table.as_str());
        let topic = names::table_topic(options, &schema, &table);
        let mut fatal = differ_by_case(relation).filter(|_| options.oddities);

        let mut columns = Vec::new();
        let mut keys = Vec::new();
        let names: Vec<String> = relation.columns.iter().map(|column| rename(&column.name)).collect();
        let key_names = self.key_names(&name, facts, relation, &names);
        for (index, (column, column_name)) in relation.columns.iter().zip(names).enumerate() {
            let Some((base, ty)) = self.column(column, &column_name, facts, &mut fatal, &name) else { continue };
            let taken = options.columns.takes(&name, &column_name);
            let plan = |schema: Schema, mask: Option<Mask>| ColumnPlan {
                index,
                name: names::adjust(&column_name, options.field_names),
                schema: schema.into(),
                ty: ty.clone(),
                mask,
                absent: !taken && self.types.snapshot && options.oddities,
            };
            if let Some(position) = key_names.iter().position(|key| *key == column_name) {
                keys.push((position, plan(base.variant(), None)));
            }
            if taken {
                let (schema, mask) = self.decorate(base, &name, column, &column_name);
                columns.push(plan(schema, mask));
            }
        }
        keys.sort_by_key(|(position, _)| *position);
        let keys: Vec<ColumnPlan> = keys.into_iter().map(|(_, plan)| plan).collect();
        // A snapshot's row is as long as its last taken column: a key column beyond it is an error.
        let width = columns.last().map_or(0, |column: &ColumnPlan| column.index + 1);
        if keys.iter().any(|key| key.absent && key.index >= width) {
            fatal = Some(Error::SnapshotKey { table: name.to_string() });
        }
        let schema_name = |suffix: &str| names::adjust(&format!("{topic}.{suffix}"), options.schema_names);
        let row = row_plan(columns, &schema_name("Value"), true);
        let key = (!keys.is_empty()).then(|| row_plan(keys, &schema_name("Key"), false));
        let envelope = self.common.envelope(&row.schema, &schema_name("Envelope")).into();
        TablePlan {
            captured: options.captures(&name),
            snapshot: self.types.snapshot,
            topic: topic.into(),
            id: name.to_string(),
            schema,
            table,
            row,
            key,
            envelope,
            fatal,
        }
    }

    fn key_names(
        &self,
        name: &TableName,
        facts: Option<&TableFacts>,
        relation: &TableSchema,
        columns: &[String],
    ) -> Vec<String> {
        if let Some(custom) = self.options.columns.key(name, columns.iter().map(String::as_str)) {
            return custom;
        }
        match facts {
            Some(facts) => facts.key().to_vec(),
            None if self.options.oddities => Vec::new(),
            None => {
                relation.key.iter().filter_map(|index| relation.columns.get(*index)).map(|c| c.name.clone()).collect()
            }
        }
    }

    /// Schema (with its nullability and default) and conversion of a column.
    fn column(
        &self,
        column: &Column,
        name: &str,
        facts: Option<&TableFacts>,
        fatal: &mut Option<Error>,
        table: &TableName,
    ) -> Option<(Schema, ColumnType)> {
        let options = self.types;
        let labels = |oid: u32| self.labels.get(&oid).map(Vec::as_slice).unwrap_or_default();
        let (schema, ty) = types::column_type(&column.ty, options, labels)?;
        // While streaming, 2.4.2 knows nothing of a column that it does not take, even for the key.
        let taken = self.types.snapshot || self.options.columns.takes(table, name);
        let facts = facts.filter(|_| taken).and_then(|facts| facts.column(name));
        let expression = facts.and_then(|facts| facts.default.as_deref());
        let default = match expression.map(|text| types::default_value(text, &column.ty, &ty, options)) {
            Some(Default::Value(value)) => Some(value),
            Some(Default::Unfit) => {
                *fatal = Some(Error::DefaultScale { table: table.to_string() });
                None
            }
            Some(Default::None) | None => None,
        };
        let optional = schema.optional || !facts.is_some_and(|facts| facts.not_null);
        Some((schema.optional(optional).with_default(default), ty))
    }

    /// Adds what masks and propagated source types say.
    ///
    /// Debezium takes the first of a cut, asterisks, the source's type, and a hash. It leaves secrets as they are where
    /// the source's type is wanted of a column that is to be hashed; that is an oddity.
    fn decorate(&self, schema: Schema, table: &TableName, column: &Column, name: &str) -> (Schema, Option<Mask>) {
        let columns = &self.options.columns;
        let mask = columns.mask(table, name).cloned();
        let propagates = columns.propagates(table, name, &types::catalog_name(&column.ty));
        let (length, scale) = source_size(&column.ty, self.types.snapshot);
        let mut schema = schema;
        if propagates && matches!(mask, None | Some(Mask::Hash { .. })) {
            for (key, value) in source_type(&column.ty, name, length, scale) {
                schema = schema.parameter(key, value);
            }
            if self.types.oddities {
                return (schema, None);
            }
        }
        match &mask {
            // A column that is no longer than that is left alone.
            Some(Mask::Truncate(limit)) if length as usize <= *limit => return (schema, None),
            Some(Mask::Truncate(limit)) => return (schema.parameter("truncateLength", limit.to_string()), mask),
            Some(_) => schema = schema.parameter("masked", "true"),
            None => {}
        }
        (schema, mask.filter(|_| types::is_character(&column.ty)).map(|mask| mask.within(length as usize)))
    }
}

fn row_plan(columns: Vec<ColumnPlan>, name: &str, optional: bool) -> RowPlan {
    let fields = columns.iter().map(|column| Field::new(&column.name, Arc::clone(&column.schema))).collect();
    RowPlan { schema: Schema::record(fields).named(name).optional(optional).into(), columns }
}

fn differ_by_case(relation: &TableSchema) -> Option<Error> {
    let mut seen = std::collections::HashSet::new();
    let twice = relation.columns.iter().any(|column| !seen.insert(column.name.to_lowercase()));
    twice.then(|| Error::ColumnsDifferByCase { table: relation.name.to_string() })
}

/// What the driver says of a type: a number's digits, a text's length, a time's width; and its scale, if it has one.
/// Of an array it says that of the elements.
fn source_size(ty: &PgType, snapshot: bool) -> (u32, Option<i32>) {
    let base = ty.base();
    if let Class::Array(element) = &base.class {
        return source_size(element, snapshot);
    }
    let digits = if base.typmod < 0 { 6 } else { base.typmod };
    let fraction = match digits {
        0 => 0,
        1 => 3,
        digits => digits + 1,
    };
    let (length, scale) = match &base.class {
        Class::Numeric { precision, scale } => {
            let scale = i32::from(*scale);
            (i32::from(*precision), if scale < 0 { scale + 2048 } else { scale })
        }
        Class::NumericUnbounded if snapshot => return (0, None),
        // The width that the driver gives a numeric without a modifier.
        Class::NumericUnbounded => (131_089, 0),
        Class::Text | Class::Bpchar if base.typmod > 4 => (base.typmod - 4, 0),
        Class::Bool | Class::Char => (1, 0),
        Class::Int2 => (5, 0),
        Class::Int4 => (10, 0),
        Class::Int8 => (19, 0),
        Class::Float4 => (8, 8),
        Class::Float8 => (17, 17),
        Class::Bit | Class::VarBit if base.typmod > 0 => (base.typmod, 0),
        Class::Date => (13, 0),
        Class::Time => (8 + fraction, digits),
        Class::TimeTz => (14 + fraction, digits),
        Class::Timestamp => (22 + fraction, digits),
        Class::TimestampTz => (28 + fraction, digits),
        Class::Interval => (49, 6),
        _ => (i32::MAX, 0),
    };
    (length.unsigned_abs(), Some(scale))
}

/// Parameters that tell a column's type at the source.
fn source_type(ty: &PgType, name: &str, length: u32, scale: Option<i32>) -> Vec<(&'static str, String)> {
    let mut parameters = vec![
        ("__debezium.source.column.type", types::catalog_name(ty).to_uppercase()),
        ("__debezium.source.column.length", length.to_string()),
    ];
    parameters.extend(scale.map(|scale| ("__debezium.source.column.scale", scale.to_string())));
    parameters.push(("__debezium.source.column.name", name.to_owned()));
    parameters
}
