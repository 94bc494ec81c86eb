//! Values as Kafka Connect holds them between a source and its converters.

use crate::java::decimal::Decimal;

/// A value; what its bytes mean is said by its schema.
///
/// It holds what users keep in their tables, so it has no `Debug`.
#[derive(Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// Every whole number, dates and times included.
    Int(i64),
    Float(f32),
    Double(f64),
    Bytes(Vec<u8>),
    Decimal(Decimal),
    Str(String),
    Array(Vec<Value>),
    /// A map with text keys, in the order in which Java walks it.
    Map(Vec<(String, Value)>),
    /// One value per field of the schema.
    Struct(Vec<Value>),
}

impl Value {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::Str(text.to_owned())
    }

    /// A struct's members, none for other values.
    pub(crate) fn members(&self) -> &[Value] {
        match self {
            Self::Struct(members) => members,
            _ => &[],
        }
    }

    /// Takes a struct's members out.
    pub(crate) fn take_members(&mut self) -> Vec<Value> {
        match self {
            Self::Struct(members) => std::mem::take(members),
            _ => Vec::new(),
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }
}
