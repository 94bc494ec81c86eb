//! `ByLogicalTableRouter`: many tables' records to one topic, their keys told apart.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Passage, Schemas};
use crate::names;
use crate::options::{Adjustment, LogicalTable};
use crate::record::Message;
use crate::schema::{self, Field, Schema, Type};
use crate::source::envelope;
use crate::value::Value;

/// Schemas made for a topic, by the transformation's place in the chain.
pub(super) struct Cache<'a> {
    pub(super) index: usize,
    pub(super) schemas: &'a mut HashMap<(usize, String), Schemas>,
}

impl Cache<'_> {
    fn of(&mut self, part: &str, topic: &str) -> &mut Schemas {
        self.schemas.entry((self.index, format!("{part}\0{topic}"))).or_default()
    }
}

pub(super) fn logical_table(options: &LogicalTable, passage: &mut Passage<'_>, cache: &mut Cache<'_>) {
    let old = Arc::clone(&passage.message.topic);
    if !options.topic.is_match(&old) {
        return;
    }
    let topic = options.topic.replace(&old, options.replacement.as_str()).into_owned();
    if topic.is_empty() {
        return;
    }
    let message = &mut passage.message;
    let adjustment = match options.envelope_name.as_deref() {
        Some("avro") => Adjustment::Avro,
        Some("avro_unicode") => Adjustment::AvroUnicode,
        _ => Adjustment::None,
    };
    let name = |suffix: &str| names::adjust(&format!("{topic}.{suffix}"), adjustment);
    if let (Some(schema), Value::Struct(values)) = (&message.key_schema, &mut message.key) {
        let derived = cache.of("key", &topic).derived(schema, |schema| {
            let mut fields = schema.fields().to_vec();
            if options.key_unique {
                fields.push(Field::new(&options.key_name, schema::string()));
            }
            let mut key = schema.variant().named(&name("Key"));
            key.ty = Type::Struct(fields);
            key
        });
        if options.key_unique {
            let identity = match &options.key_field {
                Some((pattern, replacement)) => pattern.replace(&old, replacement.as_str()).into_owned(),
                None => old.to_string(),
            };
            values.push(Value::Str(identity));
        }
        message.key_schema = Some(derived);
    }
    rename_envelope(message, &topic, name, cache);
    message.topic = topic.into();
}

fn rename_envelope(message: &mut Message, topic: &str, name: impl Fn(&str) -> String, cache: &mut Cache<'_>) {
    let Some(schema) = &message.value_schema else { return };
    if !schema.name.as_deref().is_some_and(|name| name.ends_with(".Envelope")) {
        return;
    }
    let derived = cache.of("value", topic).derived(schema, |schema| {
        let mut fields = schema.fields().to_vec();
        let row = fields.get(envelope::AFTER).map(|field| field.schema.variant().named(&name("Value")));
        let row: Arc<Schema> = row.unwrap_or_else(schema::string).into();
        for index in [envelope::BEFORE, envelope::AFTER] {
            if let Some(field) = fields.get_mut(index) {
                field.schema = Arc::clone(&row);
            }
        }
        let mut renamed = schema.variant().named(&name("Envelope"));
        renamed.ty = Type::Struct(fields);
        renamed
    });
    message.value_schema = Some(derived);
}
