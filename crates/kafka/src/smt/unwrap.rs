//! `ExtractNewRecordState`: the row alone, with fields and headers taken from the envelope.

use std::sync::Arc;

use super::{Passage, Schemas};
use crate::error::{Error, Result};
use crate::options::{AddedField, DeleteMode, Unwrap};
use crate::record::{Header, Message};
use crate::schema::{self, Field, Schema};
use crate::source::envelope;
use crate::value::Value;

/// One application to one record.
pub(super) struct Step<'a> {
    pub(super) name: &'a str,
    pub(super) options: &'a Unwrap,
    pub(super) schemas: &'a mut Schemas,
    pub(super) oddities: bool,
}

/// Where an added field is found: in a struct of the envelope, or in the envelope itself.
#[derive(Clone, Copy)]
enum Place {
    Inside(usize, usize),
    Root(usize),
}

impl Step<'_> {
    /// False drops the record.
    pub(super) fn apply(&mut self, passage: &mut Passage<'_>) -> Result<bool> {
        if passage.message.value.is_null() {
            return Ok(self.tombstone(passage));
        }
        let Some(schema) = passage.message.value_schema.clone() else { return Ok(true) };
        if !schema.name.as_deref().is_some_and(|name| name.ends_with(".Envelope")) {
            return Ok(true);
        }
        self.add_headers(passage, &schema)?;
        let message = &mut passage.message;
        let present = |index: usize| message.value.members().get(index).is_some_and(|row| !row.is_null());
        let (before, after) = (present(envelope::BEFORE), present(envelope::AFTER));
        let deleted = !after;
        if !before && !after || deleted && self.options.deletes == DeleteMode::Drop {
            return Ok(false);
        }
        let row_schema = schema.fields().get(envelope::AFTER).map(|field| Arc::clone(&field.schema));
        let Some(row_schema) = row_schema else { return Ok(true) };
        if deleted && self.options.deletes == DeleteMode::None {
            message.value = Value::Null;
            message.value_schema = Some(row_schema);
            return Ok(true);
        }
        self.rebuild(message, &schema, &row_schema, deleted)?;
        self.drop_fields(message);
        Ok(true)
    }

    fn tombstone(&self, passage: &mut Passage<'_>) -> bool {
        if self.options.drop_tombstones {
            return false;
        }
        if self.options.headers.iter().any(|field| field.name == "op" && field.parent.is_none()) {
            let name = format!("{}op", self.options.header_prefix);
            passage.add_header(Header {
                name: name.into(),
                schema: Some(schema::string().into()),
                value: Value::text("d"),
            });
        }
        true
    }

    fn add_headers(&self, passage: &mut Passage<'_>, schema: &Schema) -> Result<()> {
        for field in &self.options.headers {
            let Some(place) = self.find(field, schema)? else { continue };
            let (found, value) = take(place, schema, &passage.message.value);
            passage.add_header(Header { name: field.target.as_str().into(), schema: found, value });
        }
        Ok(())
    }

    fn find(&self, field: &AddedField, schema: &Schema) -> Result<Option<Place>> {
        let parent = match field.parent.as_deref() {
            Some(parent) => Some(schema.field(parent).ok_or_else(|| Error::Transform {
                name: self.name.to_owned(),
                problem: format!("no struct {parent} in the envelope"),
            })?),
            None => match field.name.as_str() {
                "id" | "total_order" | "data_collection_order" => Some(envelope::TRANSACTION),
                "op" | "ts_ms" => None,
                _ => Some(envelope::SOURCE),
            },
        };
        let inside = parent.and_then(|parent| {
            let position = schema.fields().get(parent)?.schema.field(&field.name)?;
            Some(Place::Inside(parent, position))
        });
        Ok(inside.or_else(|| schema.field(&field.name).map(Place::Root)))
    }

    fn route(&self, message: &mut Message, schema: &Schema, row: &[Value]) {
        let Some(position) = self.options.route_by.as_deref().and_then(|name| schema.field(name)) else { return };
        if let Some(topic) = row.get(position).and_then(Value::as_str) {
            message.topic = topic.into();
        }
    }

    /// The row with the added fields behind its own.
    fn rebuild(
        &mut self,
        message: &mut Message,
        envelope: &Arc<Schema>,
        row_schema: &Arc<Schema>,
        deleted: bool,
    ) -> Result<()> {
        let mut places = Vec::with_capacity(self.options.fields.len());
        for field in &self.options.fields {
            if let Some(place) = self.find(field, envelope)? {
                places.push((place, field.target.as_str()));
            }
        }
        let rewrite = self.options.deletes == DeleteMode::Rewrite;
        let mut added = Vec::with_capacity(places.len());
        for (place, _) in &places {
            let (schema, value) = take(*place, envelope, &message.value);
            let is_struct = schema.is_some_and(|schema| !schema.fields().is_empty());
            if is_struct && self.oddities {
                return Err(Error::Transform {
                    name: self.name.to_owned(),
                    problem: "Struct schemas do not match.".to_owned(),
                });
            }
            added.push(value);
        }
        let row = if deleted { envelope::BEFORE } else { envelope::AFTER };
        let mut values = match &mut message.value {
            Value::Struct(members) => members.get_mut(row).map(Value::take_members).unwrap_or_default(),
            _ => Vec::new(),
        };
        if !deleted {
            self.route(message, row_schema, &values);
        }
        if rewrite {
            // The row goes through a copy that reads defaults for nulls.
            for (value, field) in values.iter_mut().zip(row_schema.fields()) {
                if let (Value::Null, Some(default)) = (&*value, &field.schema.default) {
                    *value = default.clone();
                }
            }
        }
        values.append(&mut added);
        if rewrite {
            values.push(Value::text(if deleted { "true" } else { "false" }));
        }
        let schema = self.schemas.derived(envelope, |envelope| {
            let mut fields = row_schema.fields().to_vec();
            for (place, name) in &places {
                if let Some(schema) = source_schema(*place, envelope) {
                    fields.push(Field::new(name, schema.variant().optional(true).with_default(None)));
                }
            }
            if rewrite {
                fields.push(Field::new("__deleted", schema::string().optional(true)));
            }
            let mut schema = Schema::record(fields);
            schema.name.clone_from(&row_schema.name);
            schema.version = row_schema.version;
            schema.doc = row_schema.doc;
            schema.parameters.clone_from(&row_schema.parameters);
            schema
        });
        message.value = Value::Struct(values);
        message.value_schema = Some(schema);
        Ok(())
    }

    /// Drops the fields that a header lists.
    fn drop_fields(&self, message: &mut Message) {
        let Some(name) = &self.options.drop_header else { return };
        let header = message.headers.iter().rev().find(|header| *header.name == **name);
        let Some(Value::Array(names)) = header.map(|header| header.value.clone()) else { return };
        let listed = |field: &Field| names.iter().any(|name| name.as_str() == Some(&*field.name));
        let keep = self.options.keep_compatible;
        let dropped = |field: &Field| listed(field) && (!keep || field.schema.optional);
        if let Some(schema) = message.value_schema.take() {
            (message.value_schema, message.value) =
                without(schema, std::mem::replace(&mut message.value, Value::Null), dropped);
        }
        if self.options.drop_from_key
            && let Some(schema) = message.key_schema.take()
        {
            (message.key_schema, message.key) =
                without(schema, std::mem::replace(&mut message.key, Value::Null), dropped);
        }
    }
}

fn source_schema(place: Place, envelope: &Schema) -> Option<&Arc<Schema>> {
    let field = match place {
        Place::Root(index) => envelope.fields().get(index),
        Place::Inside(parent, index) => {
            envelope.fields().get(parent).and_then(|field| field.schema.fields().get(index))
        }
    };
    field.map(|field| &field.schema)
}

fn take(place: Place, envelope: &Schema, value: &Value) -> (Option<Arc<Schema>>, Value) {
    let value = match place {
        Place::Root(index) => value.members().get(index),
        Place::Inside(parent, index) => value.members().get(parent).and_then(|parent| parent.members().get(index)),
    };
    (source_schema(place, envelope).map(Arc::clone), value.cloned().unwrap_or(Value::Null))
}

/// A struct without the fields that `dropped` names.
fn without(schema: Arc<Schema>, value: Value, dropped: impl Fn(&Field) -> bool) -> (Option<Arc<Schema>>, Value) {
    let Value::Struct(values) = value else { return (Some(schema), value) };
    if !schema.fields().iter().any(&dropped) {
        return (Some(schema), Value::Struct(values));
    }
    let mut kept = schema.variant();
    let (fields, values) = schema.fields().iter().cloned().zip(values).filter(|(field, _)| !dropped(field)).unzip();
    kept.ty = schema::Type::Struct(fields);
    (Some(kept.into()), Value::Struct(values))
}
