//! Bytes of keys and values as something to read. Nothing here fails or panics on any bytes: what
//! does not fit the format that was asked for is shown as text or hexadecimal, with the reason.

mod avro;
mod cursor;
mod msgpack;
mod protobuf;
mod schemas;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::ports::Registry;

pub(crate) use schemas::Schemas;

/// More of one text is not sent to a browser.
const MOST_TEXT: usize = 256 << 10;
/// More of one value is not decoded: it is shown as the start of a text.
const MOST_DECODED: usize = 16 << 20;
/// Deeper values are refused: each level is a level of recursion here and in the browser.
const MOST_DEPTH: usize = 64;

/// How bytes are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Whatever fits: JSON, Avro or Protobuf of a schema registry, text, else hexadecimal.
    #[default]
    Auto,
    /// UTF-8.
    Text,
    /// JSON.
    Json,
    /// A big-endian integer of 1, 2, 4 or 8 bytes.
    Int,
    /// Avro with the id of its schema in a registry.
    Avro,
    /// Protobuf with the id of its schema in a registry; without one, by field numbers.
    Protobuf,
    /// MessagePack.
    Msgpack,
    /// Hexadecimal digits.
    Hex,
}

/// Bytes as something to read.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Decoded {
    /// As what they were read.
    pub format: Format,
    /// How many bytes there are.
    pub size: usize,
    /// As text: JSON as it was written, the others in words.
    pub text: String,
    /// The text is only the beginning.
    pub truncated: bool,
    /// As JSON, where they have a structure. Integers beyond 53 bits are strings.
    #[schema(value_type = Option<Object>)]
    pub json: Option<Value>,
    /// Why they could not be read as was asked.
    pub error: Option<String>,
}

impl Decoded {
    fn text(format: Format, bytes: &[u8], text: &str) -> Self {
        let (text, truncated) = cut(text);
        Self { format, size: bytes.len(), text: text.to_owned(), truncated, json: None, error: None }
    }

    fn structured(format: Format, bytes: &[u8], text: Option<&str>, value: Value) -> Self {
        let written = text.map_or_else(|| value.to_string(), str::to_owned);
        Self { json: Some(tamed(value)), ..Self::text(format, bytes, &written) }
    }

    fn plain(bytes: &[u8]) -> Self {
        match std::str::from_utf8(head(bytes)) {
            Ok(text) if is_readable(text) => Self::text(Format::Text, bytes, text),
            // The cut may go through a letter.
            Err(error) if error.error_len().is_none() => {
                let end = error.valid_up_to();
                Self::plain(bytes.get(..end).unwrap_or_default()).of_size(bytes.len())
            }
            _ => Self::hex(bytes),
        }
    }

    fn of_size(mut self, size: usize) -> Self {
        self.truncated |= self.size < size;
        self.size = size;
        self
    }

    fn hex(bytes: &[u8]) -> Self {
        let shown = bytes.iter().take(MOST_TEXT / 2).map(|byte| format!("{byte:02x}")).collect::<String>();
        let truncated = shown.len() < bytes.len() * 2;
        Self { truncated, ..Self::text(Format::Hex, bytes, &shown) }
    }

    fn because(mut self, error: impl Into<String>) -> Self {
        self.error = Some(error.into());
        self
    }
}

/// Reads `bytes` as `format`.
pub(crate) async fn decode(
    format: Format,
    bytes: &[u8],
    schemas: &Schemas,
    registry: Option<&dyn Registry>,
) -> Decoded {
    if bytes.len() > MOST_DECODED {
        return Decoded::plain(head(bytes)).of_size(bytes.len());
    }
    match format {
        Format::Auto => automatic(bytes, schemas, registry).await,
        Format::Text => Decoded::text(Format::Text, bytes, &String::from_utf8_lossy(bytes)),
        Format::Hex => Decoded::hex(bytes),
        Format::Json => json(bytes).unwrap_or_else(|error| Decoded::plain(bytes).because(error)),
        Format::Int => integer(bytes).unwrap_or_else(|| {
            Decoded::hex(bytes).because(format!("{} bytes are no integer of 1, 2, 4 or 8 bytes", bytes.len()))
        }),
        Format::Msgpack => match msgpack::decode(bytes) {
            Ok(value) => Decoded::structured(format, bytes, None, value),
            Err(error) => Decoded::plain(bytes).because(error),
        },
        Format::Avro | Format::Protobuf => match registered(format, bytes, schemas, registry).await {
            Ok(decoded) => decoded,
            Err(_) if format == Format::Protobuf && protobuf::by_number(bytes).is_ok() => {
                let value = protobuf::by_number(bytes).unwrap_or_default();
                Decoded::structured(format, bytes, None, value)
            }
            Err(error) => Decoded::plain(bytes).because(error),
        },
    }
}

async fn automatic(bytes: &[u8], schemas: &Schemas, registry: Option<&dyn Registry>) -> Decoded {
    let looks = |first: u8| first.is_ascii_digit() || b"{[\"-tfn".contains(&first);
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|&first| looks(first))
        && let Ok(decoded) = json(bytes)
    {
        return decoded;
    }
    if bytes.first() == Some(&0)
        && registry.is_some()
        && let Ok(decoded) = registered(Format::Auto, bytes, schemas, registry).await
    {
        return decoded;
    }
    Decoded::plain(bytes)
}

/// A zero byte, four bytes of a schema's id, then the value.
async fn registered(
    format: Format,
    bytes: &[u8],
    schemas: &Schemas,
    registry: Option<&dyn Registry>,
) -> Result<Decoded, String> {
    let registry = registry.ok_or("no schema registry is configured")?;
    let [0, a, b, c, d, value @ ..] = bytes else {
        return Err("it does not begin with the id of a schema".to_owned());
    };
    let schema = schemas.find(u32::from_be_bytes([*a, *b, *c, *d]), registry).await?;
    let (found, value) = schema.decode(value)?;
    if format != Format::Auto && format != found {
        return Err("its schema is of another kind".to_owned());
    }
    Ok(Decoded::structured(found, bytes, None, value))
}

fn json(bytes: &[u8]) -> Result<Decoded, String> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| format!("it is no JSON: {:?} error at column {}", error.classify(), error.column()))?;
    let text = String::from_utf8_lossy(bytes);
    Ok(Decoded::structured(Format::Json, bytes, Some(&text), value))
}

fn integer(bytes: &[u8]) -> Option<Decoded> {
    let number = match bytes.len() {
        1 | 2 | 4 | 8 => {
            let first = bytes.first().copied().map(|byte| i64::from(byte as i8))?;
            bytes.iter().skip(1).fold(first, |number, &byte| (number << 8) | i64::from(byte))
        }
        _ => return None,
    };
    Some(Decoded::structured(Format::Int, bytes, None, number.into()))
}

/// JavaScript rounds integers beyond 53 bits: they become strings.
pub(crate) fn tamed(value: Value) -> Value {
    const EXACT: u64 = 1 << 53;
    match value {
        Value::Number(number) => {
            let magnitude = number.as_i64().map(i64::unsigned_abs).or_else(|| number.as_u64());
            if magnitude.is_some_and(|magnitude| magnitude > EXACT) {
                Value::String(number.to_string())
            } else {
                Value::Number(number)
            }
        }
        Value::Array(values) => values.into_iter().map(tamed).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, tamed(value))).collect(),
        other => other,
    }
}

fn head(bytes: &[u8]) -> &[u8] {
    bytes.get(..MOST_TEXT.min(bytes.len())).unwrap_or_default()
}

fn cut(text: &str) -> (&str, bool) {
    if text.len() <= MOST_TEXT {
        return (text, false);
    }
    let end = (0..=MOST_TEXT).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    (text.get(..end).unwrap_or_default(), true)
}

/// Without control characters beyond those of text.
fn is_readable(text: &str) -> bool {
    !text.chars().any(|char| char.is_control() && !matches!(char, '\n' | '\r' | '\t'))
}

#[cfg(test)]
mod tests;
