//! Schemas of a registry, kept: a schema's id means the same for ever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::{Format, avro, protobuf};
use crate::ports::Registry;

/// More than any cluster's topics have between them; then all are asked for again.
const MOST: usize = 2000;

/// A schema that was read.
#[derive(Debug)]
pub(crate) enum Schema {
    Avro(avro::Schema),
    Protobuf(protobuf::Schema),
    /// The value is JSON.
    Json,
}

impl Schema {
    fn parse(kind: &str, text: &str) -> Result<Self, String> {
        match kind {
            "AVRO" => avro::Schema::parse(text).map(Self::Avro),
            "PROTOBUF" => protobuf::Schema::parse(text).map(Self::Protobuf),
            "JSON" => Ok(Self::Json),
            other => Err(format!("its schema is of the unknown kind {other}")),
        }
    }

    /// Reads a value that was written with it.
    pub(super) fn decode(&self, bytes: &[u8]) -> Result<(Format, Value), String> {
        match self {
            Self::Avro(schema) => Ok((Format::Avro, schema.decode(bytes)?)),
            Self::Protobuf(schema) => Ok((Format::Protobuf, protobuf::registered(schema, bytes)?)),
            Self::Json => {
                let value = serde_json::from_slice(bytes).map_err(|_| "it is no JSON".to_owned())?;
                Ok((Format::Json, value))
            }
        }
    }
}

/// Those that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Schemas(Mutex<HashMap<u32, Arc<Schema>>>);

impl Schemas {
    pub(super) async fn find(&self, id: u32, registry: &dyn Registry) -> Result<Arc<Schema>, String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let (kind, text) = registry.schema(id).await.map_err(|failure| failure.message)?;
        let schema = Arc::new(Schema::parse(&kind, &text)?);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(id, Arc::clone(&schema));
        Ok(schema)
    }
}
