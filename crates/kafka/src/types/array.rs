//! Arrays: Postgres' literal, element by element.

use super::clock::{self, DAY_MILLIS};
use super::scalar::Scalar;
use super::{Unfit, scalar};
use crate::options::TypeOptions;
use crate::value::Value;

/// What 2.4.2 does to elements and not to scalars of the same type.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Elements {
    /// Dates, whose infinities come out as other numbers.
    pub(super) date_like: bool,
    /// Times of at most three digits, which do not fit the schema of their own array.
    pub(super) short_time: bool,
    /// An element may not be null.
    pub(super) required: bool,
}

/// Days that Debezium's reading of an infinite date in an array comes to.
const INFINITY_DAYS: i64 = -622_191_234;
const NEGATIVE_INFINITY_DAYS: i64 = -625_821_272;
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
        Item::Text(text) if options.oddities => values.push(odd(element, elements, &text, options)?),
        Item::Text(text) => values.push(element.convert(&text, options)?),
    }
    Ok(())
}

/// An element as 2.4.2 reads it, through `java.sql` types.
fn odd(element: Scalar, elements: Elements, text: &[u8], options: &TypeOptions) -> Result<Value, Unfit> {
    match (element, text) {
        (Scalar::Date, b"infinity") if elements.date_like => Ok(Value::Int(INFINITY_DAYS)),
        (Scalar::Date, b"-infinity") if elements.date_like => Ok(Value::Int(NEGATIVE_INFINITY_DAYS)),
        (Scalar::TimestampTz(_), b"-infinity") => Ok(Value::text(NEGATIVE_INFINITY)),
        (Scalar::TimeMicros, _) => {
            let millis = clock::time(text).ok_or(Unfit)? / 1000;
            Ok(Value::Int(millis % DAY_MILLIS * 1000))
        }
        (Scalar::TimeTz, _) => {
            let micros = clock::time_with_zone(text).ok_or(Unfit)?;
            Ok(Value::Str(clock::zoned_time_text(micros / 1_000_000 * 1_000_000)))
        }
        (Scalar::VariableDecimal, _) => {
            let decimal = crate::java::decimal::Decimal::parse(text).ok_or(Unfit)?;
            Ok(scalar::variable_decimal(decimal))
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
