//! How Connect's JSON converter writes a column, told from the column's Connect schema.

use serde_json::Value;
use walhouse_value::{Class, PgType};

/// How binary values are written (`binary.handling.mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// As bytes, which JSON has in base64.
    Base64,
    /// In base64 without `+` and `/`.
    Base64Url,
    /// In hexadecimal digits.
    Hex,
}

/// The JSON of one column's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// A string that is the value's text.
    Text,
    /// `true`, `false`.
    Bool,
    /// A boolean that is a bit.
    BitFlag,
    /// A number whose digits are the value's text.
    Number,
    /// A decimal as a number or as text, with names for what is no number.
    DecimalText,
    /// Base64 of an unscaled integer, its last digits after the point.
    Decimal {
        /// How many.
        scale: u32,
    },
    /// `{"scale": s, "value": base64}`
    VariableDecimal,
    /// Days since 1970.
    Days,
    /// Time of day.
    Time(Unit),
    /// Since 1970, without a zone.
    Timestamp(Unit),
    /// ISO 8601 in UTC, ending in `Z`.
    ZonedTimestamp,
    /// `HH:MM:SS[.f]Z`
    ZonedTime,
    /// An interval as a number of microseconds.
    IntervalMicros,
    /// An interval as `P1Y2M3DT4H5M6.7S`.
    IntervalText,
    /// Bytes.
    Bytes(Binary),
    /// Bits in base64, the last byte first; as many as the column has, or as its highest one needs.
    Bits(Option<u32>),
    /// `{"x": x, "y": y, ..}`
    Point,
    /// `{"wkb": base64, ..}`
    Geometry,
    /// A JSON object (or its text) of hstore's entries.
    Hstore,
    /// The text of a type that Debezium does not know, as bytes.
    Unknown(Binary),
    /// A JSON array.
    Array(Box<Wire>),
}

/// What a number that tells time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Thousandths of a second.
    Millis,
    /// Millionths.
    Micros,
}

impl Wire {
    /// From a column's Connect schema as it stands in messages (`{"type":"int64","name":".."}`), its Postgres
    /// type, how binary values are written, and whether decimals are JSON numbers. None for a schema that no
    /// version of Debezium gives.
    #[must_use]
    pub fn of(schema: &Value, ty: &PgType, binary: Binary, numbers: bool) -> Option<Self> {
        let kind = schema.get("type")?.as_str()?;
        let name = schema.get("name").and_then(Value::as_str).unwrap_or_default();
        let parameter = |key: &str| schema.get("parameters")?.get(key)?.as_str()?.parse().ok();
        let base = ty.base();
        if kind == "array" {
            let element = match &base.class {
                Class::Array(element) => element,
                _ => base,
            };
            return Some(Self::Array(Box::new(Self::of(schema.get("items")?, element, binary, numbers)?)));
        }
        let short = name.rsplit('.').next().unwrap_or_default();
        Some(match (kind, short) {
            (_, "Decimal") if numbers => Self::DecimalText,
            (_, "Decimal") => Self::Decimal { scale: parameter("scale")? },
            ("struct", "VariableScaleDecimal") => Self::VariableDecimal,
            ("struct", "Point") => Self::Point,
            ("struct", "Geometry" | "Geography") => Self::Geometry,
            ("map", _) => Self::Hstore,
            ("string", "Json") if is_hstore(base) => Self::Hstore,
            (_, "Date") => Self::Days,
            (_, "Time") => Self::Time(Unit::Millis),
            (_, "MicroTime") => Self::Time(Unit::Micros),
            (_, "Timestamp") => Self::Timestamp(Unit::Millis),
            (_, "MicroTimestamp") => Self::Timestamp(Unit::Micros),
            (_, "ZonedTimestamp") => Self::ZonedTimestamp,
            (_, "ZonedTime") => Self::ZonedTime,
            (_, "MicroDuration") => Self::IntervalMicros,
            (_, "Interval") => Self::IntervalText,
            (_, "Bits") => {
                let length = parameter("length").filter(|_| matches!(base.class, Class::Bit));
                Self::Bits(length)
            }
            ("boolean", _) if matches!(base.class, Class::Bit | Class::VarBit) => Self::BitFlag,
            ("boolean", _) => Self::Bool,
            ("bytes", _) if matches!(base.class, Class::Bytea) => Self::Bytes(binary),
            ("bytes", _) => Self::Unknown(binary),
            ("string", "") if matches!(base.class, Class::Bytea) => Self::Bytes(binary),
            (_, "") if is_decimal(base) => Self::DecimalText,
            ("int8" | "int16" | "int32" | "int64" | "float" | "double", _) => Self::Number,
            ("string", _) => Self::Text,
            _ => return None,
        })
    }

    /// True for a decimal that may be a JSON number, which JSON's readers round to a double.
    pub(super) fn may_be_rounded(&self) -> bool {
        matches!(self, Self::DecimalText)
    }
}

fn is_decimal(ty: &PgType) -> bool {
    matches!(ty.class, Class::Numeric { .. } | Class::NumericUnbounded | Class::Money)
}

fn is_hstore(ty: &PgType) -> bool {
    ty.name.trim_matches('"').rsplit('.').next() == Some("hstore")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_tell() {
        let of = |schema: Value, oid: u32| Wire::of(&schema, &PgType::builtin(oid, -1).unwrap(), Binary::Hex, false);
        let decimal =
            json!({"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "2"}});
        assert_eq!(of(decimal, 1700), Some(Wire::Decimal { scale: 2 }));
        assert_eq!(of(json!({"type": "double"}), 1700), Some(Wire::DecimalText));
        assert_eq!(of(json!({"type": "double"}), 701), Some(Wire::Number));
        assert_eq!(of(json!({"type": "string"}), 17), Some(Wire::Bytes(Binary::Hex)));
        assert_eq!(of(json!({"type": "int32", "name": "org.apache.kafka.connect.data.Date"}), 1082), Some(Wire::Days));
        let items = json!({"type": "array", "items": {"type": "int64", "name": "io.debezium.time.MicroTimestamp"}});
        assert_eq!(of(items, 1115), Some(Wire::Array(Box::new(Wire::Timestamp(Unit::Micros)))));
        assert_eq!(of(json!({"type": "union"}), 25), None);
    }
}
