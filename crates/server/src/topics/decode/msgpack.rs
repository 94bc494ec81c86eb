//! MessagePack to JSON.

use serde_json::{Map, Value, json};

use super::MOST_DEPTH;
use super::cursor::Cursor;

/// One value that fills `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, String> {
    let mut cursor = Cursor::new(bytes);
    let value = value(&mut cursor, 0)?;
    if cursor.is_empty() { Ok(value) } else { Err(format!("{} bytes follow its value", cursor.len())) }
}

fn value(cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, String> {
    if depth > MOST_DEPTH {
        return Err("it is nested too deep".to_owned());
    }
    cursor.count_value()?;
    let tag = cursor.byte()?;
    Ok(match tag {
        0x00..=0x7f => tag.into(),
        0x80..=0x8f => map(cursor, usize::from(tag & 0x0f), depth)?,
        0x90..=0x9f => array(cursor, usize::from(tag & 0x0f), depth)?,
        0xa0..=0xbf => text(cursor, usize::from(tag & 0x1f))?,
        0xc0 => Value::Null,
        0xc2 => false.into(),
        0xc3 => true.into(),
        0xc4..=0xc6 => {
            let length = length(cursor, tag - 0xc4)?;
            hex(cursor.take(length)?)
        }
        0xc7..=0xc9 => {
            let length = length(cursor, tag - 0xc7)?;
            extension(cursor, length)?
        }
        0xca => float(f64::from(f32::from_be_bytes(cursor.array()?))),
        0xcb => float(f64::from_be_bytes(cursor.array()?)),
        0xcc => cursor.byte()?.into(),
        0xcd => u16::from_be_bytes(cursor.array()?).into(),
        0xce => u32::from_be_bytes(cursor.array()?).into(),
        0xcf => u64::from_be_bytes(cursor.array()?).into(),
        0xd0 => i8::from_be_bytes(cursor.array()?).into(),
        0xd1 => i16::from_be_bytes(cursor.array()?).into(),
        0xd2 => i32::from_be_bytes(cursor.array()?).into(),
        0xd3 => i64::from_be_bytes(cursor.array()?).into(),
        0xd4..=0xd8 => extension(cursor, 1 << (tag - 0xd4))?,
        0xd9..=0xdb => {
            let length = length(cursor, tag - 0xd9)?;
            text(cursor, length)?
        }
        0xdc | 0xdd => {
            let length = length(cursor, tag - 0xdc + 1)?;
            array(cursor, length, depth)?
        }
        0xde | 0xdf => {
            let length = length(cursor, tag - 0xde + 1)?;
            map(cursor, length, depth)?
        }
        0xe0..=0xff => (tag as i8).into(),
        0xc1 => return Err("it holds a byte that means nothing".to_owned()),
    })
}

/// A length of 1, 2 or 4 bytes for `size` 0, 1, 2.
fn length(cursor: &mut Cursor<'_>, size: u8) -> Result<usize, String> {
    Ok(match size {
        0 => cursor.byte()?.into(),
        1 => u16::from_be_bytes(cursor.array()?).into(),
        _ => u32::from_be_bytes(cursor.array()?) as usize,
    })
}

fn array(cursor: &mut Cursor<'_>, length: usize, depth: usize) -> Result<Value, String> {
    // Each value takes a byte at least: a wrong length does not make us reserve memory.
    (0..length).map(|_| value(cursor, depth + 1)).collect()
}

fn map(cursor: &mut Cursor<'_>, length: usize, depth: usize) -> Result<Value, String> {
    let mut fields = Map::new();
    for _ in 0..length {
        let name = match value(cursor, depth + 1)? {
            Value::String(text) => text,
            other => other.to_string(),
        };
        fields.insert(name, value(cursor, depth + 1)?);
    }
    Ok(Value::Object(fields))
}

fn text(cursor: &mut Cursor<'_>, length: usize) -> Result<Value, String> {
    Ok(String::from_utf8_lossy(cursor.take(length)?).into_owned().into())
}

fn extension(cursor: &mut Cursor<'_>, length: usize) -> Result<Value, String> {
    let kind = cursor.byte()? as i8;
    let data = cursor.take(length)?;
    let seconds = match (kind, data) {
        // Timestamps, in their three lengths.
        (-1, [a, b, c, d]) => Some((i64::from(u32::from_be_bytes([*a, *b, *c, *d])), 0)),
        (-1, data) if data.len() == 8 => {
            let number = data.iter().fold(0_u64, |number, &byte| (number << 8) | u64::from(byte));
            Some(((number & 0x3_ffff_ffff) as i64, (number >> 34) as u32))
        }
        _ => None,
    };
    Ok(match seconds {
        Some((seconds, nanos)) => json!({ "timestamp": seconds, "nanos": nanos }),
        None => json!({ "extension": kind, "data": hex(data) }),
    })
}

fn hex(bytes: &[u8]) -> Value {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// JSON has no NaN and no infinities.
fn float(number: f64) -> Value {
    serde_json::Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number)
}
