//! Arrays: Postgres' literal, element by element.

use super::Unfit;
use super::clock::{self, DAY_MILLIS};
use super::scalar::Scalar;
use crate::options::TypeOptions;
use crate::value::Value;

/// What 2.4.2 does to elements and not to scalars of the same type.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Elements {
    /// Of a type that 2.4.2 has a placeholder for.
    pub(super) placeholder: bool,
    /// Times of at most three digits, which do not fit the schema of their own array.
    pub(super) short_time: bool,
    /// An element may not be null.
    pub(super) required: bool,
}

/// What it makes of `-infinity` in an array of timestamps with zone.
const NEGATIVE_INFINITY: &str = "+292269055-12-02T23:00:00.000000Z";

/// An element: null, text, or an array of its own.
enum Item {
    Null,
    Text(Vec<u8>),
    Nested(Vec<Item>, Vec<u8>),
}

pub(super) fn convert(
    element: &Scalar,
    elements: Elements,
    text: &[u8],
    options: &TypeOptions,
) -> Result<Value, Unfit> {
    let mut at = text.iter().position(|byte| *byte == b'{').ok_or(Unfit)?;
    let items = parse(text, &mut at).ok_or(Unfit)?;
    if options.oddities && elements.short_time && !items.is_empty() {
        return Err(Unfit);
    }
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        append(&mut values, *element, elements, item, options)?;
    }
    Ok(Value::Array(values))
}

fn append(
    values: &mut Vec<Value>,
    element: Scalar,
    elements: Elements,
    item: Item,
    options: &TypeOptions,
) -> Result<(), Unfit> {
    match item {
        Item::Null if elements.required => return Err(Unfit),
        Item::Null => values.push(Value::Null),
        Item::Nested(_, raw) if options.oddities => values.push(match element {
            Scalar::Text | Scalar::Json | Scalar::Uuid => Value::Str(format!("[Ljava.lang.String;@{:x}", raw.len())),
            _ => Value::Null,
        }),
        Item::Nested(items, _) => {
            for item in items {
                append(values, element, elements, item, options)?;
            }
        }
        Item::Text(text) if options.oddities => values.push(odd(element, &text, options)?),
        Item::Text(text) => values.push(element.convert(&text, options)?),
    }
    Ok(())
}

/// An element as 2.4.2 reads it, through `java.sql` types.
fn odd(element: Scalar, text: &[u8], options: &TypeOptions) -> Result<Value, Unfit> {
    match (element, text) {
        (Scalar::TimestampTz(_), b"-infinity") => Ok(Value::text(NEGATIVE_INFINITY)),
        (Scalar::TimeMicros, _) => {
            let millis = clock::time(text).ok_or(Unfit)? / 1000;
            Ok(Value::Int(millis % DAY_MILLIS * 1000))
        }
        (Scalar::TimeTz, _) => {
            let micros = clock::time_with_zone(text).ok_or(Unfit)?;
            Ok(Value::Str(clock::zoned_time_text(micros / 1_000_000 * 1_000_000)))
        }
        (Scalar::Date | Scalar::TimestampMillis | Scalar::TimestampMicros | Scalar::TimestampTz(_), _) => {
            element.through_jdbc(text)
        }
        _ => element.convert(text, options),
    }
}

/// The items of the literal that opens at `at`.
fn parse(text: &[u8], at: &mut usize) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    *at += 1;
    loop {
        match text.get(*at)? {
            b'}' => {
                *at += 1;
                return Some(items);
            }
            b',' => *at += 1,
            b'{' => {
                let start = *at;
                let nested = parse(text, at)?;
                items.push(Item::Nested(nested, text.get(start..*at)?.to_vec()));
            }
            b'"' => {
                *at += 1;
                items.push(Item::Text(quoted(text, at)?));
            }
            _ => {
                let start = *at;
                while !matches!(text.get(*at)?, b',' | b'}') {
                    *at += 1;
                }
                let word = text.get(start..*at)?;
                items.push(if word == b"NULL" { Item::Null } else { Item::Text(word.to_vec()) });
            }
        }
    }
}

fn quoted(text: &[u8], at: &mut usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        match text.get(*at)? {
            b'"' => {
                *at += 1;
                return Some(out);
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
