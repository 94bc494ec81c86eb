//! Which ClickHouse type holds a Postgres type without loss.
//!
//! Where no type does, `String` with Postgres' canonical text does. `numeric` and the calendar types
//! hold all but a few values (NaN, infinities, far years): such a cell is NULL and its text goes into
//! the row's `_unrepresentable` map.

use std::fmt;

use walhouse_value::{Class, PgType};

/// Digits of the widest Decimal.
const MAX_DECIMAL: u16 = 76;

/// A column's type, without `Nullable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClickHouseType {
    /// `Bool`
    Bool,
    /// `UInt8`
    UInt8,
    /// `Int16`
    Int16,
    /// `Int32`
    Int32,
    /// `Int64`
    Int64,
    /// `UInt32`
    UInt32,
    /// `UInt64`
    UInt64,
    /// `UInt128`
    UInt128,
    /// `Float32`
    Float32,
    /// `Float64`
    Float64,
    /// `Decimal(precision, scale)`
    Decimal {
        /// Digits, 1..=76.
        precision: u8,
        /// Digits after the point, 0..=precision.
        scale: u8,
    },
    /// `String`
    String,
    /// `LowCardinality(String)`, `LowCardinality(Nullable(String))` where nullable
    LowCardinality,
    /// `UUID`
    Uuid,
    /// `Date32`
    Date32,
    /// `Time64(6)`
    Time64,
    /// `DateTime`
    DateTime,
    /// `DateTime64(6)`, or with a zone
    DateTime64 {
        /// True for `DateTime64(6, 'UTC')`.
        utc: bool,
    },
    /// `Map(String, String)`
    StringMap,
}

/// The years that the server's calendar types hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dates {
    /// 0000-01-01 to 9999-12-31: servers from 26 on.
    #[default]
    Wide,
    /// 1900-01-01 to 2299-12-31: older servers, which clamp what is outside.
    Narrow,
}

impl Dates {
    /// Days since 1970-01-01, both ends included.
    pub(crate) const fn days(self) -> (i32, i32) {
        match self {
            Self::Wide => (-719_528, 2_932_896),
            Self::Narrow => (-25_567, 120_529),
        }
    }

    /// Microseconds since 1970-01-01, from the first day's start to the last one's end, included.
    pub(crate) const fn micros(self) -> (i64, i64) {
        const DAY: i64 = 86_400_000_000;
        let (first, last) = self.days();
        (first as i64 * DAY, (last as i64 + 1) * DAY - 1)
    }
}

impl ClickHouseType {
    /// The natural type of a Postgres type.
    #[must_use]
    pub fn natural(ty: &PgType) -> Self {
        match &ty.class {
            Class::Bool => Self::Bool,
            Class::Int2 => Self::Int16,
            Class::Int4 => Self::Int32,
            Class::Int8 => Self::Int64,
            Class::Oid => Self::UInt32,
            Class::Xid8 | Class::PgLsn => Self::UInt64,
            Class::Float4 => Self::Float32,
            Class::Float8 => Self::Float64,
            Class::Numeric { precision, scale } => decimal(*precision, *scale),
            // 19 digits hold any 64-bit number of cents
            Class::Money => Self::Decimal { precision: 19, scale: 2 },
            Class::Uuid => Self::Uuid,
            Class::Date => Self::Date32,
            Class::Time => Self::Time64,
            Class::Timestamp => Self::DateTime64 { utc: false },
            Class::TimestampTz => Self::DateTime64 { utc: true },
            Class::Enum => Self::LowCardinality,
            _ => Self::String,
        }
    }

    /// The type an override asks for, if it holds the column exactly (or says which cells it cannot).
    pub(super) fn chosen(ty: &PgType, wanted: &str) -> Option<Self> {
        let natural = Self::natural(ty);
        let wanted = Self::parse(wanted)?;
        let possible = match (wanted, &ty.class) {
            // bytes and their hexadecimal text would be two readings of one String
            (Self::String, _) => true,
            (Self::LowCardinality, class) => is_textual(class),
            (Self::Int32 | Self::Int64, Class::Int2) | (Self::Int64, Class::Int4 | Class::Oid) => true,
            (Self::UInt64, Class::Oid) => true,
            (Self::Decimal { .. }, Class::Numeric { .. } | Class::NumericUnbounded) => true,
            _ => wanted == natural,
        };
        possible.then_some(wanted)
    }

    /// Reads the types that an override may name; `Nullable(..)` around it is accepted and ignored,
    /// since the key decides it.
    fn parse(text: &str) -> Option<Self> {
        let compact: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
        let inner = |head: &str| compact.strip_prefix(head).and_then(|rest| rest.strip_suffix(')'));
        if let Some(inner) = inner("Nullable(") {
            return Self::parse(inner);
        }
        if let Some(arguments) = inner("Decimal(") {
            let (precision, scale) = arguments.split_once(',').unwrap_or((arguments, "0"));
            let (precision, scale) = (precision.parse::<u8>().ok()?, scale.parse::<u8>().ok()?);
            let legal = (1..=MAX_DECIMAL as u8).contains(&precision) && scale <= precision;
            return legal.then_some(Self::Decimal { precision, scale });
        }
        Some(match compact.as_str() {
            "Bool" => Self::Bool,
            "Int16" => Self::Int16,
            "Int32" => Self::Int32,
            "Int64" => Self::Int64,
            "UInt32" => Self::UInt32,
            "UInt64" => Self::UInt64,
            "Float32" => Self::Float32,
            "Float64" => Self::Float64,
            "String" => Self::String,
            "LowCardinality(String)" | "LowCardinality(Nullable(String))" => Self::LowCardinality,
            "UUID" => Self::Uuid,
            "Date32" => Self::Date32,
            "Time64(6)" => Self::Time64,
            "DateTime64(6)" => Self::DateTime64 { utc: false },
            "DateTime64(6,'UTC')" => Self::DateTime64 { utc: true },
            _ => return None,
        })
    }

    /// The type as SQL and in a Native header.
    #[must_use]
    pub fn sql(self, nullable: bool) -> String {
        match (self, nullable) {
            (Self::LowCardinality, true) => "LowCardinality(Nullable(String))".to_owned(),
            (Self::StringMap, _) | (_, false) => self.to_string(),
            (_, true) => format!("Nullable({self})"),
        }
    }

    /// Bytes of one value in Native and RowBinary; none for strings and maps.
    #[must_use]
    pub const fn width(self) -> Option<usize> {
        Some(match self {
            Self::Bool | Self::UInt8 => 1,
            Self::Int16 => 2,
            Self::Int32 | Self::UInt32 | Self::Float32 | Self::Date32 | Self::DateTime => 4,
            Self::Int64 | Self::UInt64 | Self::Float64 | Self::Time64 | Self::DateTime64 { .. } => 8,
            Self::UInt128 | Self::Uuid => 16,
            Self::Decimal { precision, .. } => match precision {
                0..=9 => 4,
                10..=18 => 8,
                19..=38 => 16,
                _ => 32,
            },
            Self::String | Self::LowCardinality | Self::StringMap => return None,
        })
    }
}

impl fmt::Display for ClickHouseType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal { precision, scale } => write!(f, "Decimal({precision}, {scale})"),
            Self::LowCardinality => f.write_str("LowCardinality(String)"),
            Self::Uuid => f.write_str("UUID"),
            Self::Time64 => f.write_str("Time64(6)"),
            Self::DateTime64 { utc: false } => f.write_str("DateTime64(6)"),
            Self::DateTime64 { utc: true } => f.write_str("DateTime64(6, 'UTC')"),
            Self::StringMap => f.write_str("Map(String, String)"),
            // the names of the other variants are ClickHouse's own
            simple => fmt::Debug::fmt(simple, f),
        }
    }
}

/// `numeric(p, s)`: a negative scale counts tens (p - s digits before the point), a scale past the
/// precision counts zeros after it.
fn decimal(precision: u16, scale: i16) -> ClickHouseType {
    let (digits, scale) = match u16::try_from(scale) {
        Ok(scale) => (precision.max(scale), scale),
        Err(_) => (precision.saturating_add(scale.unsigned_abs()), 0),
    };
    match (u8::try_from(digits), u8::try_from(scale)) {
        (Ok(precision), Ok(scale)) if digits <= MAX_DECIMAL => ClickHouseType::Decimal { precision, scale },
        _ => ClickHouseType::String,
    }
}

/// Types whose values may repeat enough for a dictionary.
fn is_textual(class: &Class) -> bool {
    matches!(class, Class::Text | Class::Bpchar | Class::Char | Class::Enum | Class::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(precision: u16, scale: i16) -> String {
        ClickHouseType::natural(&PgType::new(0, -1, "numeric", Class::Numeric { precision, scale })).to_string()
    }

    #[test]
    fn numerics_keep_every_digit() {
        assert_eq!(numeric(12, 2), "Decimal(12, 2)");
        assert_eq!(numeric(5, -2), "Decimal(7, 0)");
        assert_eq!(numeric(3, 5), "Decimal(5, 5)");
        assert_eq!(numeric(76, 76), "Decimal(76, 76)");
        assert_eq!(numeric(77, 0), "String");
        assert_eq!(numeric(70, -7), "String");
        assert_eq!(numeric(1000, -1000), "String");
    }

    #[test]
    fn overrides_may_widen_but_never_round() {
        let chosen = |oid, wanted: &str| {
            let ty = PgType::builtin(oid, -1).unwrap();
            ClickHouseType::chosen(&ty, wanted).map(|ty| ty.to_string())
        };
        assert_eq!(chosen(23, "Int64").as_deref(), Some("Int64"));
        assert_eq!(chosen(23, "Nullable(Int32)").as_deref(), Some("Int32"));
        assert_eq!(chosen(23, "Int16"), None);
        assert_eq!(chosen(1700, "Decimal(38, 10)").as_deref(), Some("Decimal(38, 10)"));
        assert_eq!(chosen(1700, "Decimal(77, 10)"), None);
        assert_eq!(chosen(1700, "Decimal(3, 10)"), None);
        assert_eq!(chosen(1700, "Float64"), None);
        assert_eq!(chosen(25, "LowCardinality(String)").as_deref(), Some("LowCardinality(String)"));
        assert_eq!(chosen(1184, "String").as_deref(), Some("String"));
        assert_eq!(chosen(1184, "DateTime64(6,'UTC')").as_deref(), Some("DateTime64(6, 'UTC')"));
        assert_eq!(chosen(1184, "DateTime"), None);
        assert_eq!(chosen(25, "String; DROP TABLE t"), None);
    }
}
