//! Every type with its edge values, from a real Postgres in both wire forms, through a block, into the
//! engine and back as text.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use futures_util::TryStreamExt;
use walhouse_clickhouse::mapping::{ClickHouseType, TableKind, TableOverride, TablePlan};
use walhouse_lab::postgres::Server;
use walhouse_value::{CatalogType, Kind, PgType, SESSION_SETTINGS};

use super::support::{Database, Value, block, builtin, schema, text};

/// (type, SQL literals to cast to it).
const VALUES: &[(&str, &[&str])] = &[
    ("bool", &["true", "false"]),
    ("int2", &["-32768", "0", "32767"]),
    ("int4", &["-2147483648", "-1", "0", "2147483647"]),
    ("int8", &["-9223372036854775808", "7", "9223372036854775807"]),
    ("oid", &["0", "4294967295"]),
    ("xid", &["'4294967295'"]),
    ("xid8", &["'0'", "'18446744073709551615'"]),
    ("pg_lsn", &["'16/B374D848'", "'0/0'", "'FFFFFFFF/FFFFFFFF'"]),
    (
        "float8",
        &[
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "'-0'",
            "0",
            "1e-310",
            "5e-324",
            "1.7976931348623157e308",
            "0.1",
            "1e23",
        ],
    ),
    ("float4", &["0.1", "16777217", "'NaN'", "'-Infinity'", "'-0'", "1e-45", "3.4028235e38"]),
    ("numeric", &["'NaN'", "1e-40", "12345678901234567890123456789012345678901234567890.123450", "1.10", "1e131071"]),
    ("numeric(5,0)", &["99999", "-99999", "0", "'NaN'"]),
    ("numeric(9,9)", &["0.123456789", "-0.999999999"]),
    ("numeric(10,2)", &["-1.50", "99999999.99", "0", "'NaN'"]),
    ("numeric(18,0)", &["999999999999999999", "-999999999999999999"]),
    ("numeric(38,10)", &["-9999999999999999999999999999.9999999999", "1", "0.0000000001"]),
    ("numeric(39,0)", &["999999999999999999999999999999999999999", "-1", "'NaN'"]),
    (
        "numeric(76,38)",
        &[
            "99999999999999999999999999999999999999.99999999999999999999999999999999999999",
            "-99999999999999999999999999999999999999.99999999999999999999999999999999999999",
        ],
    ),
    ("numeric(77,3)", &["1.100"]),
    ("money", &["'-$1,234.56'", "'0'", "'-92233720368547758.08'", "'92233720368547758.07'"]),
    ("text", &["''", "'é'", "E'a\\tb\\n'", "repeat('long ', 1000)", "repeat('x', 2 << 20)", "'🐘'"]),
    ("varchar(3)", &["'é'", "''"]),
    ("bpchar(5)", &["'ab'", "''"]),
    ("\"char\"", &["'a'", "''"]),
    ("name", &["repeat('n', 63)"]),
    ("xml", &["'<a>é</a>'"]),
    ("bytea", &["'\\x00ff5c'", "''", "decode(repeat('00ff', 1 << 19), 'hex')", "decode(repeat('0a', 200), 'hex')"]),
    ("uuid", &["'00112233-4455-6677-8899-aabbccddeeff'"]),
    (
        "date",
        &[
            "'infinity'",
            "'-infinity'",
            "'5874897-12-31'",
            "'4713-01-01 BC'",
            "'0002-12-31 BC'",
            "'0001-01-01 BC'",
            "'0001-12-31 BC'",
            "'0001-01-01'",
            "'1899-12-31'",
            "'1969-12-31'",
            "'2000-02-29'",
            "'2300-01-01'",
            "'9999-12-31'",
            "'10000-01-01'",
        ],
    ),
    ("time", &["'24:00:00'", "'23:59:59.999999'", "'00:00'", "'01:02:03.4'"]),
    ("timetz", &["'12:00:00.5+05:30'", "'24:00:00-15:59'"]),
    (
        "timestamp",
        &[
            "'infinity'",
            "'-infinity'",
            "'4714-11-24 00:00 BC'",
            "'0002-12-31 23:59:59.999999 BC'",
            "'0001-01-01 00:00 BC'",
            "'294276-12-31 23:59:59.999999'",
            "'294247-01-10 04:00:54.775808'",
            "'1899-12-31 23:59:59'",
            "'1969-12-31 23:59:59.999999'",
            "'2024-03-10 02:30:00.12'",
            "'2299-12-31 23:59:59.999999'",
            "'9999-12-31 23:59:59.999999'",
            "'10000-01-01'",
        ],
    ),
    (
        "timestamptz",
        &[
            "'2024-03-10 02:30:00.123456+05:30'",
            "'0044-03-15 BC'",
            "'0001-01-01 00:00+00'",
            "'infinity'",
            "'-infinity'",
            "'294276-12-31 23:59:59.999999+00'",
            "'1970-01-01 00:00+00'",
        ],
    ),
    ("interval", &["'1 mon -1 day +02:03:04.5'", "'178000000 years'", "'0'"]),
    ("json", &["'{\"a\":1,\"a\":2,  \"z\":1e400}'", "'\"\\u0000\"'"]),
    ("jsonb", &["'{\"b\":1.10,\"a\":null}'", "'[]'", "to_jsonb(repeat('x', 1 << 20))"]),
    ("inet", &["'192.168.1.5/24'", "'::1'"]),
    ("cidr", &["'10.0.0.0/8'"]),
    ("macaddr", &["'08:00:2b:01:02:03'"]),
    ("bit(5)", &["B'10110'"]),
    ("varbit", &["B'1011011101'", "B''"]),
    ("mood", &["'sad'", "'so, so'", "'sad'"]),
    ("int4[]", &["'{1,NULL,3}'", "'{}'", "'{{1,2},{3,4}}'", "'[2:3]={7,8}'"]),
    ("text[]", &["array['NULL',null,'','a\"b']"]),
    ("mood[]", &["'{sad,NULL}'"]),
    ("pair", &["row(1, 'x y')"]),
    ("int4range", &["'[1,5)'", "'empty'"]),
    ("tsvector", &["'''it''s'':1A fat:2B,4'"]),
    ("point", &["'(1.5,2)'"]),
    ("amount", &["1.50", "'NaN'"]),
];

/// Values that only newer servers know: (from version, type, literals).
const NEWER: &[(u32, &str, &[&str])] = &[
    (140_000, "numeric(12,2)", &["1"]),
    (140_000, "numeric", &["'Infinity'", "'-Infinity'"]),
    (150_000, "numeric(5,-2)", &["12300", "-9999900"]),
    (150_000, "numeric(3,5)", &["0.00123"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_value_arrives() -> Result<()> {
    let (source, version) = connect("every_value").await?;
    source
        .batch_execute(
            "CREATE TYPE mood AS ENUM ('sad', 'so, so'); CREATE TYPE pair AS (a int, b text); \
             CREATE DOMAIN amount AS numeric(10,2)",
        )
        .await?;
    let target = Database::create("every_value").await?;
    let known = NEWER.iter().filter(|(since, ..)| version >= *since).map(|(_, ty, values)| (*ty, *values));
    let mut checked = 0;
    for (number, (ty, values)) in VALUES.iter().copied().chain(known).enumerate() {
        let pairs = pairs(&source, ty, values).await.with_context(|| ty.to_owned())?;
        let source_type = column_type(&source, ty).await?;
        checked += check(&target, number, &source_type, &pairs).await.with_context(|| ty.to_owned())?;
    }
    println!("{checked} values arrived from server version {version}");
    ensure!(checked > 150);
    Ok(())
}

/// One value in both forms; `None` is NULL. A type that is read as text only has no binary form here.
struct Pair {
    binary: Option<Vec<u8>>,
    text: Option<Vec<u8>>,
}

async fn check(target: &Database, number: usize, ty: &PgType, pairs: &[Pair]) -> Result<usize> {
    let table = schema("public", &format!("t{number}"), vec![("id", builtin(23)), ("v", ty.clone())], 1);
    let plan = Arc::new(TablePlan::new(table, &TableOverride::default(), &target.layout())?);
    target.create_all(&plan).await?;
    let rows = |form: fn(&Pair) -> Value| -> Vec<Vec<Value>> {
        pairs.iter().enumerate().map(|(id, pair)| vec![text(id), form(pair)]).collect()
    };
    let texts = block(&plan, &rows(|pair| value(Kind::Text, &pair.text)), 1, 0);
    if ty.binary_decodable() {
        let binaries = block(&plan, &rows(|pair| value(Kind::Binary, &pair.binary)), 1, 0);
        ensure!(texts.chunks.concat() == binaries.chunks.concat(), "text and binary give different blocks");
    }
    target.insert_into(&plan, TableKind::Log, &texts).await?;
    let to = plan.columns[1].ty;
    let shown = match to {
        ClickHouseType::String | ClickHouseType::LowCardinality => "hex(v)",
        _ => "v",
    };
    let sql = format!(
        "SELECT {shown}, hex(_unrepresentable['v']), length(_unrepresentable), v IS NULL FROM t{number} ORDER BY id \
         SETTINGS output_format_decimal_trailing_zeros = 1"
    );
    let stored = target.rows(&sql).await?;
    ensure!(stored.len() == pairs.len(), "{} rows of {}", stored.len(), pairs.len());
    for (pair, stored) in pairs.iter().zip(&stored) {
        let expected = expected(to, ty, pair)?;
        let limit = |text: &str| text.chars().take(300).collect::<String>();
        ensure!(
            expected == *stored || same_float(to, &expected, stored),
            "{} became {}",
            limit(&expected),
            limit(stored)
        );
    }
    Ok(pairs.len())
}

fn value(kind: Kind, bytes: &Option<Vec<u8>>) -> Value {
    bytes.as_ref().map_or((Kind::Null, Vec::new()), |bytes| (kind, bytes.clone()))
}

/// What the engine should show, from Postgres' text.
fn expected(to: ClickHouseType, ty: &PgType, pair: &Pair) -> Result<String> {
    let Some(text) = &pair.text else { return Ok("\\N\t\t0\t1".into()) };
    let shown = std::str::from_utf8(text)?;
    Ok(match representable(to, ty, shown, pair) {
        Some(value) => format!("{value}\t\t0\t0"),
        None => format!("\\N\t{}\t1\t1", hex(text)),
    })
}

fn representable(to: ClickHouseType, ty: &PgType, text: &str, pair: &Pair) -> Option<String> {
    let calendar = || {
        // year 0 of the engine is 1 BC
        let (text, bc) = text.strip_suffix(" BC").map_or((text, false), |text| (text, true));
        let (year, rest) = text.trim_end_matches("+00").split_once('-')?;
        let year: i32 = year.parse().ok()?;
        let year = if bc { 1 - year } else { year };
        (0..=9999).contains(&year).then(|| format!("{year:04}-{rest}"))
    };
    let micros = |text: String| match text.split_once('.') {
        Some((seconds, fraction)) => format!("{seconds}.{fraction:0<6}"),
        None => format!("{text}.000000"),
    };
    match to {
        ClickHouseType::Bool => Some(if text == "t" { "true" } else { "false" }.into()),
        ClickHouseType::UInt64 if text.contains('/') => {
            let (high, low) = text.split_once('/')?;
            let number = |digits| u64::from_str_radix(digits, 16).ok();
            Some((number(high)? << 32 | number(low)?).to_string())
        }
        ClickHouseType::Decimal { .. } if text == "NaN" || text.contains("Infinity") => None,
        ClickHouseType::Decimal { .. } => Some(text.replace(['$', ','], "")),
        ClickHouseType::Date32 => calendar(),
        ClickHouseType::DateTime64 { .. } => calendar().map(micros),
        ClickHouseType::Time64 => Some(micros(text.to_owned())),
        ClickHouseType::String if ty.name == "bytea" => pair.binary.as_deref().map(hex),
        ClickHouseType::String | ClickHouseType::LowCardinality => Some(hex(text.as_bytes())),
        _ => Some(text.to_owned()),
    }
}

/// Floats are printed in other notations: the same bits are the same value, NaN apart.
fn same_float(to: ClickHouseType, expected: &str, stored: &str) -> bool {
    let parse = |line: &str| line.split('\t').next().and_then(|text| text.parse::<f64>().ok());
    let (Some(expected), Some(stored)) = (parse(expected), parse(stored)) else { return false };
    match to {
        _ if expected.is_nan() => stored.is_nan(),
        ClickHouseType::Float64 => expected.to_bits() == stored.to_bits(),
        ClickHouseType::Float32 => (expected as f32).to_bits() == (stored as f32).to_bits(),
        _ => false,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

async fn connect(database: &str) -> Result<(tokio_postgres::Client, u32)> {
    let url = Server::shared().await?.create_database(database).await?;
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    for (name, value) in SESSION_SETTINGS {
        // the test's own types are found in the default schema
        if name != "search_path" {
            client.batch_execute(&format!("SET {name} = '{value}'")).await?;
        }
    }
    let version = client.query_one("SELECT current_setting('server_version_num')::int", &[]).await?;
    Ok((client, u32::try_from(version.get::<_, i32>(0))?))
}

/// The values and a NULL, in both forms. `format` prints through the output function; a cast to text
/// would not (boolean and character(n) have casts of their own).
async fn pairs(source: &tokio_postgres::Client, ty: &str, values: &[&str]) -> Result<Vec<Pair>> {
    let rows: Vec<_> = values.iter().map(|value| format!("(({value})::{ty})")).chain(["(NULL)".into()]).collect();
    let sql = format!(
        "COPY (SELECT v::{ty}, CASE WHEN v IS NOT DISTINCT FROM NULL THEN NULL ELSE format('%s', v::{ty}) END \
         FROM (VALUES {}) AS s (v)) TO STDOUT (FORMAT binary)",
        rows.join(",")
    );
    let parts: Vec<_> = source.copy_out(&sql).await?.try_collect().await?;
    let all = parts.concat();
    let mut rest = all.get(19..).context("copy header")?;
    let mut pairs = Vec::new();
    loop {
        let (count, tail) = rest.split_first_chunk::<2>().context("tuple")?;
        rest = tail;
        if i16::from_be_bytes(*count) < 0 {
            return Ok(pairs);
        }
        let (binary, text) = (field(&mut rest)?, field(&mut rest)?);
        pairs.push(Pair { binary, text });
    }
}

fn field(rest: &mut &[u8]) -> Result<Option<Vec<u8>>> {
    let (length, tail) = rest.split_first_chunk::<4>().context("field length")?;
    *rest = tail;
    let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else { return Ok(None) };
    let (bytes, tail) = rest.split_at_checked(length).context("field")?;
    *rest = tail;
    Ok(Some(bytes.to_vec()))
}

async fn column_type(source: &tokio_postgres::Client, ty: &str) -> Result<PgType> {
    source.batch_execute(&format!("DROP TABLE IF EXISTS typed; CREATE TABLE typed (v {ty})")).await?;
    let sql = "SELECT atttypid, atttypmod FROM pg_attribute WHERE attrelid = 'typed'::regclass AND attname = 'v'";
    let row = source.query_one(sql, &[]).await?;
    resolve(source, row.get(0), row.get(1)).await
}

async fn resolve(source: &tokio_postgres::Client, oid: u32, typmod: i32) -> Result<PgType> {
    let sql = "SELECT format_type(oid, NULL), typtype, typelem, typcategory = 'A' AND typelem <> 0, typbasetype, typtypmod \
               FROM pg_type WHERE oid = $1";
    let row = source.query_one(sql, &[&oid]).await?;
    let element = match row.get::<_, bool>(3) {
        true => Some(Box::pin(resolve(source, row.get(2), -1)).await?),
        false => None,
    };
    let base = match row.get::<_, u32>(4) {
        0 => None,
        base => Some(Box::pin(resolve(source, base, row.get(5))).await?),
    };
    let typtype = u8::try_from(row.get::<_, i8>(1))?;
    Ok(PgType::from_catalog(CatalogType { oid, typmod, name: row.get(0), typtype, element, base }))
}
