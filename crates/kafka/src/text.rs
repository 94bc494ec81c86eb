//! Values as text: `Struct.toString` for the string converter, the simple header converter's form.

use crate::java::{base64, float};
use crate::schema::Schema;
use crate::types::clock;
use crate::value::Value;

pub(crate) const CONNECT_DATE: &str = "org.apache.kafka.connect.data.Date";
pub(crate) const CONNECT_TIME: &str = "org.apache.kafka.connect.data.Time";
pub(crate) const CONNECT_TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";

/// `toString` of a value; none is Kafka's null.
///
/// `oddities` prints binary members as Java does, by an identity that means nothing; otherwise
/// they are base64, so that equal keys have equal texts.
pub(crate) fn java(schema: Option<&Schema>, value: &Value, oddities: bool) -> Option<String> {
    if value.is_null() {
        return None;
    }
    let mut out = String::new();
    append(&mut out, schema, value, oddities);
    Some(out)
}

fn is_bits(schema: &Schema) -> bool {
    schema.name.as_deref() == Some("io.debezium.data.Bits")
}

fn append(out: &mut String, schema: Option<&Schema>, value: &Value, oddities: bool) {
    match value {
        Value::Struct(members) => {
            out.push_str("Struct{");
            let mut first = true;
            for (field, member) in schema.map_or(&[][..], Schema::fields).iter().zip(members) {
                if member.is_null() {
                    continue;
                }
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                out.push_str(&field.name);
                out.push('=');
                append(out, Some(&field.schema), member, oddities);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                append(out, None, item, oddities);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                out.push_str(key);
                out.push('=');
                append(out, None, item, oddities);
            }
            out.push('}');
        }
        // Java's text of bits is an address, another one for each record: not even an oddity can be the same.
        Value::Bytes(bytes) if oddities && !schema.is_some_and(is_bits) => {
            let length = bytes.len();
            out.push_str(&format!("java.nio.HeapByteBuffer[pos=0 lim={length} cap={length}]"));
        }
        Value::Bytes(bytes) => out.push_str(&base64::standard(bytes)),
        Value::Int(number) => match schema.and_then(|schema| schema.name.as_deref()) {
            Some(CONNECT_DATE) => out.push_str(&clock::java_date(number.saturating_mul(clock::DAY_MILLIS))),
            Some(CONNECT_TIME | CONNECT_TIMESTAMP) => out.push_str(&clock::java_date(*number)),
            _ => out.push_str(&number.to_string()),
        },
        other => append_scalar(out, other),
    }
}

/// A header's text; none is a null header.
pub(crate) fn header(schema: Option<&Schema>, value: &Value) -> Option<String> {
    if value.is_null() {
        return None;
    }
    let mut out = String::new();
    append_header(&mut out, schema, value, false);
    Some(out)
}

fn append_header(out: &mut String, schema: Option<&Schema>, value: &Value, embedded: bool) {
    let quote = |out: &mut String, text: &str| {
        out.push('"');
        for character in text.chars() {
            if matches!(character, '"' | '\\') {
                out.push('\\');
            }
            out.push(character);
        }
        out.push('"');
    };
    match value {
        Value::Str(text) if embedded => quote(out, text),
        Value::Bytes(bytes) if embedded => quote(out, &base64::standard(bytes)),
        Value::Bytes(bytes) => out.push_str(&base64::standard(bytes)),
        Value::Struct(members) => {
            out.push('{');
            for (index, (field, member)) in schema.map_or(&[][..], Schema::fields).iter().zip(members).enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quote(out, &field.name);
                out.push(':');
                let member = match (&field.schema.default, member) {
                    (Some(default), Value::Null) => default,
                    _ => member,
                };
                append_header(out, Some(&field.schema), member, true);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                append_header(out, None, item, true);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quote(out, key);
                out.push(':');
                append_header(out, None, item, true);
            }
            out.push('}');
        }
        Value::Int(number) => match schema.and_then(|schema| schema.name.as_deref()) {
            Some(CONNECT_DATE) => out.push_str(&clock::header_date(number.saturating_mul(clock::DAY_MILLIS))),
            Some(CONNECT_TIME | CONNECT_TIMESTAMP) => out.push_str(&clock::header_date(*number)),
            _ => out.push_str(&number.to_string()),
        },
        Value::Null => out.push_str("null"),
        other => append_scalar(out, other),
    }
}

fn append_scalar(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&float::float(*number)),
        Value::Double(number) => out.push_str(&float::double(*number)),
        Value::Decimal(decimal) => out.push_str(&decimal.java()),
        Value::Str(text) => out.push_str(text),
        Value::Bytes(bytes) => out.push_str(&base64::standard(bytes)),
        Value::Array(_) | Value::Map(_) | Value::Struct(_) => {}
    }
}
