//! Values as a person reads them, where a schema says what a number means.
//!
//! What does not fit (a date beyond the year 9999, say) stays as it came: nothing is hidden, rounded or guessed.

use serde_json::{Map, Value};
use time::format_description::FormatItem;
use time::macros::{date, format_description};
use time::{Duration, OffsetDateTime};

const DATE: &[FormatItem<'static>] = format_description!("[year]-[month]-[day]");
const SECONDS: &[FormatItem<'static>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

/// How Debezium writes the infinities in microseconds: Postgres' own bounds.
const INFINITIES: [(i64, &str); 2] =
    [(9_223_372_036_825_200_000, "infinity"), (-9_223_372_036_832_400_000, "-infinity")];

/// The value with everything in it that `schema` (as Kafka Connect writes it) gives a meaning.
pub(super) fn readable(schema: &Value, value: Value) -> Value {
    let name = schema.get("name").and_then(Value::as_str).unwrap_or_default();
    match value {
        Value::Object(object) if name == "io.debezium.data.VariableScaleDecimal" => variable_scale(object),
        Value::Object(object) => Value::Object(fields(schema, object)),
        Value::Array(items) => {
            let Some(inner) = schema.get("items") else { return Value::Array(items) };
            items.into_iter().map(|item| readable(inner, item)).collect()
        }
        Value::Number(number) => number.as_i64().and_then(|number| moment(name, number)).map_or(number.into(), text),
        Value::String(digits) if name == "org.apache.kafka.connect.data.Decimal" => {
            let scale = schema.get("parameters").and_then(|all| all.get("scale")?.as_str()?.parse().ok());
            let number = scale.and_then(|scale| decimal(&digits, scale));
            text(number.unwrap_or(digits))
        }
        other => other,
    }
}

fn fields(schema: &Value, object: Map<String, Value>) -> Map<String, Value> {
    let known = schema.get("fields").and_then(Value::as_array);
    let of = |name: &str| known?.iter().find(|field| field.get("field").and_then(Value::as_str) == Some(name));
    let one = |(name, value): (String, Value)| match of(&name) {
        Some(inner) => (name, readable(inner, value)),
        None => (name, value),
    };
    object.into_iter().map(one).collect()
}

fn text(text: String) -> Value {
    Value::String(text)
}

fn variable_scale(object: Map<String, Value>) -> Value {
    let scale = object.get("scale").and_then(Value::as_u64).and_then(|scale| usize::try_from(scale).ok());
    let digits = object.get("value").and_then(Value::as_str);
    let number = scale.zip(digits).and_then(|(scale, digits)| decimal(digits, scale));
    number.map_or(Value::Object(object), text)
}

/// A number that a schema of this name calls a moment, a date or a time of day.
fn moment(name: &str, number: i64) -> Option<String> {
    let nanos = |unit: i128| i128::from(number).checked_mul(unit);
    match name {
        "io.debezium.time.Date" | "org.apache.kafka.connect.data.Date" => {
            date!(1970 - 01 - 01).checked_add(Duration::seconds(number.checked_mul(86_400)?))?.format(DATE).ok()
        }
        "io.debezium.time.MicroTimestamp" => {
            let infinity = INFINITIES.iter().find(|(bound, _)| *bound == number);
            infinity.map(|(_, text)| (*text).to_owned()).or_else(|| timestamp(nanos(1_000)?, 6))
        }
        "io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp" => timestamp(nanos(1_000_000)?, 3),
        "io.debezium.time.NanoTimestamp" => timestamp(nanos(1)?, 9),
        "io.debezium.time.MicroTime" => time_of_day(nanos(1_000)?, 6),
        "io.debezium.time.Time" | "org.apache.kafka.connect.data.Time" => time_of_day(nanos(1_000_000)?, 3),
        "io.debezium.time.NanoTime" => time_of_day(nanos(1)?, 9),
        _ => None,
    }
}

fn timestamp(nanos: i128, digits: usize) -> Option<String> {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
    Some(moment.format(SECONDS).ok()? + &fraction(moment.nanosecond().into(), digits))
}

/// Not over 24:00:00, which Postgres has.
fn time_of_day(nanos: i128, digits: usize) -> Option<String> {
    let (seconds, rest) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    if !(0..=86_400).contains(&seconds) {
        return None;
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let fraction = fraction(rest.unsigned_abs(), digits);
    Some(format!("{hours:02}:{minutes:02}:{:02}{fraction}", seconds % 60))
}

/// `.123` of so many digits, nothing for a whole second.
fn fraction(nanos: u128, digits: usize) -> String {
    if nanos == 0 {
        return String::new();
    }
    let all = format!("{nanos:09}");
    format!(".{}", all.get(..digits).unwrap_or(&all))
}

/// Beyond what Postgres' numeric can hold.
const MAX_SCALE: usize = 20_000;

/// A decimal of Kafka Connect: the unscaled number's bytes, in base 64. None beyond 16 bytes.
fn decimal(text: &str, scale: usize) -> Option<String> {
    let bytes = base64(text)?;
    let negative = bytes.first()? & 0x80 != 0;
    if bytes.len() > 16 || scale > MAX_SCALE {
        return None;
    }
    let start = if negative { -1_i128 } else { 0 };
    let number = bytes.iter().fold(start, |number, byte| number << 8 | i128::from(*byte));
    let digits = format!("{:0width$}", number.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if negative { "-" } else { "" };
    Some(if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let digit = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(name: &str, value: Value) -> Value {
        let schema = json!({"type": "struct", "fields": [{"field": "a", "name": name, "parameters": {"scale": "2"}}]});
        readable(&schema, json!({"a": value, "b": 1}))["a"].clone()
    }

    #[test]
    fn moments() {
        assert_eq!(with("io.debezium.time.Date", json!(19_000)), json!("2022-01-08"));
        assert_eq!(
            with("io.debezium.time.MicroTimestamp", json!(1_700_000_000_123_456_i64)),
            json!("2023-11-14 22:13:20.123456")
        );
        assert_eq!(with("io.debezium.time.MicroTimestamp", json!(9_223_372_036_825_200_000_i64)), json!("infinity"));
        assert_eq!(with("io.debezium.time.Timestamp", json!(-1)), json!("1969-12-31 23:59:59.999"));
        assert_eq!(with("io.debezium.time.MicroTime", json!(86_400_000_000_i64)), json!("24:00:00"));
        assert_eq!(with("io.debezium.time.Time", json!(1_005)), json!("00:00:01.005"));
        assert_eq!(with("org.apache.kafka.connect.data.Date", Value::Null), Value::Null);
    }

    #[test]
    fn what_does_not_fit_stays() {
        for (name, number) in [("io.debezium.time.Date", i64::MAX), ("io.debezium.time.Timestamp", i64::MIN)] {
            assert_eq!(with(name, json!(number)), json!(number));
        }
        assert_eq!(with("io.debezium.time.MicroTime", json!(-1)), json!(-1));
        assert_eq!(with("", json!(5)), json!(5));
        assert_eq!(with("org.apache.kafka.connect.data.Decimal", json!("?")), json!("?"));
    }

    #[test]
    fn decimals() {
        assert_eq!(with("org.apache.kafka.connect.data.Decimal", json!("MDk=")), json!("123.45"));
        assert_eq!(with("org.apache.kafka.connect.data.Decimal", json!("/w==")), json!("-0.01"));
        let variable = json!({"scale": 1, "value": "fQ=="});
        assert_eq!(with("io.debezium.data.VariableScaleDecimal", variable), json!("12.5"));
    }
}
