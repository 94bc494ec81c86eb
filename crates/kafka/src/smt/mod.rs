//! Single message transformations: a chain through which every record goes, or is dropped.

mod router;
mod unwrap;

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::options::{Options, Predicate, PredicateKind, Transform, TransformKind};
use crate::record::{Header, Message};
use crate::schema::Schema;
use crate::value::Value;

/// Schemas made from others, so that each is built once.
#[derive(Default)]
pub(crate) struct Schemas(HashMap<usize, (Arc<Schema>, Arc<Schema>)>);

impl Schemas {
    /// The schema that `make` gives for `source`, made at the first call.
    pub(crate) fn derived(&mut self, source: &Arc<Schema>, make: impl FnOnce(&Schema) -> Schema) -> Arc<Schema> {
        // The source is kept, so its address stays its own.
        let address = Arc::as_ptr(source) as usize;
        let entry = self.0.entry(address).or_insert_with(|| (Arc::clone(source), make(source).into()));
        Arc::clone(&entry.1)
    }
}

/// The chain's memory.
#[derive(Default)]
pub(crate) struct Chain {
    schemas: HashMap<(usize, String), Schemas>,
}

/// A record on its way.
pub(crate) struct Passage<'a> {
    pub(crate) message: Message,
    /// The header list that a delete and its tombstone have in common: what a transformation adds
    /// in place to the one is seen on the other.
    pub(crate) shared: &'a mut Vec<Header>,
    /// Whether the record still has that list and no copy of it.
    pub(crate) in_place: bool,
}

impl Passage<'_> {
    pub(crate) fn add_header(&mut self, header: Header) {
        if self.in_place {
            self.shared.push(header.clone());
        }
        self.message.headers.push(header);
    }
}

impl Chain {
    /// The record after all transformations, none if one dropped it.
    pub(crate) fn apply(
        &mut self,
        options: &Options,
        message: Message,
        shared: &mut Vec<Header>,
    ) -> Result<Option<Message>> {
        let mut passage = Passage { message, shared, in_place: true };
        for (index, transform) in options.transforms.iter().enumerate() {
            if !applies(transform.predicate.as_ref(), &passage.message) {
                continue;
            }
            if !self.step(index, transform, &mut passage, options.oddities)? {
                return Ok(None);
            }
        }
        Ok(Some(passage.message))
    }

    fn step(&mut self, index: usize, transform: &Transform, passage: &mut Passage<'_>, oddities: bool) -> Result<bool> {
        match &transform.kind {
            TransformKind::Unwrap(options) => {
                let schemas = self.schemas.entry((index, String::new())).or_default();
                let mut unwrap = unwrap::Step { name: &transform.name, options, schemas, oddities };
                return unwrap.apply(passage);
            }
            TransformKind::RegexRouter { topic, replacement } => {
                let routed = topic.replace(&passage.message.topic, replacement.as_str()).into_owned();
                if *passage.message.topic != *routed {
                    passage.message.topic = routed.into();
                }
            }
            TransformKind::LogicalTable(options) => {
                router::logical_table(options, passage, &mut router::Cache { index, schemas: &mut self.schemas });
            }
            TransformKind::InsertHeader { name, literal } => {
                passage.in_place = false;
                let value = header_literal(literal);
                passage.message.headers.push(Header { name: name.as_str().into(), schema: None, value });
            }
            TransformKind::DropHeaders(names) => {
                passage.in_place = false;
                passage.message.headers.retain(|header| !names.iter().any(|name| **name == *header.name));
            }
            TransformKind::ExtractKeyField(field) => {
                let message = &mut passage.message;
                let Some(schema) = message.key_schema.take() else { return Ok(true) };
                let position = schema.field(field).ok_or_else(|| Error::Transform {
                    name: transform.name.clone(),
                    problem: format!("unknown field {field}"),
                })?;
                message.key = message.key.members().get(position).cloned().unwrap_or(Value::Null);
                message.key_schema = schema.fields().get(position).map(|field| Arc::clone(&field.schema));
            }
        }
        Ok(true)
    }
}

fn applies(predicate: Option<&Predicate>, message: &Message) -> bool {
    predicate.is_none_or(|predicate| {
        let holds = match &predicate.kind {
            PredicateKind::TopicNameMatches(pattern) => pattern.is_match(&message.topic),
            PredicateKind::RecordIsTombstone => message.value.is_null(),
            PredicateKind::HasHeaderKey(name) => message.headers.iter().any(|header| *header.name == **name),
        };
        holds != predicate.negate
    })
}

/// `["a","b"]` is a list of texts, anything else a text.
fn header_literal(literal: &str) -> Value {
    let Some(inner) = literal.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
        return Value::text(literal);
    };
    let items = inner.split(',').map(|item| Value::text(item.trim().trim_matches('"')));
    Value::Array(if inner.trim().is_empty() { Vec::new() } else { items.collect() })
}
