//! One canonical text per value, by SQL on both sides.
//!
//! The text is what Postgres prints, with ISO dates, in UTC. ClickHouse builds the same from its own types, by
//! arithmetic where its printing differs; where the column could not hold a value, Postgres' own text is in the
//! row's map `_unrepresentable`. Exceptions, where printing is not worth imitating: floats are their bits, decimals
//! are without trailing zeros, booleans are `true` and `false`.

use crate::clickhouse::{identifier, literal};

/// The row's map from column name to the text of a value that the column cannot hold.
pub(super) const UNREPRESENTABLE: &str = "_unrepresentable";

/// How a column's values become text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// What Postgres prints; ClickHouse keeps or prints the same.
    Text,
    Bool,
    Float {
        bits: u8,
    },
    Decimal {
        money: bool,
    },
    /// Postgres' hexadecimal text; ClickHouse keeps the bytes.
    Bytes,
    /// A position in the log; ClickHouse keeps the number.
    LogPosition,
    Date,
    Time,
    Timestamp {
        zone: bool,
    },
}

impl Form {
    /// The form for a Postgres type (its base type's name) that lies in a ClickHouse type (without `Nullable` and
    /// `LowCardinality`).
    pub(super) fn of(postgres: &str, clickhouse: &str) -> Self {
        match (postgres, clickhouse) {
            ("bool", "Bool") => Self::Bool,
            ("float4", "Float32") => Self::Float { bits: 32 },
            ("float8", "Float64") => Self::Float { bits: 64 },
            ("bytea", "String") => Self::Bytes,
            ("pg_lsn", "UInt64") => Self::LogPosition,
            ("date", "Date32") => Self::Date,
            ("time", "Time64(6)") => Self::Time,
            ("timestamp", it) if it.starts_with("DateTime64(6") => Self::Timestamp { zone: false },
            ("timestamptz", it) if it.starts_with("DateTime64(6") => Self::Timestamp { zone: true },
            ("numeric", it) if it.starts_with("Decimal") => Self::Decimal { money: false },
            ("money", it) if it.starts_with("Decimal") => Self::Decimal { money: true },
            _ => Self::Text,
        }
    }

    /// The text in Postgres, NULL for NULL. `ty` is the column's base type.
    pub(super) fn postgres(self, column: &str, ty: &str) -> String {
        let c = format!("\"{}\"", column.replace('"', "\"\""));
        match self {
            Self::Bool => format!("CASE WHEN {c} THEN 'true' WHEN NOT {c} THEN 'false' END"),
            // All kinds of NaN are one.
            Self::Float { bits: 32 } => {
                format!("CASE WHEN {c} = 'NaN' THEN 'NaN' ELSE encode(float4send({c}), 'hex') END")
            }
            Self::Float { .. } => {
                format!("CASE WHEN {c} = 'NaN' THEN 'NaN' ELSE encode(float8send({c}), 'hex') END")
            }
            Self::Decimal { money: false } => format!("trim_scale({c}::numeric)::text"),
            // Through numeric, since the currency's sign is the server's business.
            Self::Decimal { money: true } => format!("trim_scale({c}::money::numeric)::text"),
            Self::LogPosition => format!("({c} - '0/0'::pg_lsn)::text"),
            Self::Text if !casts_as_printed(ty) => {
                format!("CASE WHEN {c} IS DISTINCT FROM NULL THEN format('%s', {c}) END")
            }
            Self::Text | Self::Bytes | Self::Date | Self::Time | Self::Timestamp { .. } => format!("{c}::text"),
        }
    }

    /// The text in ClickHouse, NULL for NULL. `index` makes the names of inner expressions unique; `map` says that
    /// the row has the map of unrepresentable values.
    pub(super) fn clickhouse(self, column: &str, index: usize, map: bool) -> String {
        let c = identifier(column);
        let text = match self {
            Self::Text | Self::Bool | Self::Decimal { .. } | Self::LogPosition => format!("toString({c})"),
            Self::Float { bits } => {
                format!("if(isNaN({c}), 'NaN', lower(leftPad(hex(reinterpretAsUInt{bits}({c})), {}, '0')))", bits / 4)
            }
            Self::Bytes => format!("concat('\\\\x', lower(hex({c})))"),
            Self::Date => {
                let date = date(&format!("toInt64(toInt32({c}))"), index);
                format!("concat({}, {})", date.day, date.era)
            }
            Self::Time => time(&format!("toInt64(toDecimal64({c}, 6) * 1000000)"), index),
            Self::Timestamp { zone } => timestamp(&format!("toUnixTimestamp64Micro({c})"), zone, index),
        };
        if !map {
            return text;
        }
        let name = literal(column);
        let kept = format!("{UNREPRESENTABLE}[{name}]");
        let kept = match self {
            Self::Decimal { .. } => {
                format!("if(position({kept}, '.') > 0, replaceRegexpOne({kept}, '\\\\.?0+$', ''), {kept})")
            }
            _ => kept,
        };
        format!("if(mapContains({UNREPRESENTABLE}, {name}), {kept}, {text})")
    }
}

/// Types whose cast to text is what the server prints. Others are not, `char(n)` and `inet` for example.
fn casts_as_printed(ty: &str) -> bool {
    ["int2", "int4", "int8", "oid", "text", "varchar", "uuid", "json", "jsonb", "numeric"].contains(&ty)
}

/// Pieces of a calendar date.
struct DateText {
    /// Year, month and day.
    day: String,
    /// Empty, or ` BC`, which comes last.
    era: String,
}

/// A date from its days since 1970. The calendar repeats every 400 years, 146,097 days: ClickHouse prints a day of
/// 1900 to 2299, and the year is moved. Year 0 is 1 BC.
fn date(days: &str, index: usize) -> DateText {
    let (n, cycle, year) = (format!("days_{index}_"), format!("cycle_{index}_"), format!("year_{index}_"));
    let folded = format!("addDays(toDate32('1970-01-01'), {n} - {cycle} * 146097)");
    let counted = format!("if({year} > 0, {year}, 1 - {year})");
    let cycles = format!("toInt64(floor((({days} AS {n}) + 25567) / 146097)) AS {cycle}");
    let years = format!("toYear({folded}) + 400 * ({cycles}) AS {year}");
    DateText {
        day: format!(
            "concat(if(({years}) > 9999, toString({year}), leftPad(toString({counted}), 4, '0')), \
             substring(toString({folded}), 5))"
        ),
        era: format!("if({year} > 0, '', ' BC')"),
    }
}

/// A time of day from its microseconds, without trailing zeros, up to `24:00:00`.
fn time(micros: &str, index: usize) -> String {
    let us = format!("time_{index}_");
    let two = |expression: String| format!("leftPad(toString({expression}), 2, '0')");
    let fraction = format!("replaceRegexpOne(leftPad(toString({us} % 1000000), 6, '0'), '0+$', '')");
    format!(
        "concat({}, ':', {}, ':', {}, if({us} % 1000000 = 0, '', concat('.', {fraction})))",
        two(format!("intDiv({micros} AS {us}, 3600000000)")),
        two(format!("intDiv({us}, 60000000) % 60")),
        two(format!("intDiv({us}, 1000000) % 60")),
    )
}

/// A moment from its microseconds since 1970.
fn timestamp(micros: &str, zone: bool, index: usize) -> String {
    let us = format!("micros_{index}_");
    let day = "toInt64(86400000000)";
    // Rounds down, also before 1970.
    let days = format!("intDiv({us}, {day}) - if({us} % {day} < 0, 1, 0)");
    let date = date(&format!("({days})"), index);
    let time = time(&format!("({us} - {day} * days_{index}_)"), index);
    let zone = if zone { "'+00', " } else { "" };
    format!("if(isNull({micros} AS {us}), NULL, concat({}, ' ', {time}, {zone}{}))", date.day, date.era)
}

/// A value's text with its length, so that no two rows look alike when joined: `V5:hello`, or `N` for NULL.
pub(super) fn framed_postgres(text: &str) -> String {
    format!("coalesce('V' || octet_length({text}) || ':' || {text}, 'N')")
}

/// As [`framed_postgres`].
pub(super) fn framed_clickhouse(text: &str) -> String {
    format!("ifNull(concat('V', toString(length({text})), ':', {text}), 'N')")
}

/// Reads framed values: what a report shows of a key.
pub(super) fn unframe(mut framed: &str) -> String {
    let mut shown = Vec::new();
    while let Some(kind) = framed.chars().next() {
        let rest = framed.get(1..).unwrap_or_default();
        let value = (kind == 'V').then(|| rest.split_once(':')).flatten().and_then(|(length, rest)| {
            let length = length.parse::<usize>().ok()?;
            Some((rest.get(..length)?, rest.get(length..)?))
        });
        let (value, rest) = value.unwrap_or(("NULL", rest));
        shown.push(value);
        framed = rest;
    }
    if shown.len() == 1 { shown.concat() } else { format!("({})", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_back() {
        assert_eq!(unframe("V5:hello"), "hello");
        assert_eq!(unframe("V1:1NV3:a:b"), "(1, NULL, a:b)");
        assert_eq!(unframe("Vx"), "(NULL, NULL)");
    }

    #[test]
    fn expressions() {
        let cases = [
            ("int4", "Int32"),
            ("bpchar", "String"),
            ("bool", "Bool"),
            ("float4", "Float32"),
            ("numeric", "Decimal(12, 2)"),
            ("money", "Decimal(19, 2)"),
            ("bytea", "String"),
            ("date", "Date32"),
            ("time", "Time64(6)"),
            ("timestamptz", "DateTime64(6, 'UTC')"),
            ("pg_lsn", "UInt64"),
        ];
        let shown: Vec<String> = cases
            .iter()
            .map(|(postgres, clickhouse)| {
                let form = Form::of(postgres, clickhouse);
                let map = *postgres == "numeric";
                format!("{postgres}\n  {}\n  {}", form.postgres("a\"b", postgres), form.clickhouse("a`b", 3, map))
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }
}
