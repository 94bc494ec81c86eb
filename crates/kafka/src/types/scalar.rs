//! Types that are not arrays: their schemas, conversions and fallbacks.

use walhouse_value::{Class, PgType};

use super::clock::{self, Interval};
use super::{Unfit, shape};
use crate::java::decimal::Decimal;
use crate::java::{base64, digest, float};
use crate::options::{BinaryMode, DecimalMode, TimeMode, TypeOptions};
use crate::schema::{self, Field, Schema, Type};
use crate::text::{CONNECT_DATE, CONNECT_TIME, CONNECT_TIMESTAMP};
use crate::value::Value;

const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";

/// Conversion of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Bool,
    Int,
    Float,
    Double,
    /// A decimal of this scale.
    Decimal(i32),
    VariableDecimal,
    NumericDouble,
    /// Plain text, with this scale if the column has one.
    NumericText(Option<i32>),
    Money(i32),
    MoneyDouble,
    MoneyText(i32),
    Text,
    Json,
    Uuid,
    Bytea,
    BitBool,
    /// `varbit(1)`, null in 2.4.2's snapshots.
    VarBitBool,
    Bits,
    Date,
    TimeMillis,
    TimeMicros,
    TimestampMillis,
    TimestampMicros,
    /// Digits of the fraction.
    TimestampTz(u32),
    TimeTz,
    IntervalMicros,
    IntervalText,
    HstoreJson,
    HstoreMap,
    Point,
    /// A spatial value of PostGIS.
    Geometry,
    /// `name`, which 2.4.2 streams as null.
    Name,
    /// The text of a type that is not mapped.
    Unknown,
    /// The same, of a type whose numbers Java prints anew.
    UnknownGeometric,
}

/// Time and timestamp columns without a modifier have six digits.
fn time_scale(ty: &PgType) -> u32 {
    u32::try_from(ty.typmod).unwrap_or(6)
}

/// The type's name in `pg_type`.
pub(crate) fn type_name(ty: &PgType) -> &str {
    match ty.name.as_str() {
        "boolean" => "bool",
        "smallint" => "int2",
        "integer" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "double precision" => "float8",
        "character" => "bpchar",
        "character varying" => "varchar",
        "\"char\"" => "char",
        "bit varying" => "varbit",
        "time without time zone" => "time",
        "time with time zone" => "timetz",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        other => other.rsplit('.').next().unwrap_or(other).trim_matches('"'),
    }
}

/// Schema (not optional) and conversion; none where the type is not mapped.
pub(super) fn scalar_type(ty: &PgType, options: &TypeOptions) -> Option<(Schema, Scalar)> {
    let plain = |ty, scalar| Some((Schema::new(ty), scalar));
    let text = |name: &str, scalar| Some((schema::string().semantic(name), scalar));
    match &ty.class {
        Class::Bool => plain(Type::Boolean, Scalar::Bool),
        Class::Int2 => plain(Type::Int16, Scalar::Int),
        Class::Int4 => plain(Type::Int32, Scalar::Int),
        Class::Int8 => plain(Type::Int64, Scalar::Int),
        Class::Oid if type_name(ty) == "oid" => plain(Type::Int64, Scalar::Int),
        Class::Float4 => plain(Type::Float, Scalar::Float),
        Class::Float8 => plain(Type::Double, Scalar::Double),
        Class::Numeric { precision, scale } => Some(numeric(*precision, *scale, options)),
        Class::NumericUnbounded => Some(unbounded_numeric(options)),
        Class::Money => Some(money(options)),
        Class::Text if type_name(ty) == "xml" => text("io.debezium.data.Xml", Scalar::Text),
        Class::Text if type_name(ty) == "name" => plain(Type::String, Scalar::Name),
        Class::Text if type_name(ty) == "refcursor" => unknown(options, Scalar::Unknown),
        Class::Text | Class::Bpchar | Class::Char => plain(Type::String, Scalar::Text),
        Class::Inet | Class::Cidr | Class::MacAddr | Class::MacAddr8 => plain(Type::String, Scalar::Text),
        Class::Bytea => Some((binary_schema(options), Scalar::Bytea)),
        Class::Uuid => text("io.debezium.data.Uuid", Scalar::Uuid),
        Class::Json | Class::Jsonb => text("io.debezium.data.Json", Scalar::Json),
        Class::Bit => Some(bits(if ty.typmod < 0 { 1 } else { ty.typmod })),
        Class::VarBit if ty.typmod == 1 => plain(Type::Boolean, Scalar::VarBitBool),
        Class::VarBit => Some(bits(if ty.typmod < 0 { i32::MAX } else { ty.typmod })),
        Class::Date | Class::Time | Class::Timestamp | Class::TimestampTz | Class::TimeTz | Class::Interval => {
            Some(temporal(ty, options))
        }
        Class::Other => other(ty, options),
        _ => unknown(options, Scalar::Unknown),
    }
}

fn numeric(precision: u16, scale: i16, options: &TypeOptions) -> (Schema, Scalar) {
    // 2.4.2 reads the 11 bits of a negative scale without their sign.
    let scale = match i32::from(scale) {
        scale @ ..0 if options.oddities => scale + 2048,
        ..0 => 0,
        scale => scale,
    };
    match options.decimal {
        DecimalMode::Precise => {
            let schema = schema::bytes()
                .semantic(DECIMAL)
                .parameter("scale", scale.to_string())
                .parameter("connect.decimal.precision", precision.to_string());
            (schema, Scalar::Decimal(scale))
        }
        DecimalMode::Double => (Schema::new(Type::Double), Scalar::NumericDouble),
        DecimalMode::Text => (schema::string(), Scalar::NumericText(Some(scale))),
    }
}

fn unbounded_numeric(options: &TypeOptions) -> (Schema, Scalar) {
    match options.decimal {
        DecimalMode::Precise => {
            let fields = vec![Field::new("scale", schema::int32()), Field::new("value", schema::bytes())];
            let schema =
                Schema::record(fields).semantic("io.debezium.data.VariableScaleDecimal").doc("Variable scaled decimal");
            (schema, Scalar::VariableDecimal)
        }
        DecimalMode::Double => (Schema::new(Type::Double), Scalar::NumericDouble),
        DecimalMode::Text => (schema::string(), Scalar::NumericText(None)),
    }
}

fn money(options: &TypeOptions) -> (Schema, Scalar) {
    let scale = options.money_scale;
    match options.decimal {
        DecimalMode::Precise => {
            (schema::bytes().semantic(DECIMAL).parameter("scale", scale.to_string()), Scalar::Money(scale))
        }
        DecimalMode::Double => (Schema::new(Type::Double), Scalar::MoneyDouble),
        DecimalMode::Text => (schema::string(), Scalar::MoneyText(scale)),
    }
}

fn bits(length: i32) -> (Schema, Scalar) {
    if length == 1 {
        return (Schema::new(Type::Boolean), Scalar::BitBool);
    }
    let schema = schema::bytes().semantic("io.debezium.data.Bits").parameter("length", length.to_string());
    (schema, Scalar::Bits)
}

/// A time of day in microseconds.
pub(super) fn micro_time() -> (Schema, Scalar) {
    (schema::int64().semantic("io.debezium.time.MicroTime"), Scalar::TimeMicros)
}

fn temporal(ty: &PgType, options: &TypeOptions) -> (Schema, Scalar) {
    let connect = options.time == TimeMode::Connect;
    let short = time_scale(ty) <= 3;
    match &ty.class {
        Class::Date => {
            let name = if connect { CONNECT_DATE } else { "io.debezium.time.Date" };
            (schema::int32().semantic(name), Scalar::Date)
        }
        Class::Time if connect => (schema::int32().semantic(CONNECT_TIME), Scalar::TimeMillis),
        Class::Time if short && options.time == TimeMode::Adaptive => {
            (schema::int32().semantic("io.debezium.time.Time"), Scalar::TimeMillis)
        }
        Class::Time => micro_time(),
        Class::Timestamp if connect => (schema::int64().semantic(CONNECT_TIMESTAMP), Scalar::TimestampMillis),
        Class::Timestamp if short => (schema::int64().semantic("io.debezium.time.Timestamp"), Scalar::TimestampMillis),
        Class::Timestamp => (schema::int64().semantic("io.debezium.time.MicroTimestamp"), Scalar::TimestampMicros),
        Class::TimeTz => (schema::string().semantic("io.debezium.time.ZonedTime"), Scalar::TimeTz),
        Class::Interval if options.interval_text => {
            (schema::string().semantic("io.debezium.time.Interval"), Scalar::IntervalText)
        }
        Class::Interval => (schema::int64().semantic("io.debezium.time.MicroDuration"), Scalar::IntervalMicros),
        _ => {
            let schema = schema::string().semantic("io.debezium.time.ZonedTimestamp");
            (schema, Scalar::TimestampTz(time_scale(ty)))
        }
    }
}

fn other(ty: &PgType, options: &TypeOptions) -> Option<(Schema, Scalar)> {
    let text = |name: &str, scalar| Some((schema::string().semantic(name), scalar));
    match type_name(ty) {
        "int4range" | "int8range" | "numrange" | "tsrange" | "tstzrange" | "daterange" | "isbn" | "citext" => {
            Some((schema::string(), Scalar::Text))
        }
        "ltree" => text("io.debezium.data.Ltree", Scalar::Text),
        "hstore" if options.hstore_map => {
            let schema = Schema::new(Type::Map(schema::string().into(), schema::string().optional(true).into()));
            Some((schema, Scalar::HstoreMap))
        }
        "hstore" => text("io.debezium.data.Json", Scalar::HstoreJson),
        "point" => Some((shape::point_schema(), Scalar::Point)),
        "geometry" => Some((shape::geometry_schema("Geometry"), Scalar::Geometry)),
        "geography" => Some((shape::geometry_schema("Geography"), Scalar::Geometry)),
        "box" | "line" | "lseg" | "path" | "polygon" | "circle" => unknown(options, Scalar::UnknownGeometric),
        _ => unknown(options, Scalar::Unknown),
    }
}

fn unknown(options: &TypeOptions, scalar: Scalar) -> Option<(Schema, Scalar)> {
    options.unknown.then(|| (binary_schema(options), scalar))
}

/// Schema of a type that is not mapped and was asked for nevertheless.
pub(super) fn unknown_schema(options: &TypeOptions) -> Schema {
    binary_schema(options)
}

fn binary_schema(options: &TypeOptions) -> Schema {
    match options.binary {
        BinaryMode::Bytes => schema::bytes(),
        _ => schema::string(),
    }
}

fn binary(bytes: Vec<u8>, options: &TypeOptions) -> Value {
    match options.binary {
        BinaryMode::Bytes => Value::Bytes(bytes),
        BinaryMode::Base64 => Value::Str(base64::standard(&bytes)),
        BinaryMode::Base64UrlSafe => Value::Str(base64::url_safe(&bytes)),
        BinaryMode::Hex => Value::Str(digest::hex(&bytes)),
    }
}

fn string(text: &[u8]) -> Result<Value, Unfit> {
    std::str::from_utf8(text).map(Value::text).map_err(|_| Unfit)
}

fn parse<T: std::str::FromStr>(text: &[u8]) -> Result<T, Unfit> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Unfit)
}

/// `\x` and hexadecimal digits.
fn hex_bytes(text: &[u8]) -> Result<Vec<u8>, Unfit> {
    let digits = text.strip_prefix(b"\\x").ok_or(Unfit)?;
    let nibble = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(nibble(high)? << 4 | nibble(low)?),
        _ => None,
    };
    digits.chunks(2).map(pair).collect::<Option<Vec<u8>>>().ok_or(Unfit)
}

/// Bits as little-endian bytes, as many as the highest set bit needs.
pub(super) fn bit_bytes(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (place, bit) in text.iter().rev().enumerate() {
        if *bit == b'1' {
            bytes.resize(place / 8 + 1, 0);
            if let Some(last) = bytes.last_mut() {
                *last |= 1 << (place % 8);
            }
        }
    }
    bytes
}

/// `$1,234.50`, `-$1.00`, `($1.00)`.
fn money_value(text: &[u8]) -> Result<Decimal, Unfit> {
    let negative = text.contains(&b'(') || text.contains(&b'-');
    let digits = text.iter().copied().filter(|byte| byte.is_ascii_digit() || *byte == b'.');
    let number: Vec<u8> = negative.then_some(b'-').into_iter().chain(digits).collect();
    Decimal::parse(&number).ok_or(Unfit)
}

/// Java's text of the double that 2.4.2's snapshots read.
fn money_as_double(text: &[u8]) -> Result<String, Unfit> {
    let money: f64 = parse(money_value(text)?.plain().as_bytes())?;
    Ok(float::double(money))
}

/// Microseconds that stand for the infinities, as pgjdbc has them.
const INFINITY_MICROS: i64 = 9_223_372_036_825_200_000;
const NEGATIVE_INFINITY_MICROS: i64 = -9_223_372_036_832_400_000;
/// Days that Debezium's reading of the infinities comes to.
const INFINITY_DAYS: i64 = -2_147_472_692;
const NEGATIVE_INFINITY_DAYS: i64 = -2_147_472_691;

/// The same, where it reads them through `java.sql.Date`.
const JDBC_INFINITY_DAYS: i64 = -622_191_234;
const JDBC_NEGATIVE_INFINITY_DAYS: i64 = -625_821_272;

fn date(text: &[u8]) -> Result<Value, Unfit> {
    match text {
        b"infinity" => Ok(Value::Int(INFINITY_DAYS)),
        b"-infinity" => Ok(Value::Int(NEGATIVE_INFINITY_DAYS)),
        _ => clock::date(text).map(Value::Int).ok_or(Unfit),
    }
}

fn timestamp(text: &[u8], millis: bool) -> Result<Value, Unfit> {
    let infinite = match text {
        b"infinity" => Some(INFINITY_MICROS),
        b"-infinity" => Some(NEGATIVE_INFINITY_MICROS),
        _ => None,
    };
    if let Some(micros) = infinite {
        return Ok(Value::Int(if millis { micros / 1000 } else { micros }));
    }
    let instant = clock::timestamp(text, false).ok_or(Unfit)?;
    Ok(Value::Int(if millis { instant.epoch_millis() } else { instant.epoch_micros() }))
}

pub(super) fn variable_decimal(decimal: Decimal) -> Value {
    let decimal = decimal.stripped();
    Value::Struct(vec![Value::Int(i64::from(decimal.scale())), Value::Bytes(decimal.unscaled_bytes())])
}

fn numeric_text(text: &[u8], scale: Option<i32>) -> Result<Value, Unfit> {
    let special = match text {
        b"NaN" => Some("NAN"),
        b"Infinity" => Some("POSITIVE_INFINITY"),
        b"-Infinity" => Some("NEGATIVE_INFINITY"),
        _ => None,
    };
    if let Some(special) = special {
        return Ok(Value::text(special));
    }
    let decimal = Decimal::parse(text).ok_or(Unfit)?;
    let decimal = match scale {
        Some(scale) => decimal.with_scale(scale).ok_or(Unfit)?,
        None => decimal,
    };
    Ok(Value::Str(decimal.plain()))
}

impl Scalar {
    /// Whether the schema is text, so that a placeholder fits.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Json | Self::Uuid | Self::Name | Self::Bytea)
    }

    pub(super) fn convert(self, text: &[u8], options: &TypeOptions) -> Result<Value, Unfit> {
        match self {
            Self::Bool => match text {
                b"t" => Ok(Value::Bool(true)),
                b"f" => Ok(Value::Bool(false)),
                _ => Err(Unfit),
            },
            Self::Int => parse(text).map(Value::Int),
            Self::Float => parse(text).map(Value::Float),
            Self::Double | Self::NumericDouble => parse(text).map(Value::Double),
            Self::Decimal(scale) => {
                Decimal::parse(text).and_then(|decimal| decimal.with_scale(scale)).map(Value::Decimal).ok_or(Unfit)
            }
            Self::VariableDecimal => Decimal::parse(text).map(variable_decimal).ok_or(Unfit),
            Self::NumericText(scale) => numeric_text(text, scale),
            Self::Money(scale) if options.oddities && options.snapshot => {
                let text = money_as_double(text)?;
                Decimal::parse(text.as_bytes()).map(|money| Value::Decimal(money.rounded(scale))).ok_or(Unfit)
            }
            Self::MoneyText(_) if options.oddities && options.snapshot => money_as_double(text).map(Value::Str),
            Self::Money(scale) => money_value(text).map(|money| Value::Decimal(money.rounded(scale))),
            // Only decimals have the fraction's digits of `money.fraction.digits`.
            Self::MoneyDouble => parse(money_value(text)?.plain().as_bytes()).map(Value::Double),
            Self::MoneyText(_) => money_value(text).map(|money| Value::Str(money.plain())),
            Self::Name if options.oddities && !options.unknown && !options.snapshot => Ok(Value::Null),
            Self::Text | Self::Json | Self::Uuid | Self::Name => string(text),
            Self::Bytea => hex_bytes(text).map(|bytes| binary(bytes, options)),
            Self::VarBitBool if text.is_empty() || (options.oddities && options.snapshot) => Ok(Value::Null),
            Self::BitBool | Self::VarBitBool => Ok(Value::Bool(text == b"1")),
            Self::Bits => Ok(Value::Bytes(bit_bytes(text))),
            Self::HstoreJson => shape::hstore_json(text),
            Self::HstoreMap => shape::hstore_map(text),
            Self::Point => shape::point(text),
            Self::Geometry => shape::geometry(text),
            Self::Unknown => Ok(binary(text.to_vec(), options)),
            Self::UnknownGeometric => Ok(binary(shape::java_numbers(text), options)),
            _ if options.oddities && options.snapshot => self.through_jdbc(text),
            _ => self.temporal(text),
        }
    }

    fn temporal(self, text: &[u8]) -> Result<Value, Unfit> {
        match self {
            Self::Date => date(text),
            Self::TimeMillis => clock::time(text).map(|micros| Value::Int(micros / 1000)).ok_or(Unfit),
            Self::TimeMicros => clock::time(text).map(Value::Int).ok_or(Unfit),
            Self::TimestampMillis => timestamp(text, true),
            Self::TimestampMicros => timestamp(text, false),
            Self::TimestampTz(_) if matches!(text, b"infinity" | b"-infinity") => string(text),
            Self::TimestampTz(scale) => {
                clock::timestamp(text, true).map(|instant| Value::Str(clock::zoned_text(instant, scale))).ok_or(Unfit)
            }
            Self::TimeTz => {
                clock::time_with_zone(text).map(|micros| Value::Str(clock::zoned_time_text(micros))).ok_or(Unfit)
            }
            Self::IntervalMicros => Interval::parse(text).map(|interval| Value::Int(interval.micros())).ok_or(Unfit),
            Self::IntervalText => Interval::parse(text).map(|interval| Value::Str(interval.iso())).ok_or(Unfit),
            _ => Err(Unfit),
        }
    }

    /// Dates and times as 2.4.2 reads them through `java.sql` types: infinite dates and years before
    /// Christ come out as others, timestamps before 1582 are taken for Julian ones.
    pub(super) fn through_jdbc(self, text: &[u8]) -> Result<Value, Unfit> {
        let julian = |zoned| clock::julian_timestamp(text, zoned).ok_or(Unfit);
        match self {
            _ if text.ends_with(b"infinity") && !matches!(self, Self::Date) => self.temporal(text),
            Self::Date => match text {
                b"infinity" => Ok(Value::Int(JDBC_INFINITY_DAYS)),
                b"-infinity" => Ok(Value::Int(JDBC_NEGATIVE_INFINITY_DAYS)),
                _ => clock::date(text.strip_suffix(b" BC").unwrap_or(text)).map(Value::Int).ok_or(Unfit),
            },
            Self::TimestampMillis => julian(false).map(|instant| Value::Int(instant.epoch_millis())),
            Self::TimestampMicros => julian(false).map(|instant| Value::Int(instant.epoch_micros())),
            Self::TimestampTz(scale) => julian(true).map(|instant| Value::Str(clock::zoned_text(instant, scale))),
            _ => self.temporal(text),
        }
    }

    /// What stands for a null in a column that may not be null.
    pub(super) fn fallback(self, options: &TypeOptions) -> Value {
        match self {
            Self::Bool | Self::BitBool | Self::VarBitBool => Value::Bool(false),
            Self::Int
            | Self::Date
            | Self::TimeMillis
            | Self::TimeMicros
            | Self::TimestampMillis
            | Self::TimestampMicros
            | Self::IntervalMicros => Value::Int(0),
            Self::Float => Value::Float(0.0),
            Self::Double | Self::NumericDouble | Self::MoneyDouble => Value::Double(0.0),
            Self::Decimal(scale) | Self::Money(scale) => Value::Decimal(Decimal::zero(scale)),
            Self::VariableDecimal => variable_decimal(Decimal::zero(0)),
            Self::NumericText(scale) => Value::Str(Decimal::zero(scale.unwrap_or(0)).plain()),
            Self::MoneyText(scale) => Value::Str(Decimal::zero(scale).plain()),
            Self::Text | Self::Json | Self::Uuid | Self::Name => Value::text(""),
            Self::Bytea | Self::Unknown | Self::UnknownGeometric => binary(Vec::new(), options),
            Self::Bits => Value::Bytes(Vec::new()),
            Self::TimestampTz(_) => Value::text("1970-01-01T00:00:00Z"),
            Self::TimeTz => Value::text("00:00:00Z"),
            Self::IntervalText => Value::text("P0Y0M0DT0H0M0S"),
            Self::HstoreJson => Value::text("{}"),
            Self::HstoreMap => Value::Map(Vec::new()),
            Self::Point => shape::point(b"(0,0)").unwrap_or(Value::Null),
            Self::Geometry => shape::empty_geometry(),
        }
    }
}
