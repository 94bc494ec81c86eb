//! Points, geometries and hstore: values with parts.

use super::Unfit;
use crate::java::{float, hash};
use crate::json;
use crate::schema::{self, Field, Schema, Type};
use crate::value::Value;

fn optional(schema: Schema) -> Schema {
    schema.optional(true)
}

pub(super) fn point_schema() -> Schema {
    Schema::record(vec![
        Field::new("x", Schema::new(Type::Double)),
        Field::new("y", Schema::new(Type::Double)),
        Field::new("wkb", optional(schema::bytes())),
        Field::new("srid", optional(schema::int32())),
    ])
    .semantic("io.debezium.data.geometry.Point")
    .doc("Geometry (POINT)")
}

/// PostGIS' types, optional whatever the column is.
pub(super) fn geometry_schema(kind: &str) -> Schema {
    let fields = vec![Field::new("wkb", schema::bytes()), Field::new("srid", optional(schema::int32()))];
    let schema = Schema::record(fields).semantic(&format!("io.debezium.data.geometry.{kind}"));
    optional(if kind == "Geometry" { schema.doc("Geometry") } else { schema.doc("Geography") })
}

/// `(x,y)`.
pub(super) fn point(text: &[u8]) -> Result<Value, Unfit> {
    let inner = text.strip_prefix(b"(").and_then(|text| text.strip_suffix(b")")).ok_or(Unfit)?;
    let (x, y) = std::str::from_utf8(inner).ok().and_then(|text| text.split_once(',')).ok_or(Unfit)?;
    let (x, y): (f64, f64) = (x.parse().map_err(|_| Unfit)?, y.parse().map_err(|_| Unfit)?);
    let mut wkb = vec![1, 1, 0, 0, 0];
    wkb.extend_from_slice(&x.to_le_bytes());
    wkb.extend_from_slice(&y.to_le_bytes());
    Ok(Value::Struct(vec![Value::Double(x), Value::Double(y), Value::Bytes(wkb), Value::Null]))
}

/// Hexadecimal EWKB; it is kept as it is, its SRID is read beside.
pub(super) fn geometry(text: &[u8]) -> Result<Value, Unfit> {
    let nibble = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(nibble(high)? << 4 | nibble(low)?),
        _ => None,
    };
    let wkb: Vec<u8> = text.chunks(2).map(pair).collect::<Option<_>>().ok_or(Unfit)?;
    let word = |at: usize| {
        let bytes: [u8; 4] = wkb.get(at..at + 4)?.try_into().ok()?;
        Some(if wkb.first() == Some(&0) { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    };
    /// Flag of EWKB's type word: an SRID follows.
    const HAS_SRID: u32 = 0x2000_0000;
    let kind = word(1).ok_or(Unfit)?;
    let srid = if kind & HAS_SRID == 0 { None } else { word(5) };
    let srid = srid.map_or(Value::Null, |srid| Value::Int(i64::from(srid)));
    Ok(Value::Struct(vec![Value::Bytes(wkb), srid]))
}

/// An empty collection.
pub(super) fn empty_geometry() -> Value {
    Value::Struct(vec![Value::Bytes(vec![1, 7, 0, 0, 0, 0, 0, 0, 0]), Value::Null])
}

/// Numbers of a geometric type's text, printed as doubles by Java.
pub(super) fn java_numbers(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 2);
    let mut number = Vec::new();
    let flush = |out: &mut Vec<u8>, number: &mut Vec<u8>| {
        if number.is_empty() {
            return;
        }
        match std::str::from_utf8(number).ok().and_then(|text| text.parse::<f64>().ok()) {
            Some(value) => out.extend_from_slice(float::double(value).as_bytes()),
            None => out.extend_from_slice(number),
        }
        number.clear();
    };
    for byte in text {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+') {
            number.push(*byte);
        } else {
            flush(&mut out, &mut number);
            out.push(*byte);
        }
    }
    flush(&mut out, &mut number);
    out
}

/// `"k"=>"v", "n"=>NULL` in the order of Java's map.
fn hstore(text: &[u8]) -> Result<Vec<(String, Option<String>)>, Unfit> {
    let mut entries = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let key = quoted(text, &mut at).ok_or(Unfit)?;
        if text.get(at..at + 2) != Some(b"=>") {
            return Err(Unfit);
        }
        at += 2;
        if text.get(at..at + 4) == Some(b"NULL") {
            at += 4;
            entries.push((key, None));
        } else {
            entries.push((key, Some(quoted(text, &mut at).ok_or(Unfit)?)));
        }
        if text.get(at..at + 2) == Some(b", ") {
            at += 2;
        } else if at < text.len() {
            return Err(Unfit);
        }
    }
    hash::hash_map_order(&mut entries, |(key, _)| key);
    Ok(entries)
}

fn quoted(text: &[u8], at: &mut usize) -> Option<String> {
    if text.get(*at) != Some(&b'"') {
        return None;
    }
    *at += 1;
    let mut out = Vec::new();
    loop {
        match text.get(*at)? {
            b'"' => {
                *at += 1;
                return String::from_utf8(out).ok();
            }
            b'\\' => {
                out.push(*text.get(*at + 1)?);
                *at += 2;
            }
            byte => {
                out.push(*byte);
                *at += 1;
            }
        }
    }
}

/// One member of a JSON object.
pub(super) fn append_json_entry(out: &mut Vec<u8>, key: &str, value: Option<&str>) {
    json::append_string(out, key);
    out.push(b':');
    match value {
        Some(value) => json::append_string(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

pub(super) fn hstore_json(text: &[u8]) -> Result<Value, Unfit> {
    let mut out = vec![b'{'];
    for (index, (key, value)) in hstore(text)?.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        append_json_entry(&mut out, key, value.as_deref());
    }
    out.push(b'}');
    String::from_utf8(out).map(Value::Str).map_err(|_| Unfit)
}

pub(super) fn hstore_map(text: &[u8]) -> Result<Value, Unfit> {
    let entry = |(key, value): (String, Option<String>)| (key, value.map_or(Value::Null, Value::Str));
    Ok(Value::Map(hstore(text)?.into_iter().map(entry).collect()))
}
