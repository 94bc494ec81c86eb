//! Columns of generated tables: every kind of type that Debezium knows, with random values of it.
//!
//! Left out is what has no one answer: arrays of several dimensions print an address of Java's memory.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// How a kind's values are written in SQL.
type Values = fn(&mut ChaCha8Rng) -> String;

/// A type with its values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) sql: &'static str,
    value: Values,
    /// A default that its column may have.
    default: Option<&'static str>,
}

/// What every scenario's database has beside its tables.
pub(crate) const TYPES: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'very happy');
    CREATE DOMAIN code AS varchar(12); CREATE DOMAIN small_number AS int CHECK (VALUE < 1000000);";

const KINDS: [Kind; 50] = [
    kind("smallint", |r| r.random_range(i16::MIN..=i16::MAX).to_string(), Some("7")),
    kind("int", |r| pick(r, &["0", "-1", "2147483647", "-2147483648", "42"]), Some("-5")),
    kind("bigint", |r| pick(r, &["0", "-1", "9223372036854775807", "-9223372036854775808", "42"]), Some("12")),
    kind("numeric(10,2)", decimal, Some("1.50")),
    kind("numeric(38,10)", |r| pick(r, &["0", "-0.0000000001", "1234567890123456789012345678.0123456789", "1"]), None),
    kind("numeric", |r| pick(r, &["0", "1e20", "-0.000000000000001", "12345.678900", "100", "3.0"]), None),
    kind("numeric(6,0)", |r| r.random_range(-99_999..99_999).to_string(), Some("3")),
    kind(
        "real",
        |r| pick(r, &["0", "-0.0", "1e23", "1.5", "3.4028235e38", "1e-45", "'NaN'", "'Infinity'", "0.1"]),
        None,
    ),
    kind(
        "double precision",
        |r| {
            pick(
                r,
                &["0", "1e23", "2e-3", "1.7976931348623157e308", "5e-324", "'-Infinity'", "12345678.9", "0.001", "1e7"],
            )
        },
        Some("0.5"),
    ),
    kind("boolean", |r| pick(r, &["true", "false"]), Some("true")),
    kind("char(5)", text, None),
    kind("varchar(20)", text, Some("'x'")),
    kind("text", text, Some("'a default'")),
    kind("code", text, None),
    kind("small_number", |r| r.random_range(-5..100_000).to_string(), None),
    kind("bytea", |r| pick(r, &["''", "'\\x00ff10'", "'\\xdeadbeef01'", "'abc'"]), None),
    kind(
        "date",
        |r| pick(r, &["'1970-01-01'", "'1999-02-28'", "'2024-02-29'", "'0001-01-01'", "'9999-12-31'", "'infinity'"]),
        Some("'2020-01-01'"),
    ),
    kind("time", time_of_day, None),
    kind("time(3)", time_of_day, None),
    kind("timetz", |r| pick(r, &["'12:00:00+02'", "'23:59:59.123456-08'", "'00:00:00Z'"]), None),
    kind("timestamp", timestamp, Some("'2020-01-01 00:00:00'")),
    kind("timestamp(3)", timestamp, None),
    kind("timestamp(0)", timestamp, None),
    kind("timestamptz", timestamp, None),
    kind("timestamptz(3)", timestamp, None),
    kind(
        "interval",
        |r| pick(r, &["'1 year 2 months 3 days 04:05:06.789'", "'-1 day'", "'0'", "'100 years'", "'00:00:00.000001'"]),
        None,
    ),
    kind(
        "uuid",
        |r| pick(r, &["'00000000-0000-0000-0000-000000000000'", "'c0ffee00-1234-4abc-8def-0123456789ab'"]),
        None,
    ),
    kind("json", json, Some("'{}'")),
    kind("jsonb", json, None),
    kind("xml", |r| pick(r, &["'<a>1</a>'", "'<b c=\"d\"/>'"]), None),
    kind("bit", |r| pick(r, &["B'0'", "B'1'"]), None),
    kind("bit(5)", |r| pick(r, &["B'00000'", "B'10101'", "B'11111'"]), None),
    kind("bit(12)", |r| pick(r, &["B'000000000001'", "B'101010101010'"]), None),
    kind("varbit(9)", |r| pick(r, &["B''", "B'1'", "B'101010101'", "B'00'"]), None),
    kind("money", |r| pick(r, &["'0'", "'-1234.56'", "'12.3'", "'99999.99'"]), None),
    kind("inet", |r| pick(r, &["'127.0.0.1'", "'10.1.0.0/16'", "'::1'"]), None),
    kind("cidr", |r| pick(r, &["'10.0.0.0/8'", "'2001:db8::/32'"]), None),
    kind("macaddr", |r| pick(r, &["'08:00:2b:01:02:03'"]), None),
    kind("point", |r| pick(r, &["'(1,2)'", "'(-0.5,1e10)'"]), None),
    kind("int4range", |r| pick(r, &["'[1,5)'", "'empty'", "'(,7]'"]), None),
    kind("tstzrange", |r| pick(r, &["'[2020-01-01,2021-01-01)'", "'(,)'"]), None),
    kind("mood", |r| pick(r, &["'sad'", "'ok'", "'very happy'"]), Some("'ok'")),
    kind("int[]", |r| pick(r, &["'{}'", "'{1,NULL,-3}'", "'{2147483647}'"]), None),
    kind("bigint[]", |r| pick(r, &["'{}'", "'{1,NULL}'"]), None),
    kind("text[]", |r| pick(r, &["'{}'", "'{a,\"b c\",NULL,\"d\\\"e\"}'", "'{\"ü\"}'"]), None),
    kind("boolean[]", |r| pick(r, &["'{t,f,NULL}'", "'{}'"]), None),
    kind("date[]", |r| pick(r, &["'{2020-01-01,1969-12-31}'", "'{}'"]), None),
    kind("numeric(8,3)[]", |r| pick(r, &["'{1.5,2}'", "'{}'", "'{-0.001}'"]), None),
    kind("uuid[]", |r| pick(r, &["'{c0ffee00-1234-4abc-8def-0123456789ab}'"]), None),
    kind("name", |r| pick(r, &["'a name'", "'pg_catalog'"]), None),
];

const fn kind(sql: &'static str, value: Values, default: Option<&'static str>) -> Kind {
    Kind { sql, value, default }
}

fn pick(random: &mut ChaCha8Rng, from: &[&str]) -> String {
    from[random.random_range(0..from.len())].to_owned()
}

fn text(random: &mut ChaCha8Rng) -> String {
    pick(
        random,
        &["''", "'a'", "'it''s'", "'ümlaut'", "'日本'", "E'\\ttab'", "'😀'", "'\"q\"'", "'a/b'", "'\\'", "'x y'"],
    )
}

fn json(random: &mut ChaCha8Rng) -> String {
    pick(random, &["'{}'", "'{\"a\": [1, 2.50, null]}'", "'\"text\"'", "'{\"ü\": \"😀\"}'", "'[]'", "'7'"])
}

fn decimal(random: &mut ChaCha8Rng) -> String {
    let cents = random.random_range(-9_999_999_999_i64..9_999_999_999);
    format!("{}.{:02}", cents / 100, cents.abs() % 100)
}

fn time_of_day(random: &mut ChaCha8Rng) -> String {
    pick(random, &["'00:00:00'", "'23:59:59.999999'", "'12:34:56.7'", "'24:00:00'", "'01:02:03.004'"])
}

fn timestamp(random: &mut ChaCha8Rng) -> String {
    if random.random_bool(0.3) {
        return pick(
            random,
            &["'infinity'", "'-infinity'", "'1970-01-01'", "'1582-10-15'", "'9999-12-31 23:59:59.999999'"],
        );
    }
    let (year, month, day) = (random.random_range(1900..2100), random.random_range(1..13), random.random_range(1..29));
    let (hour, micros) = (random.random_range(0..24), random.random_range(0..1_000_000));
    format!("'{year}-{month:02}-{day:02} {hour:02}:11:12.{micros:06}'")
}

impl Kind {
    pub(crate) fn choose(random: &mut ChaCha8Rng) -> Self {
        KINDS[random.random_range(0..KINDS.len())]
    }

    /// Whether its values are bit strings, of which Java prints an address of its memory.
    pub(crate) fn is_bits(self) -> bool {
        self.sql.starts_with("bit(") || self.sql.starts_with("varbit")
    }

    /// A random value's SQL, now and then NULL unless the column forbids it.
    pub(crate) fn value(self, random: &mut ChaCha8Rng, nullable: bool) -> String {
        if nullable && random.random_bool(0.15) { "NULL".to_owned() } else { (self.value)(random) }
    }

    /// The rest of the column's definition, and whether it may be null.
    pub(crate) fn definition(self, random: &mut ChaCha8Rng) -> (String, bool) {
        let mut text = self.sql.to_owned();
        if let Some(default) = self.default.filter(|_| random.random_bool(0.4)) {
            text.push_str(&format!(" DEFAULT {default}"));
        }
        let nullable = random.random_bool(0.8);
        if !nullable {
            text.push_str(" NOT NULL");
        }
        (text, nullable)
    }
}
