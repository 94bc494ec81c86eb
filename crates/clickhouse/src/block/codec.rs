//! The encoder of one column: from a wire value to ClickHouse's bytes.

use walhouse_change::Image;
use walhouse_value::decode::{self, Date, Numeric, Timestamp};
use walhouse_value::{Class, Invalid, PgType, Wire, render};

use crate::mapping::{ClickHouseType, ColumnPlan, Dates};

/// Which bytes a wire value becomes. Chosen once per column; small and `Copy`, so that the match per
/// value costs a predicted branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Xid8,
    PgLsn,
    Float4,
    Float8,
    Int2ToInt4,
    Int2ToInt8,
    Int4ToInt8,
    OidToInt8,
    Money,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Uuid,
    /// Days since 1970-01-01, both ends included.
    Date {
        first: i32,
        last: i32,
    },
    Time,
    /// Microseconds since 1970-01-01, both ends included.
    Timestamp {
        first: i64,
        last: i64,
    },
    /// The wire bytes are the text in both forms.
    Text,
    Jsonb,
    /// Raw bytes.
    Bytea,
    /// Postgres' canonical text; only a binary value has to be rendered.
    Rendered,
}

/// Whether the column's type holds the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Exact,
    /// Nothing was written.
    Unrepresentable,
}

impl Codec {
    pub(super) fn new(source: &PgType, column: &ColumnPlan, dates: Dates) -> Self {
        use ClickHouseType as To;
        match (&source.class, column.ty) {
            (class, To::String | To::LowCardinality) => Self::string(class),
            (Class::Bool, _) => Self::Bool,
            (Class::Int2, To::Int32) => Self::Int2ToInt4,
            (Class::Int2, To::Int64) => Self::Int2ToInt8,
            (Class::Int2, _) => Self::Int2,
            (Class::Int4, To::Int64) => Self::Int4ToInt8,
            (Class::Int4, _) => Self::Int4,
            (Class::Int8, _) => Self::Int8,
            (Class::Oid, To::Int64 | To::UInt64) => Self::OidToInt8,
            (Class::Oid, _) => Self::Oid,
            (Class::Xid8, _) => Self::Xid8,
            (Class::PgLsn, _) => Self::PgLsn,
            (Class::Float4, _) => Self::Float4,
            (Class::Float8, _) => Self::Float8,
            (Class::Money, _) => Self::Money,
            (Class::Uuid, _) => Self::Uuid,
            (Class::Date, _) => {
                let (first, last) = dates.days();
                Self::Date { first, last }
            }
            (Class::Time, _) => Self::Time,
            (Class::Timestamp | Class::TimestampTz, _) => {
                let (first, last) = dates.micros();
                Self::Timestamp { first, last }
            }
            (_, To::Decimal { precision, scale }) => Self::Decimal { precision, scale },
            (class, _) => Self::string(class),
        }
    }

    fn string(class: &Class) -> Self {
        match class {
            Class::Text | Class::Bpchar | Class::Enum | Class::Json => Self::Text,
            Class::Jsonb => Self::Jsonb,
            Class::Bytea => Self::Bytea,
            _ => Self::Rendered,
        }
    }

    /// Appends a value of fixed width.
    #[inline]
    pub(super) fn fixed(self, wire: Wire<'_>, out: &mut Vec<u8>) -> Result<Fit, Invalid> {
        match self {
            Self::Bool => out.push(u8::from(decode::bool(wire)?)),
            Self::Int2 => out.extend_from_slice(&decode::int2(wire)?.to_le_bytes()),
            Self::Int4 => out.extend_from_slice(&decode::int4(wire)?.to_le_bytes()),
            Self::Int8 => out.extend_from_slice(&decode::int8(wire)?.to_le_bytes()),
            Self::Oid => out.extend_from_slice(&decode::oid(wire)?.to_le_bytes()),
            Self::Xid8 => out.extend_from_slice(&decode::xid8(wire)?.to_le_bytes()),
            Self::PgLsn => out.extend_from_slice(&decode::pg_lsn(wire)?.to_le_bytes()),
            Self::Float4 => out.extend_from_slice(&decode::float4(wire)?.to_le_bytes()),
            Self::Float8 => out.extend_from_slice(&decode::float8(wire)?.to_le_bytes()),
            Self::Int2ToInt4 => out.extend_from_slice(&i32::from(decode::int2(wire)?).to_le_bytes()),
            Self::Int2ToInt8 => out.extend_from_slice(&i64::from(decode::int2(wire)?).to_le_bytes()),
            Self::Int4ToInt8 => out.extend_from_slice(&i64::from(decode::int4(wire)?).to_le_bytes()),
            Self::OidToInt8 => out.extend_from_slice(&i64::from(decode::oid(wire)?).to_le_bytes()),
            Self::Money => out.extend_from_slice(&i128::from(decode::money(wire)?).to_le_bytes()),
            Self::Uuid => uuid(decode::uuid(wire)?, out),
            Self::Time => out.extend_from_slice(&decode::time(wire)?.to_le_bytes()),
            Self::Date { first, last } => match decode::date(wire)? {
                Date::Days(days) if first <= days && days <= last => out.extend_from_slice(&days.to_le_bytes()),
                _ => return Ok(Fit::Unrepresentable),
            },
            Self::Timestamp { first, last } => match decode::timestamp(wire)? {
                Timestamp::Micros(at) if first <= at && at <= last => out.extend_from_slice(&at.to_le_bytes()),
                _ => return Ok(Fit::Unrepresentable),
            },
            Self::Decimal { precision, scale } => return decimal(wire, precision, scale, out),
            Self::Text | Self::Jsonb | Self::Bytea | Self::Rendered => {
                return Err(Invalid { type_name: "text", what: "has no fixed width" });
            }
        }
        Ok(Fit::Exact)
    }

    /// The string that a value is, where it lies in the wire bytes: always their end.
    #[inline]
    pub(super) fn borrowed(self, wire: Wire<'_>) -> Result<Option<&[u8]>, Invalid> {
        match (self, wire) {
            (Self::Text, _) => decode::text_bytes(wire).map(Some),
            (Self::Jsonb, _) => decode::jsonb_bytes(wire).map(Some),
            (Self::Bytea, Wire::Binary(bytes)) | (Self::Rendered, Wire::Text(bytes)) => Ok(Some(bytes)),
            _ => Ok(None),
        }
    }

    /// Appends the string that a value is, without a length.
    pub(super) fn string_value(self, source: &PgType, wire: Wire<'_>, out: &mut Vec<u8>) -> Result<(), Invalid> {
        match self.borrowed(wire)? {
            Some(bytes) => out.extend_from_slice(bytes),
            None if self == Self::Bytea => decode::bytea(wire, out)?,
            None => render::text(source, wire, out)?,
        }
        Ok(())
    }
}

/// Values from here on are shared with the batch's buffer instead of copied: the copy costs more
/// than a chunk of its own, and would hold the value in memory twice.
pub(super) const SHARED_FROM: usize = 1 << 20;

/// The end of a wire value as a shared slice, if it is large enough.
pub(super) fn shared(image: Image<'_>, index: usize, len: usize) -> Option<bytes::Bytes> {
    if len < SHARED_FROM {
        return None;
    }
    let whole = image.shared(index)?;
    let start = whole.len().checked_sub(len)?;
    Some(whole.slice(start..))
}

/// Two little-endian halves, the high one first.
#[inline]
fn uuid(printed: [u8; 16], out: &mut Vec<u8>) {
    let mut stored = printed;
    let (high, low) = stored.split_at_mut(8);
    high.reverse();
    low.reverse();
    out.extend_from_slice(&stored);
}

#[inline]
fn decimal(wire: Wire<'_>, precision: u8, scale: u8, out: &mut Vec<u8>) -> Result<Fit, Invalid> {
    let Numeric::Finite(number) = decode::numeric(wire)? else {
        return Ok(Fit::Unrepresentable);
    };
    let scale = u32::from(scale);
    if precision > 38 {
        let fitting = number.to_i256(scale).filter(|words| below(magnitude(*words), power_of_ten(precision)));
        let Some(words) = fitting else { return Ok(Fit::Unrepresentable) };
        for word in words {
            out.extend_from_slice(&word.to_le_bytes());
        }
        return Ok(Fit::Exact);
    }
    let limit = 10u128.pow(u32::from(precision));
    let Some(value) = number.to_i128(scale).filter(|value| value.unsigned_abs() < limit) else {
        return Ok(Fit::Unrepresentable);
    };
    // the limit makes the narrowing exact
    match precision {
        0..=9 => out.extend_from_slice(&(value as i32).to_le_bytes()),
        10..=18 => out.extend_from_slice(&(value as i64).to_le_bytes()),
        _ => out.extend_from_slice(&value.to_le_bytes()),
    }
    Ok(Fit::Exact)
}

/// 256 bits, least significant word first.
type Words = [u64; 4];

fn magnitude(words: Words) -> Words {
    let [_, _, _, top] = words;
    if top >> 63 == 0 {
        return words;
    }
    let mut carry = true;
    words.map(|word| {
        let (negated, over) = (!word).overflowing_add(u64::from(carry));
        carry = over;
        negated
    })
}

fn below(value: Words, limit: Words) -> bool {
    value.iter().rev().lt(limit.iter().rev())
}

/// 10^exponent, for an exponent up to 77.
fn power_of_ten(exponent: u8) -> Words {
    let mut words = [1, 0, 0, 0];
    for _ in 0..exponent {
        let mut carry = 0;
        words = words.map(|word| {
            let product = u128::from(word) * 10 + carry;
            carry = product >> 64;
            product as u64
        });
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal256(text: &str, precision: u8) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let fit = decimal(Wire::Text(text.as_bytes()), precision, 0, &mut out).unwrap();
        (fit == Fit::Exact).then_some(out)
    }

    #[test]
    fn wide_decimals_stop_at_their_precision() {
        let nines = "9".repeat(76);
        assert!(decimal256(&nines, 76).is_some());
        assert!(decimal256(&format!("-{nines}"), 76).is_some());
        let more = format!("1{}", "0".repeat(76));
        assert_eq!(decimal256(&more, 76), None);
        assert_eq!(decimal256(&format!("-{more}"), 76), None);
        assert_eq!(decimal256("-1", 40), Some(vec![0xff; 32]));
        assert_eq!(decimal256("NaN", 40), None);
    }

    #[test]
    fn powers_of_ten() {
        assert_eq!(power_of_ten(0), [1, 0, 0, 0]);
        assert_eq!(power_of_ten(19), [10_000_000_000_000_000_000, 0, 0, 0]);
        let low = 10u128.pow(38);
        assert_eq!(power_of_ten(38), [low as u64, (low >> 64) as u64, 0, 0]);
    }

    #[test]
    fn uuid_halves_are_swapped_each() {
        let mut out = Vec::new();
        uuid([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], &mut out);
        assert_eq!(out, [7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8]);
    }
}
