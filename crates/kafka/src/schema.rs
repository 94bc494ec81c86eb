//! Kafka Connect's schemas: what a value is, and how that is written in front of it.

use std::sync::{Arc, OnceLock};

use crate::json::{self, DecimalFormat};
use crate::value::Value;

/// What a value of a schema is made of.
#[derive(Clone)]
pub(crate) enum Type {
    Boolean,
    Int16,
    Int32,
    Int64,
    Float,
    Double,
    Bytes,
    String,
    Array(Arc<Schema>),
    Map(Arc<Schema>, Arc<Schema>),
    Struct(Vec<Field>),
}

/// A struct's member.
#[derive(Clone)]
pub(crate) struct Field {
    pub(crate) name: Arc<str>,
    pub(crate) schema: Arc<Schema>,
}

impl Field {
    pub(crate) fn new(name: &str, schema: impl Into<Arc<Schema>>) -> Self {
        Self { name: name.into(), schema: schema.into() }
    }
}

/// A schema with its attributes. Immutable, so that its JSON is made once.
pub(crate) struct Schema {
    pub(crate) ty: Type,
    pub(crate) optional: bool,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) version: Option<u32>,
    pub(crate) doc: Option<&'static str>,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) default: Option<Value>,
    /// The JSON form, per format of decimals (a default may be one).
    rendered: [OnceLock<Vec<u8>>; 2],
}

impl Schema {
    pub(crate) fn new(ty: Type) -> Self {
        Self {
            ty,
            optional: false,
            name: None,
            version: None,
            doc: None,
            parameters: Vec::new(),
            default: None,
            rendered: Default::default(),
        }
    }

    /// A struct of these fields.
    pub(crate) fn record(fields: Vec<Field>) -> Self {
        Self::new(Type::Struct(fields))
    }

    pub(crate) fn optional(mut self, optional: bool) -> Self {
        self.optional = optional;
        self
    }

    /// Names the type without a version.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Names the type as version 1.
    pub(crate) fn semantic(mut self, name: &str) -> Self {
        self.version = Some(1);
        self.named(name)
    }

    pub(crate) fn doc(mut self, doc: &'static str) -> Self {
        self.doc = Some(doc);
        self
    }

    pub(crate) fn parameter(mut self, key: &str, value: impl Into<String>) -> Self {
        self.parameters.push((key.to_owned(), value.into()));
        self
    }

    pub(crate) fn with_default(mut self, default: Option<Value>) -> Self {
        self.default = default;
        self
    }

    /// A copy to be changed; nothing rendered is carried over.
    pub(crate) fn variant(&self) -> Self {
        Self {
            ty: self.ty.clone(),
            optional: self.optional,
            name: self.name.clone(),
            version: self.version,
            doc: self.doc,
            parameters: self.parameters.clone(),
            default: self.default.clone(),
            rendered: Default::default(),
        }
    }

    /// A struct's fields, none for other types.
    pub(crate) fn fields(&self) -> &[Field] {
        match &self.ty {
            Type::Struct(fields) => fields,
            _ => &[],
        }
    }

    /// Index of the field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<usize> {
        self.fields().iter().position(|field| &*field.name == name)
    }

    /// JSON of the schema as the JSON converter puts it in front of a payload.
    pub(crate) fn json(&self, format: DecimalFormat) -> &[u8] {
        let cell = match format {
            DecimalFormat::Base64 => &self.rendered[0],
            DecimalFormat::Numeric => &self.rendered[1],
        };
        cell.get_or_init(|| {
            let mut out = Vec::with_capacity(256);
            json::append_schema(&mut out, self, None, format);
            out
        })
    }
}

pub(crate) fn string() -> Schema {
    Schema::new(Type::String)
}

pub(crate) fn int64() -> Schema {
    Schema::new(Type::Int64)
}

pub(crate) fn int32() -> Schema {
    Schema::new(Type::Int32)
}

pub(crate) fn bytes() -> Schema {
    Schema::new(Type::Bytes)
}
