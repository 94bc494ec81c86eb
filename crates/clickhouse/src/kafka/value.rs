//! SQL that reads a value back from its JSON.
//!
//! Every expression takes a `Nullable(String)`: a JSON string's text, or any other value's JSON. It
//! gives NULL for a NULL and for what it cannot read, and throws at nothing. [`typed`] gives the
//! column's own type, [`text`] what Postgres prints, which is also what stands in for a value that
//! the column cannot hold.

use super::wire::{Binary, Unit, Wire};
use crate::ddl::literal;
use crate::mapping::{ClickHouseType, Dates};

/// What Debezium sends for infinite dates, while streaming and from a snapshot.
const INFINITE_DAYS: [(&str, i64); 4] = [
    ("infinity", -2_147_472_692),
    ("-infinity", -2_147_472_691),
    ("infinity", -622_191_234),
    ("-infinity", -625_821_272),
];

/// What Debezium sends for infinite timestamps, in microseconds.
const INFINITE_MICROS: [(&str, i64); 2] =
    [("infinity", 9_223_372_036_825_200_000), ("-infinity", -9_223_372_036_832_400_000)];

/// `Nullable` of the column's type.
pub(super) fn typed(wire: &Wire, x: &str, ty: ClickHouseType, dates: Dates) -> String {
    match (ty, wire) {
        (ClickHouseType::String | ClickHouseType::LowCardinality, Wire::Bytes(binary)) => decoded(*binary, x),
        (ClickHouseType::String | ClickHouseType::LowCardinality, _) => text(wire, x),
        (ClickHouseType::Bool, _) => format!("multiIf({x} = 'true', true, {x} = 'false', false, NULL)"),
        (ClickHouseType::Uuid, _) => format!("toUUIDOrNull({x})"),
        (ClickHouseType::Date32, _) => date(x, dates),
        (ClickHouseType::Time64, Wire::Time(unit)) => {
            let n = micros(*unit, x);
            format!(
                "if({n} BETWEEN 0 AND 86400000000, CAST(reinterpret({n}, 'Decimal(18, 6)') AS Nullable(Time64(6))), NULL)"
            )
        }
        (ClickHouseType::DateTime64 { .. }, Wire::Timestamp(unit)) => moment(&micros(*unit, x), dates),
        (ClickHouseType::DateTime64 { .. }, _) => zoned(x, dates),
        (ClickHouseType::Decimal { precision, scale }, _) => decimal(wire, x, precision, scale),
        (ClickHouseType::UInt64, Wire::Unknown(_)) => format!("toUInt64OrNull({})", text(wire, x)),
        (number, _) => format!("to{number}OrNull({x})"),
    }
}

/// `Nullable(String)` of what Postgres prints, as far as the message still tells it.
pub(super) fn text(wire: &Wire, x: &str) -> String {
    match wire {
        Wire::Text | Wire::Number => x.to_owned(),
        Wire::DecimalText => format!(
            "multiIf({x} = 'NAN', 'NaN', {x} = 'POSITIVE_INFINITY', 'Infinity', {x} = 'NEGATIVE_INFINITY', '-Infinity', \
             {x})"
        ),
        Wire::Bool => format!("multiIf({x} = 'true', 't', {x} = 'false', 'f', NULL)"),
        Wire::BitFlag => format!("multiIf({x} = 'true', '1', {x} = 'false', '0', NULL)"),
        Wire::Decimal { scale } => decimal_text(&integer(x), &scale.to_string()),
        Wire::VariableDecimal => {
            let scale = format!("toUInt32(least(JSONExtractUInt(ifNull({x}, ''), 'scale'), 1000))");
            decimal_text(&integer(&format!("JSONExtract(ifNull({x}, ''), 'value', 'Nullable(String)')")), &scale)
        }
        Wire::Days => date_text(x),
        Wire::Time(unit) => clock(&micros(*unit, x)),
        Wire::Timestamp(unit) => moment_text(&micros(*unit, x)),
        Wire::ZonedTimestamp => format!(
            "if(endsWith({x}, 'Z') AND match({x}, '^[0-9]'), concat({}, '+00'), {x})",
            trimmed(&format!("replaceOne(substring({x}, 1, length({x}) - 1), 'T', ' ')"))
        ),
        Wire::ZonedTime => format!("replaceOne({x}, 'Z', '+00')"),
        Wire::IntervalMicros => {
            let n = format!("toInt64OrNull({x})");
            format!("concat(if({n} < 0, '-', ''), {})", clock(&format!("abs({n})")))
        }
        Wire::IntervalText => interval(x),
        Wire::Bytes(binary) => format!("concat('\\\\x', lower(hex({})))", decoded(*binary, x)),
        Wire::Bits(length) => bits(*length, x),
        Wire::Point => {
            let part = |name: &str| format!("JSONExtract(ifNull({x}, ''), '{name}', 'Nullable(String)')");
            format!("concat('(', {}, ',', {}, ')')", part("x"), part("y"))
        }
        Wire::Geometry => {
            let wkb = format!("JSONExtract(ifNull({x}, ''), 'wkb', 'Nullable(String)')");
            format!("hex({})", decoded(Binary::Base64, &wkb))
        }
        Wire::Hstore => hstore(x),
        Wire::Unknown(binary) => decoded(*binary, x),
        Wire::Array(element) => array(element, x),
    }
}

fn decoded(binary: Binary, x: &str) -> String {
    match binary {
        Binary::Base64 => format!("tryBase64Decode({x})"),
        Binary::Base64Url => format!("tryBase64URLDecode({x})"),
        Binary::Hex => format!("unhex({x})"),
    }
}

/// The integer whose two's complement is base64: `Nullable(Int256)`.
fn integer(x: &str) -> String {
    let bytes = format!("tryBase64Decode({x})");
    // the first byte's highest bit is the sign, and what is missing up to 32 bytes was read as zeros
    format!(
        "if(length({bytes}) BETWEEN 1 AND 32, reinterpretAsInt256(reverse({bytes})) - if(reinterpretAsUInt8({bytes}) >= \
         128 AND length({bytes}) < 32, bitShiftLeft(toInt256(1), 8 * length({bytes})), toInt256(0)), NULL)"
    )
}

/// An integer's digits with a point before the last `scale` of them.
fn decimal_text(integer: &str, scale: &str) -> String {
    if scale == "0" {
        return format!("toString({integer})");
    }
    let digits = format!("leftPad(toString(abs({integer})), {scale} + 1, '0')");
    format!(
        "concat(if({integer} < 0, '-', ''), substring({digits}, 1, length({digits}) - {scale}), if({scale} > 0, '.', ''), \
         substring({digits}, length({digits}) - {scale} + 1))"
    )
}

fn decimal(wire: &Wire, x: &str, precision: u8, scale: u8) -> String {
    // as wide as the message's integer may be: then nothing is cut
    if *wire == (Wire::Decimal { scale: u32::from(scale) }) {
        return format!(
            "accurateCastOrNull(reinterpret({}, 'Decimal(76, {scale})'), 'Decimal({precision}, {scale})')",
            integer(x)
        );
    }
    let bits = match precision {
        0..=9 => 32,
        10..=18 => 64,
        19..=38 => 128,
        _ => 256,
    };
    let text = text(wire, x);
    // more digits than the column has would be cut
    let fits = format!("length(extract(ifNull({text}, ''), '\\\\.([0-9]*[1-9])0*$')) <= {scale}");
    format!(
        "if({fits}, accurateCastOrNull(toDecimal{bits}OrNull({text}, {scale}), 'Decimal({precision}, {scale})'), NULL)"
    )
}

fn date(x: &str, dates: Dates) -> String {
    let (n, (first, last)) = (format!("toInt64OrNull({x})"), dates.days());
    format!("if({n} BETWEEN {first} AND {last}, addDays(toDate32('1970-01-01'), {n}), NULL)")
}

fn date_text(x: &str) -> String {
    let n = format!("toInt64OrNull({x})");
    let infinite = infinite(&n, &INFINITE_DAYS);
    format!(
        "multiIf({infinite}, {n} BETWEEN -719528 AND 2932896, toString(addDays(toDate32('1970-01-01'), {n})), \
         concat(toString({n}), ' days since 1970-01-01'))"
    )
}

/// `condition, text, ..` for a `multiIf`.
fn infinite(n: &str, known: &[(&str, i64)]) -> String {
    let each = known.iter().map(|(text, value)| format!("{n} = {value}, '{text}'"));
    each.collect::<Vec<_>>().join(", ")
}

/// Microseconds, or NULL where they do not fit.
fn micros(unit: Unit, x: &str) -> String {
    match unit {
        Unit::Micros => format!("toInt64OrNull({x})"),
        // beyond, the product would wrap
        Unit::Millis => {
            let n = format!("toInt64OrNull({x})");
            format!("if(abs({n}) < 9223372036854775, {n} * 1000, NULL)")
        }
    }
}

fn moment(n: &str, dates: Dates) -> String {
    let (first, last) = dates.micros();
    format!("if({n} BETWEEN {first} AND {last}, fromUnixTimestamp64Micro({n}), NULL)")
}

fn moment_text(n: &str) -> String {
    let (first, last) = Dates::Wide.micros();
    let thousandths: Vec<(&str, i64)> =
        INFINITE_MICROS.iter().map(|(text, value)| (*text, value.div_euclid(1000) * 1000)).collect();
    format!(
        "multiIf({}, {}, {n} BETWEEN {first} AND {last}, {}, concat(toString({n}), ' us since 1970-01-01'))",
        infinite(n, &INFINITE_MICROS),
        infinite(n, &thousandths),
        trimmed(&format!("toString(fromUnixTimestamp64Micro({n}, 'UTC'))"))
    )
}

fn zoned(x: &str, dates: Dates) -> String {
    let read = format!("toDateTime64OrNull(substring({x}, 1, length({x}) - 1), 6, 'UTC')");
    let within = match dates {
        Dates::Wide => "",
        // an older server clamps instead of failing
        Dates::Narrow => " AND substring({x}, 1, 4) BETWEEN '1900' AND '2299'",
    };
    format!("if(match({x}, '^[0-9]{{4}}-') AND endsWith({x}, 'Z'){}, {read}, NULL)", within.replace("{x}", x))
}

/// Microseconds of a day, or of an interval, as `HH:MM:SS[.f]`.
fn clock(n: &str) -> String {
    let pair = |value: String| format!("leftPad(toString({value}), 2, '0')");
    trimmed(&format!(
        "concat({}, ':', {}, ':', {}, '.', leftPad(toString({n} % 1000000), 6, '0'))",
        format_args!(
            "if({n} < 360000000000, {}, toString(intDiv({n}, 3600000000)))",
            pair(format!("intDiv({n}, 3600000000)"))
        ),
        pair(format!("intDiv({n}, 60000000) % 60")),
        pair(format!("intDiv({n}, 1000000) % 60")),
    ))
}

/// Without zeros at the end of a fraction, and without a point that is left.
fn trimmed(text: &str) -> String {
    format!("replaceRegexpOne({text}, '(\\\\.[0-9]*[1-9])0+$|\\\\.0+$', '\\\\1')")
}

/// As Postgres prints intervals: `1 year 2 mons -3 days +04:05:06.7`.
fn interval(x: &str) -> String {
    let groups = format!(
        "extractGroups(ifNull({x}, ''), '^P(-?[0-9]+)Y(-?[0-9]+)M(-?[0-9]+)DT(-?)([0-9]+)H(-?)([0-9]+)M(-?)([0-9.]+)S$')"
    );
    // a part after a negative one says its plus
    let part = |index: usize, unit: &str, before: &str| {
        let n = format!("toInt64OrZero(g[{index}])");
        format!(
            "if({n} = 0, '', concat(if({n} > 0 AND ({before}), '+', ''), toString({n}), ' {unit}', if({n} = 1, '', 's')))"
        )
    };
    let number = |index: usize| format!("toInt64OrZero(g[{index}])");
    let (years, months, days) = (number(1), number(2), number(3));
    let after_months = format!("{months} < 0 OR ({months} = 0 AND {years} < 0)");
    let after_days = format!("{days} < 0 OR ({days} = 0 AND ({after_months}))");
    let seconds = "g[9]";
    let time = format!(
        "concat(leftPad(g[5], 2, '0'), ':', leftPad(g[7], 2, '0'), ':', if(position({seconds}, '.') = 2 OR \
         length({seconds}) = 1, '0', ''), {})",
        trimmed(seconds)
    );
    let zero = format!("toInt64OrZero(g[5]) = 0 AND toInt64OrZero(g[7]) = 0 AND toFloat64OrZero({seconds}) = 0");
    let sign = format!("multiIf(g[4] = '-' OR g[6] = '-' OR g[8] = '-', '-', {after_days}, '+', '')");
    let parts = format!(
        "arrayFilter(s -> s != '', [{}, {}, {}, if({zero}, '', concat({sign}, {time}))])",
        part(1, "year", "false"),
        part(2, "mon", &format!("{years} < 0")),
        part(3, "day", &after_months),
    );
    format!(
        "if(empty({groups}), {x}, arrayMap(g -> if({years} = 0 AND {months} = 0 AND {days} = 0 AND {zero}, '00:00:00', \
         arrayStringConcat({parts}, ' ')), [{groups}])[1])"
    )
}

fn bits(length: Option<u32>, x: &str) -> String {
    let all = format!("bin(reverse({}))", decoded(Binary::Base64, x));
    match length {
        Some(length) => format!("right(concat(repeat('0', {length}), {all}), {length})"),
        // how many zeros stood in front is not told
        None => format!("if({x} = '', '', replaceRegexpOne({all}, '^0+', ''))"),
    }
}

/// Entries in the order in which Postgres keeps them.
fn hstore(x: &str) -> String {
    let quoted =
        |text: &str| format!("concat('\"', replaceRegexpAll({text}, '([\"\\\\\\\\])', '\\\\\\\\\\\\1'), '\"')");
    let entry = format!(
        "concat({}, '=>', if(kv.2 = 'null', 'NULL', {}))",
        quoted("kv.1"),
        quoted("JSONExtractString(concat('[', kv.2, ']'), 1)")
    );
    format!(
        "if(isNull({x}), NULL, arrayStringConcat(arrayMap(kv -> {entry}, arraySort(kv -> (length(kv.1), kv.1), \
         JSONExtractKeysAndValuesRaw(ifNull({x}, '')))), ', '))"
    )
}

/// Postgres' literal of a list.
fn array(element: &Wire, x: &str) -> String {
    let item = text(element, "item");
    let plain = "replaceRegexpAll(t, '([\"\\\\\\\\])', '\\\\\\\\\\\\1')";
    let quoted = format!(
        "if(t = '' OR lower(t) = 'null' OR match(t, '[{{}}\",\\\\\\\\\\\\s]'), concat('\"', {plain}, '\"'), t)"
    );
    format!(
        "if(isNull({x}), NULL, concat('{{', arrayStringConcat(arrayMap(t -> if(isNull(t), 'NULL', assumeNotNull({quoted})), \
         arrayMap(item -> {item}, JSONExtract(ifNull({x}, ''), 'Array(Nullable(String))'))), ','), '}}'))"
    )
}

/// A text that a column cannot hold, or stands for it.
pub(super) fn stand_in(wire: &Wire, x: &str) -> String {
    format!("ifNull({}, ifNull({x}, ''))", text(wire, x))
}

/// A name as a JSON path's member.
pub(super) fn member(name: &str) -> String {
    literal(name)
}
