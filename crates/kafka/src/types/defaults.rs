//! Column defaults: from the catalog's expression to a value in the schema.

use walhouse_value::{Class, PgType};

use super::scalar::{bit_bytes, type_name};
use super::{ColumnType, Scalar, clock};
use crate::java::decimal::Decimal;
use crate::options::TypeOptions;
use crate::value::Value;

/// A column's default as far as its schema shows it.
pub(crate) enum Default {
    /// Not shown.
    None,
    Value(Value),
    /// It does not fit the column's scale; 2.4.2 stops at the table's first row.
    Unfit,
}

/// Reads `expression` (of `pg_get_expr`) as a value of the column.
pub(crate) fn default_value(expression: &str, ty: &PgType, column: &ColumnType, options: &TypeOptions) -> Default {
    let ColumnType::Scalar(scalar) = column else { return Default::None };
    let base = ty.base();
    let supported = matches!(
        base.class,
        Class::Bool
            | Class::Int2
            | Class::Int4
            | Class::Int8
            | Class::Float4
            | Class::Float8
            | Class::Numeric { .. }
            | Class::NumericUnbounded
            | Class::Bpchar
            | Class::Uuid
            | Class::Json
            | Class::Jsonb
            | Class::Date
            | Class::Time
            | Class::Timestamp
            | Class::TimestampTz
            | Class::Interval
            | Class::Bit
            | Class::VarBit
            | Class::Enum
    ) || matches!(type_name(base), "text" | "varchar" | "xml");
    if !supported || expression.starts_with("NULL::") || matches!(scalar, Scalar::VariableDecimal) {
        return Default::None;
    }
    if is_call(expression) || is_clock(expression, &base.class) {
        return placeholder(*scalar, &base.class).map_or(Default::None, Default::Value);
    }
    if matches!(base.class, Class::Enum) {
        return enum_default(expression, base, options).map_or(Default::None, Default::Value);
    }
    let Some(literal) = literal(expression, options) else { return Default::None };
    value(&literal, *scalar, options)
}

/// `name(...)`, perhaps after one bracket: a function call.
fn is_call(expression: &str) -> bool {
    let text = expression.strip_prefix('(').unwrap_or(expression);
    let name = text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')).count();
    let rest = text.as_bytes().get(name..).unwrap_or_default();
    name > 0 && rest.first() == Some(&b'(') && rest.contains(&b')')
}

/// The keywords that stand for the current time, for types that hold one.
fn is_clock(expression: &str, class: &Class) -> bool {
    let keywords = ["current_timestamp", "current_time", "current_date", "localtime", "localtimestamp"];
    let temporal = matches!(class, Class::Date | Class::Time | Class::TimeTz | Class::Timestamp | Class::TimestampTz);
    temporal && keywords.iter().any(|keyword| expression.to_ascii_lowercase().starts_with(keyword))
}

fn placeholder(scalar: Scalar, class: &Class) -> Option<Value> {
    Some(match scalar {
        Scalar::Bool | Scalar::BitBool | Scalar::VarBitBool => Value::Bool(false),
        Scalar::Json => Value::text("{}"),
        Scalar::Uuid => Value::text("00000000-0000-0000-0000-000000000000"),
        Scalar::Text if matches!(class, Class::Enum) => return None,
        Scalar::Text => Value::text(""),
        Scalar::TimestampTz(scale) => Value::Str(clock::zoned_text(clock::Instant { seconds: 0, micros: 0 }, scale)),
        Scalar::Float => Value::Float(0.0),
        Scalar::Double | Scalar::NumericDouble => Value::Double(0.0),
        Scalar::Decimal(scale) => Value::Decimal(Decimal::zero(scale)),
        Scalar::NumericText(_) => Value::text("0"),
        Scalar::Bits => Value::Bytes(Vec::new()),
        Scalar::IntervalText => Value::text("P0Y0M0DT0H0M0S"),
        _ => Value::Int(0),
    })
}

/// `'label'::type`: 2.4.2 knows the type only by a plain name of the visible schema.
fn enum_default(expression: &str, ty: &PgType, options: &TypeOptions) -> Option<Value> {
    let rest = expression.strip_prefix('\'')?;
    let (label, cast) = rest.rsplit_once("'::")?;
    let plain = cast.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if options.oddities {
        let label = label.split('\'').next()?;
        return (plain && cast == type_name(ty)).then(|| Value::text(label));
    }
    Some(Value::Str(label.replace("''", "'")))
}

/// The text between the first quotes, or the whole expression.
fn literal(expression: &str, options: &TypeOptions) -> Option<String> {
    let Some((_, rest)) = expression.split_once('\'') else { return Some(expression.to_owned()) };
    if !options.oddities {
        let mut out = String::new();
        let mut characters = rest.chars().peekable();
        while let Some(character) = characters.next() {
            if character == '\'' && characters.next_if_eq(&'\'').is_none() {
                break;
            }
            out.push(character);
        }
        return Some(out);
    }
    let (text, _) = rest.split_once('\'')?;
    // 2.4.2's pattern does not see beyond a line.
    (!text.contains('\n')).then(|| text.to_owned())
}

fn value(literal: &str, scalar: Scalar, options: &TypeOptions) -> Default {
    let bytes = literal.as_bytes();
    let found = match scalar {
        Scalar::Bool => {
            let yes = ["true", "t", "yes", "y", "on", "1"];
            Some(Value::Bool(yes.contains(&literal.to_ascii_lowercase().as_str())))
        }
        Scalar::BitBool | Scalar::VarBitBool => Some(Value::Bool(bytes.contains(&b'1'))),
        Scalar::Bits if !options.oddities && bytes.iter().any(|bit| !matches!(bit, b'0' | b'1')) => None,
        Scalar::Bits => Some(Value::Bytes(bit_bytes(bytes))),
        Scalar::Decimal(scale) => match Decimal::parse(bytes) {
            Some(decimal) if decimal.scale() > scale && options.oddities => return Default::Unfit,
            Some(decimal) => Some(Value::Decimal(decimal.rounded(scale))),
            None => None,
        },
        Scalar::NumericText(_) => Decimal::parse(bytes).map(|decimal| Value::Str(decimal.plain())),
        Scalar::TimestampTz(_) if literal.ends_with("infinity") => None,
        Scalar::TimestampMicros if literal == "infinity" && options.oddities => {
            // The last second that Java knows, saturated and wrapped.
            Some(Value::Int(i64::MAX.wrapping_add(999_999)))
        }
        scalar => scalar.convert(bytes, options).ok(),
    };
    found.map_or(Default::None, Default::Value)
}
