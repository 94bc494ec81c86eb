//! Every type with its edge values: as a column, under a domain, as array elements, under an array of
//! the domain.

use anyhow::Result;

use crate::agree::agree;
use crate::oracle::Oracle;

/// (type, SQL literals to cast to it).
const VALUES: &[(&str, &[&str])] = &[
    ("bool", &["true", "false"]),
    ("int2", &["-32768", "0", "32767"]),
    ("int4", &["-2147483648", "-1", "0", "2147483647"]),
    ("int8", &["-9223372036854775808", "7", "9223372036854775807"]),
    ("oid", &["0", "4294967295"]),
    ("xid", &["'4294967295'"]),
    ("cid", &["'4294967295'"]),
    ("xid8", &["'0'", "'18446744073709551615'"]),
    ("pg_lsn", &["'16/B374D848'", "'0/0'", "'FFFFFFFF/FFFFFFFF'", "'1/A'"]),
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
            "1e14",
            "1e15",
            "1e20",
            "1e23",
            "1e-4",
            "1e-5",
            "9007199254740993",
            "0.30000000000000004",
            "1125899906842624.25",
        ],
    ),
    (
        "float4",
        &[
            "0.1",
            "16777217",
            "'NaN'",
            "'-Infinity'",
            "'-0'",
            "1e5",
            "1e6",
            "123456",
            "1e-45",
            "3.4028235e38",
            "33554432",
        ],
    ),
    (
        "numeric",
        &[
            "'NaN'",
            "1e-40",
            "12345678901234567890123456789012345678901234567890.123450",
            "0",
            "0.00",
            "100000000",
            "1e131071",
            "-0.0001",
            "0.00001",
            "10000",
            "9999.9999",
            "1.10",
            "1e-16383",
            "-1234567890.000000001",
            "170141183460469231731687303715884105727",
            "-170141183460469231731687303715884105728",
        ],
    ),
    ("numeric(10,2)", &["-1.50", "99999999.99", "0"]),
    ("numeric(38,10)", &["-9999999999999999999999999999.9999999999", "1"]),
    ("numeric(76,38)", &["99999999999999999999999999999999999999.99999999999999999999999999999999999999"]),
    ("money", &["'-$1,234.56'", "'0'", "'0.05'", "'-92233720368547758.08'", "'92233720368547758.07'", "'1000000'"]),
    ("text", &["''", "'é'", "'NULL'", "'null'", "'a\"b'", "'c\\d'", "'x,y'", "'{}'", "' '", "E'a\\tb\\n'", "E'\\x0b'"]),
    ("varchar(3)", &["'é'", "''"]),
    ("varchar", &["'x'"]),
    ("bpchar(5)", &["'ab'", "''"]),
    ("bpchar", &["'ab  '"]),
    ("char", &["'a'"]),
    ("\"char\"", &["'a'", "''", "'\"'", "','"]),
    ("name", &["'abc'", "repeat('n', 63)"]),
    ("xml", &["'<a>é</a>'", "'<?xml version=\"1.0\" standalone=\"yes\"?><a/>'"]),
    ("refcursor", &["'c'"]),
    ("bytea", &["'\\x00ff5c'", "''"]),
    ("uuid", &["'00112233-4455-6677-8899-aabbccddeeff'"]),
    (
        "date",
        &[
            "'infinity'",
            "'-infinity'",
            "'5874897-12-31'",
            "'4713-01-01 BC'",
            "'4714-11-24 BC'",
            "'0001-01-01'",
            "'0001-12-31 BC'",
            "'1899-12-31'",
            "'1970-01-01'",
            "'2000-02-29'",
            "'2300-01-01'",
            "'10000-01-01'",
        ],
    ),
    ("time", &["'24:00:00'", "'23:59:59.999999'", "'00:00'", "'01:02:03.4'"]),
    ("time(3)", &["'01:02:03.4567'"]),
    ("timetz", &["'12:00:00.5+05:30'", "'24:00:00-15:59'", "'00:00+00'", "'01:00:00+15:59:59'", "'01:00:00-00:00:07'"]),
    (
        "timestamp",
        &[
            "'infinity'",
            "'-infinity'",
            "'4713-01-01 00:00 BC'",
            "'4714-11-24 00:00 BC'",
            "'294276-12-31 23:59:59.999999'",
            "'294247-01-10 04:00:54.775807'",
            "'294247-01-10 04:00:54.775808'",
            "'0001-01-01'",
            "'1969-12-31 23:59:59.999999'",
            "'2024-03-10 02:30:00.120000'",
        ],
    ),
    ("timestamp(3)", &["'2024-03-10 02:30:00.1234'"]),
    (
        "timestamptz",
        &[
            "'2024-03-10 02:30:00.123456+05:30'",
            "'0044-03-15 BC'",
            "'infinity'",
            "'-infinity'",
            "'294276-12-31 23:59:59.999999+00'",
        ],
    ),
    ("timestamptz(0)", &["'2024-03-10 02:30:00.6+05:30'"]),
    (
        "interval",
        &[
            "'1 mon -1 day +02:03:04.5'",
            "'-1 year -2 mons +3 days -04:05:06'",
            "'178000000 years'",
            "'0'",
            "'1 day'",
            "'-1 day'",
            "'1 year'",
            "'-1 mon'",
            "'00:00:00.000001'",
            "'-00:00:00.5'",
            "'1 year 2 mons 3 days'",
            "'-1 days +00:00:01'",
            "'-178956970 years -8 mons'",
        ],
    ),
    ("json", &["'{\"a\":1,\"a\":2,  \"z\":1e400}'", "'\"\\u0000\"'", "E'\\n 1'"]),
    ("jsonb", &["'{\"b\":1.10,\"a\":null,\"a\":2}'", "'12345678901234567890.123'", "'[]'"]),
    (
        "inet",
        &[
            "'192.168.1.5/24'",
            "'192.168.1.5'",
            "'::1'",
            "'::'",
            "'0.0.0.0/0'",
            "'::ffff:1.2.3.4'",
            "'::1.2.3.4/96'",
            "'2001:db8::1/64'",
            "'1:0:0:2::3'",
            "'1::'",
            "'1:2:3:4:5:6:7:8'",
            "'::ffff:0:0/95'",
            "'0:1:0:1:0:1:0:1'",
            "'::2:3'",
            "'::ffff:0:1:2'",
        ],
    ),
    ("cidr", &["'10.0.0.0/8'", "'10.1.2.3/32'", "'::/0'", "'2001:db8::/32'", "'::1/128'"]),
    ("macaddr", &["'08:00:2b:01:02:03'"]),
    ("macaddr8", &["'08:00:2b:01:02:03:04:05'"]),
    ("bit(5)", &["B'10110'"]),
    ("bit(16)", &["B'1011011100000001'"]),
    ("varbit", &["B'1011011101'", "B''", "B'1'"]),
    ("varbit(9)", &["B'101101110'"]),
    ("mood", &["'sad'", "'so, so'", "'NULL'"]),
    ("int4[]", &["'{1,NULL,3}'", "'{}'", "'{{1,2},{3,4}}'", "'[2:3]={7,8}'", "'[0:1][5:6]={{1,2},{3,4}}'"]),
    ("int4[]", &["'{{{1},{2}},{{3},{4}},{{5},{NULL}}}'", "'[-5:-5]={1}'", "'{{{{{{1,2}}}}}}'"]),
    ("text[]", &["array['NULL',null,'','a\"b','c\\d','x,y','{}','null','é','a b']", "'{}'", "'{{\"\",a},{b,NULL}}'"]),
    ("float8[]", &["'{NaN,Infinity,-0,1e-5}'"]),
    ("numeric[]", &["'{1.10,NaN}'"]),
    ("numeric(6,3)[]", &["'{1.10,-999.999}'"]),
    ("varchar(4)[]", &["'{a,\"b c\"}'"]),
    ("timestamptz[]", &["'{2024-01-01 00:00:00.5+00,infinity}'"]),
    ("bytea[]", &["array['\\x0001'::bytea, '']"]),
    ("bpchar(3)[]", &["'{a,bcd}'"]),
    ("mood[]", &["'{sad,\"so, so\",\"NULL\",NULL}'"]),
    // read as text only
    ("tsvector", &["'''it''s'':1A fat:2B,4'"]),
    ("tsquery", &["'fat & (rat | !cat)'"]),
    ("int4range", &["'[1,5)'", "'empty'"]),
    ("numrange", &["'(,1.5]'"]),
    ("tstzrange", &["'[2024-01-01 00:00+00,)'"]),
    ("path", &["'[(0,0),(1,1)]'"]),
    ("txid_snapshot", &["'10:20:10,14'"]),
    ("int4multirange", &["'{[1,3),[5,9)}'"]),
    ("regclass", &["'pg_class'"]),
    ("tid", &["'(5,7)'"]),
    ("point", &["'(1.5,2)'"]),
    ("box", &["'((0,0),(1,1))'"]),
    ("polygon", &["'((0,0),(1,1))'"]),
    ("jsonpath", &["'$.a[*]'"]),
    ("pg_snapshot", &["'10:20:10,14'"]),
    ("int2vector", &["'1 2 3'"]),
    ("oidvector", &["'1 2 3'"]),
    ("pair", &["row(1, 'x y')"]),
];

/// Values that only newer servers know: (from version, type, literals).
const NEWER: &[(u32, &str, &[&str])] = &[
    (140_000, "numeric", &["'Infinity'", "'-Infinity'"]),
    (150_000, "numeric(5,-2)", &["12345", "-99900"]),
    (150_000, "numeric(3,5)", &["0.00123"]),
    (150_000, "interval", &["'2562047788:00:54.775807'"]),
    (160_000, "\"char\"", &["'\\351'", "'\\200'"]),
    (170_000, "interval", &["'infinity'", "'-infinity'", "'-2147483648 days'"]),
];

#[tokio::test]
async fn both_forms_agree_on_every_type() -> Result<()> {
    let oracle = Oracle::start("every_type").await?;
    let types = "CREATE TYPE mood AS ENUM ('sad', 'so, so', 'NULL'); CREATE TYPE pair AS (a int, b text)";
    oracle.client.batch_execute(types).await?;
    let known = NEWER.iter().filter(|(since, ..)| oracle.version >= *since).map(|(_, ty, values)| (*ty, *values));
    let mut checked = 0usize;
    for (number, (ty, values)) in VALUES.iter().copied().chain(known).enumerate() {
        checked += check_type(&oracle, number, ty, values).await?;
    }
    println!("{checked} values agree on server version {}", oracle.version);
    assert!(checked > 500);
    Ok(())
}

async fn check_type(oracle: &Oracle, number: usize, ty: &str, values: &[&str]) -> Result<usize> {
    let domain = format!("d{number}");
    oracle.client.batch_execute(&format!("CREATE DOMAIN {domain} AS {ty}")).await?;
    let outer = format!("CREATE DOMAIN {domain}_outer AS {domain}");
    oracle.client.batch_execute(&outer).await?;
    let rows = values.iter().map(|value| format!("(({value})::{ty})")).chain(["(NULL)".to_owned()]);
    let rows = rows.collect::<Vec<_>>().join(",");
    let mut checked = 0usize;
    for (at, column) in [ty, &domain, &format!("{domain}_outer")].into_iter().enumerate() {
        checked += check_column(oracle, &format!("t{number}_{at}"), column, &format!("VALUES {rows}")).await?;
    }
    // array_agg concatenates arrays, and takes the two vectors for arrays
    if !ty.ends_with(']') && !matches!(ty, "int2vector" | "oidvector") {
        for (at, column) in [format!("{ty}[]"), format!("{domain}[]")].iter().enumerate() {
            let array = format!("SELECT array_agg(v::{ty})::{column} FROM (VALUES {rows}) AS s (v)");
            checked += check_column(oracle, &format!("a{number}_{at}"), column, &array).await?;
        }
    }
    Ok(checked)
}

async fn check_column(oracle: &Oracle, table: &str, column: &str, rows: &str) -> Result<usize> {
    let ty = oracle.column(table, column).await?;
    oracle.client.batch_execute(&format!("INSERT INTO {table} (v) {rows}")).await?;
    if !column.starts_with('d') || !column.ends_with(']') {
        assert_eq!(ty.sql_type(), oracle.format_type(&ty).await?, "sql type of {column}");
    }
    let pairs = oracle.pairs(table).await?;
    for pair in &pairs {
        agree(&ty, pair);
    }
    Ok(pairs.len())
}
