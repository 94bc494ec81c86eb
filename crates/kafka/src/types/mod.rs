//! From a Postgres column to a Connect schema and the conversion of its values.
//!
//! [`column_type`] is asked once per column and relation; [`ColumnType::convert`] runs per value,
//! from the text Postgres printed.

mod array;
pub(crate) mod clock;
mod defaults;
mod scalar;
mod shape;

use walhouse_value::{Class, PgType};

pub(crate) use defaults::{Default, default_value};
pub(crate) use scalar::{Scalar, type_name};

use crate::java::digest;
use crate::options::{BinaryMode, TypeOptions};
use crate::schema::{self, Schema, Type};
use crate::value::Value;

/// A value that does not fit its schema; Debezium logs it and writes null.
#[derive(Debug)]
pub(crate) struct Unfit;

/// How a column's values are made.
#[derive(Clone, Debug)]
pub(crate) enum ColumnType {
    Scalar(Scalar),
    /// One-dimensional, of these elements.
    Array(Scalar, array::Elements),
    /// Mapped by 2.4.2 but never filled.
    AlwaysNull,
}

impl ColumnType {
    /// The value of `text`.
    pub(crate) fn convert(&self, text: &[u8], options: &TypeOptions) -> Result<Value, Unfit> {
        match self {
            Self::Scalar(scalar) => scalar.convert(text, options),
            Self::Array(element, elements) => array::convert(element, *elements, text, options),
            Self::AlwaysNull => Ok(Value::Null),
        }
    }

    /// What stands for a null where a value is required.
    pub(crate) fn fallback(&self, options: &TypeOptions) -> Value {
        match self {
            Self::Scalar(scalar) => scalar.fallback(options),
            Self::Array(..) => Value::Array(Vec::new()),
            Self::AlwaysNull => Value::Null,
        }
    }

    /// What stands for an out-of-line value that was not sent.
    pub(crate) fn placeholder(&self, options: &TypeOptions) -> Result<Value, Unfit> {
        let bytes = &options.placeholder;
        let text = || Value::Str(String::from_utf8_lossy(bytes).into_owned());
        let element = match self {
            Self::AlwaysNull => return Ok(Value::Null),
            Self::Array(_, elements) if options.oddities && !elements.placeholder => return Err(Unfit),
            Self::Array(element, _) => element,
            Self::Scalar(scalar) => {
                return match scalar {
                    Scalar::Bytea if options.binary == BinaryMode::Bytes => Ok(Value::Bytes(bytes.clone())),
                    Scalar::Bytea if options.oddities => Err(Unfit),
                    Scalar::HstoreMap => Ok(Value::Map(vec![(String::from_utf8_lossy(bytes).into_owned(), text())])),
                    Scalar::HstoreJson if options.oddities => Err(Unfit),
                    Scalar::HstoreJson => {
                        let text = String::from_utf8_lossy(bytes);
                        let mut json = Vec::new();
                        shape::append_json_entry(&mut json, &text, Some(&text));
                        Ok(Value::Str(format!("{{{}}}", String::from_utf8_lossy(&json))))
                    }
                    scalar if scalar.is_text() => Ok(text()),
                    _ => Err(Unfit),
                };
            }
        };
        match element {
            Scalar::Text | Scalar::Json => Ok(Value::Array(vec![text()])),
            Scalar::Uuid => Ok(Value::Array(vec![Value::Str(digest::name_uuid(bytes))])),
            Scalar::Int | Scalar::Date => {
                Ok(Value::Array(bytes.iter().map(|byte| Value::Int(i64::from(*byte as i8))).collect()))
            }
            Scalar::Bytea if options.binary == BinaryMode::Bytes => Ok(Value::Array(vec![Value::Bytes(bytes.clone())])),
            _ => Err(Unfit),
        }
    }
}

/// The type's name in `pg_type`, where an array has its element's with a line in front.
pub(crate) fn catalog_name(ty: &PgType) -> String {
    match &ty.class {
        Class::Array(element) => format!("_{}", type_name(element)),
        _ => type_name(ty).to_owned(),
    }
}

/// Whether JDBC counts the type as a text: `column.mask` hides nothing else.
pub(crate) fn is_character(ty: &PgType) -> bool {
    let base = ty.base();
    matches!(base.class, Class::Text | Class::Bpchar | Class::Char | Class::Enum)
        && !matches!(type_name(base), "xml" | "refcursor")
}

/// Schema and conversion of a column of type `ty`; none where the column is left out.
///
/// `labels` gives an enum's labels by its oid.
pub(crate) fn column_type<'a>(
    ty: &PgType,
    options: &TypeOptions,
    labels: impl Fn(u32) -> &'a [String],
) -> Option<(Schema, ColumnType)> {
    let base = ty.base();
    let Class::Array(element) = &base.class else {
        return scalar_type(base, options, &labels).map(|(schema, scalar)| (schema, ColumnType::Scalar(scalar)));
    };
    if element.base.is_some() {
        // Arrays of domains are known to 2.4.2 only as unknown types.
        let elements = array::Elements::default();
        return options.unknown.then(|| {
            let items = scalar::unknown_schema(options);
            (array_schema(items), ColumnType::Array(Scalar::Unknown, elements))
        });
    }
    match &element.class {
        Class::Bit => {
            let (schema, scalar) = scalar_type(element, options, &labels)?;
            if options.oddities {
                return Some((schema, ColumnType::AlwaysNull));
            }
            let elements = array::Elements::default();
            return Some((array_schema(schema.optional(true)), ColumnType::Array(scalar, elements)));
        }
        Class::Money | Class::VarBit | Class::Interval | Class::Xid8 | Class::PgLsn => return None,
        _ => {}
    }
    if matches!(type_name(element), "name" | "xml" | "point" | "refcursor") {
        return None;
    }
    let mut known = options.clone();
    known.unknown = false;
    let (schema, scalar) = scalar_type(element, &known, &labels)?;
    let is_time = matches!(element.class, Class::Time);
    let elements = array::Elements {
        placeholder: matches!(
            type_name(element),
            "text" | "varchar" | "json" | "jsonb" | "int4" | "int8" | "date" | "uuid" | "bytea"
        ),
        short_time: matches!(scalar, Scalar::TimeMillis),
        required: matches!(element.class, Class::Enum) && options.oddities,
    };
    let (schema, scalar) = if is_time { scalar::micro_time() } else { (schema, scalar) };
    Some((array_schema(schema.optional(!elements.required)), ColumnType::Array(scalar, elements)))
}

fn array_schema(items: Schema) -> Schema {
    Schema::new(Type::Array(items.into()))
}

fn scalar_type<'a>(
    ty: &PgType,
    options: &TypeOptions,
    labels: &impl Fn(u32) -> &'a [String],
) -> Option<(Schema, Scalar)> {
    if matches!(ty.class, Class::Enum) {
        let allowed = labels(ty.oid).join(",");
        let schema = schema::string().semantic("io.debezium.data.Enum").parameter("allowed", allowed);
        return Some((schema, Scalar::Text));
    }
    scalar::scalar_type(ty, options)
}
