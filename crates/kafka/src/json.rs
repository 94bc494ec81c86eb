//! The JSON converter's bytes: keys in its order, Jackson's escapes, Java's numbers.

use crate::java::{base64, float};
use crate::schema::{Schema, Type};
use crate::value::Value;

/// How a decimal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecimalFormat {
    /// Base64 of the unscaled number.
    Base64,
    /// A JSON number.
    Numeric,
}

/// Settings of a JSON converter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonOptions {
    /// Whether the schema goes in front of the payload.
    pub(crate) schemas: bool,
    pub(crate) decimals: DecimalFormat,
    /// Whether a null is written as its schema's default.
    pub(crate) replace_nulls: bool,
}

/// A record's key or value; none is Kafka's null.
pub(crate) fn convert(schema: Option<&Schema>, value: &Value, options: JsonOptions) -> Option<Vec<u8>> {
    if value.is_null() && schema.is_none() {
        return None;
    }
    let mut out = Vec::with_capacity(512);
    if options.schemas {
        out.extend_from_slice(b"{\"schema\":");
        match schema {
            Some(schema) => out.extend_from_slice(schema.json(options.decimals)),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"payload\":");
    }
    append(&mut out, schema, value, options);
    if options.schemas {
        out.push(b'}');
    }
    Some(out)
}

/// Text as a JSON string. Characters beyond the BMP are written as a pair of escaped surrogates.
pub(crate) fn append_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let unit = |out: &mut Vec<u8>, unit: u16| {
        out.extend_from_slice(b"\\u");
        out.extend((0..4).map(|place| HEX[(unit >> (12 - 4 * place) & 15) as usize]));
    };
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escape = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0c => b'f',
            b'\r' => b'r',
            0..0x20 | 0xf0.. => 0,
            _ => continue,
        };
        out.extend_from_slice(bytes.get(plain..at).unwrap_or_default());
        plain = at + 1;
        if escape != 0 {
            out.extend_from_slice(&[b'\\', escape]);
        } else if *byte < 0x20 {
            unit(out, u16::from(*byte));
        } else if let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let mut units = [0; 2];
            character.encode_utf16(&mut units);
            unit(out, units[0]);
            unit(out, units[1]);
            plain = at + 4;
        }
    }
    out.extend_from_slice(bytes.get(plain..).unwrap_or_default());
    out.push(b'"');
}

fn append(out: &mut Vec<u8>, schema: Option<&Schema>, value: &Value, options: JsonOptions) {
    match (value, schema) {
        (Value::Null, Some(schema)) => match &schema.default {
            Some(default) if options.replace_nulls => append(out, Some(schema), default, options),
            _ => out.extend_from_slice(b"null"),
        },
        (Value::Null, None) => out.extend_from_slice(b"null"),
        (Value::Bool(flag), _) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        (Value::Int(number), _) => append_int(out, *number),
        (Value::Float(number), _) => append_number(out, &float::float(*number), number.is_finite()),
        (Value::Double(number), _) => append_number(out, &float::double(*number), number.is_finite()),
        (Value::Str(text), _) => append_string(out, text),
        (Value::Bytes(bytes), _) => append_base64(out, bytes),
        (Value::Decimal(decimal), _) => match options.decimals {
            DecimalFormat::Base64 => append_base64(out, &decimal.unscaled_bytes()),
            DecimalFormat::Numeric => out.extend_from_slice(decimal.java().as_bytes()),
        },
        (Value::Array(items), _) => append_array(out, schema, items, options),
        (Value::Map(entries), _) => append_map(out, schema, entries, options),
        (Value::Struct(members), Some(schema)) => append_struct(out, schema, members, options),
        (Value::Struct(_), None) => out.extend_from_slice(b"null"),
    }
}

fn append_struct(out: &mut Vec<u8>, schema: &Schema, members: &[Value], options: JsonOptions) {
    out.push(b'{');
    for (index, field) in schema.fields().iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        append_string(out, &field.name);
        out.push(b':');
        append(out, Some(&field.schema), members.get(index).unwrap_or(&Value::Null), options);
    }
    out.push(b'}');
}

fn append_array(out: &mut Vec<u8>, schema: Option<&Schema>, items: &[Value], options: JsonOptions) {
    let element = match schema.map(|schema| &schema.ty) {
        Some(Type::Array(element)) => Some(&**element),
        _ => None,
    };
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        append(out, element, item, options);
    }
    out.push(b']');
}

fn append_map(out: &mut Vec<u8>, schema: Option<&Schema>, entries: &[(String, Value)], options: JsonOptions) {
    let element = match schema.map(|schema| &schema.ty) {
        Some(Type::Map(_, element)) => Some(&**element),
        _ => None,
    };
    out.push(b'{');
    for (index, (key, item)) in entries.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        append_string(out, key);
        out.push(b':');
        append(out, element, item, options);
    }
    out.push(b'}');
}

fn append_int(out: &mut Vec<u8>, number: i64) {
    use std::io::Write as _;
    // Writing into a vector cannot fail.
    let _ = write!(out, "{number}");
}

fn append_number(out: &mut Vec<u8>, text: &str, finite: bool) {
    if finite {
        out.extend_from_slice(text.as_bytes());
    } else {
        append_string(out, text);
    }
}

fn append_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    base64::append(out, bytes);
    out.push(b'"');
}

/// A schema, with its name in the surrounding struct if it is a member of one.
pub(crate) fn append_schema(out: &mut Vec<u8>, schema: &Schema, field: Option<&str>, decimals: DecimalFormat) {
    let name = match &schema.ty {
        Type::Boolean => "boolean",
        Type::Int16 => "int16",
        Type::Int32 => "int32",
        Type::Int64 => "int64",
        Type::Float => "float",
        Type::Double => "double",
        Type::Bytes => "bytes",
        Type::String => "string",
        Type::Array(_) => "array",
        Type::Map(..) => "map",
        Type::Struct(_) => "struct",
    };
    out.extend_from_slice(b"{\"type\":");
    append_string(out, name);
    match &schema.ty {
        Type::Array(element) => {
            out.extend_from_slice(b",\"items\":");
            append_schema(out, element, None, decimals);
        }
        Type::Map(key, element) => {
            out.extend_from_slice(b",\"keys\":");
            append_schema(out, key, None, decimals);
            out.extend_from_slice(b",\"values\":");
            append_schema(out, element, None, decimals);
        }
        Type::Struct(fields) => {
            out.extend_from_slice(b",\"fields\":[");
            for (index, field) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                append_schema(out, &field.schema, Some(&field.name), decimals);
            }
            out.push(b']');
        }
        _ => {}
    }
    append_attributes(out, schema, decimals);
    if let Some(field) = field {
        out.extend_from_slice(b",\"field\":");
        append_string(out, field);
    }
    out.push(b'}');
}

fn append_attributes(out: &mut Vec<u8>, schema: &Schema, decimals: DecimalFormat) {
    out.extend_from_slice(if schema.optional { b",\"optional\":true" } else { b",\"optional\":false" });
    if let Some(name) = &schema.name {
        out.extend_from_slice(b",\"name\":");
        append_string(out, name);
    }
    if let Some(version) = schema.version {
        out.extend_from_slice(b",\"version\":");
        append_int(out, i64::from(version));
    }
    if let Some(doc) = schema.doc {
        out.extend_from_slice(b",\"doc\":");
        append_string(out, doc);
    }
    if !schema.parameters.is_empty() {
        out.extend_from_slice(b",\"parameters\":{");
        for (index, (key, value)) in schema.parameters.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            append_string(out, key);
            out.push(b':');
            append_string(out, value);
        }
        out.push(b'}');
    }
    if let Some(default) = &schema.default {
        out.extend_from_slice(b",\"default\":");
        let options = JsonOptions { schemas: false, decimals, replace_nulls: true };
        append(out, Some(schema), default, options);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_jackson_does() {
        let mut out = Vec::new();
        append_string(&mut out, "q\"b\\\u{1}\u{1f}\t\u{7f}/é\u{2028}😀x");
        assert_eq!(String::from_utf8(out).unwrap(), "\"q\\\"b\\\\\\u0001\\u001F\\t\u{7f}/é\u{2028}\\uD83D\\uDE00x\"");
    }
}
