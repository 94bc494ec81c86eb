//! Protobuf to JSON: by a `.proto` text as a schema registry keeps it, or by field numbers alone.

mod proto;
mod tokens;

use serde_json::{Map, Value, json};

use super::MOST_DEPTH;
use super::cursor::Cursor;
pub(super) use proto::Schema;
use proto::{Field, Kind, Message};

/// A value as it is on the wire.
enum Wire<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

/// Without a schema: an object of field numbers.
pub(super) fn by_number(bytes: &[u8]) -> Result<Value, String> {
    let mut cursor = Cursor::new(bytes);
    let value = untyped(&mut cursor, 0)?;
    if bytes.is_empty() { Err("it is empty".to_owned()) } else { Ok(value) }
}

/// After the schema's id come the indexes of the message's type within the file.
pub(super) fn registered(schema: &Schema, bytes: &[u8]) -> Result<Value, String> {
    let mut cursor = Cursor::new(bytes);
    let count = usize::try_from(cursor.zigzag()?).map_err(|_| "it has a negative count of indexes")?;
    let mut indexes = Vec::new();
    for _ in 0..count {
        indexes.push(usize::try_from(cursor.zigzag()?).map_err(|_| "it has a negative index")?);
    }
    // A single zero stands for the first message, the most frequent case.
    let indexes = if indexes.is_empty() { vec![0] } else { indexes };
    let message = schema.at(&indexes).ok_or("its schema does not have the message that it names")?;
    typed(schema, message, &mut cursor, 0)
}

fn next<'a>(cursor: &mut Cursor<'a>) -> Result<(u64, Wire<'a>), String> {
    cursor.count_value()?;
    let key = cursor.varint()?;
    let wire = match key & 7 {
        0 => Wire::Varint(cursor.varint()?),
        1 => Wire::Fixed64(cursor.array()?),
        2 => {
            let length = usize::try_from(cursor.varint()?).map_err(|_| "it has a length beyond this machine")?;
            Wire::Bytes(cursor.take(length)?)
        }
        5 => Wire::Fixed32(cursor.array()?),
        _ => return Err("it holds a kind of field that Protobuf does not have".to_owned()),
    };
    if key >> 3 == 0 { Err("it holds a field of number 0".to_owned()) } else { Ok((key >> 3, wire)) }
}

fn untyped(cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, String> {
    if depth > MOST_DEPTH {
        return Err("it is nested too deep".to_owned());
    }
    let mut fields = Map::new();
    while !cursor.is_empty() {
        let (number, wire) = next(cursor)?;
        let value = match wire {
            Wire::Varint(value) => value.into(),
            Wire::Fixed64(bytes) => u64::from_le_bytes(bytes).into(),
            Wire::Fixed32(bytes) => u32::from_le_bytes(bytes).into(),
            Wire::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if super::is_readable(text) => text.into(),
                _ => untyped(&mut Cursor::new(bytes), depth + 1).unwrap_or_else(|_| hex(bytes)),
            },
        };
        push(&mut fields, number.to_string(), value, false);
    }
    Ok(Value::Object(fields))
}

fn typed(schema: &Schema, message: &Message, cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, String> {
    if depth > MOST_DEPTH {
        return Err("it is nested too deep".to_owned());
    }
    let mut fields = Map::new();
    while !cursor.is_empty() {
        let (number, wire) = next(cursor)?;
        match message.field(number) {
            None => push(&mut fields, number.to_string(), raw(&wire), false),
            Some(field) => typed_field(schema, field, wire, &mut fields, depth)?,
        }
    }
    Ok(Value::Object(fields))
}

fn typed_field(
    schema: &Schema,
    field: &Field,
    wire: Wire<'_>,
    fields: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), String> {
    if let Kind::Map(key, value) = &field.kind {
        let Wire::Bytes(bytes) = wire else { return Err(format!("{} is no map", field.name)) };
        return map_entry(schema, field, (key, value), bytes, fields, depth);
    }
    if let (true, Some(width), Wire::Bytes(bytes)) = (field.repeated, field.kind.packed(), &wire) {
        let mut packed = Cursor::new(bytes);
        while !packed.is_empty() {
            packed.count_value()?;
            let one = match width {
                0 => Wire::Varint(packed.varint()?),
                4 => Wire::Fixed32(packed.array()?),
                _ => Wire::Fixed64(packed.array()?),
            };
            push(fields, field.name.clone(), scalar(schema, &field.kind, one, depth)?, true);
        }
        return Ok(());
    }
    let value = scalar(schema, &field.kind, wire, depth)?;
    if field.repeated {
        push(fields, field.name.clone(), value, true);
    } else {
        // Of a single field the last one counts.
        fields.insert(field.name.clone(), value);
    }
    Ok(())
}

/// A map is repeated messages of a key (field 1) and a value (field 2).
fn map_entry(
    schema: &Schema,
    field: &Field,
    (key, value): (&Kind, &Kind),
    bytes: &[u8],
    fields: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), String> {
    let (mut name, mut content) = (Value::Null, Value::Null);
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_empty() {
        match next(&mut cursor)? {
            (1, wire) => name = scalar(schema, key, wire, depth + 1)?,
            (2, wire) => content = scalar(schema, value, wire, depth + 1)?,
            _ => {}
        }
    }
    let name = match name {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let object = fields.entry(field.name.clone()).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(object) = object {
        object.insert(name, content);
    }
    Ok(())
}

fn scalar(schema: &Schema, kind: &Kind, wire: Wire<'_>, depth: usize) -> Result<Value, String> {
    Ok(match (kind, wire) {
        (Kind::Bool, Wire::Varint(value)) => (value != 0).into(),
        (Kind::Int32, Wire::Varint(value)) => (value as i32).into(),
        (Kind::Int64, Wire::Varint(value)) => (value as i64).into(),
        (Kind::Uint, Wire::Varint(value)) => value.into(),
        (Kind::Sint, Wire::Varint(value)) => ((value >> 1) as i64 ^ -((value & 1) as i64)).into(),
        (Kind::Fixed32, Wire::Fixed32(bytes)) => u32::from_le_bytes(bytes).into(),
        (Kind::Sfixed32, Wire::Fixed32(bytes)) => i32::from_le_bytes(bytes).into(),
        (Kind::Float, Wire::Fixed32(bytes)) => float(f64::from(f32::from_le_bytes(bytes))),
        (Kind::Fixed64, Wire::Fixed64(bytes)) => u64::from_le_bytes(bytes).into(),
        (Kind::Sfixed64, Wire::Fixed64(bytes)) => i64::from_le_bytes(bytes).into(),
        (Kind::Double, Wire::Fixed64(bytes)) => float(f64::from_le_bytes(bytes)),
        (Kind::Text, Wire::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned().into(),
        (Kind::Bytes, Wire::Bytes(bytes)) => hex(bytes),
        (Kind::Named(name), Wire::Varint(value)) => match schema.symbol(name, value as i32) {
            Some(symbol) => symbol.into(),
            None => (value as i32).into(),
        },
        (Kind::Named(name), Wire::Bytes(bytes)) => match schema.message(name) {
            Some(message) => typed(schema, message, &mut Cursor::new(bytes), depth + 1)?,
            None => raw(&Wire::Bytes(bytes)),
        },
        (_, wire) => raw(&wire),
    })
}

fn raw(wire: &Wire<'_>) -> Value {
    match wire {
        Wire::Varint(value) => (*value).into(),
        Wire::Fixed64(bytes) => u64::from_le_bytes(*bytes).into(),
        Wire::Fixed32(bytes) => u32::from_le_bytes(*bytes).into(),
        Wire::Bytes(bytes) => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> Value {
    json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() })
}

/// A second value of a name makes a list of it.
fn push(fields: &mut Map<String, Value>, name: String, value: Value, list: bool) {
    match fields.get_mut(&name) {
        Some(Value::Array(values)) => values.push(value),
        Some(other) => *other = Value::Array(vec![other.take(), value]),
        None if list => {
            fields.insert(name, Value::Array(vec![value]));
        }
        None => {
            fields.insert(name, value);
        }
    }
}

fn float(number: f64) -> Value {
    serde_json::Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number)
}
